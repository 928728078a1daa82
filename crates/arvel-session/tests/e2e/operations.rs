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
type Story = (&'static str, &'static [(&'static str, &'static str)]);

const DATA: &[Story] = &[
    (
        "put and get",
        &[
            (r#"[["put", "k", 1], ["get", "k"]]"#, "[null, 1]"),
            (
                r#"[["get", "k"], ["get", "k", "d"], ["get", "no", "d"], ["get", "no"]]"#,
                r#"[1, 1, "d", null]"#,
            ),
            (r#"[["put", "k", [1, { "a": null }]]]"#, "[null]"),
            (
                r#"[["get", "k"], ["has", "k"], ["missing", "k"], ["has", "no"], ["missing", "no"]]"#,
                r#"[[1, { "a": null }], true, false, false, true]"#,
            ),
            (r#"[["put", "other", null]]"#, "[null]"),
            (
                r#"[["all"]]"#,
                r#"[{ "k": [1, { "a": null }], "other": null }]"#,
            ),
        ],
    ),
    (
        "forget",
        &[
            (
                r#"[["put", "a", 1], ["put", "b", 2], ["flash", "f", 3]]"#,
                "[null, null, null]",
            ),
            (
                r#"[["forget", "a"], ["forget", "f"], ["forget", "no"], ["all"]]"#,
                r#"[null, null, null, { "b": 2 }]"#,
            ),
            (r#"[["all"]]"#, r#"[{ "b": 2 }]"#),
        ],
    ),
    (
        "flush",
        &[
            (r#"[["put", "a", 1], ["flash", "f", 3]]"#, "[null, null]"),
            (
                r#"[["flush"], ["all"], ["put", "b", 2]]"#,
                "[null, {}, null]",
            ),
            (r#"[["all"]]"#, r#"[{ "b": 2 }]"#),
            (r#"[["flush"]]"#, "[null]"),
            (r#"[["all"]]"#, "[{}]"),
        ],
    ),
    (
        "pull",
        &[
            (r#"[["put", "a", [1]], ["flash", "f", 2]]"#, "[null, null]"),
            (
                r#"[["pull", "a"], ["pull", "a"], ["pull", "a", "d"], ["pull", "f"]]"#,
                r#"[[1], null, "d", 2]"#,
            ),
            (r#"[["all"]]"#, "[{}]"),
        ],
    ),
    (
        "push",
        &[
            (r#"[["push", "l", 1]]"#, "[null]"),
            (
                r#"[["push", "l", [2]], ["push", "l", null]]"#,
                "[null, null]",
            ),
            (r#"[["get", "l"]]"#, "[[1, [2], null]]"),
        ],
    ),
    (
        "increment and decrement",
        &[
            (
                r#"[["increment", "n"], ["increment", "n", 10], ["decrement", "m"]]"#,
                "[1, 11, -1]",
            ),
            (
                r#"[["decrement", "n"], ["decrement", "n", -5], ["increment", "m", -1]]"#,
                "[10, 15, -2]",
            ),
            (r#"[["put", "edge", 9223372036854775807]]"#, "[null]"),
            (
                r#"[["decrement", "edge", 9223372036854775807], ["all"]]"#,
                r#"[0, { "n": 15, "m": -2, "edge": 0 }]"#,
            ),
        ],
    ),
];

const FLASH: &[Story] = &[
    (
        "flash",
        &[
            (
                r#"[["flash", "f", 1], ["get", "f"], ["has", "f"]]"#,
                "[null, null, false]",
            ),
            (r#"[["get", "f"], ["all"]]"#, r#"[1, { "f": 1 }]"#),
            (r#"[["get", "f"], ["all"]]"#, "[null, {}]"),
        ],
    ),
    (
        "flash that nobody looked at",
        &[
            (r#"[["flash", "f", 1]]"#, "[null]"),
            ("[]", "[]"),
            (r#"[["all"]]"#, "[{}]"),
        ],
    ),
    (
        "flash over data",
        &[
            (
                r#"[["put", "k", "data"], ["flash", "k", "flash"]]"#,
                "[null, null]",
            ),
            (r#"[["get", "k"]]"#, r#"["flash"]"#),
            (r#"[["get", "k"]]"#, r#"["data"]"#),
        ],
    ),
    (
        "now",
        &[
            (r#"[["now", "f", 1], ["get", "f"]]"#, "[null, 1]"),
            (r#"[["get", "f"]]"#, "[null]"),
        ],
    ),
    (
        "reflash",
        &[
            (r#"[["flash", "f", 1]]"#, "[null]"),
            (r#"[["now", "g", 2], ["reflash"]]"#, "[null, null]"),
            (r#"[["all"], ["reflash"]]"#, r#"[{ "f": 1, "g": 2 }, null]"#),
            (r#"[["all"]]"#, r#"[{ "f": 1, "g": 2 }]"#),
            (r#"[["all"]]"#, "[{}]"),
        ],
    ),
    (
        "keep",
        &[
            (
                r#"[["flash", "f", 1], ["flash", "g", 2], ["flash", "h", 3]]"#,
                "[null, null, null]",
            ),
            (r#"[["keep", "f", "h", "no"], ["keep"]]"#, "[null, null]"),
            (
                r#"[["flash", "f", "newer"], ["keep", "f"], ["all"]]"#,
                r#"[null, null, { "f": 1, "h": 3 }]"#,
            ),
            (r#"[["all"]]"#, r#"[{ "f": "newer" }]"#),
            (r#"[["all"]]"#, "[{}]"),
        ],
    ),
];

async fn every_operation_is_kept_across_requests(store: Store) {
    let playground = store.start();
    for (name, requests) in DATA.iter().chain(FLASH) {
        let visitor = playground.visitor();
        for (number, (ops, results)) in requests.iter().enumerate() {
            let [ops, results] =
                [ops, results].map(|text| serde_json::from_str::<Value>(text).unwrap());
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
