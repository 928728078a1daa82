//! Many requests of one session at once: nothing is lost.

use std::collections::BTreeSet;

use axum::http::StatusCode;
use serde_json::{Value, json};

use crate::{
    on_every_server, on_every_shared_server,
    playground::{Playground, Visitor},
    stores::Store,
};

const CLIENTS: usize = 16;
const ROUNDS: usize = 8;
const DELAY_MS: u64 = 20;

on_every_server! { in_one_process_nothing_is_lost }
on_every_shared_server! { in_two_processes_nothing_is_lost }

async fn in_one_process_nothing_is_lost(store: Store) {
    all_survives(store, 1).await;
}

async fn in_two_processes_nothing_is_lost(store: Store) {
    all_survives(store, 2).await;
}

async fn all_survives(mut store: Store, processes: usize) {
    // It is about what is lost, not about how fast a busy machine is.
    store.set("SESSION_TIMEOUT", "20");
    let playgrounds: Vec<Playground> = (0..processes).map(|_| store.start()).collect();
    let visitor = playgrounds[0].visitor();
    visitor.ops(json!([["put", "first", true]])).await;
    let clients = (0..CLIENTS).map(|client| {
        let visitor = visitor.moved_to(&playgrounds[client % processes].url);
        tokio::spawn(write(visitor, client))
    });
    for client in clients.collect::<Vec<_>>() {
        client.await.unwrap();
    }
    for playground in &playgrounds {
        check(&visitor.moved_to(&playground.url).all().await);
    }
}

fn name(client: usize, round: usize) -> String {
    format!("{client}-{round}")
}

async fn write(visitor: Visitor, client: usize) {
    for round in 0..ROUNDS {
        let name = name(client, round);
        let ops = json!([
            ["put", name, round],
            ["increment", "count"],
            ["push", "list", name]
        ]);
        let body = json!({ "ops": ops, "delay_ms": DELAY_MS });
        let answer = visitor.post(&body.to_string()).await;
        assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
        assert_eq!(answer.set_cookie(), None, "the id stays");
    }
}

fn check(all: &Value) {
    let names = (0..CLIENTS).flat_map(|client| (0..ROUNDS).map(move |round| (client, round)));
    for (client, round) in names.clone() {
        assert_eq!(all[name(client, round)], round, "client {client}");
    }
    assert_eq!(all["first"], true);
    assert_eq!(all["count"], CLIENTS * ROUNDS);
    let list = all["list"].as_array().unwrap();
    assert_eq!(list.len(), CLIENTS * ROUNDS, "each once");
    let list: BTreeSet<String> = list
        .iter()
        .map(|name| name.as_str().unwrap().to_owned())
        .collect();
    assert_eq!(
        list,
        names.map(|(client, round)| name(client, round)).collect()
    );
}
