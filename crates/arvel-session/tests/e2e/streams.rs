//! What a handler does to its session while the body is on its way.

use std::{
    io::{Read, Write},
    net::TcpStream,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::{on, on_every_server, playground::Visitor, stores::Store};

on_every_server! {
    what_is_put_while_the_body_streams_is_there_when_it_has_ended
    a_client_that_leaves_early_loses_nothing
}
on! { [cookie] the_cookie_driver_cannot_store_what_comes_after_the_head }

async fn streamed(visitor: &Visitor) -> Value {
    visitor.ops(json!([["get", "streamed"]])).await[0].take()
}

async fn what_is_put_while_the_body_streams_is_there_when_it_has_ended(store: Store) {
    let playground = store.start();
    // A session that begins with the stream, and one that was there before.
    let newcomer = playground.visitor();
    let known = playground.visitor();
    known.ops(json!([["put", "k", 1]])).await;
    for visitor in [&newcomer, &known] {
        assert_eq!(streamed(visitor).await, Value::Null);
        let answer = visitor.get("/stream").await;
        assert_eq!(answer.status, 200);
        assert!(answer.chunks.len() >= 4, "not buffered: {answer:?}");
        assert_eq!(streamed(visitor).await, true);
    }
    assert_eq!(known.all().await, json!({ "k": 1, "streamed": true }));
}

async fn a_client_that_leaves_early_loses_nothing(store: Store) {
    let playground = store.start();
    let visitor = playground.visitor();
    visitor.ops(json!([["put", "k", 1]])).await;
    let address = playground.url.trim_start_matches("http://");
    let mut stream = TcpStream::connect(address).unwrap();
    let cookies = visitor.cookies().unwrap();
    let request = format!("GET /stream HTTP/1.1\r\nHost: {address}\r\nCookie: {cookies}\r\n\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    let mut seen = String::new();
    while !seen.contains("2 of 4: put streamed") {
        let mut buffer = [0; 1024];
        let read = stream.read(&mut buffer).unwrap();
        assert!(read > 0, "{seen}");
        seen.push_str(&String::from_utf8_lossy(&buffer[..read]));
    }
    drop(stream);
    let began = Instant::now();
    while streamed(&visitor).await != true {
        assert!(began.elapsed() < Duration::from_secs(10), "it is lost");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn the_cookie_driver_cannot_store_what_comes_after_the_head(store: Store) {
    let playground = store.start();
    let visitor = playground.visitor();
    visitor.ops(json!([["put", "k", 1]])).await;
    let answer = visitor.get("/stream").await;
    assert_eq!(answer.status, 200);
    assert_eq!(visitor.all().await, json!({ "k": 1 }));
}
