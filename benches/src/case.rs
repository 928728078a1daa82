//! The cases: what one request does with its session.

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

/// What one request does with its session.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, ValueEnum, Serialize, Deserialize,
)]
#[serde(rename_all = "kebab-case")]
pub enum Case {
    /// Reads one key.
    Read,
    /// Reads a counter and writes it.
    ReadWrite,
    /// Brings a cookie, and the handler does not look at the session.
    Untouched,
    /// Brings no cookie, and the handler does not look at the session.
    NoCookie,
    /// Brings no cookie; the handler fills a new session.
    New,
    /// Gives the session a new id.
    Regenerate,
}

impl Case {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Read,
        Self::ReadWrite,
        Self::Untouched,
        Self::NoCookie,
        Self::New,
        Self::Regenerate,
    ];

    /// The route that does it.
    pub const fn path(self) -> &'static str {
        match self {
            Self::Read => "/read",
            Self::ReadWrite => "/count",
            Self::Untouched | Self::NoCookie => "/untouched",
            Self::New => "/new",
            Self::Regenerate => "/regenerate",
        }
    }

    /// What the tables call it.
    pub const fn title(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::ReadWrite => "read + write",
            Self::Untouched => "cookie, untouched",
            Self::NoCookie => "no cookie, untouched",
            Self::New => "new session",
            Self::Regenerate => "regenerate",
        }
    }

    /// Whether its requests leave more sessions behind than they found (with one peer, also visitors without a cookie
    /// do): then the store is emptied from time to time.
    pub const fn grows(self) -> bool {
        matches!(self, Self::NoCookie | Self::New | Self::Regenerate)
    }
}
