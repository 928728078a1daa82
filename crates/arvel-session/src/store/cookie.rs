//! The `cookie` driver: the browser keeps the record itself, sealed.

use super::{At, Capabilities, Expect, Key, Record, Reply, Saved, SessionStore, Write};
use crate::Time;

/// Keeps nothing on the server; the default driver.
///
/// Saving hands back the record's bytes, which become the cookie. So there is nothing to compare with and nothing to
/// revoke: of two concurrent responses the last one wins, and an old cookie works until it expires.
#[derive(Clone, Copy, Debug, Default)]
pub struct CookieStore;

impl SessionStore for CookieStore {
    fn capabilities(&self) -> Capabilities {
        Capabilities {
            server_side: false,
            // Every process with the key reads every cookie.
            shared: true,
            persistent: true,
            atomic_replace: false,
            sweeps: false,
            // What 4,096 bytes hold before base64. The cookie's name takes its part of that, above the store.
            max_bytes: 3072,
            ..Capabilities::new("cookie")
        }
    }

    fn load(&self, at: At<'_>) -> Reply<Option<Record>> {
        match at {
            At::Key(_) => Reply::ready(Ok(None)),
            At::Payload(bytes) => Reply::ready(Record::decode(bytes.to_vec().into()).map(Some)),
        }
    }

    fn save(&self, _: &Key, _: Expect, write: Write) -> Reply<Saved> {
        let fits = self.capabilities().check_size(&write.record);
        Reply::ready(fits.map(|()| Saved::Token(write.record.encode())))
    }

    fn touch(&self, _: &Key, _: Time, _: Time) -> Reply<()> {
        Reply::ready(Ok(()))
    }

    fn sweep(&self, _: Time, _: usize) -> Reply<usize> {
        Reply::ready(Ok(0))
    }
}
