//! Distinguished names as data: whose a certificate is and who issued it, attribute by attribute
//! (RFC 5280 §4.1.2.4).
//!
//! Walked in the bytes as they came: x509-cert's own names sort the attributes of a relative name.

use std::borrow::Cow;
use std::fmt;

use x509_cert::der::asn1::{AnyRef, ObjectIdentifier};
use x509_cert::der::{self, Decode, Encode, Tag, Tagged};

use super::certificate::Certificate;
use super::dotted::dotted;
use super::layout::{elements, sequence};
use super::long_names::long_name;
use super::shown::{Shown, ShownSentence};

impl Certificate {
    /// The [`subject`](Self::subject) as data. It has no attribute if the certificate names nobody
    /// there, as those that name hosts only may (RFC 5280 §4.1.2.6).
    pub fn subject_name(&self) -> DistinguishedName {
        // What is no name is no certificate either, so that this one is read.
        DistinguishedName::read(self.subject_der()).unwrap_or_default()
    }

    /// The [`issuer`](Self::issuer) as data.
    pub fn issuer_name(&self) -> DistinguishedName {
        DistinguishedName::read(self.issuer_der()).unwrap_or_default()
    }
}

/// A distinguished name: relative names, each of one or more attributes, all in the order in which
/// the certificate has them, which is that from the country down to the person.
///
/// Its texts are a stranger's, as they stand in the certificate, and as long as they are there:
/// nothing is escaped. [`Debug`](fmt::Debug) escapes and cuts them.
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub struct DistinguishedName {
    relative_names: Vec<Vec<Attribute>>,
}

impl DistinguishedName {
    /// Its relative names, each by its attributes. Nearly all have one.
    pub fn relative_names(&self) -> impl ExactSizeIterator<Item = &[Attribute]> {
        self.relative_names.iter().map(Vec::as_slice)
    }

    /// All its attributes, in order.
    pub fn attributes(&self) -> impl Iterator<Item = &Attribute> {
        self.relative_names.iter().flatten()
    }

    /// Reads a Name.
    pub(super) fn read(der: &[u8]) -> der::Result<Self> {
        let relative_names = sequence(AnyRef::from_der(der)?)?.into_iter().map(|set| {
            set.tag().assert_eq(Tag::Set)?;
            let attributes = elements(set.value())?.into_iter();
            attributes.map(Attribute::read).collect()
        });
        Ok(Self {
            relative_names: relative_names.collect::<der::Result<_>>()?,
        })
    }
}

impl fmt::Debug for DistinguishedName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DistinguishedName({})", ShownSentence(Listed(self)))
    }
}

/// One attribute of a [`DistinguishedName`]: its type, and what it says.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Attribute {
    id: ObjectIdentifier,
    text: Option<String>,
    der: Vec<u8>,
}

impl Attribute {
    /// The object identifier of its type, such as `2.5.4.3`; `#` and its DER in hexadecimal if that
    /// is longer than it need be (X.690 §8.19.2).
    pub fn oid(&self) -> String {
        dotted(&self.id)
    }

    /// Its type as OpenSSL names it at length, such as `commonName`, or its
    /// [object identifier](Self::oid) where we know no name. Known are those that stand in names:
    /// X.520's, PKCS #9's, RFC 4524's and those of extended validation.
    pub fn name(&self) -> Cow<'static, str> {
        long_name(&self.id).map_or_else(|| self.oid().into(), Cow::Borrowed)
    }

    /// What it says, as it stands in the certificate; `None` if it is no text, or not one in the
    /// form that it says it is in. [`der`](Self::der) has it in any case.
    pub fn text(&self) -> Option<&str> {
        self.text.as_deref()
    }

    /// Its value in DER, with tag and length.
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    fn read(attribute: AnyRef<'_>) -> der::Result<Self> {
        match sequence(attribute)?.as_slice() {
            [kind, value] => Ok(Self {
                id: kind.decode_as()?,
                text: text(*value),
                der: value.to_der()?,
            }),
            _ => Err(Tag::Sequence.length_error()),
        }
    }
}

impl fmt::Debug for Attribute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Attribute({self})")
    }
}

/// `name="text"`, escaped and cut.
impl fmt::Display for Attribute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}=", self.name())?;
        match &self.text {
            Some(text) => write!(f, "\"{}\"", Shown(text)),
            None => write!(f, "({} bytes that are no text)", self.der.len()),
        }
    }
}

/// Attributes one after the other: with `+` between those of one relative name (RFC 4514 §2.2).
pub(crate) struct Listed<'a>(pub(crate) &'a DistinguishedName);

impl fmt::Display for Listed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, relative_name) in self.0.relative_names().enumerate() {
            for (beside, attribute) in relative_name.iter().enumerate() {
                let between = match (at, beside) {
                    (0, 0) => "",
                    (_, 0) => ", ",
                    _ => "+",
                };
                write!(f, "{between}{attribute}")?;
            }
        }
        Ok(())
    }
}

/// The text of a value. The older forms are of Latin letters, one a byte, as OpenSSL reads them.
fn text(value: AnyRef<'_>) -> Option<String> {
    let bytes = value.value();
    match value.tag() {
        Tag::Utf8String => String::from_utf8(bytes.to_vec()).ok(),
        Tag::PrintableString
        | Tag::Ia5String
        | Tag::TeletexString
        | Tag::NumericString
        | Tag::VisibleString => Some(bytes.iter().copied().map(char::from).collect()),
        Tag::BmpString => {
            let letters = bytes.chunks(2).map(|unit| match unit {
                [high, low] => char::from_u32(u16::from_be_bytes([*high, *low]).into()),
                _ => None,
            });
            letters.collect()
        }
        _ => None,
    }
}
