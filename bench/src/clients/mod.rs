//! The clients, each in its own idiom behind one small door.

mod floor;
mod floor_h2;
#[cfg(feature = "peers")]
mod hyper;
#[cfg(feature = "peers")]
mod reqwest;
#[cfg(feature = "peers")]
mod ureq;
mod urlfetch;

pub use floor::Floor;
pub use floor_h2::FloorH2;
#[cfg(feature = "peers")]
pub use hyper::Hyper;
#[cfg(feature = "peers")]
pub use reqwest::Reqwest;
#[cfg(feature = "peers")]
pub use ureq::Ureq;
pub use urlfetch::{Prepared, Urlfetch};

use http::HeaderMap;

use crate::Result;
use crate::setup::Setup;

/// What was got: enough to tell that it was the right thing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Got {
    pub status: u16,
    pub bytes: u64,
    /// By the server's word. Not looked for unless asked.
    pub resumed: bool,
}

/// Whether the header that tells of resumption is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look {
    Away,
    Resumed,
}

impl Look {
    /// The server's word, if it is looked for.
    fn is_resumed(self, headers: &HeaderMap) -> bool {
        self == Self::Resumed && headers.get(REUSED).is_some_and(|word| word == RESUMED)
    }
}

/// A client of one URL, which a clone shares.
pub trait Fetch: Clone + Send + Sync + 'static {
    /// Whether `get` blocks its thread, so that many at once need a thread each.
    const BLOCKS: bool = false;

    fn new(setup: &Setup) -> Result<Self>;

    /// Fetches the URL, all of its body in one piece.
    fn get(&self, look: Look) -> impl Future<Output = Result<Got>> + Send;

    /// Fetches the URL, and lets go of each piece of the body as it comes.
    fn drain(&self) -> impl Future<Output = Result<Got>> + Send;
}

/// The server's word on resumption: nginx's `$ssl_session_reused`.
const REUSED: &str = "x-reused";
const RESUMED: &[u8] = b"r";

/// The rows of the tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Name {
    Floor,
    HyperUtil,
    Reqwest,
    Ureq,
    Urlfetch,
    Prepared,
}

impl Name {
    pub const ALL: [Self; 6] = [
        Self::Floor,
        Self::HyperUtil,
        Self::Reqwest,
        Self::Ureq,
        Self::Urlfetch,
        Self::Prepared,
    ];

    /// As tables and the command line have it.
    pub fn shown(self) -> &'static str {
        match self {
            Self::Floor => "floor",
            Self::HyperUtil => "hyper-util",
            Self::Reqwest => "reqwest",
            Self::Ureq => "ureq",
            Self::Urlfetch => "urlfetch",
            Self::Prepared => "urlfetch-target",
        }
    }

    pub fn named(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|name| name.shown() == word)
    }
}
