//! Opening one connection: to an address, or to the master that a Sentinel names.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use redis::{ErrorKind, RedisConnectionInfo, RedisError, RedisResult, Value};
use socket2::{SockRef, TcpKeepalive};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpStream, UnixStream},
    time::timeout,
};
use tokio_rustls::{
    TlsConnector,
    rustls::{ClientConfig, RootCertStore, crypto::ring, pki_types::ServerName},
};

use super::{link::Live, url::Address, wire::Command};
use crate::{Error, ErrorKind as Kind, Result};

/// The longest that a server may take to accept a connection and to greet.
const GREETING: Duration = Duration::from_secs(2);
/// The longest that one Sentinel may take before the next is asked: a dead one must not use up the caller's deadline.
const SENTINEL_ANSWER: Duration = Duration::from_millis(500);

/// All that is the same for every server: how to log in, and TLS.
pub(super) struct Dialer {
    pub(super) login: RedisConnectionInfo,
    pub(super) tls: Option<TlsConnector>,
}

/// Where a connection leads.
pub(super) enum Route {
    /// Always to this address.
    Direct(Address),
    /// To whatever the Sentinels say is the master, asked anew for every connection.
    Sentinel {
        sentinels: Vec<Address>,
        master: String,
        /// The Sentinel to ask first: the one that answered last.
        first: AtomicUsize,
    },
}

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

impl Dialer {
    /// Opens a connection along `route`.
    pub(super) async fn connect(&self, route: &Route) -> RedisResult<Live> {
        match route {
            Route::Direct(address) => self.greet(address, &self.login).await,
            Route::Sentinel {
                sentinels,
                master,
                first,
            } => {
                let address = self.find_master(sentinels, master, first).await?;
                let live = self.greet(&address, &self.login).await?;
                match timeout(GREETING, live.send(&[&Command::new("ROLE", 0)])).await {
                    Ok(Ok(Value::Array(role))) if is_text(role.first(), b"master") => Ok(live),
                    Ok(Ok(_)) => Err(unfit("the server that the Sentinel named is not a master")),
                    Ok(Err(error)) => Err(error),
                    Err(_) => Err(io::Error::from(io::ErrorKind::TimedOut).into()),
                }
            }
        }
    }

    async fn find_master(
        &self,
        sentinels: &[Address],
        master: &str,
        first: &AtomicUsize,
    ) -> RedisResult<Address> {
        let mut failure = unfit("no Sentinel is configured");
        let start = first.load(Ordering::Relaxed);
        for turn in 0..sentinels.len() {
            let at = (start + turn) % sentinels.len();
            match timeout(SENTINEL_ANSWER, self.ask(&sentinels[at], master)).await {
                Ok(Ok(address)) => {
                    first.store(at, Ordering::Relaxed);
                    return Ok(address);
                }
                Ok(Err(error)) => failure = error,
                Err(_) => failure = io::Error::from(io::ErrorKind::TimedOut).into(),
            }
        }
        Err(failure)
    }

    /// Asks one Sentinel, without a password first: they seldom have one, and refuse one that they do not need.
    async fn ask(&self, sentinel: &Address, master: &str) -> RedisResult<Address> {
        let mut question = Command::new("SENTINEL", 64);
        question.arg("get-master-addr-by-name").arg(master);
        let anonymous = RedisConnectionInfo::default();
        let mut answer = self
            .greet(sentinel, &anonymous)
            .await?
            .send(&[&question])
            .await;
        if answer
            .as_ref()
            .is_err_and(|error| error.code() == Some("NOAUTH"))
        {
            let login = self.login.clone().set_db(0);
            answer = self.greet(sentinel, &login).await?.send(&[&question]).await;
        }
        read_address(answer?).ok_or_else(|| {
            let kind = ErrorKind::MasterNameNotFoundBySentinel;
            RedisError::from((kind, "the Sentinel does not know this master"))
        })
    }

