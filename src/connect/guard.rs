//! Which addresses may be dialled at all, given who asked for them.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

/// Which addresses a client may dial.
#[derive(Clone, Debug, Default)]
pub struct AddressGuard {}

/// Who asked for an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asker {
    /// The caller.
    Caller,
    /// A redirect, by a host at this address.
    Host(IpAddr),
    /// A redirect, by a host whose address a proxy keeps to itself.
    Unseen,
}

impl AddressGuard {
    /// Whether all that a host was resolved to may be dialled: one address that may not refuses
    /// them all.
    pub(crate) fn admit(
        &self,
        _host: &str,
        _addresses: &[SocketAddr],
        _asker: Asker,
    ) -> Result<(), Refused> {
        Ok(())
    }

    /// Whether a proxy may be asked for a host that it resolves itself.
    pub(crate) fn admit_unseen(
        &self,
        _host: &str,
        _port: u16,
        _asker: Asker,
    ) -> Result<(), Refused> {
        Ok(())
    }
}

/// Why an address may not be dialled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refused {}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the address may not be dialled")
    }
}

impl std::error::Error for Refused {}
