//! Whether the OCSP response that was stapled to a handshake is to be believed, and what then
//! follows from it (RFC 6960 §3.2).
//!
//! Nobody but the certificate's issuer, or whom it has charged with that directly, says anything of
//! a certificate. Whether a responder was revoked itself is not looked at, which RFC 6960
//! §4.2.2.2.1 leaves to us: it would take another response.

use std::fmt;

use rustls::crypto::WebPkiSupportedAlgorithms;
use rustls::pki_types::UnixTime;
use x509_cert::der::asn1::ObjectIdentifier;
use x509_cert::der::oid::db::{rfc5280, rfc5912, rfc6960};
use x509_cert::ext::Extension;
use x509_cert::ext::pkix::BasicConstraints;
use x509_ocsp::{
    CertId, CertStatus as Said, OcspGeneralizedTime, ResponseData, RevokedInfo, SingleResponse,
};

use super::certificate::{Certificate, sha256};
use super::crypto::sha1;
use super::ocsp::{Response, key_bits};
use super::reason::{Code, Reason};
use super::revoked::word;
use super::shown::{date, hex};
use super::signature::Signed;
use super::verdict::{CertStatus, Staple};

/// What a stapled response says of `leaf`.
///
/// It may be that the leaf is revoked: [`refusal`] is what follows.
///
/// # Errors
///
/// `staple-invalid`, if it cannot be believed.
pub(super) fn believe(
    staple: &[u8],
    leaf: &Certificate,
    issuer: &Certificate,
    accepted: WebPkiSupportedAlgorithms,
    now: UnixTime,
) -> Result<Staple, Reason> {
    let response = Response::read(staple).map_err(invalid)?;
    let responder = responder(&response, issuer, accepted, now)?;
    let data = &response.data;
    let single = relevant(data, leaf, issuer, now)?;
    let revoked = revoked(single);
    Ok(Staple {
        status: match single.cert_status {
            Said::Good(_) => CertStatus::Good,
            Said::Revoked(_) => CertStatus::Revoked,
            Said::Unknown(_) => CertStatus::Unknown,
        },
        produced_at: unix(&data.produced_at),
        this_update: unix(&single.this_update),
        next_update: single.next_update.as_ref().map(unix),
        revoked_at: revoked.map(|info| unix(&info.revocation_time)),
        revocation_reason: revoked
            .and_then(|info| info.revocation_reason)
            .map(|reason| word(reason as u8)),
        responder,
    })
}

/// Why a certificate is refused of which a response says this.
pub(super) fn refusal(staple: &Staple) -> Option<Reason> {
    let responder = staple.responder.subject();
    let revoked = || {
        let since = staple.revoked_at.map(date).unwrap_or_default();
        let why = staple.revocation_reason.unwrap_or("without a reason given");
        format!(
            "the certificate was revoked on {since} ({why}), says the stapled OCSP response of {responder}"
        )
    };
    match staple.status {
        CertStatus::Good => None,
        CertStatus::Revoked => Some(Reason::new(Code::Revoked, revoked()).with_hint(
            "the server needs a new certificate, and a new key if the old one was stolen",
        )),
        CertStatus::Unknown => Some(Reason::new(
            Code::RevocationUnknown,
            format!(
                "its issuer does not know the certificate, says the stapled OCSP response of {responder}"
            ),
        )),
    }
}

/// Who signed the response, if they may (RFC 6960 §4.2.2.2).
fn responder(
    response: &Response<'_>,
    issuer: &Certificate,
    accepted: WebPkiSupportedAlgorithms,
    now: UnixTime,
) -> Result<Certificate, Reason> {
    // The key that signed the certificate needs no other right: its keyUsage is not asked.
    let is_issuer = response.names(issuer);
    if is_issuer && response.signed.is_by(issuer.spki_der(), accepted) {
        return Ok(issuer.clone());
    }
    let mut refused = match is_issuer {
        true => invalid(UNSIGNED),
        false => invalid(format_args!(
            "is by {}, who is neither the certificate's issuer nor in the response",
            response.responder()
        )),
    };
    for each in response.certificates() {
        if !response.names(&each) || each.spki_der() == issuer.spki_der() {
            continue;
        }
        match delegated(&each, issuer, accepted, now) {
            Ok(()) if response.signed.is_by(each.spki_der(), accepted) => return Ok(each),
            Ok(()) => refused = invalid(UNSIGNED),
            Err(why) => {
                refused = invalid(format_args!("is signed by {}, {why}", each.subject()));
            }
        }
    }
    Err(refused)
}

