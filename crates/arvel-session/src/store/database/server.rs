//! What the two servers share: whom to trust, when to try again, and which of their words to pass on.

use std::fmt;

use rustls::{RootCertStore, pki_types::CertificateDer};

use crate::{Error, ErrorKind, Result};

/// How often something runs that the server has undone on behalf of another call.
pub(super) const ATTEMPTS: u32 = 3;

/// The authorities of this machine, or of the file that `SSL_CERT_FILE` names, that rustls can use.
pub(super) fn authorities() -> Result<Vec<CertificateDer<'static>>> {
    let mut found = rustls_native_certs::load_native_certs().certs;
    found.retain(|certificate| RootCertStore::empty().add(certificate.clone()).is_ok());
    if found.is_empty() {
        return Err(Error::new(
            ErrorKind::Config,
            "database_url asks for TLS, but this machine trusts no certificate authority (see SSL_CERT_FILE)",
        ));
    }
    Ok(found)
}

/// The error for a URL that a client cannot read. What the client says about it may show a part of the password.
pub(super) fn unreadable(scheme: &str) -> Error {
    Error::new(
        ErrorKind::Config,
        format!(
            "database_url is no {scheme}:// URL that can be read (in a password, `@` is written %40, and so on)"
        ),
    )
}

/// What a database server says. It quotes values where they are at fault, and then nothing but the code is kept.
#[derive(Debug)]
pub(super) struct ServerFault(String);

impl ServerFault {
    pub(super) fn new(code: impl fmt::Display, state: &str, message: &str) -> Self {
        // Data exceptions and integrity violations.
        let quotes_values = state.starts_with("22") || state.starts_with("23");
        Self(match quotes_values {
            true => format!("error {code}"),
            false => format!("error {code}: {message}"),
        })
    }
}

impl fmt::Display for ServerFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for ServerFault {}
