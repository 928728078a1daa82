//! A certificate authority made for one run, and a certificate for this machine that it signed.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::error::{Context, Result};
use crate::process;

/// What `openssl` needs to know; its own configuration differs from system to system.
const CONFIGURATION: &str = "\
[req]
distinguished_name = name
[name]
[authority]
basicConstraints = critical, CA:TRUE
keyUsage = critical, keyCertSign
[server]
basicConstraints = critical, CA:FALSE
extendedKeyUsage = serverAuth
subjectAltName = IP:127.0.0.1, DNS:localhost, DNS:shop.test
";

/// Where the system keeps the authorities that it trusts.
const SYSTEM: &str = "/etc/ssl/certs/ca-certificates.crt";

/// The files of a server that speaks TLS.
pub(super) struct Certificates {
    pub(super) authority: PathBuf,
    pub(super) certificate: PathBuf,
    pub(super) key: PathBuf,
    /// The system's authorities and ours, so that whoever trusts this one still reaches the rest of the world.
    pub(super) trusted: PathBuf,
}

impl Certificates {
    /// Makes the authority and the certificate in `folder`.
    pub(super) fn make(folder: &Path) -> Result<Self> {
        std::fs::write(folder.join("openssl.cnf"), CONFIGURATION).context("writing openssl.cnf")?;
        sign(folder, "authority", &[])?;
        sign(
            folder,
            "server",
            &["-CA", "authority.pem", "-CAkey", "authority.key"],
        )?;
        let authority = folder.join("authority.pem");
        let mut bundle = std::fs::read(SYSTEM).unwrap_or_default();
        bundle.extend(std::fs::read(&authority).context("reading the authority")?);
        let trusted = folder.join("trusted.pem");
        std::fs::write(&trusted, bundle).context("writing the trusted authorities")?;
        Ok(Self {
            authority,
            certificate: folder.join("server.pem"),
            key: folder.join("server.key"),
            trusted,
        })
    }
}

fn sign(folder: &Path, name: &str, by: &[&str]) -> Result<()> {
    let mut command = Command::new("openssl");
    command.current_dir(folder).args([
        "req",
        "-x509",
        "-config",
        "openssl.cnf",
        "-extensions",
        name,
    ]);
    command.args([
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:prime256v1",
        "-nodes",
        "-days",
        "2",
    ]);
    command.args(["-subj", &format!("/CN=arvel-session test {name}")]);
    command
        .args([
            "-keyout",
            &format!("{name}.key"),
            "-out",
            &format!("{name}.pem"),
        ])
        .args(by);
    process::output(&mut command).map(drop)
}
