//! The largest cookie: what the browser keeps, and what we refuse before it would drop it.

use serde_json::{Value, json};

use super::{Tab, visit};
use crate::site::{LIMIT, largest_note, memory};

/// How many bytes of a cookie the browser counts.
fn size(cookie: &Value) -> usize {
    let length = |part| cookie[part].as_str().unwrap().len();
    length("name") + length("value")
}

/// Puts a note of so many bytes into the session, and hands back status and answer.
async fn note(tab: &Tab, bytes: usize) -> (u64, String) {
    let post = "const note = 'n'.repeat(arguments[0]), done = arguments[1];\
                fetch('/note', { method: 'POST', body: note }).then(async (answer) => done([answer.status, await answer.text()]))";
    let answer = tab.long_script(post, json!([bytes])).await;
    let text = answer[1].as_str().unwrap().to_owned();
    (answer[0].as_u64().unwrap(), text)
}

#[tokio::test]
async fn a_session_that_fills_the_cookie_is_kept_and_a_larger_one_refused() {
    let Some((tab, site)) = visit(memory().driver("cookie")).await else {
        return;
    };
    tab.visit(&site.http("localhost")).await;
    // The first saves make the session grow by their revisions.
    for _ in 0..4 {
        assert_eq!(note(&tab, 2000).await.0, 200);
    }
    let taken = size(&tab.cookie("arvel_session").await.unwrap());
    let fits = largest_note(2000, taken);
    assert_eq!(note(&tab, fits).await.0, 200);
    let kept = tab.cookie("arvel_session").await.unwrap();
    assert_eq!(size(&kept), LIMIT, "exactly full");

    let (status, said) = note(&tab, fits + 1).await;
    assert_eq!(status, 500);
    assert!(!said.contains("arvel_session"), "no details: {said}");
    assert_eq!(
        tab.cookie("arvel_session").await.unwrap(),
        kept,
        "what it has stays"
    );
    tab.reload().await;
    assert_eq!(tab.text("#note").await, "n".repeat(fits));
    tab.keep("25-a-full-cookie").await;
}

/// Chromium keeps 4,096 bytes and drops 4,097 without a word, which is why we do not send them.
#[tokio::test]
async fn the_browser_itself_drops_what_we_refuse() {
    let Some((tab, site)) = visit(memory()).await else {
        return;
    };
    let set = |bytes| format!("{}/by-hand?bytes={bytes}", site.http("localhost"));
    tab.visit(&set(LIMIT)).await;
    let kept = tab.cookie("by_hand").await.unwrap();
    assert_eq!(size(&kept), LIMIT);
    tab.visit(&set(LIMIT + 1)).await;
    assert_eq!(
        tab.cookie("by_hand").await.unwrap(),
        kept,
        "the larger one never came in"
    );
}
