//! The groups in which keys are exchanged: their names, and which of them are offered.

use std::fmt;

use rustls::NamedGroup;
use rustls::crypto::SupportedKxGroup;

/// A group in which two peers agree on keys (RFC 8446 §4.2.7).
///
/// [`Peer::key_exchange_group`](super::Peer::key_exchange_group) says which one it was, and
/// [`Policy::key_exchange_groups`](super::Policy::key_exchange_groups) which ones are offered.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct KeyExchangeGroup(NamedGroup);

impl KeyExchangeGroup {
    /// X25519 together with ML-KEM-768, which is [post-quantum](Self::is_post_quantum)
    /// (draft-ietf-tls-ecdhe-mlkem). TLS 1.3 only, and not with `ring`.
    pub const X25519MLKEM768: Self = Self(NamedGroup::X25519MLKEM768);
    /// Curve25519 (RFC 7748).
    pub const X25519: Self = Self(NamedGroup::X25519);
    /// The curve P-256 of NIST.
    pub const SECP256R1: Self = Self(NamedGroup::secp256r1);
    /// The curve P-384 of NIST.
    pub const SECP384R1: Self = Self(NamedGroup::secp384r1);

    /// The name that IANA registered, such as `x25519`, `secp256r1` or `X25519MLKEM768`.
    pub fn name(self) -> &'static str {
        match self.0 {
            NamedGroup::X25519 => "x25519",
            NamedGroup::X448 => "x448",
            NamedGroup::FFDHE2048 => "ffdhe2048",
            NamedGroup::FFDHE3072 => "ffdhe3072",
            NamedGroup::FFDHE4096 => "ffdhe4096",
            NamedGroup::FFDHE6144 => "ffdhe6144",
            NamedGroup::FFDHE8192 => "ffdhe8192",
            NamedGroup::secp256r1MLKEM768 => "SecP256r1MLKEM768",
            // The others are written there as rustls has them; and no group is offered that it
            // does not know.
            other => other.as_str().unwrap_or("unknown"),
        }
    }

    /// Whether who records the connection today cannot read it by a quantum computer tomorrow: the
    /// group has a part of ML-KEM (FIPS 203), by itself or beside a curve.
    ///
    /// It says nothing of the peer's certificate, whose signatures are of another kind.
    pub fn is_post_quantum(self) -> bool {
        // MLKEM512, 768 and 1024 (draft-ietf-tls-mlkem §5); SecP256r1MLKEM768, X25519MLKEM768 and
        // SecP384r1MLKEM1024 (draft-ietf-tls-ecdhe-mlkem §6).
        matches!(u16::from(self.0), 0x0200..=0x0202 | 0x11eb..=0x11ed)
    }

    pub(super) fn named(group: NamedGroup) -> Self {
        Self(group)
    }
}

impl fmt::Display for KeyExchangeGroup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl fmt::Debug for KeyExchangeGroup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyExchangeGroup({})", self.name())
    }
}

/// Of what a provider has, what is wanted, in the order of the wanted.
///
/// # Errors
///
/// If nothing is wanted, or something that the provider has not, or something twice (RFC 8446
/// §4.2.8: a list without doubles).
pub(super) fn offered(
    wanted: &[KeyExchangeGroup],
    has: &[&'static dyn SupportedKxGroup],
) -> Result<Vec<&'static dyn SupportedKxGroup>, UnusableGroups> {
    let fault = |what| UnusableGroups {
        what,
        has: has
            .iter()
            .map(|each| KeyExchangeGroup(each.name()))
            .collect(),
    };
    if wanted.is_empty() {
        return Err(fault(Fault::None));
    }
    let mut offered: Vec<&'static dyn SupportedKxGroup> = Vec::with_capacity(wanted.len());
    for group in wanted {
        if offered.iter().any(|each| each.name() == group.0) {
            return Err(fault(Fault::Twice(*group)));
        }
        let found = has.iter().find(|each| each.name() == group.0);
        offered.push(*found.ok_or_else(|| fault(Fault::Unknown(*group)))?);
    }
    Ok(offered)
}

