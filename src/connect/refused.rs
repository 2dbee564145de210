//! Why an address may not be dialled, in words.

use std::fmt;
use std::net::SocketAddr;

use super::asker::Asker;
use super::net::Net;
use super::special::Place;
use crate::error::{Error, ErrorKind};
use crate::timings::Phase;
use crate::tls::shown::Shown;

/// Why an address may not be dialled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refused {
    pub(super) host: String,
    pub(super) tried: Tried,
    pub(super) why: Why,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Tried {
    /// To dial this, which is one of so many.
    Address(SocketAddr, usize),
    /// To ask a proxy for the host, at this port.
    Proxy(u16),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Why {
    Denied(Net),
    Port,
    NotPublic(Place),
    SentBy(Asker, Place),
    /// By this rule, which cannot be applied.
    Unseen(&'static str),
}

impl Refused {
    fn hint(&self) -> Option<&'static str> {
        match self.why {
            Why::Denied(_) => None,
            Why::Port => Some("ports that may be dialled are named by AddressGuard::allow_port"),
            Why::NotPublic(_) | Why::SentBy(..) => Some(
                "if it is meant to be reached from here, name it by AddressGuard::allow or \
                 AddressGuard::allow_host",
            ),
            Why::Unseen(_) => Some(
                "if the proxy refuses such addresses itself, say so by AddressGuard::proxy_guards",
            ),
        }
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let host = Shown(&self.host);
        match self.tried {
            Tried::Address(address, _) if self.host.parse() == Ok(address.ip()) => {
                write!(f, "dialling {address} is refused")
            }
            Tried::Address(address, 0 | 1) => {
                write!(f, "dialling {address} for \"{host}\" is refused")
            }
            Tried::Address(address, count) => write!(
                f,
                "dialling {address}, one of {count} addresses of \"{host}\", is refused"
            ),
            Tried::Proxy(port) => {
                write!(f, "asking a proxy for \"{host}\", port {port}, is refused")
            }
        }?;
        match self.why {
            Why::Denied(net) => write!(f, " by deny: it is in {net}"),
            Why::Port => f.write_str(" by allow_port: the port is not among those that are named"),
            Why::NotPublic(place) => write!(f, " by public_only: {place}"),
            Why::SentBy(Asker::Host(by), place) if Place::of(by.to_canonical()).is_public() => {
                write!(f, " after a redirect from a public address, {by}: {place}")
            }
            Why::SentBy(Asker::Host(by), place) => {
                write!(
                    f,
                    " after a redirect from {by}, which is farther away: {place}"
                )
            }
            Why::SentBy(Asker::Caller | Asker::Unseen, place) => write!(
                f,
                " after a redirect from a host behind a proxy, which counts as public: {place}"
            ),
            Why::Unseen(rule) => write!(
                f,
                " by {rule}: the proxy resolves the name, and nobody here sees the address"
            ),
        }
    }
}

impl std::error::Error for Refused {}

impl From<Refused> for Error {
    fn from(refused: Refused) -> Self {
        Self::new(ErrorKind::AddressRefused, refused.to_string())
            .with_hint(refused.hint())
            .with_phase(Phase::Connect)
    }
}
