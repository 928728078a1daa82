//! What reading a session in memory takes whoever does it: the steps that the rules ask for, one after the other, and
//! nothing between them. No session library, but the limit for one.

use std::{
    collections::HashMap,
    hint::black_box,
    sync::{Arc, Mutex, PoisonError},
    time::{SystemTime, UNIX_EPOCH},
};

use anyhow::{Context as _, Result};
use axum::{
    body::Body,
    extract::Request,
    http::{
        HeaderValue, Response,
        header::{CACHE_CONTROL, VARY},
    },
};
use base64_simd::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use tower::ServiceBuilder;

use super::{Application, Local, floor};
use crate::content::Content;

/// What the signature is over: an id, and what comes with it.
const SIGNED: usize = 32;

struct Known {
    key: Hmac<Sha256>,
    cookie: String,
    records: Mutex<HashMap<[u8; 32], Arc<Vec<u8>>>>,
}

/// The routes without sessions, behind these steps.
pub(super) fn primitives(content: Arc<Content>) -> Local<'static, Result<Box<dyn Application>>> {
    Box::pin(async {
        let known = Arc::new(Known::new(&content)?);
        // Otherwise an error in here would make it fast.
        known.read().context("the steps do not fit together")?;
        let steps = ServiceBuilder::new()
            .map_request(move |mut request: Request| {
                let record = known.read();
                request.extensions_mut().insert(black_box(record));
                request
            })
            .map_response(|mut response: Response<Body>| {
                let headers = response.headers_mut();
                headers.insert(VARY, HeaderValue::from_static("cookie"));
                headers.insert(CACHE_CONTROL, HeaderValue::from_static("private"));
                response
            });
        let router = floor::router(content).layer(steps);
        Ok(Box::new(router) as Box<dyn Application>)
    })
}

impl Known {
    fn new(content: &Content) -> Result<Self> {
        let key = Hmac::new_from_slice(&[7; 32])?;
        let signed = [1; SIGNED];
        let mut token = signed.to_vec();
        token.extend(sign(&key, &signed).finalize().into_bytes());
        let mut record = u64::MAX.to_be_bytes().to_vec();
        record.extend(serde_json::to_vec(content)?);
        let records = HashMap::from([(Sha256::digest(signed).into(), Arc::new(record))]);
        Ok(Self {
            key,
            cookie: format!("session={}", URL_SAFE_NO_PAD.encode_to_string(&token)),
            records: Mutex::new(records),
        })
    }

    /// Finds the cookie, verifies it, hashes the id, finds its record, sees whether that has expired, and reads one key.
    #[expect(
        clippy::disallowed_methods,
        reason = "reading the clock is one of the steps"
    )]
    fn read(&self) -> Option<(Arc<Vec<u8>>, u64)> {
        let pairs = black_box(&*self.cookie).split("; ");
        let mut values = pairs.filter_map(|pair| pair.strip_prefix("session="));
        let mut token = [0; SIGNED + 32];
        let token = URL_SAFE_NO_PAD.decode(
            values.next()?.as_bytes(),
            base64_simd::Out::from_slice(&mut token),
        );
        let (signed, signature) = token.ok()?.split_at_checked(SIGNED)?;
        sign(&self.key, signed).verify_slice(signature).ok()?;
        let key: [u8; 32] = Sha256::digest(signed).into();
        let records = self.records.lock().unwrap_or_else(PoisonError::into_inner);
        let record = records.get(&key)?.clone();
        drop(records);
        let (expires, json) = record.split_first_chunk::<8>()?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).ok()?;
        if u128::from(u64::from_be_bytes(*expires)) <= now.as_millis() {
            return None;
        }
        let user = user_in(json)?;
        Some((record, user))
    }
}

fn sign(key: &Hmac<Sha256>, signed: &[u8]) -> Hmac<Sha256> {
    let mut signature = key.clone();
    signature.update(signed);
    signature
}

fn user_in(json: &[u8]) -> Option<u64> {
    const NAME: &[u8] = br#""user":"#;
    let start = json.windows(NAME.len()).position(|part| part == NAME)? + NAME.len();
    let digits = json[start..]
        .iter()
        .take_while(|byte| byte.is_ascii_digit());
    Some(digits.fold(0, |number, digit| number * 10 + u64::from(digit - b'0')))
}
