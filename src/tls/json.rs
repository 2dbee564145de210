//! A verdict, its parts, and the peer it is on as JSON: the schemas in the docs of [`Verdict`] and
//! [`Peer`], one struct a map.
//!
//! Fields are added, and none is changed. Whatever a stranger wrote is bounded here as in a message.

use std::net::IpAddr;
use std::time::SystemTime;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls::pki_types::UnixTime;
use serde::{Serialize, Serializer};

use super::certificate::{Anchor, Certificate};
use super::group::KeyExchangeGroup;
use super::peer::Peer;
use super::reason::{Reason, Subject};
use super::sct::Sct;
use super::shown::{MAX_SHOWN_NAMES, Shown, date, hex};
use super::verdict::{CertStatus, Check, Outcome, Staple, Verdict};

#[derive(Serialize)]
struct PeerMap<'a> {
    version: String,
    cipher_suite: &'a str,
    key_exchange_group: Option<&'static str>,
    post_quantum: Option<bool>,
    alpn: Option<String>,
    resumed: bool,
    chain: Vec<CertificateMap>,
    chain_total: usize,
    verdict: &'a Verdict,
}

impl Serialize for Peer {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let at = Some(self.verdict().judged_at());
        let group = self.key_exchange_group();
        let alpn = self.alpn().map(<[u8]>::escape_ascii);
        let chain = self.chain().iter().take(MAX_SHOWN_CERTIFICATES);
        let map = PeerMap {
            version: self.version().to_string(),
            cipher_suite: self.cipher_suite(),
            key_exchange_group: group.map(KeyExchangeGroup::name),
            post_quantum: group.map(KeyExchangeGroup::is_post_quantum),
            alpn: alpn.map(|alpn| alpn.to_string()),
            resumed: self.is_resumed(),
            chain: chain.map(|each| CertificateMap::of(each, at)).collect(),
            chain_total: self.chain_total(),
            verdict: self.verdict(),
        };
        map.serialize(serializer)
    }
}

#[derive(Serialize)]
struct VerdictMap<'a> {
    verified: bool,
    host: &'a str,
    judged_at: String,
    reason: Option<&'a Reason>,
    reasons: Vec<&'a Reason>,
    reasons_total: usize,
    checks: &'a [Check],
    chain: Vec<CertificateMap>,
    chain_total: usize,
    anchor: Option<AnchorMap<'a>>,
    staple: Option<StapleMap>,
}

impl Serialize for Verdict {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let at = Some(self.judged_at());
        let chain = self.chain().iter().take(MAX_SHOWN_CERTIFICATES);
        let map = VerdictMap {
            verified: self.is_verified(),
            host: self.host(),
            judged_at: date(self.judged_at_unix()),
            reason: self.reason(),
            reasons: self.reasons().take(MAX_SHOWN_REASONS).collect(),
            reasons_total: self.reasons().count(),
            checks: self.checks(),
            chain: chain.map(|each| CertificateMap::of(each, at)).collect(),
            chain_total: self.chain().len(),
            anchor: self.anchor().map(|anchor| AnchorMap::of(anchor, at)),
            staple: self.staple().map(|staple| StapleMap::of(staple, at)),
        };
        map.serialize(serializer)
    }
}

#[derive(Serialize)]
struct ReasonMap<'a> {
    code: &'static str,
    sentence: &'a str,
    hint: Option<&'a str>,
}

impl Serialize for Reason {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let map = ReasonMap {
            code: self.code(),
            sentence: self.sentence(),
            hint: self.hint(),
        };
        map.serialize(serializer)
    }
}

#[derive(Serialize)]
struct CheckMap<'a> {
    subject: Subject,
    #[serde(flatten)]
    outcome: &'a Outcome,
}

impl Serialize for Check {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let map = CheckMap {
            subject: self.subject(),
            outcome: self.outcome(),
        };
        map.serialize(serializer)
    }
}

#[derive(Serialize)]
struct OutcomeMap<'a> {
    outcome: &'static str,
    code: Option<&'static str>,
    why: Option<&'a str>,
}

