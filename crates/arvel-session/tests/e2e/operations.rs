//! Every operation across a request boundary, on every driver.

use serde_json::{Value, json};

use crate::{on, playground::Visitor, stores::Store};

on! {
    [cookie memory file redis redis_tls redis_unix redis_sentinel redis_cluster sqlite postgres mariadb]
    every_operation_is_kept_across_requests
    any_key_and_any_value_are_kept_exactly
    who_a_session_is_is_kept_across_requests
}

/// Requests of one visitor: the operations of each and what they answer.
type Story = (&'static str, Vec<(Value, Value)>);

fn data() -> Vec<Story> {
    vec![
        (
            "put and get",
            vec![
                (json!([["put", "k", 1], ["get", "k"]]), json!([null, 1])),
                (
                    json!([
                        ["get", "k"],
                        ["get", "k", "d"],
                        ["get", "no", "d"],
                        ["get", "no"]
                    ]),
                    json!([1, 1, "d", null]),
                ),
                (json!([["put", "k", [1, { "a": null }]]]), json!([null])),
                (
                    json!([
                        ["get", "k"],
                        ["has", "k"],
                        ["missing", "k"],
                        ["has", "no"],
                        ["missing", "no"]
                    ]),
                    json!([[1, { "a": null }], true, false, false, true]),
                ),
                (json!([["put", "other", null]]), json!([null])),
                (
                    json!([["all"]]),
                    json!([{ "k": [1, { "a": null }], "other": null }]),
                ),
            ],
        ),
        (
            "forget",
            vec![
                (
                    json!([["put", "a", 1], ["put", "b", 2], ["flash", "f", 3]]),
                    json!([null, null, null]),
                ),
                (
                    json!([["forget", "a"], ["forget", "f"], ["forget", "no"], ["all"]]),
                    json!([null, null, null, { "b": 2 }]),
                ),
                (json!([["all"]]), json!([{ "b": 2 }])),
            ],
        ),
        (
            "flush",
            vec![
                (
                    json!([["put", "a", 1], ["flash", "f", 3]]),
                    json!([null, null]),
                ),
                (
                    json!([["flush"], ["all"], ["put", "b", 2]]),
                    json!([null, {}, null]),
                ),
                (json!([["all"]]), json!([{ "b": 2 }])),
                (json!([["flush"]]), json!([null])),
                (json!([["all"]]), json!([{}])),
            ],
        ),
        (
            "pull",
            vec![
                (
                    json!([["put", "a", [1]], ["flash", "f", 2]]),
                    json!([null, null]),
                ),
                (
                    json!([
                        ["pull", "a"],
                        ["pull", "a"],
                        ["pull", "a", "d"],
                        ["pull", "f"]
                    ]),
                    json!([[1], null, "d", 2]),
                ),
                (json!([["all"]]), json!([{}])),
            ],
        ),
        (
            "push",
            vec![
                (json!([["push", "l", 1]]), json!([null])),
                (
                    json!([["push", "l", [2]], ["push", "l", null]]),
                    json!([null, null]),
                ),
                (json!([["get", "l"]]), json!([[1, [2], null]])),
            ],
        ),
        (
            "increment and decrement",
            vec![
                (
                    json!([
                        ["increment", "n"],
                        ["increment", "n", 10],
                        ["decrement", "m"]
                    ]),
                    json!([1, 11, -1]),
                ),
                (
                    json!([
                        ["decrement", "n"],
                        ["decrement", "n", -5],
                        ["increment", "m", -1]
                    ]),
                    json!([10, 15, -2]),
                ),
                (json!([["put", "edge", i64::MAX]]), json!([null])),
                (
                    json!([["decrement", "edge", i64::MAX], ["all"]]),
                    json!([0, { "n": 15, "m": -2, "edge": 0 }]),
                ),
            ],
        ),
    ]
}

fn flash() -> Vec<Story> {
    vec![
        (
            "flash",
            vec![
                (
                    json!([["flash", "f", 1], ["get", "f"], ["has", "f"]]),
                    json!([null, null, false]),
                ),
                (json!([["get", "f"], ["all"]]), json!([1, { "f": 1 }])),
                (json!([["get", "f"], ["all"]]), json!([null, {}])),
            ],
        ),
        (
            "flash that nobody looked at",
            vec![
                (json!([["flash", "f", 1]]), json!([null])),
                (json!([]), json!([])),
                (json!([["all"]]), json!([{}])),
            ],
        ),
        (
            "flash over data",
            vec![
                (
                    json!([["put", "k", "data"], ["flash", "k", "flash"]]),
                    json!([null, null]),
                ),
                (json!([["get", "k"]]), json!(["flash"])),
                (json!([["get", "k"]]), json!(["data"])),
            ],
        ),
        (
            "now",
            vec![
                (json!([["now", "f", 1], ["get", "f"]]), json!([null, 1])),
                (json!([["get", "f"]]), json!([null])),
            ],
        ),
        (
            "reflash",
            vec![
                (json!([["flash", "f", 1]]), json!([null])),
                (json!([["now", "g", 2], ["reflash"]]), json!([null, null])),
                (
                    json!([["all"], ["reflash"]]),
                    json!([{ "f": 1, "g": 2 }, null]),
                ),
                (json!([["all"]]), json!([{ "f": 1, "g": 2 }])),
                (json!([["all"]]), json!([{}])),
            ],
        ),
        (
            "keep",
            vec![
                (
                    json!([["flash", "f", 1], ["flash", "g", 2], ["flash", "h", 3]]),
                    json!([null, null, null]),
                ),
                (
                    json!([["keep", "f", "h", "no"], ["keep"]]),
                    json!([null, null]),
                ),
                (
                    json!([["flash", "f", "newer"], ["keep", "f"], ["all"]]),
                    json!([null, null, { "f": 1, "h": 3 }]),
                ),
                (json!([["all"]]), json!([{ "f": "newer" }])),
                (json!([["all"]]), json!([{}])),
            ],
        ),
    ]
}

async fn every_operation_is_kept_across_requests(store: Store) {
    let playground = store.start();
    for (name, requests) in data().into_iter().chain(flash()) {
        let visitor = playground.visitor();
        for (number, (ops, results)) in requests.into_iter().enumerate() {
            assert_eq!(visitor.ops(ops).await, results, "{name}, request {number}");
        }
    }
}

async fn any_key_and_any_value_are_kept_exactly(store: Store) {
    let playground = store.start();
    let long = "k".repeat(300);
    let keys = [
        "",
        "_flash",
        "__proto__",
        "\0",
        "a\0b",
        &long,
        "ü\u{1f600}\u{2028}",
        "'\"`;--\\",
        "{}",
        "%_",
    ];
    let nested = (0..100).fold(json!(1), |inner, _| json!([inner]));
    let tree = (0..100).fold(json!(1), |inner, _| json!({ "": inner }));
    let values = [
        json!(u64::MAX),
        json!(i64::MIN),
        json!(1e308),
        json!(-1e308),
        json!(5e-324),
        json!(0.1),
        json!(-0.0),
        json!(1.0),
        json!(9_007_199_254_740_993_u64),
        nested,
        tree,
        json!(""),
        json!("\0\u{7f}\u{2028}\u{1f600}"),
        json!({ "__proto__": { "\0": [null, true] } }),
        json!(null),
        json!([]),
        json!({}),
    ];
    for key in keys {
        let visitor = playground.visitor();
        visitor
            .ops(json!([["put", key, "v"], ["flash", "f", 0]]))
            .await;
        is_kept(&visitor, key, &json!("v")).await;
        visitor
            .ops(json!([["forget", key], ["flash", key, "w"]]))
            .await;
        is_kept(&visitor, key, &json!("w")).await;
        assert_eq!(visitor.all().await, json!({}), "{key:?}");
    }
    for value in values {
        let visitor = playground.visitor();
        visitor.ops(json!([["put", "k", value]])).await;
        is_kept(&visitor, "k", &value).await;
        // Through another commit, which copies what nobody touches.
        visitor.ops(json!([["increment", "other"]])).await;
        is_kept(&visitor, "k", &value).await;
    }
}

/// By the text, since two numbers of JSON that are equal need not be the same.
async fn is_kept(visitor: &Visitor, key: &str, value: &Value) {
    let body = json!({ "ops": [["get", key]] }).to_string();
    let answer = visitor.post(&body).await;
    assert_eq!(
        answer.text(),
        json!({ "results": [value] }).to_string(),
        "{key:?}"
    );
}

async fn who_a_session_is_is_kept_across_requests(store: Store) {
    let playground = store.start();
    let visitor = playground.visitor();
    let ask = || json!([["id"], ["token"], ["get", "k"]]);
    let begun = visitor
        .ops(json!([["put", "k", 1], ["id"], ["token"]]))
        .await;
    let (id, token) = (&begun[1], &begun[2]);
    assert_eq!(visitor.ops(ask()).await, json!([id, token, 1]));
    assert!(!visitor.cookie().unwrap().contains(id.as_str().unwrap()));

    let renewed = visitor.ops(json!([["regenerate_token"], ["token"]])).await;
    assert_eq!(renewed[0], renewed[1]);
    assert_ne!(&renewed[0], token);
    assert_eq!(visitor.ops(ask()).await, json!([id, renewed[0], 1]));
    visitor.ops(json!([["flush"], ["put", "k", 2]])).await;
    assert_eq!(visitor.ops(ask()).await[0], *id, "flush keeps the id");

    let before = visitor.copy();
    visitor.ops(json!([["regenerate"]])).await;
    let after = visitor.ops(ask()).await;
    assert_ne!((&after[0], &after[1]), (id, &renewed[0]));
    assert_eq!(after[2], 2, "regenerate keeps the data");
    assert_ne!(visitor.cookie(), before.cookie());
    if store.is_server_side() {
        assert_eq!(before.all().await, json!({}), "the old id is dead");
    }

    let before = visitor.copy();
    visitor
        .ops(json!([["invalidate"], ["put", "next", 1]]))
        .await;
    let next = visitor.ops(ask()).await;
    assert_ne!((&next[0], &next[1]), (&after[0], &after[1]));
    assert_eq!(visitor.all().await, json!({ "next": 1 }));
    visitor.ops(json!([["invalidate"]])).await;
    assert_eq!(visitor.cookie(), None, "nothing is left to hold");
    assert_eq!(visitor.all().await, json!({}));
    if store.is_server_side() {
        assert_eq!(before.all().await, json!({}));
    }
}
