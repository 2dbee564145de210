//! What the CRLs say of one certificate: RFC 5280 §6.3.3, for lists that are complete and of the
//! certificate's own issuer.

use rustls::crypto::WebPkiSupportedAlgorithms;
use rustls::pki_types::UnixTime;

use super::certificate::Certificate;
use super::crls::{CrlStore, List};
use super::reason::{Code, Reason};
use super::scope::Covered;
use super::shown::date;

/// A certificate, who issued it, and how their lists are to be read.
pub(super) struct Listing<'a> {
    pub(super) certificate: &'a Certificate,
    pub(super) issuer: &'a Certificate,
    /// Whether a list counts whose nextUpdate has passed.
    pub(super) even_expired: bool,
    pub(super) accepted: WebPkiSupportedAlgorithms,
    pub(super) now: UnixTime,
}

/// What the lists say.
#[derive(Debug)]
pub(super) enum Listed {
    Good,
    Revoked(Reason),
    /// No list speaks of it.
    Unknown(Reason),
    /// The list that speaks of it must not be used.
    Invalid(Reason),
}

impl Listing<'_> {
    /// Asks the newest list that the issuer signed and that covers the certificate.
    ///
    /// If that one must not be used, no older one is asked: it may have been true once, and so may
    /// be what somebody would have us believe.
    pub(super) fn ask(&self, crls: &CrlStore) -> Listed {
        let covered = Covered::of(self.certificate);
        let named = crls.of(self.certificate.issuer_der());
        let mut stranger = None;
        for list in named {
            if !self.is_of_another_key(list) && list.crl.scope().covers(&covered) {
                if list.is_by(self.issuer, self.accepted) {
                    return self.read(list);
                }
                stranger.get_or_insert(list);
            }
        }
        match stranger {
            // Not "unknown": a list stands where the issuer's should, and somebody put it there.
            Some(list) => self.invalid(
                list,
                "it is not signed by that issuer's key, or by an algorithm that we do not accept",
            ),
            None => Listed::Unknown(self.unknown(named.len())),
        }
    }

    /// A CA that renews its key keeps its name, and has lists for each (RFC 5280 §5.2.1).
    fn is_of_another_key(&self, list: &List) -> bool {
        match (list.crl.authority_key_id(), self.issuer.subject_key_id()) {
            (Some(theirs), Some(issuers)) => theirs != issuers,
            _ => false,
        }
    }

    /// What a list says that the issuer signed and that covers the certificate.
    fn read(&self, list: &List) -> Listed {
        // One that has no key usage may do everything.
        let usage = self.issuer.key_usage();
        if usage.is_some_and(|usage| !usage.crl_sign()) {
            return self.invalid(
                list,
                "the key usage of that issuer does not let it sign CRLs (RFC 5280 §6.3.3 (f))",
            );
        }
        if let Some(flaw) = list.crl.flaw() {
            return self.invalid(list, &flaw.to_string());
        }
        if list.crl.this_update() > self.now {
            let from = date(list.crl.this_update());
            return self.invalid(list, &format!("it is of {from}, which is yet to come"));
        }
        // What was revoked stays so, however old the list (but for certificateHold, of which only a
        // newer list can tell).
        let serial = self.certificate.tbs().serial_number.as_bytes();
        if let Some(revoked) = list.crl.find(serial) {
            let reason = Reason::new(
                Code::Revoked,
                format!(
                    "{} was revoked at {} ({}), says {}",
                    self.whose(),
                    revoked
                        .since
                        .map_or_else(|| "a time unknown".to_owned(), date),
                    revoked.reason.unwrap_or("no reason is given"),
                    self.which(list),
                ),
            );
            return Listed::Revoked(reason.with_hint("the server needs a new certificate"));
        }
        match list.crl.next_update() {
            Some(until) if until < self.now && !self.even_expired => {
                self.invalid(list, &format!("it was to be renewed by {}", date(until)))
            }
            _ => Listed::Good,
        }
    }

    fn invalid(&self, list: &List, why: &str) -> Listed {
        let reason = Reason::new(
            Code::CrlInvalid,
            format!(
                "whether {} is revoked cannot be told by {}: {why}",
                self.whose(),
                self.which(list),
            ),
        );
        Listed::Invalid(reason.with_hint("fetch the current CRL from its issuer, and add that"))
    }

    fn unknown(&self, others: usize) -> Reason {
        let others = match others {
            0 => String::new(),
            1 => " (the one that there is covers others)".to_owned(),
            more => format!(" (the {more} that there are cover others)"),
        };
        let sentence = format!(
            "no CRL of {} says whether {} is revoked{others}",
            self.certificate.issuer(),
            self.whose(),
        );
        Reason::new(Code::RevocationUnknown, sentence)
            .with_hint("fetch the CRL of that issuer, and add it by CrlStore::add_file")
    }

    fn whose(&self) -> String {
        format!(
            "the certificate of {} (serial number {})",
            self.certificate.subject(),
            self.certificate.serial(),
        )
    }

    fn which(&self, list: &List) -> String {
        format!(
            "the CRL of {} of {} ({})",
            self.certificate.issuer(),
            date(list.crl.this_update()),
            list.source,
        )
    }
}