impl Serialize for Outcome {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (outcome, code, why) = match self {
            Self::Passed => ("passed", None, None),
            Self::Skipped(why) => ("skipped", None, Some(why.as_str())),
            Self::Failed(reason) => ("failed", Some(reason.code()), Some(reason.sentence())),
        };
        OutcomeMap { outcome, code, why }.serialize(serializer)
    }
}

#[derive(Serialize)]
struct CertificateMap {
    subject: String,
    issuer: String,
    serial: String,
    not_before: String,
    not_after: String,
    days_left: Option<i64>,
    dns_names: Vec<String>,
    ip_addresses: Vec<IpAddr>,
    names_total: usize,
    key: String,
    signature_algorithm: String,
    spki_sha256: String,
    sha256: String,
    scts: Option<Vec<SctMap>>,
    scts_total: usize,
}

impl CertificateMap {
    /// As judged at a moment, if it was.
    fn of(certificate: &Certificate, at: Option<SystemTime>) -> Self {
        let dns_names = certificate.dns_names().map(|name| Shown(name).to_string());
        let scts = certificate.scts();
        Self {
            subject: certificate.subject(),
            issuer: certificate.issuer(),
            serial: certificate.serial(),
            not_before: date(certificate.not_before_unix()),
            not_after: date(certificate.not_after_unix()),
            days_left: at.map(|at| certificate.days_left(at)),
            dns_names: dns_names.take(MAX_SHOWN_NAMES).collect(),
            ip_addresses: certificate.ip_addresses().take(MAX_SHOWN_NAMES).collect(),
            names_total: certificate.dns_names().count() + certificate.ip_addresses().count(),
            key: certificate.key_description(),
            signature_algorithm: certificate.signature_algorithm(),
            spki_sha256: hex(&certificate.spki_sha256()),
            sha256: hex(&certificate.sha256()),
            scts_total: scts.as_ref().map_or(0, Vec::len),
            scts: scts.map(|scts| scts.iter().take(MAX_SHOWN_SCTS).map(SctMap::of).collect()),
        }
    }
}

impl Serialize for Certificate {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        CertificateMap::of(self, None).serialize(serializer)
    }
}

#[derive(Serialize)]
struct SctMap {
    log_id: String,
    timestamp: String,
}

impl SctMap {
    fn of(sct: &Sct) -> Self {
        Self {
            log_id: STANDARD.encode(sct.log_id()),
            timestamp: date(UnixTime::since_unix_epoch(sct.timestamp)),
        }
    }
}

impl Serialize for Sct {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        SctMap::of(self).serialize(serializer)
    }
}

#[derive(Serialize)]
struct AnchorMap<'a> {
    certificate: CertificateMap,
    source: &'a str,
}

impl<'a> AnchorMap<'a> {
    fn of(anchor: &'a Anchor, at: Option<SystemTime>) -> Self {
        Self {
            certificate: CertificateMap::of(anchor.certificate(), at),
            source: anchor.source(),
        }
    }
}

impl Serialize for Anchor {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        AnchorMap::of(self, None).serialize(serializer)
    }
}

#[derive(Serialize)]
struct StapleMap {
    status: CertStatus,
    produced_at: String,
    this_update: String,
    next_update: Option<String>,
    revoked_at: Option<String>,
    revocation_reason: Option<&'static str>,
    responder: CertificateMap,
}

impl StapleMap {
    fn of(staple: &Staple, at: Option<SystemTime>) -> Self {
        Self {
            status: staple.status(),
            produced_at: date(staple.produced_at),
            this_update: date(staple.this_update),
            next_update: staple.next_update.map(date),
            revoked_at: staple.revoked_at.map(date),
            revocation_reason: staple.revocation_reason(),
            responder: CertificateMap::of(staple.responder(), at),
        }
    }
}

impl Serialize for Staple {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        StapleMap::of(self, None).serialize(serializer)
    }
}

