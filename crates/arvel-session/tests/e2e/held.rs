//! A request that is held back inside its handler.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    time::Duration,
};

use serde_json::{Value, json};

use crate::playground::Visitor;

/// `POST /session` whose session is loaded and whose handler waits for the body.
///
/// The server says "100 Continue" when the handler asks for the body, which comes after the session. So nothing here
/// depends on how long anything takes.
pub(crate) struct Held(BufReader<TcpStream>);

/// The answer to it.
#[derive(Debug)]
pub(crate) struct Late {
    pub(crate) status: u16,
    head: String,
    pub(crate) body: String,
}

impl Held {
    /// Begins the request with the cookies that the visitor has now.
    pub(crate) fn begin(visitor: &Visitor) -> Self {
        let address = visitor.url.trim_start_matches("http://");
        let cookies = visitor.cookies();
        let cookies = cookies.map_or(String::new(), |cookies| format!("Cookie: {cookies}\r\n"));
        let mut held = Self(BufReader::new(TcpStream::connect(address).unwrap()));
        let patience = Some(Duration::from_secs(30));
        held.0.get_ref().set_read_timeout(patience).unwrap();
        held.write(&format!(
            "POST /session HTTP/1.1\r\nHost: {address}\r\n{cookies}Connection: close\r\n\
             Expect: 100-continue\r\nTransfer-Encoding: chunked\r\n\r\n"
        ));
        assert!(held.head().starts_with("HTTP/1.1 100 "), "it must wait");
        held
    }

    /// Lets the handler run these operations, and then wait so long.
    pub(crate) fn run(&mut self, operations: &Value, delay: Duration) {
        let body = json!({ "ops": operations, "delay_ms": delay.as_millis() }).to_string();
        self.write(&format!("{:x}\r\n{body}\r\n0\r\n\r\n", body.len()));
    }

    /// Waits for its end.
    pub(crate) fn end(mut self) -> Late {
        let head = self.head();
        let mut body = String::new();
        self.0.read_to_string(&mut body).unwrap();
        Late {
            status: head[9..12].parse().unwrap(),
            head: head.to_ascii_lowercase(),
            body,
        }
    }

    fn write(&mut self, text: &str) {
        self.0.get_mut().write_all(text.as_bytes()).unwrap();
    }

    /// A head with the empty line behind it.
    fn head(&mut self) -> String {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            let read = self.0.read_line(&mut head).unwrap();
            assert!(read > 0, "it ended in its head: {head}");
        }
        head
    }
}

impl Late {
    pub(crate) fn sets_a_cookie(&self) -> bool {
        self.head.contains("\r\nset-cookie:")
    }

    /// It is a success, and the browser's cookie stays as it is.
    #[track_caller]
    pub(crate) fn is_silent(&self) {
        assert_eq!(self.status, 200, "{self:?}");
        assert!(!self.sets_a_cookie(), "{self:?}");
    }
}
