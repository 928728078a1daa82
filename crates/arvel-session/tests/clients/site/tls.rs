//! Listens for TLS connections, with the certificate for this machine that the services made.

use std::{io, net::SocketAddr, path::Path, sync::Arc};

use tokio::{
    net::{TcpListener, TcpStream},
    sync::mpsc,
};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        ServerConfig,
        crypto::ring,
        pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
    },
    server::TlsStream,
};

type Connection = (TlsStream<TcpStream>, SocketAddr);

/// Hands out connections whose handshake is done: a client that connects and waits keeps nobody else waiting.
pub(super) struct Listener {
    pub(super) address: SocketAddr,
    ready: mpsc::Receiver<Connection>,
}

impl Listener {
    pub(super) async fn bind(certificates: &Path) -> Self {
        let acceptor = acceptor(certificates);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (send, ready) = mpsc::channel(1);
        // It ends with the one who takes the connections.
        tokio::spawn(async move {
            while let Ok((stream, peer)) = listener.accept().await {
                let (acceptor, send) = (acceptor.clone(), send.clone());
                if send.is_closed() {
                    return;
                }
                tokio::spawn(async move {
                    if let Ok(stream) = acceptor.accept(stream).await {
                        let _ = send.send((stream, peer)).await;
                    }
                });
            }
        });
        Self { address, ready }
    }
}

fn acceptor(certificates: &Path) -> TlsAcceptor {
    let certificate = CertificateDer::from_pem_file(certificates.join("server.pem")).unwrap();
    let key = PrivateKeyDer::from_pem_file(certificates.join("server.key")).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .unwrap();
    TlsAcceptor::from(Arc::new(config))
}

impl axum::serve::Listener for Listener {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> Connection {
        let connection = self.ready.recv().await;
        connection.expect("the other end lives as long as the runtime")
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.address)
    }
}
