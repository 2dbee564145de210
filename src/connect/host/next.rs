//! How a caller comes to a connection, and why he may have to wait for one.

use std::fmt;

use tokio::sync::oneshot;

use super::open::{Open, Place};

/// Which of the open connections will do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Choice {
    Any,
    /// None that is idle over HTTP/1.1: one of them was closed by its server, and those below it
    /// have been idle for longer.
    NotIdle,
}

/// How a caller comes to a connection.
#[derive(Debug)]
pub(in crate::connect) enum Next {
    Open(Open),
    Dial(Place),
    /// By a turn, which has to be waited for; and this is how many dials have failed until now.
    Turn(u64),
    /// By what others give back.
    Wait(oneshot::Receiver<Grant>, Full),
}

/// What somebody who has waited is given. Nothing at all means that he is to look again.
#[derive(Debug)]
pub(in crate::connect) enum Grant {
    Open(Open),
    Dial(Place),
}

/// Why there is nothing to be had at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::connect) enum Full {
    /// As many connections as there may be.
    Connections(usize),
    /// As many streams as the peer allows on one connection (RFC 9113 §5.1.2).
    Streams(usize),
}

impl fmt::Display for Full {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connections(1) => f.write_str("the one connection to the host is in use"),
            Self::Connections(most) => {
                write!(f, "all {most} connections to the host are in use")
            }
            Self::Streams(0) => {
                f.write_str("the server allows no requests on its HTTP/2 connection")
            }
            Self::Streams(most) => write!(
                f,
                "the server allows {most} requests at once on its HTTP/2 connection, and as many \
                 are under way"
            ),
        }
    }
}

impl std::error::Error for Full {}
