//! One connection of a client's, which can be left at any moment.

use std::{net::SocketAddr, time::Duration};

use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper::{
    Method, Request, StatusCode,
    body::Incoming,
    client::conn::http1::{self, SendRequest},
    header::{COOKIE, HOST, SET_COOKIE},
};
use hyper_util::rt::TokioIo;
use tokio::{net::TcpStream, task::JoinHandle, time::timeout};

use crate::{
    plan::{HANDLED, Manner, PLAN, Plan, RAN},
    server::{ACT, POLL},
};

/// The name of the cookie that the servers set.
pub const COOKIE_NAME: &str = "arvel_session";

/// Nobody waits longer than this for an answer.
const PATIENCE: Duration = Duration::from_secs(60);

/// A connection to one server, made anew when it is needed.
#[derive(Debug)]
pub struct Link {
    address: SocketAddr,
    open: Option<Open>,
}

#[derive(Debug)]
struct Open {
    sender: SendRequest<Empty<Bytes>>,
    carrier: JoinHandle<()>,
}

/// Closes the connection, whatever is on its way.
impl Drop for Open {
    fn drop(&mut self) {
        self.carrier.abort();
    }
}

/// What came of a request.
#[derive(Debug, Default)]
pub struct Reply {
    /// The head, if it came.
    pub head: Option<Head>,
    /// The body, if its end came.
    pub body: Option<Bytes>,
    /// The client did not wait any longer.
    pub left: bool,
}

/// The head of a response.
#[derive(Debug)]
pub struct Head {
    /// The status.
    pub status: StatusCode,
    /// The handler has made it.
    pub handled: bool,
    /// The handler had come to its end.
    pub ran: bool,
    /// Every `Set-Cookie` line of the session's cookie.
    pub cookies: Vec<String>,
}

impl Link {
    /// A connection that is not made yet.
    #[must_use]
    pub fn to(address: SocketAddr) -> Self {
        Self {
            address,
            open: None,
        }
    }

    /// Sends a plan and waits for the whole answer, or as long as `leave` says and no longer.
    pub async fn send(
        &mut self,
        manner: Manner,
        plan: &Plan,
        cookie: Option<&str>,
        leave: Option<Duration>,
    ) -> Reply {
        let mut reply = Reply::default();
        let patience = leave.unwrap_or(PATIENCE);
        let Some(request) = request(self.address, manner, plan, cookie) else {
            return reply;
        };
        let ended = timeout(patience, self.exchange(request, &mut reply)).await;
        reply.left = ended.is_err() && leave.is_some();
        if reply.body.is_none() {
            self.open = None;
        }
        reply
    }

    async fn exchange(&mut self, request: Request<Empty<Bytes>>, reply: &mut Reply) {
        let Some(open) = self.open().await else {
            return;
        };
        let Ok(response) = open.sender.send_request(request).await else {
            return;
        };
        let (parts, mut body) = response.into_parts();
        let lines = parts.headers.get_all(SET_COOKIE).iter();
        let lines = lines.map(|line| String::from_utf8_lossy(line.as_bytes()).into_owned());
        reply.head = Some(Head {
            status: parts.status,
            handled: parts.headers.contains_key(HANDLED),
            ran: parts.headers.contains_key(RAN),
            cookies: lines.filter(|line| line.starts_with(COOKIE_NAME)).collect(),
        });
        reply.body = collect(&mut body).await;
    }

    /// The connection that there is, or a new one.
    async fn open(&mut self) -> Option<&mut Open> {
        let is_ready = match &mut self.open {
            Some(open) => open.sender.ready().await.is_ok(),
            None => false,
        };
        if !is_ready {
            self.open = None;
            let stream = TcpStream::connect(self.address).await.ok()?;
            stream.set_nodelay(true).ok()?;
            let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.ok()?;
            let carrier = tokio::spawn(async { drop(connection.await) });
            self.open = Some(Open { sender, carrier });
        }
        self.open.as_mut()
    }
}

async fn collect(body: &mut Incoming) -> Option<Bytes> {
    let collected = body.collect().await.ok()?;
    Some(collected.to_bytes())
}

fn request(
    address: SocketAddr,
    manner: Manner,
    plan: &Plan,
    cookie: Option<&str>,
) -> Option<Request<Empty<Bytes>>> {
    let path = if manner == Manner::Poll { POLL } else { ACT };
    let method = if manner == Manner::Head {
        Method::HEAD
    } else {
        Method::GET
    };
    let plan = serde_json::to_string(plan).ok()?;
    let request = Request::builder().method(method).uri(path);
    let mut request = request.header(HOST, address.to_string()).header(PLAN, plan);
    if manner != Manner::Navigate {
        request = request.header("sec-fetch-mode", "cors");
    }
    if manner == Manner::Prefetch {
        request = request.header("sec-purpose", "prefetch;prerender");
    }
    if let Some(cookie) = cookie {
        request = request.header(COOKIE, format!("{COOKIE_NAME}={cookie}"));
    }
    request.body(Empty::new()).ok()
}
