//! What `redis_url` says: where the servers are, how to log in, and whether to speak TLS.

use std::path::PathBuf;

use percent_encoding::percent_decode_str;
use redis::RedisConnectionInfo;

use crate::{Error, ErrorKind, Result};

const SERVER_PORT: u16 = 6379;
const SENTINEL_PORT: u16 = 26379;

/// A server's address.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Address {
    Tcp { host: String, port: u16 },
    Unix(PathBuf),
}

/// How many servers there are, and how to find the right one.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Topology {
    Single(Address),
    Sentinel {
        sentinels: Vec<Address>,
        master: String,
    },
    Cluster(Vec<Address>),
}

/// The whole of a URL.
#[derive(Debug)]
pub(super) struct Settings {
    pub(super) topology: Topology,
    pub(super) login: RedisConnectionInfo,
    pub(super) tls: bool,
}

impl Settings {
    /// Reads a URL. The errors never quote it, since any part of a mistyped one may be the password.
    pub(super) fn parse(url: &str) -> Result<Self> {
        let (scheme, rest) = url
            .split_once("://")
            .ok_or_else(|| wrong("must look like redis://host:port/db"))?;
        if rest.contains('#') {
            return Err(wrong("has a #, which in a password is written %23"));
        }
        let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let (login, hosts) = match authority.rsplit_once('@') {
            Some((login, hosts)) => (parse_login(login)?, hosts),
            None => (RedisConnectionInfo::default(), authority),
        };
        let login = login.set_lib_name(env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION"));
        let (topology, login) = match scheme {
            "redis" | "rediss" => single(hosts, path, login)?,
            "redis+unix" | "unix" => unix(hosts, path, login)?,
            "redis+sentinel" | "rediss+sentinel" => sentinel(hosts, path, login)?,
            "redis+cluster" | "rediss+cluster" => cluster(hosts, path, login)?,
            _ => {
                return Err(wrong(
                    "must begin with redis://, rediss://, redis+unix://, unix://, redis+sentinel://, \
                     rediss+sentinel://, redis+cluster:// or rediss+cluster://",
                ));
            }
        };
        Ok(Self {
            topology,
            login,
            tls: scheme.starts_with("rediss"),
        })
    }
}

type Parsed = Result<(Topology, RedisConnectionInfo)>;

fn single(hosts: &str, path: &str, login: RedisConnectionInfo) -> Parsed {
    if hosts.contains(',') {
        return Err(wrong(
            "names several hosts: use redis+sentinel:// or redis+cluster://",
        ));
    }
    let address = parse_host(hosts, SERVER_PORT)?;
    let db = parse_db(path.trim_matches('/'))?;
    Ok((Topology::Single(address), login.set_db(db)))
}

fn unix(hosts: &str, path: &str, mut login: RedisConnectionInfo) -> Parsed {
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    if !hosts.is_empty() || path.len() < 2 {
        return Err(wrong(
            "must name a socket as redis+unix:///path/to/redis.sock",
        ));
    }
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        login = match pair.split_once('=') {
            Some(("db", db)) => login.set_db(parse_db(db)?),
            Some(("user", user)) => login.set_username(decode(user)?),
            Some(("pass", password)) => login.set_password(decode(password)?),
            _ => return Err(wrong("may have db, user and pass behind its ?, no more")),
        };
    }
    Ok((Topology::Single(Address::Unix(decode(path)?.into())), login))
}

fn sentinel(hosts: &str, path: &str, login: RedisConnectionInfo) -> Parsed {
    let path = path.trim_matches('/');
    let (master, db) = path.split_once('/').unwrap_or((path, ""));
    if master.is_empty() {
        return Err(wrong(
            "must name the master, as redis+sentinel://host:port,host:port/master",
        ));
    }
    let topology = Topology::Sentinel {
        sentinels: parse_hosts(hosts, SENTINEL_PORT)?,
        master: decode(master)?,
    };
    Ok((topology, login.set_db(parse_db(db)?)))
}

fn cluster(hosts: &str, path: &str, login: RedisConnectionInfo) -> Parsed {
    if parse_db(path.trim_matches('/'))? != 0 {
        return Err(wrong("names a database, but a cluster has only number 0"));
    }
    let seeds = parse_hosts(hosts, SERVER_PORT)?;
    Ok((Topology::Cluster(seeds), login))
}

fn parse_login(login: &str) -> Result<RedisConnectionInfo> {
    let Some((user, password)) = login.split_once(':') else {
        return Err(wrong(
            "has a user and no password: write user:password@ or :password@",
        ));
    };
    let info = RedisConnectionInfo::default().set_password(decode(password)?);
    match user {
        "" => Ok(info),
        user => Ok(info.set_username(decode(user)?)),
    }
}

