//! Somebody ends all sessions of a user, with the statement that docs/drivers.md shows.

use std::time::Duration;

use serde_json::json;

use crate::{held::Held, on, stores::Store};

on! { [sqlite postgres mariadb] a_users_sessions_end_with_their_rows }

async fn a_users_sessions_end_with_their_rows(store: Store) {
    let playground = store.start();
    let [laptop, phone, other] = [(); 3].map(|()| playground.visitor());
    for (visitor, login) in [
        (&laptop, "name=Ada"),
        (&phone, "name=Ada"),
        (&other, "name=Bob"),
    ] {
        visitor.submit("/login", login).await;
        assert_eq!(visitor.ops(json!([["has", "user"]])).await, json!([true]));
    }
    let mut held = Held::begin(&phone);

    let place = store.table();
    let end = format!("DELETE FROM {} WHERE user_id = 'Ada'", place.table);
    place.execute(&end).await;
    held.run(&json!([["put", "k", 1]]), Duration::ZERO);
    assert_eq!(held.end().status, 503, "it does not bring the row back");
    for gone in [laptop, phone] {
        assert_eq!(gone.all().await, json!({}));
    }
    assert_eq!(other.all().await, json!({ "user": "Bob" }));
}