/// A path that can be taken has seven, and its root.
const MAX_SHOWN_CERTIFICATES: usize = 8;
const MAX_SHOWN_REASONS: usize = 32;
const MAX_SHOWN_SCTS: usize = 8;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::{json, to_value};

    use super::super::certificate::forge::*;
    use super::super::reason::Code;
    use super::super::verdict::Findings;
    use super::*;

    #[test]
    fn an_anchor_by_itself() {
        let names = (0..20).map(|i| format!("h{i}.example")).collect::<Vec<_>>();
        let names = names
            .iter()
            .map(|name| (DNS, name.as_bytes()))
            .chain([(IP, &[192, 0, 2, 1][..])]);
        let extensions = vec![alternative_names(&names.collect::<Vec<_>>())];
        let certificate = Forged {
            extensions,
            ..Forged::default()
        }
        .certificate();
        let (sha256, spki_sha256) = (hex(&certificate.sha256()), hex(&certificate.spki_sha256()));
        assert_eq!(
            to_value(Anchor::new(certificate, "a.pem".into())).unwrap(),
            json!({
                "certificate": {
                    "subject": "CN=forged",
                    "issuer": "CN=forger",
                    "serial": "01",
                    "not_before": "2025-01-01T00:00:00Z",
                    "not_after": "2026-01-01T00:00:00Z",
                    "days_left": null,
                    "dns_names": (0..8).map(|i| format!("h{i}.example")).collect::<Vec<_>>(),
                    "ip_addresses": ["192.0.2.1"],
                    "names_total": 21,
                    "key": "Ed25519",
                    "signature_algorithm": "Ed25519",
                    "spki_sha256": spki_sha256,
                    "sha256": sha256,
                    "scts": null,
                    "scts_total": 0,
                },
                "source": "a.pem",
            })
        );
    }

    #[test]
    fn the_reasons_are_bounded_and_so_is_the_whole() {
        let text = "\\".repeat(253);
        let name = name(&[(CN, 0x0c, text.as_bytes()), (O, 0x0c, text.as_bytes())]);
        let certificate = Forged {
            subject: name,
            extensions: vec![alternative_names(&[(DNS, text.as_bytes()); 9])],
            ..Forged::default()
        }
        .certificate();
        let sentence = |i| format!("{i}: {}", text.repeat(4));
        let reason = |i| Reason::new(Code::Profile, sentence(i)).with_hint(text.as_str());
        let verdict = Verdict::new(Findings {
            host: "a.example".into(),
            judged_at: UnixTime::since_unix_epoch(Duration::ZERO),
            reasons: (0..1_000).map(reason).collect(),
            skipped: Vec::new(),
            chain: vec![certificate.clone(); 1_000],
            anchor: Some(Anchor::new(certificate, "a.pem".into())),
            staple: None,
        });
        let shown = to_value(&verdict).unwrap();
        assert_eq!(shown["reasons"].as_array().unwrap().len(), 32);
        assert_eq!(shown["reasons_total"], 1_000);
        assert_eq!(shown["reasons"][31]["sentence"], sentence(31));
        assert_eq!(shown["chain"].as_array().unwrap().len(), 8);
        assert_eq!(shown["chain_total"], 1_000);
        let length = shown.to_string().len();
        assert!((100_000..256 << 10).contains(&length), "{length}");
    }

    #[test]
    fn a_staple_by_itself() {
        let responder = Forged::default().certificate();
        let moment = |seconds| UnixTime::since_unix_epoch(Duration::from_secs(seconds));
        let staple = Staple {
            status: CertStatus::Revoked,
            produced_at: moment(1_780_272_001),
            this_update: moment(1_780_272_000),
            next_update: None,
            revoked_at: Some(moment(1_780_271_999)),
            revocation_reason: Some("keyCompromise"),
            responder: responder.clone(),
        };
        assert_eq!(
            to_value(staple).unwrap(),
            json!({
                "status": "revoked",
                "produced_at": "2026-06-01T00:00:01Z",
                "this_update": "2026-06-01T00:00:00Z",
                "next_update": null,
                "revoked_at": "2026-05-31T23:59:59Z",
                "revocation_reason": "keyCompromise",
                "responder": to_value(responder).unwrap(),
            })
        );
    }
}
