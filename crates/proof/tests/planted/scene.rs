//! Two servers on one store, in this process, and a crowd of clients.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use arvel_session::{Secret, SessionConfig, SessionManager, StartSession};
use axum::Router;
use proof::{
    checker::{Violation, census, check, untold},
    field,
    history::{History, Micros},
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
/// Of an open or a commit, in microseconds.
const IN_TIME: Micros = 1_000_000;

pub(crate) struct Scene {
    deeds: Arc<dyn Deeds>,
    dress: fn(StartSession) -> StartSession,
    wrap: fn(Router) -> Router,
    deadline: Micros,
}

/// What has happened, and what is alive in the end.
pub(crate) struct Played {
    pub(crate) history: History,
    live: BTreeSet<String>,
    known: BTreeSet<String>,
}

impl Scene {
    pub(crate) fn honest() -> Self {
        Self {
            deeds: Arc::new(Honest),
            dress: |sessions| sessions.keep_flash(server::is_poll),
            wrap: |app| app,
            deadline: 0,
        }
    }

    pub(crate) fn with(fault: &Fault) -> Self {
        let mut scene = Self::honest();
        match &fault.plant {
            Plant::Store(deeds) => scene.deeds = deeds(),
            Plant::Layer(dress) => scene.dress = *dress,
            Plant::Around(wrap) => scene.wrap = *wrap,
            Plant::InTime(wrap) => {
                scene.wrap = *wrap;
                scene.deadline = IN_TIME;
            }
        }
        scene
    }

    pub(crate) async fn play(&self, seed: u64) -> Played {
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
        let known = crowd.known().into_iter();
        Played {
            history: History {
                calls: crowd.recorder().take(),
                quiet: true,
                grace: micros(TIMEOUT * 2),
                lifetime: micros(LIFETIME),
                deadline: self.deadline,
                ..History::default()
            },
            live: store.live(),
            known: known.map(|token| field::name(&token.id)).collect(),
        }
    }
}

fn micros(duration: Duration) -> Micros {
    duration.as_micros().try_into().unwrap()
}

impl Played {
    pub(crate) fn violations(&self) -> Vec<Violation> {
        let mut violations = check(&self.history).violations;
        violations.extend(census(&self.live, &self.known, untold(&self.history)));
        violations
    }
}