    async fn greet(&self, address: &Address, login: &RedisConnectionInfo) -> RedisResult<Live> {
        let greeting = async {
            let live = Live::new(self.open(address).await?);
            log_in(&live, login).await?;
            Ok(live)
        };
        let greeted = timeout(GREETING, greeting).await;
        greeted.unwrap_or_else(|_| Err(io::Error::from(io::ErrorKind::TimedOut).into()))
    }

    async fn open(&self, address: &Address) -> io::Result<Box<dyn Stream>> {
        let (host, port) = match address {
            Address::Unix(path) => return Ok(Box::new(UnixStream::connect(path).await?)),
            Address::Tcp { host, port } => (host.as_str(), *port),
        };
        let stream = TcpStream::connect((host, port)).await?;
        stream.set_nodelay(true)?;
        // A firewall that forgets an idle connection says nothing; the probes find out before a visitor does.
        let keepalive = TcpKeepalive::new()
            .with_time(Duration::from_secs(30))
            .with_interval(Duration::from_secs(5))
            .with_retries(3);
        SockRef::from(&stream).set_tcp_keepalive(&keepalive)?;
        let Some(tls) = &self.tls else {
            return Ok(Box::new(stream));
        };
        let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
        Ok(Box::new(tls.connect(name, stream).await?))
    }
}

/// In one round trip. A server that is too old for the client's name need not know it.
async fn log_in(live: &Live, login: &RedisConnectionInfo) -> RedisResult<()> {
    let mut greeting = Vec::new();
    if let Some(password) = login.password() {
        let mut auth = Command::new("AUTH", password.len());
        if let Some(user) = login.username() {
            auth.arg(user);
        }
        auth.arg(password);
        greeting.push(auth);
    }
    if login.db() != 0 {
        let mut select = Command::new("SELECT", 0);
        select.arg(login.db().to_string());
        greeting.push(select);
    }
    let must_succeed = greeting.len();
    for (what, value) in [("LIB-NAME", login.lib_name()), ("LIB-VER", login.lib_ver())] {
        let mut info = Command::new("CLIENT", 0);
        info.arg("SETINFO").arg(what).arg(value.unwrap_or_default());
        greeting.push(info);
    }
    let answers = live.send_all(&greeting).await.into_iter().enumerate();
    let mut failures = answers.filter_map(|(number, answer)| {
        let error = answer.err()?;
        (number < must_succeed || error.is_io_error()).then_some(error)
    });
    failures.next().map_or(Ok(()), Err)
}

/// TLS with the platform's roots (or those of `SSL_CERT_FILE`) and ring, whatever the process's default provider is.
pub(super) fn tls() -> Result<TlsConnector> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    let (usable, _) = roots.add_parsable_certificates(found.certs);
    if usable == 0 {
        let error = Error::new(
            Kind::Config,
            "redis_url asks for TLS, but this machine has no root certificates (SSL_CERT_FILE can name a file of them)",
        );
        return Err(match found.errors.into_iter().next() {
            Some(source) => error.with_source(source),
            None => error,
        });
    }
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|source| Error::new(Kind::Config, "redis_url: TLS").with_source(source))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}

fn read_address(answer: Value) -> Option<Address> {
    let Value::Array(parts) = answer else {
        return None;
    };
    let [Value::BulkString(host), Value::BulkString(port)] = parts.as_slice() else {
        return None;
    };
    Some(Address::Tcp {
        host: String::from_utf8(host.clone()).ok()?,
        port: str::from_utf8(port).ok()?.parse().ok()?,
    })
}

fn is_text(value: Option<&Value>, text: &[u8]) -> bool {
    matches!(value, Some(Value::BulkString(found)) if found == text)
}

/// An error of a server that answers but is not the one that we need.
pub(super) fn unfit(why: &'static str) -> RedisError {
    (ErrorKind::Client, why).into()
}
