//! The page's parts, as HTML. Everything that somebody can have written is escaped.

use std::fmt::Write as _;

use serde_json::Value;

use crate::{
    forms::USER,
    page::{Notice, View, escape},
    response::CookieEffect,
    site::Site,
};

/// A text as it is, anything else as JSON.
fn plain(value: &Value) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned)
}

/// A key as it is, where it can be seen.
fn label(key: &str) -> String {
    if key.trim().is_empty() || key.contains(char::is_control) {
        Value::from(key).to_string()
    } else {
        key.to_owned()
    }
}

pub(crate) fn banners(view: &View) -> String {
    let mut out = String::new();
    for (key, value) in &view.flash {
        let _ = write!(
            out,
            r#"<div class="banner flash" role="status"><span class="tag flash">flash</span><p><b>{}</b> <span class="from">{}</span></p><span class="once">shown once; reload and it is gone</span></div>"#,
            escape(&plain(value)),
            escape(key),
        );
    }
    match &view.notice {
        Some(Notice::Now(key)) => {
            let value = view.all.get(key).map(plain).unwrap_or_default();
            let _ = write!(
                out,
                r#"<div class="banner now" role="status"><span class="tag now">now</span><p><b>{}</b> <span class="from">{}</span></p><span class="once">for this response only; nothing was stored</span></div>"#,
                escape(&value),
                escape(key),
            );
        }
        Some(Notice::Problem(fault)) => {
            let _ = write!(
                out,
                r#"<div class="banner problem" role="alert"><span class="tag problem">refused</span><p><b>{}</b></p><span class="once">nothing was changed</span></div>"#,
                escape(fault),
            );
        }
        Some(Notice::Done(..)) | None => {}
    }
    out
}

/// The name and the effect, for the script's history.
pub(crate) fn done(view: &View) -> String {
    match &view.notice {
        Some(Notice::Done(name, _, effect)) => {
            format!(r#" data-done="{name}" data-done-cookie="{effect}""#)
        }
        Some(Notice::Now(_) | Notice::Problem(_)) => " data-shown".to_owned(),
        None => String::new(),
    }
}

pub(crate) fn identity(view: &View, held: bool) -> String {
    let user = view.all.get(USER).map(plain);
    let user = user.map_or_else(
        || r#"<span class="who">nobody is logged in</span>"#.to_owned(),
        |user| format!(r#"<span class="who in">{}</span>"#, escape(&user)),
    );
    if !held {
        return format!(
            r#"<div class="identity"><p class="none" id="fingerprint">no session, no cookie</p>{user}</div>"#
        );
    }
    format!(
        r#"<div class="identity">{}<code id="fingerprint" title="A fingerprint for logs: it changes with the id and says nothing about it">{}</code>{user}</div>"#,
        swatches(&view.fingerprint),
        escape(&view.fingerprint),
    )
}

/// The fingerprint as colours, so that a change can be seen.
fn swatches(fingerprint: &str) -> String {
    let mut out = String::from(r#"<svg class="swatches" viewBox="0 0 64 8" aria-hidden="true">"#);
    let bytes = (0..8).filter_map(|at| {
        let byte = fingerprint.get(at * 2..at * 2 + 2)?;
        u32::from_str_radix(byte, 16).ok()
    });
    for (at, byte) in bytes.enumerate() {
        let (hue, lightness) = (byte * 360 / 256, 48 + byte % 4 * 6);
        let _ = write!(
            out,
            r#"<rect x="{}" width="8" height="8" fill="hsl({hue} 62% {lightness}%)"/>"#,
            at * 8,
        );
    }
    out.push_str("</svg>");
    out
}

pub(crate) fn content(view: &View, held: bool) -> String {
    if view.all.is_empty() && held {
        return r#"<p class="empty">Nothing in it.</p>"#.to_owned();
    }
    if view.all.is_empty() {
        return r#"<p class="empty">Nothing in it. As long as nothing is put, a visitor costs no storage and gets no cookie.</p>"#.to_owned();
    }
    let mut out = String::from(
        r#"<table class="content"><thead><tr><th scope="col">Key</th><th scope="col">Value</th><th scope="col">Kind</th><th scope="col"><span class="unseen">Remove</span></th></tr></thead><tbody>"#,
    );
    for (key, value) in &view.all {
        let (kind, label, value) = (
            view.kind(key),
            escape(&label(key)),
            escape(&value.to_string()),
        );
        let exact = escape(&Value::from(key.as_str()).to_string());
        let _ = write!(
            out,
            r#"<tr><th scope="row"><code>{label}</code></th><td><code>{value}</code></td><td><span class="tag {kind}">{kind}</span></td><td><form method="post" action="/forget"><input type="hidden" name="exact_key" value="{exact}"><button class="quiet" aria-label="Forget {label}">Forget</button></form></td></tr>"#,
        );
    }
    out.push_str("</tbody></table>");
    out
}

pub(crate) fn user(view: &View) -> String {
    match view.all.get(USER) {
        Some(user) => format!(
            r#"<p class="line">Logged in as <b>{}</b>.</p><div class="buttons"><button class="primary" formaction="/logout" formnovalidate>Log out</button><button formaction="/regenerate" formnovalidate>Only a new id</button></div>"#,
            escape(&plain(user)),
        ),
        None => r#"<div class="fields"><label>Name<input name="name" value="Ada" required autocomplete="off"></label></div><div class="buttons"><button class="primary" formaction="/login">Log in</button><button formaction="/regenerate" formnovalidate>Only a new id</button></div>"#.to_owned(),
    }
}

pub(crate) fn cookie(view: &View, effect: CookieEffect) -> String {
    let mut out = String::new();
    let done = match &view.notice {
        Some(Notice::Done(name, _, effect)) => {
            Some((format!("Cookie, on the redirect after {name}"), *effect))
        }
        _ => None,
    };
    for (what, effect) in done
        .into_iter()
        .chain([("Cookie, on this page".to_owned(), effect)])
    {
        let class = match effect {
            CookieEffect::LeftAlone => "alone",
            CookieEffect::Set(_) => "set",
            CookieEffect::Removed => "removed",
        };
        let _ = write!(
            out,
            r#"<li><span>{what}</span><strong class="effect {class}">{effect}</strong></li>"#,
        );
    }
    out
}

pub(crate) fn attributes(attributes: &[String]) -> String {
    let chips = attributes.iter();
    chips
        .map(|chip| format!("<li><code>{}</code></li>", escape(chip)))
        .collect()
}

pub(crate) fn settings(site: &Site) -> String {
    let mut out = String::new();
    for setting in &site.facts.settings {
        let class = if setting.is_default {
            ""
        } else {
            r#" class="changed""#
        };
        let _ = write!(
            out,
            r#"<tr{class}><th scope="row"><code>{}</code></th><td><code>{}</code></td><td>{}</td></tr>"#,
            setting.name,
            escape(&setting.value),
            escape(&setting.source),
        );
    }
    out
}