fn parse_hosts(hosts: &str, default_port: u16) -> Result<Vec<Address>> {
    hosts
        .split(',')
        .map(|host| parse_host(host, default_port))
        .collect()
}

/// Reads `host`, `host:port` or `[address]:port`.
fn parse_host(text: &str, default_port: u16) -> Result<Address> {
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => rest
            .split_once(']')
            .ok_or_else(|| wrong("has an address with an unclosed ["))?,
        None => text.split_at(text.rfind(':').unwrap_or(text.len())),
    };
    if host.is_empty() {
        return Err(wrong("names no host"));
    }
    let port = match port.strip_prefix(':') {
        Some(port) => port
            .parse()
            .map_err(|_| wrong("has a port that is not a number up to 65535"))?,
        None if port.is_empty() => default_port,
        None => return Err(wrong("has something other than :port behind an address")),
    };
    Ok(Address::Tcp {
        host: host.to_owned(),
        port,
    })
}

fn parse_db(text: &str) -> Result<i64> {
    match text {
        "" => Ok(0),
        text => text
            .parse::<u16>()
            .map(i64::from)
            .map_err(|_| wrong("names a database that is not a small number")),
    }
}

fn decode(text: &str) -> Result<String> {
    percent_decode_str(text)
        .decode_utf8()
        .map(Into::into)
        .map_err(|_| wrong("is not UTF-8 where it is percent-encoded"))
}

fn wrong(what: &str) -> Error {
    Error::new(ErrorKind::Config, format!("redis_url {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tcp(host: &str, port: u16) -> Address {
        Address::Tcp {
            host: host.to_owned(),
            port,
        }
    }

    #[test]
    fn every_form_is_read() {
        let single = Settings::parse("redis://me:p%40ss@cache:7000/3").unwrap();
        assert_eq!(single.topology, Topology::Single(tcp("cache", 7000)));
        assert_eq!(single.login.username(), Some("me"));
        assert_eq!(single.login.password(), Some("p@ss"));
        assert_eq!((single.login.db(), single.tls), (3, false));

        let tls = Settings::parse("rediss://:secret@[::1]").unwrap();
        assert_eq!(tls.topology, Topology::Single(tcp("::1", 6379)));
        assert_eq!(tls.login.username(), None);
        assert!(tls.tls);

        for url in [
            "redis+unix:///run/re%20dis.sock?db=2&pass=x",
            "unix:///run/re dis.sock?db=2&pass=x",
        ] {
            let unix = Settings::parse(url).unwrap();
            let path = Address::Unix("/run/re dis.sock".into());
            assert_eq!(unix.topology, Topology::Single(path));
            assert_eq!((unix.login.db(), unix.login.password()), (2, Some("x")));
        }

        let sentinel = Settings::parse("redis+sentinel://u:p@a:1,b/main/4").unwrap();
        let expected = Topology::Sentinel {
            sentinels: vec![tcp("a", 1), tcp("b", 26379)],
            master: "main".to_owned(),
        };
        assert_eq!((sentinel.topology, sentinel.login.db()), (expected, 4));

        let cluster = Settings::parse("rediss+cluster://a:1,[fe80::2]:2,c").unwrap();
        let seeds = vec![tcp("a", 1), tcp("fe80::2", 2), tcp("c", 6379)];
        assert_eq!(cluster.topology, Topology::Cluster(seeds));
        assert!(cluster.tls);
    }

    #[test]
    fn a_wrong_one_is_named_without_its_password() {
        for url in [
            "hunter2",
            "http://:hunter2@host",
            "redis://:hunter2@",
            "redis://:hunter2@host:port",
            "redis://:hunter2@host:70000",
            "redis://:hun/ter2@host:1",
            "redis://:hunter2@host/first",
            "redis://:hunter2@host/-1",
            "redis://:hunter2#@host",
            "redis://hunter2@host",
            "redis://:hunter2@a,b",
            "redis://:hunter2%FF@host",
            "redis://:hunter2@[::1",
            "redis://:hunter2@[::1]1",
            "redis+unix://:hunter2@host/path",
            "redis+unix://",
            "unix:///path?word=hunter2",
            "redis+sentinel://:hunter2@a,b",
            "redis+sentinel://:hunter2@a,,b/main",
            "redis+cluster://:hunter2@a/1",
        ] {
            let error = Settings::parse(url).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Config, "{url}");
            let shown = format!("{error} {error:?}");
            assert!(shown.contains("redis_url "), "{url}: {shown}");
            assert!(!shown.contains("hun") && !shown.contains("ter2"), "{shown}");
        }
    }

    #[test]
    fn the_password_is_not_in_debug() {
        let settings = Settings::parse("redis://me:hunter2@cache:7000/3").unwrap();
        assert!(!format!("{settings:?}").contains("hunter2"));
    }
}
