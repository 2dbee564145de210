//! The entries of subjectAltName as data, each of its kind (RFC 5280 §4.2.1.6).

use std::fmt;
use std::net::IpAddr;

use x509_cert::der::asn1::AnyRef;
use x509_cert::der::oid::db::rfc5280;
use x509_cert::der::{Decode, Encode, Tag, TagNumber, Tagged};

use super::certificate::Certificate;
use super::dotted::arcs;
use super::general_name::{self, GeneralName};
use super::layout::elements;
use super::name::{DistinguishedName, Listed};
use super::shown::{Shown, ShownSentence, hex};

impl Certificate {
    /// All entries of its subjectAltName, of every kind and in order.
    ///
    /// `None` if it has no such extension; an empty list if it has one that cannot be read whole,
    /// or has it twice. An entry that cannot be read on its own is
    /// [`Unreadable`](AlternativeName::Unreadable). Whether the certificate is for a host is for
    /// [`match_hostname`](super::match_hostname) to say.
    pub fn alternative_names(&self) -> Option<Vec<AlternativeName>> {
        let extension = self.extension(rfc5280::ID_CE_SUBJECT_ALT_NAME)?;
        let entries = Vec::<AnyRef<'_>>::from_der(extension).unwrap_or_default();
        Some(entries.into_iter().map(AlternativeName::of).collect())
    }
}

/// Another name of a certificate's subject: a GeneralName of RFC 5280 §4.2.1.6.
///
/// Its texts are a stranger's, as they stand in the certificate, and as long as they are there:
/// nothing is checked or escaped. [`Debug`](fmt::Debug) and [`Display`](fmt::Display) escape and
/// cut them.
#[derive(Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum AlternativeName {
    /// `dNSName`: a host, or many by a wildcard.
    Dns(String),
    /// `rfc822Name`: a mailbox.
    Email(String),
    /// `uniformResourceIdentifier`.
    Uri(String),
    /// `iPAddress`.
    Ip(IpAddr),
    /// `directoryName`.
    Directory(DistinguishedName),
    /// `registeredID`: an object identifier in its dotted form.
    RegisteredId(String),
    /// `otherName`.
    Other {
        /// The object identifier of its kind, in its dotted form.
        type_id: String,
        /// What it is, in DER.
        value: Vec<u8>,
    },
    /// `x400Address`, by what it holds in DER.
    X400(Vec<u8>),
    /// `ediPartyName`, by what it holds in DER.
    EdiParty(Vec<u8>),
    /// What is none of these, or not what it says it is, such as an address of three bytes or a
    /// DNS name that is not UTF-8.
    Unreadable {
        /// The number by which GeneralName tells its kinds: 2 of a DNS name, 7 of an address.
        kind: u8,
        /// What it holds.
        value: Vec<u8>,
    },
}

impl AlternativeName {
    fn of(entry: AnyRef<'_>) -> Self {
        Self::read(entry).unwrap_or_else(|| Self::Unreadable {
            // The five lower bits of a tag in one octet (X.690 §8.1.2.2).
            kind: entry.tag().octet() & 0x1f,
            value: entry.value().to_vec(),
        })
    }

    fn read(entry: AnyRef<'_>) -> Option<Self> {
        let text = |text: &[u8]| String::from_utf8(text.to_vec()).ok();
        match GeneralName::read(entry).ok()? {
            GeneralName::Email(name) => text(name).map(Self::Email),
            GeneralName::Dns(name) => text(name).map(Self::Dns),
            GeneralName::Uri(name) => text(name).map(Self::Uri),
            GeneralName::Address(octets) => general_name::address(octets).map(Self::Ip),
            GeneralName::Directory(name) => DistinguishedName::read(name).ok().map(Self::Directory),
            GeneralName::Other(TagNumber::N8, id) => arcs(id).map(Self::RegisteredId),
            GeneralName::Other(TagNumber::N0, fields) => other(fields),
            GeneralName::Other(TagNumber::N3, fields) => Some(Self::X400(fields.to_vec())),
            GeneralName::Other(_, fields) => Some(Self::EdiParty(fields.to_vec())),
        }
    }
}

impl fmt::Debug for AlternativeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AlternativeName({self})")
    }
}

impl fmt::Display for AlternativeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dns(name) => write!(f, "DNS \"{}\"", Shown(name)),
            Self::Email(name) => write!(f, "email \"{}\"", Shown(name)),
            Self::Uri(name) => write!(f, "URI \"{}\"", Shown(name)),
            Self::Ip(address) => write!(f, "IP {address}"),
            Self::Directory(name) => write!(f, "directory {}", ShownSentence(Listed(name))),
            Self::RegisteredId(id) => write!(f, "registered ID {}", Shown(id)),
            Self::Other { type_id, .. } => write!(f, "other name of type {}", Shown(type_id)),
            Self::X400(_) => f.write_str("X.400 address"),
            Self::EdiParty(_) => f.write_str("EDI party"),
            Self::Unreadable { kind, value } => {
                let value = value.get(..MAX_SHOWN_BYTES).unwrap_or(value);
                write!(f, "unreadable name of kind {kind}: {}", hex(value))
            }
        }
    }
}

/// OtherName: its type, and its value in an explicit tag 0.
fn other(fields: &[u8]) -> Option<AlternativeName> {
    let fields = elements(fields).ok()?;
    let [type_id, value] = fields.as_slice() else {
        return None;
    };
    let is_value = value.tag().is_context_specific() && value.tag().number() == TagNumber::N0;
    let value = is_value.then(|| AnyRef::from_der(value.value()).ok())??;
    let is_id = type_id.tag() == Tag::ObjectIdentifier;
    Some(AlternativeName::Other {
        type_id: is_id.then(|| arcs(type_id.value())).flatten()?,
        value: value.to_der().ok()?,
    })
}

/// Of what cannot be read.
const MAX_SHOWN_BYTES: usize = 32;
