//! A wire between the servers and their store that can be cut, silenced and slowed down.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use fastrand::Rng;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::{Notify, watch},
    task::JoinHandle,
};

/// The state of a wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wire {
    /// Everything comes through.
    Open,
    /// Every connection ends at once, in the middle of what it carries, and none is made.
    Cut,
    /// Nothing comes through, and nothing ends.
    Silent,
    /// The server is told everything, and nobody hears what it answers.
    Mute,
    /// Everything comes through later, by up to so many milliseconds.
    Slow(u64),
}

/// A wire to one server.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    state: watch::Sender<Wire>,
    severed: Arc<Notify>,
    acceptor: JoinHandle<()>,
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.acceptor.abort();
    }
}

impl Proxy {
    /// Lays a wire to the server at this port.
    ///
    /// # Errors
    /// There is no port for it.
    pub async fn to(port: u16) -> std::io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let (state, seen) = watch::channel(Wire::Open);
        let severed = Arc::new(Notify::new());
        let ends = severed.clone();
        let acceptor = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(carry(client, port, seen.clone(), ends.clone()));
            }
        });
        Ok(Self {
            address,
            state,
            severed,
            acceptor,
        })
    }

    /// Its own port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// Changes its state, for the connections that there are too.
    pub fn set(&self, wire: Wire) {
        self.state.send_replace(wire);
    }

    /// Ends the connections that there are; new ones can be made at once.
    pub fn sever(&self) {
        self.severed.notify_waiters();
    }
}

async fn carry(
    client: TcpStream,
    port: u16,
    mut state: watch::Receiver<Wire>,
    severed: Arc<Notify>,
) {
    if *state.borrow_and_update() == Wire::Cut {
        return;
    }
    let Ok(server) = TcpStream::connect(("127.0.0.1", port)).await else {
        return;
    };
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    tokio::select! {
        () = pump(from_client, to_server, state.clone(), &[Wire::Silent]) => {}
        () = pump(from_server, to_client, state.clone(), &[Wire::Silent, Wire::Mute]) => {}
        _ = state.wait_for(|wire| *wire == Wire::Cut) => {}
        () = severed.notified() => {}
    }
}

/// Carries one direction, as slowly as the state wants it, and not at all while it is one of those that `hold`.
async fn pump(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    mut state: watch::Receiver<Wire>,
    hold: &[Wire],
) {
    let mut rng = Rng::new();
    let mut bytes = vec![0; 16 << 10];
    while let Ok(read) = from.read(&mut bytes).await {
        if read == 0 {
            return;
        }
        let wire = *state.borrow_and_update();
        if let Wire::Slow(most) = wire {
            let delay = Duration::from_millis(rng.u64(..=most));
            tokio::time::sleep(delay).await;
        }
        if state.wait_for(|wire| !hold.contains(wire)).await.is_err() {
            return;
        }
        if to.write_all(&bytes[..read]).await.is_err() {
            return;
        }
    }
}