/// Whether the issuer has charged the owner of this certificate with signing its responses.
fn delegated(
    responder: &Certificate,
    issuer: &Certificate,
    accepted: WebPkiSupportedAlgorithms,
    now: UnixTime,
) -> Result<(), String> {
    let purposes = responder.purposes().unwrap_or_default();
    // anyExtendedKeyUsage is not enough: the delegation is explicit (RFC 6960 §4.2.2.2).
    if !purposes.contains(&rfc5280::ID_KP_OCSP_SIGNING) {
        return Err("whose certificate is not for signing OCSP (id-kp-OCSPSigning)".into());
    }
    // BR 7.1.2.8.5. A CA is charged with certificates, and with no status but of its own.
    match responder.decoded::<BasicConstraints>() {
        None | Some(Ok(BasicConstraints { ca: false, .. })) => {}
        Some(_) => return Err("whose certificate is a CA's, or leaves that open".into()),
    }
    // RFC 5280 §4.2.1.3.
    if responder
        .key_usage()
        .is_some_and(|usage| !usage.digital_signature())
    {
        return Err("whose key is not for signatures (keyUsage)".into());
    }
    limit_critical(responder.extensions(), &KNOWN).map_err(|id| {
        format!("whose certificate has a critical extension that we do not know, {id}")
    })?;
    let (from, until) = (responder.not_before_unix(), responder.not_after_unix());
    if now < from || now > until {
        let (from, until, now) = (date(from), date(until), date(now));
        return Err(format!(
            "whose certificate is valid from {from} until {until}, and it is {now}"
        ));
    }
    let is_issued = responder.issuer_der() == issuer.subject_der()
        && Signed::certificate(responder).is_by(issuer.spki_der(), accepted);
    match is_issued {
        true => Ok(()),
        false => Err(format!(
            "whose certificate was not issued by the certificate's own issuer, {}",
            issuer.subject()
        )),
    }
}

/// What counts of what a response says of this leaf: of several statuses, the worst.
fn relevant<'a>(
    data: &'a ResponseData,
    leaf: &Certificate,
    issuer: &Certificate,
    now: UnixTime,
) -> Result<&'a SingleResponse, Reason> {
    let about: Vec<_> = data
        .responses
        .iter()
        .filter(|single| is_about(&single.cert_id, leaf, issuer))
        .collect();
    // Of several that are good, the one that is out of date first.
    let next_update = |single: &&&SingleResponse| single.next_update.as_ref().map(unix);
    let soonest = *about
        .iter()
        .min_by_key(next_update)
        .ok_or_else(|| invalid(not_about(&data.responses, leaf)))?;
    let single_extensions = about.iter().map(|single| &single.single_extensions);
    for extensions in single_extensions.chain([&data.response_extensions]) {
        limit_critical(extensions.as_deref().unwrap_or_default(), &[]).map_err(|id| {
            invalid(format_args!(
                "has a critical extension that we do not know, {id}"
            ))
        })?;
    }
    // Who is revoked stays so, however old the news.
    if let Some(single) = about.iter().find(|single| revoked(single).is_some()) {
        return Ok(single);
    }
    timely(unix(&data.produced_at), &about, now)?;
    let is_unknown = |single: &&&SingleResponse| matches!(single.cert_status, Said::Unknown(_));
    Ok(about
        .iter()
        .find(is_unknown)
        .map_or(soonest, |single| *single))
}

