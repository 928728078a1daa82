//! The one error type: opaque, with a [`kind`](Error::kind) and its source.

use std::{borrow::Cow, error, fmt, sync::Arc};

/// What went wrong, in one word.
///
/// # Examples
///
/// ```
/// use arvel_session::{ErrorKind, SessionData};
///
/// let session = SessionData::fake().with("cart", ["book"]);
/// let error = session.get::<u64>("cart").unwrap_err();
/// assert_eq!(error.kind(), ErrorKind::Type);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// A setting is missing, mistyped or impossible.
    Config,
    /// The store failed: connection, full disk, locked database, a lost record.
    Store,
    /// The store did not answer within its deadline.
    Timeout,
    /// A value under this key has another type than the one asked for.
    Type,
    /// A value cannot be kept: not a number, too deep, not JSON.
    Value,
    /// The session does not fit: a cookie over 4,096 bytes, a record over the store's limit.
    TooLarge,
    /// It is too late for this: the response's head has left.
    TooLate,
    /// A stored record is damaged.
    Corrupt,
    /// A stored record was written by a newer version of this library.
    NewerFormat,
    /// The store does not do this.
    Unsupported,
    /// `StartSession` is missing in front of this handler, or stands there twice with different settings.
    Layer,
}

/// An error of a session or of its store.
///
/// It names the setting or the session key at fault. It never shows a secret, an id or a session's value. A clone is
/// cheap and shares everything.
#[derive(Clone)]
pub struct Error(Arc<Inner>);

struct Inner {
    kind: ErrorKind,
    message: Cow<'static, str>,
    source: Option<Arc<dyn error::Error + Send + Sync>>,
}

/// `Result` with this crate's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// An error of `kind`; `message` says what is at fault and must hold no secret, id or value.
    pub fn new(kind: ErrorKind, message: impl Into<Cow<'static, str>>) -> Self {
        Self(Arc::new(Inner {
            kind,
            message: message.into(),
            source: None,
        }))
    }

    /// A failure of a store's own client; `source` is kept.
    ///
    /// # Security
    /// The log shows what `source` and its sources display: that, too, must hold no secret, id or value.
    ///
    /// ```
    /// use arvel_session::{Error, ErrorKind};
    ///
    /// let error = Error::store("mongo: find", std::io::Error::other("connection reset"));
    /// assert_eq!(error.kind(), ErrorKind::Store);
    /// assert_eq!(error.to_string(), "mongo: find");
    /// ```
    pub fn store(
        message: impl Into<Cow<'static, str>>,
        source: impl Into<Box<dyn error::Error + Send + Sync>>,
    ) -> Self {
        Self::new(ErrorKind::Store, message).with_source(source)
    }

    /// The same error with what caused it.
    #[must_use]
    pub fn with_source(self, source: impl Into<Box<dyn error::Error + Send + Sync>>) -> Self {
        Self(Arc::new(Inner {
            kind: self.0.kind,
            message: self.0.message.clone(),
            source: Some(Arc::from(source.into())),
        }))
    }

    /// What went wrong, in one word.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// Whether the store is at fault, so that trying again later may help (an HTTP 503).
    pub fn is_unavailable(&self) -> bool {
        matches!(
            self.0.kind,
            ErrorKind::Store | ErrorKind::Timeout | ErrorKind::NewerFormat | ErrorKind::Corrupt
        )
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct("Error");
        out.field("kind", &self.0.kind)
            .field("message", &self.0.message);
        if let Some(source) = &self.0.source {
            out.field("source", source);
        }
        out.finish()
    }
}

impl error::Error for Error {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        self.0.source.as_ref().map(|source| &**source as _)
    }
}
