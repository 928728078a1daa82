//! TLS to a database server: rustls on ring, with the authorities that this machine trusts.

use rustls::{RootCertStore, pki_types::CertificateDer};

use crate::{Error, ErrorKind, Result};

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
