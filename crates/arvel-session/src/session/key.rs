//! The names under which values are kept: plain texts, or typed keys that are declared once.

use std::{fmt, marker::PhantomData};

/// A key's name and its value's type, declared once.
///
/// # Examples
///
/// ```
/// use arvel_session::{Key, SessionData};
///
/// const VISITS: Key<u64> = Key::new("visits");
///
/// let session = SessionData::fake();
/// session.put(VISITS, 1)?;
/// assert_eq!(session.get(VISITS)?, Some(1));
/// # Ok::<(), arvel_session::Error>(())
/// ```
pub struct Key<T> {
    name: &'static str,
    value: PhantomData<fn() -> T>,
}

impl<T> Key<T> {
    /// A key with this name, for values of type `T`.
    pub const fn new(name: &'static str) -> Self {
        Self {
            name,
            value: PhantomData,
        }
    }
}

impl<T> Clone for Key<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Key<T> {}

impl<T> fmt::Debug for Key<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Key").field(&self.name).finish()
    }
}

/// What names a value in a session: any text, or a typed [`Key`].
pub trait KeyName {
    /// The name.
    fn name(&self) -> &str;
}

/// What names a value of type `T`: any text, or a [`Key<T>`] and no other typed key.
pub trait AsKey<T>: KeyName {}

impl<T> KeyName for Key<T> {
    fn name(&self) -> &str {
        self.name
    }
}

impl<T> AsKey<T> for Key<T> {}

impl KeyName for str {
    fn name(&self) -> &str {
        self
    }
}

impl<T> AsKey<T> for str {}

impl KeyName for String {
    fn name(&self) -> &str {
        self
    }
}

impl<T> AsKey<T> for String {}

impl<K: KeyName + ?Sized> KeyName for &K {
    fn name(&self) -> &str {
        (**self).name()
    }
}

impl<T, K: AsKey<T> + ?Sized> AsKey<T> for &K {}