/// Whether it is this certificate that is meant (RFC 6960 §4.1.1).
fn is_about(id: &CertId, leaf: &Certificate, issuer: &Certificate) -> bool {
    fn fits<H: AsRef<[u8]>>(
        id: &CertId,
        leaf: &Certificate,
        issuer: &Certificate,
        hash: impl Fn(&[u8]) -> H,
    ) -> bool {
        id.issuer_name_hash.as_bytes() == hash(leaf.issuer_der()).as_ref()
            && id.issuer_key_hash.as_bytes() == hash(key_bits(issuer)).as_ref()
    }
    id.serial_number == leaf.tbs().serial_number
        && match id.hash_algorithm.oid {
            rfc5912::ID_SHA_1 => fits(id, leaf, issuer, sha1),
            rfc5912::ID_SHA_256 => fits(id, leaf, issuer, sha256),
            _ => false,
        }
}

/// What a response is about that is not about this leaf, in the words that help most.
fn not_about(responses: &[SingleResponse], leaf: &Certificate) -> String {
    let serial = &leaf.tbs().serial_number;
    let same = responses
        .iter()
        .find(|single| single.cert_id.serial_number == *serial);
    match (same, responses.first()) {
        (Some(single), _) => match single.cert_id.hash_algorithm.oid {
            rfc5912::ID_SHA_1 | rfc5912::ID_SHA_256 => {
                "is about a certificate of the same serial number and another issuer".into()
            }
            other => format!(
                "identifies its certificate by the hash {other}, and we accept SHA-1 and SHA-256"
            ),
        },
        (None, Some(single)) => format!(
            "is about the certificate of serial number {}, and this one's is {}",
            hex(single.cert_id.serial_number.as_bytes()),
            hex(serial.as_bytes())
        ),
        (None, None) => "is about no certificate".into(),
    }
}

fn revoked(single: &SingleResponse) -> Option<&RevokedInfo> {
    match &single.cert_status {
        Said::Revoked(info) => Some(info),
        Said::Good(_) | Said::Unknown(_) => None,
    }
}

/// Whether it is of now (RFC 6960 §4.2.2.1). As for certificates, no clock is forgiven anything.
fn timely(produced_at: UnixTime, about: &[&SingleResponse], now: UnixTime) -> Result<(), Reason> {
    let clock = || format!("look at this machine's clock, which says {}", date(now));
    if produced_at > now {
        return Err(invalid(format_args!("was made on {}", date(produced_at))).with_hint(clock()));
    }
    for single in about {
        let this_update = unix(&single.this_update);
        if this_update > now {
            let from = date(this_update);
            return Err(invalid(format_args!("is valid from {from}")).with_hint(clock()));
        }
        let Some(next_update) = single.next_update.as_ref().map(unix) else {
            // There is always newer information, it says by this.
            return Err(invalid(format_args!(
                "of {} has no nextUpdate: it does not say until when it holds",
                date(this_update)
            )));
        };
        if next_update < now {
            return Err(invalid(format_args!(
                "was valid until {}, and it is {}",
                date(next_update),
                date(now)
            ))
            .with_hint("the server has to fetch a new one from its authority"));
        }
    }
    Ok(())
}

/// The first critical extension that is not among the known ones, as an error.
fn limit_critical(
    extensions: &[Extension],
    known: &[ObjectIdentifier],
) -> Result<(), ObjectIdentifier> {
    let unknown = |each: &&Extension| each.critical && !known.contains(&each.extn_id);
    match extensions.iter().find(unknown) {
        Some(extension) => Err(extension.extn_id),
        None => Ok(()),
    }
}

fn unix(time: &OcspGeneralizedTime) -> UnixTime {
    UnixTime::since_unix_epoch(time.0.to_unix_duration())
}

fn invalid(why: impl fmt::Display) -> Reason {
    Reason::new(
        Code::StapleInvalid,
        format!("the stapled OCSP response {why}"),
    )
}

const UNSIGNED: &str = "has a signature that does not fit the key of its responder, \
                        or is by an algorithm that we do not accept";

/// What is looked at in a responder's certificate, or has nothing to say of a responder.
const KNOWN: [ObjectIdentifier; 5] = [
    rfc5280::ID_CE_BASIC_CONSTRAINTS,
    rfc5280::ID_CE_KEY_USAGE,
    rfc5280::ID_CE_EXT_KEY_USAGE,
    rfc5280::ID_CE_SUBJECT_ALT_NAME,
    rfc6960::ID_PKIX_OCSP_NOCHECK,
];