/// Groups that cannot be offered.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct UnusableGroups {
    what: Fault,
    /// The provider.
    has: Vec<KeyExchangeGroup>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    None,
    Unknown(KeyExchangeGroup),
    Twice(KeyExchangeGroup),
}

impl fmt::Display for UnusableGroups {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.what {
            Fault::None => f.write_str("a policy offers no key-exchange group")?,
            Fault::Unknown(group) => write!(
                f,
                "a policy offers the key-exchange group {group}, which the TLS provider has not"
            )?,
            Fault::Twice(group) => {
                write!(f, "a policy offers the key-exchange group {group} twice")?;
            }
        }
        f.write_str("; there are ")?;
        for (index, group) in self.has.iter().enumerate() {
            let comma = if index == 0 { "" } else { ", " };
            write!(f, "{comma}{group}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::crypto;
    use super::*;

    #[test]
    fn what_is_offered_is_what_is_wanted_in_its_order() {
        use KeyExchangeGroup as G;
        let provider = crypto::provider();
        let all = match cfg!(feature = "aws-lc-rs") {
            true => "; there are X25519MLKEM768, x25519, secp256r1, secp384r1",
            false => "; there are x25519, secp256r1, secp384r1",
        };
        let unknown = G(NamedGroup::X448);
        let rows: [(&[G], Result<&str, &str>); 7] = [
            (&[G::SECP384R1, G::X25519], Ok("secp384r1 x25519")),
            (&[G::X25519], Ok("x25519")),
            (&[], Err("a policy offers no key-exchange group")),
            (
                &[G::X25519, unknown],
                Err("a policy offers the key-exchange group x448, which the TLS provider has not"),
            ),
            (
                &[G::X25519, G::SECP256R1, G::X25519],
                Err("a policy offers the key-exchange group x25519 twice"),
            ),
            // The first fault is told.
            (
                &[unknown, unknown],
                Err("a policy offers the key-exchange group x448, which the TLS provider has not"),
            ),
            (
                &[G::X25519MLKEM768],
                match cfg!(feature = "aws-lc-rs") {
                    true => Ok("X25519MLKEM768"),
                    false => Err(
                        "a policy offers the key-exchange group X25519MLKEM768, which the TLS \
                         provider has not",
                    ),
                },
            ),
        ];
        for (wanted, expected) in rows {
            let found = offered(wanted, &provider.kx_groups);
            let found = found.map(|groups| {
                let names = groups.iter().map(|each| G(each.name()).name());
                names.collect::<Vec<_>>().join(" ")
            });
            let expected = expected.map(str::to_owned);
            let expected = expected.map_err(|error| format!("{error}{all}"));
            assert_eq!(found.map_err(|error| error.to_string()), expected);
        }
    }

    #[test]
    fn a_group_is_post_quantum_if_it_has_a_part_of_ml_kem() {
        for (group, name, is_post_quantum) in [
            (0x0017, "secp256r1", false),
            (0x001d, "x25519", false),
            (0x001e, "x448", false),
            (0x0100, "ffdhe2048", false),
            (0x0104, "ffdhe8192", false),
            (0x01ff, "unknown", false),
            (0x0200, "MLKEM512", true),
            (0x0202, "MLKEM1024", true),
            (0x0203, "unknown", false),
            (0x11ea, "unknown", false),
            (0x11eb, "SecP256r1MLKEM768", true),
            (0x11ec, "X25519MLKEM768", true),
            (0x11ed, "unknown", true),
            (0x11ee, "unknown", false),
        ] {
            let group = KeyExchangeGroup(NamedGroup::from(group));
            assert_eq!(
                (group.name(), group.is_post_quantum()),
                (name, is_post_quantum)
            );
        }
    }
}
