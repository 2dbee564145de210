//! What a peer presented, and how much of it is looked at.

use rustls::pki_types::CertificateDer;

use super::certificate::Certificate;
use super::readings::Readings;
use super::reason::{Code, Reason};

/// What a peer presented: its chain, leaf first, the rest in any order, and an OCSP response if it
/// stapled one.
///
/// At most 64 certificates and 256 KiB of them are looked at: more is refused as `chain-too-long`.
/// Public chains have two to four, webpki follows a path of at most eight, and a TLS handshake
/// message ends at 64 KiB.
#[derive(Clone, Copy, Debug)]
pub struct Presented<'a> {
    leaf: Option<&'a CertificateDer<'a>>,
    pub(super) issuers: &'a [CertificateDer<'a>],
    pub(super) staple: Option<&'a [u8]>,
}

impl<'a> Presented<'a> {
    /// A chain as TLS hands it over: the leaf first, the rest in any order.
    pub fn new(chain: &'a [CertificateDer<'a>]) -> Self {
        match chain.split_first() {
            Some((leaf, issuers)) => Self::of(leaf, issuers),
            None => Self {
                leaf: None,
                issuers: &[],
                staple: None,
            },
        }
    }

    /// The OCSP response that was stapled to the handshake (RFC 6066 §8), in DER. An empty one is
    /// none; one of more than 64 KiB, 16 statuses or 4 certificates is refused as
    /// `staple-invalid`.
    pub fn staple(mut self, response: &'a [u8]) -> Self {
        self.staple = (!response.is_empty()).then_some(response);
        self
    }

    pub(crate) fn of(leaf: &'a CertificateDer<'a>, issuers: &'a [CertificateDer<'a>]) -> Self {
        Self {
            leaf: Some(leaf),
            issuers,
            staple: None,
        }
    }

    /// The leaf, if what came with it is not too much to look at.
    pub(super) fn open(
        &self,
        readings: &Readings,
    ) -> Result<(&'a CertificateDer<'a>, Certificate), Reason> {
        let Some(leaf_der) = self.leaf else {
            return Err(Reason::new(
                Code::NoCertificate,
                "the peer presented no certificate",
            ));
        };
        let presented = 1 + self.issuers.len();
        if presented > MAX_PRESENTED {
            return Err(Reason::new(
                Code::ChainTooLong,
                format!(
                    "the peer presented {presented} certificates, more than the {MAX_PRESENTED} we look at"
                ),
            ));
        }
        let bytes = leaf_der.len() + self.issuers.iter().map(|der| der.len()).sum::<usize>();
        if bytes > MAX_PRESENTED_BYTES {
            return Err(Reason::new(
                Code::ChainTooLong,
                format!(
                    "the peer presented certificates of {bytes} bytes, more than the {MAX_PRESENTED_BYTES} we look at"
                ),
            ));
        }
        let leaf = readings.read(leaf_der).map_err(|malformed| {
            Reason::new(
                Code::Malformed,
                format!("the certificate cannot be read: {malformed}"),
            )
        })?;
        Ok((leaf_der, leaf))
    }
}

/// Most certificates that a peer may present.
const MAX_PRESENTED: usize = 64;
/// And most bytes of them.
const MAX_PRESENTED_BYTES: usize = 256 << 10;
