//! A small site for the clients to visit, over HTTP and over TLS: one page, a login, and what else a test needs.

mod pages;
mod tls;

use std::path::{Path, PathBuf};

use arvel_session::{Secret, SessionConfig, SessionManager, StartSession};
use tokio::{net::TcpListener, task::JoinHandle};

use crate::service;

/// The site, until it is dropped.
pub(crate) struct Site {
    plain: u16,
    secure: u16,
    certificates: PathBuf,
    servers: [JoinHandle<()>; 2],
}

/// Sessions in memory, under the default settings.
pub(crate) fn memory() -> SessionConfig {
    SessionConfig::new()
        .driver("memory")
        .secret_key(Secret::generate())
}

/// Sessions in a cookie for this host and for TLS alone, which no other site's request carries.
pub(crate) fn strict() -> SessionConfig {
    memory()
        .cookie_name("__Host-session")
        .secure(true)
        .same_site(arvel_session::SameSite::Strict)
}

/// What RFC 6265bis lets the name and the value of a cookie take together, in bytes.
pub(crate) const LIMIT: usize = 4096;

/// The largest note that the `cookie` driver can keep, if this one makes a cookie of this size: four characters carry
/// three bytes.
pub(crate) fn largest_note(note: usize, size: usize) -> usize {
    let carried = |size: usize| (size - "arvel_session".len()) * 3 / 4;
    note + carried(LIMIT) - carried(size)
}

impl Site {
    /// A site whose sessions are as these settings say; `None` where there are no certificates for it.
    pub(crate) async fn open(config: SessionConfig) -> Option<Self> {
        let certificates = PathBuf::from(service("ARVEL_TEST_CERTIFICATES")?);
        let manager = SessionManager::new(config).unwrap();
        let layer = StartSession::new(manager.store().unwrap());
        let pages = pages::router(layer.try_build().unwrap());

        let plain = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let secure = tls::Listener::bind(&certificates).await;
        let ports = [plain.local_addr().unwrap(), secure.address].map(|address| address.port());
        let servers = [
            tokio::spawn({
                let pages = pages.clone();
                async { axum::serve(plain, pages).await.unwrap() }
            }),
            tokio::spawn(async { axum::serve(secure, pages).await.unwrap() }),
        ];
        Some(Self {
            plain: ports[0],
            secure: ports[1],
            certificates,
            servers,
        })
    }

    /// Where this host is without TLS.
    pub(crate) fn http(&self, host: &str) -> String {
        format!("http://{host}:{}", self.plain)
    }

    /// Where this host is with TLS.
    pub(crate) fn https(&self, host: &str) -> String {
        format!("https://{host}:{}", self.secure)
    }

    /// Who vouches for the site.
    pub(crate) fn authority(&self) -> PathBuf {
        Path::new(&self.certificates).join("authority.pem")
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        for server in &self.servers {
            server.abort();
        }
    }
}
