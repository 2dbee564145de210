//! Certificates that were read lately, so that a chain is not read again at every handshake.
//!
//! What is read follows from the bytes alone. Nothing is kept of who presented them, when, or what
//! was made of it: a certificate that is found here is judged as one that was just read.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Mutex, PoisonError};

use rustls::pki_types::CertificateDer;

use super::certificate::{Certificate, MalformedCertificate};

/// What one judge has read, the last that was asked for first.
#[derive(Default)]
pub(super) struct Readings(Mutex<VecDeque<Certificate>>);

impl Readings {
    /// Reads a certificate, or finds it read. What cannot be read is not kept.
    pub(super) fn read(
        &self,
        der: &CertificateDer<'_>,
    ) -> Result<Certificate, MalformedCertificate> {
        if let Some(known) = self.find(der) {
            return Ok(known);
        }
        let certificate = Certificate::read(der.clone().into_owned())?;
        if der.len() <= MAX_BYTES {
            self.keep(certificate.clone());
        }
        Ok(certificate)
    }

    fn find(&self, der: &CertificateDer<'_>) -> Option<Certificate> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let at = kept.iter().position(|each| each.der() == der.as_ref())?;
        let found = kept.remove(at)?;
        kept.push_front(found.clone());
        Some(found)
    }

    fn keep(&self, certificate: Certificate) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.truncate(MAX_KEPT - 1);
        kept.push_front(certificate);
    }
}

impl fmt::Debug for Readings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Readings")
    }
}

/// Chains of two or three for some twelve hosts, in 200 KiB: each is looked for one by one.
const MAX_KEPT: usize = 32;

/// Real ones have one or two KiB, and those of a hundred names four. A stranger's that are larger
/// take no room.
const MAX_BYTES: usize = 4 << 10;

#[cfg(test)]
mod tests {
    use super::super::certificate::forge::*;
    use super::*;

    #[test]
    fn what_was_read_is_found_and_the_rest_is_read() {
        let readings = Readings::default();
        let of = |serial: u32| {
            let serial = [&[1], &serial.to_be_bytes()[..]].concat();
            CertificateDer::from(
                Forged {
                    serial,
                    ..Forged::default()
                }
                .der(),
            )
        };
        let is_kept = |der: &CertificateDer<'_>| {
            let kept = readings.0.lock().unwrap();
            kept.iter().any(|each| each.der() == der.as_ref())
        };
        let in_use = of(u32::MAX);
        for n in 0..1_000 {
            for der in [&in_use, &of(n)] {
                let expected = Certificate::read(der.clone()).unwrap();
                assert_eq!(readings.read(der).unwrap(), expected);
                assert!(is_kept(der));
            }
            assert!(readings.0.lock().unwrap().len() <= MAX_KEPT);
        }
        assert!(!is_kept(&of(0)) && is_kept(&of(999)));
        // Not read a second time: it is the one of before.
        let [first, second] = [0; 2].map(|_| readings.read(&in_use).unwrap());
        assert!(std::ptr::eq(first.der(), second.der()));
        // One bit from what is known is unknown.
        let mut other = in_use.to_vec();
        *other.last_mut().unwrap() ^= 1;
        assert_eq!(readings.read(&other.clone().into()).unwrap().der(), other);
    }

    #[test]
    fn what_cannot_be_read_or_is_large_takes_no_room() {
        let readings = Readings::default();
        for _ in 0..2 {
            assert!(readings.read(&b"no certificate"[..].into()).is_err());
        }
        let large = Forged {
            subject: name(&[(CN, 0x0c, &[b'a'; MAX_BYTES])]),
            ..Forged::default()
        };
        readings.read(&large.der().into()).unwrap();
        assert!(readings.0.lock().unwrap().is_empty());
    }
}
