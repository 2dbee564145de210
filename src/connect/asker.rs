//! Who asks for an address.

use std::net::IpAddr;

use super::special::Place;

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

impl Asker {
    /// Who asks, where this one was itself sent there by `before`: the farther of the two, as
    /// nobody comes nearer by a detour.
    pub(crate) fn after(self, before: Self) -> Self {
        match (before, self) {
            (Self::Caller, asker) => asker,
            (asker, Self::Caller) => asker,
            (Self::Unseen, _) | (_, Self::Unseen) => Self::Unseen,
            (Self::Host(earlier), Self::Host(later)) => {
                let [earlier, later] = [earlier, later].map(|host| Place::of(host.to_canonical()));
                match later.is_as_far_as(earlier) {
                    true => self,
                    false => before,
                }
            }
        }
    }
}
