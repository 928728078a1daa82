//! A wire between a store and its server, to be cut and silenced.
#![allow(clippy::unwrap_used, reason = "in a test it is the assertion")]

use tokio::{
    io::{AsyncWriteExt, copy},
    net::{TcpListener, TcpStream},
    sync::watch,
};

/// A proxy before a server: it can be cut, and silenced.
pub(crate) struct Wire {
    pub(crate) address: String,
    state: watch::Sender<State>,
}

#[derive(Clone, Copy, PartialEq)]
pub(crate) enum State {
    Open,
    /// Connections of this generation and below are closed.
    Cut,
    /// Nothing comes through any more, and nothing closes.
    Silent,
}

impl Wire {
    pub(crate) async fn to(server: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let (state, seen) = watch::channel(State::Open);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(carry(client, server.clone(), seen.clone()));
            }
        });
        Self { address, state }
    }

    pub(crate) fn set(&self, state: State) {
        self.state.send_replace(state);
    }
}

async fn carry(client: TcpStream, server: String, mut state: watch::Receiver<State>) {
    if *state.borrow() == State::Cut {
        return;
    }
    let server = TcpStream::connect(server).await.unwrap();
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    state.mark_unchanged();
    if *state.borrow() == State::Silent {
        std::future::pending::<()>().await;
    }
    tokio::select! {
        _ = copy(&mut from_client, &mut to_server) => {}
        _ = copy(&mut from_server, &mut to_client) => {}
        _ = state.changed() => {
            if *state.borrow() == State::Silent {
                // This connection stays silent for good, also when others are carried again.
                std::future::pending::<()>().await;
            }
        }
    }
    let _ = to_client.shutdown().await;
}
