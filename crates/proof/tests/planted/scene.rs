//! Two servers on one store, in this process, and a crowd of clients.

use std::{sync::Arc, time::Duration};

use arvel_session::{Secret, SessionConfig, SessionManager, StartSession};
use axum::Router;
use proof::{
    checker::Verdict,
    history::History,
    load::{Crowd, Load},
    server::{self, Turned},
};
use tokio::net::TcpListener;

use crate::{
    faults::{Fault, Plant},
    shelf::{Deeds, Honest, Store},
};

/// Short, so that expiries are moved all the time; longer than a history takes.
const LIFETIME: Duration = Duration::from_secs(3);
const TIMEOUT: Duration = Duration::from_secs(20);

pub(crate) struct Scene {
    deeds: Arc<dyn Deeds>,
    dress: fn(StartSession) -> StartSession,
    wrap: fn(Router) -> Router,
}

impl Scene {
    pub(crate) fn honest() -> Self {
        Self {
            deeds: Arc::new(Honest),
            dress: |sessions| sessions.keep_flash(server::is_poll),
            wrap: |app| app,
        }
    }

    pub(crate) fn with(fault: &Fault) -> Self {
        let mut scene = Self::honest();
        match &fault.plant {
            Plant::Store(deeds) => scene.deeds = deeds(),
            Plant::Layer(dress) => scene.dress = *dress,
            Plant::Around(wrap) => scene.wrap = *wrap,
        }
        scene
    }

    pub(crate) async fn play(&self, seed: u64) -> History {
        let store = Store::new(self.deeds.clone());
        let config = SessionConfig::new()
            .driver("planted")
            .secret_key(Secret::generate())
            .lifetime(LIFETIME)
            // The seal finds some of the faults by itself; here the checker is to find them.
            .encrypt(false)
            .timeout(TIMEOUT);
        let mut addresses = Vec::new();
        for _ in 0..2 {
            let manager = SessionManager::new(config.clone()).unwrap();
            let shared = store.clone();
            manager
                .extend("planted", move |_| Ok(shared.clone()))
                .unwrap();
            let store = manager.store().unwrap();
            let sessions = (self.dress)(StartSession::new(store.clone()))
                .try_build()
                .unwrap();
            let app = (self.wrap)(server::app(store, sessions, Turned::default()));
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            addresses.push(listener.local_addr().unwrap());
            tokio::spawn(async { axum::serve(listener, app).await });
        }
        let load = Load {
            seed,
            ..Load::default()
        };
        let crowd = Crowd::new(addresses, load.browsers);
        crowd.run(&load).await;
        crowd.audit(seed).await.unwrap();
        History {
            calls: crowd.recorder().take(),
            quiet: true,
            grace: u64::try_from((TIMEOUT * 2).as_micros()).unwrap(),
            ..History::default()
        }
    }
}

#[track_caller]
pub(crate) fn expect_none(history: &History, verdict: &Verdict) {
    let violations: Vec<String> = verdict.violations.iter().map(ToString::to_string).collect();
    assert!(
        violations.is_empty(),
        "{}\n{}",
        history.print(),
        violations.join("\n")
    );
}
