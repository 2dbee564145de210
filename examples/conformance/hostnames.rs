//! Pairs of a certificate's names and a host: `match_hostname`, and a real certificate before
//! `Verifier::judge`.

use std::net::{IpAddr, Ipv6Addr};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, CustomExtension, DistinguishedName,
    DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair, KeyUsagePurpose,
};
use serde_json::Value;
use urlfetch::tls::{
    Certificate, CertificateDer, Check, Outcome, Policy, Presented, RootStore, ServerName, Subject,
    UnixTime, Verifier, match_hostname,
};

use crate::Anything;

/// A CA, and who trusts it.
pub(crate) struct Bench {
    issuer: CertifiedIssuer<'static, KeyPair>,
    verifier: Verifier,
    /// Of every certificate: its names are what it is about.
    key: KeyPair,
}

impl Bench {
    pub(crate) fn new() -> Result<Self, Anything> {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate()?)?;
        let roots = RootStore::empty().add_der(issuer.der())?;
        Ok(Self {
            issuer,
            verifier: Verifier::builder()
                .roots(roots)
                .policy(Policy::default())
                .build()?,
            key: KeyPair::generate()?,
        })
    }

    /// Whether both say what is expected, else what differs.
    pub(crate) fn check(&self, vector: &Value) -> Result<(), String> {
        let host = vector["host"].as_str().ok_or("it names no host")?;
        let expected = vector["strict_verdict"]
            .as_str()
            .ok_or("it expects nothing")?;
        let der = self
            .certificate(vector)
            .map_err(|error| error.to_string())?;
        let certificate = Certificate::from_der(&der).map_err(|error| error.to_string())?;
        let matched = match match_hostname(&certificate, host) {
            Ok(()) => "match",
            Err(mismatch) if mismatch.host_is_valid() => "no_match",
            Err(_) => "invalid_reference",
        };
        if matched != expected {
            return Err(format!(
                "match_hostname says {matched}, expected is {expected}"
            ));
        }
        let judged = self.judge(&[der], host);
        let is_as_expected = match judged.as_str() {
            "match" => expected == "match",
            "hostname-mismatch" => expected != "match",
            "invalid_reference" => expected == "invalid_reference",
            _ => false,
        };
        match is_as_expected {
            true => Ok(()),
            false => Err(format!("judge says {judged}, expected is {expected}")),
        }
    }

    fn judge(&self, chain: &[CertificateDer<'static>], host: &str) -> String {
        // Brackets are a URL's: it takes them off before it names a server.
        let bare = host
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'));
        let bare = bare.filter(|address| address.parse::<Ipv6Addr>().is_ok());
        let Ok(name) = ServerName::try_from(bare.unwrap_or(host)) else {
            return "invalid_reference".into();
        };
        let verdict = self
            .verifier
            .judge(&Presented::new(chain), &name, UnixTime::now());
        // Whether it is for this host: a wildcard of all that a public suffix has is refused, and not
        // because it does not match.
        let name = verdict
            .checks()
            .iter()
            .find(|check| check.subject() == Subject::Name);
        match name.map(Check::outcome) {
            Some(Outcome::Passed) => "match".into(),
            Some(Outcome::Failed(reason)) => reason.code().into(),
            _ => "nothing".into(),
        }
    }

    /// A certificate with these names. rcgen would not write all of them, so the extension is
    /// written here.
    fn certificate(&self, vector: &Value) -> Result<CertificateDer<'static>, Anything> {
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        if let Some(name) = vector["subject_cn"].as_str() {
            params.distinguished_name.push(DnType::CommonName, name);
        }
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let texts = |field| {
            vector[field]
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(Value::as_str)
        };
        let mut names = Vec::new();
        for name in texts("san_dns") {
            names.extend(tlv(DNS_NAME, name.as_bytes())?);
        }
        for address in texts("san_ip") {
            names.extend(match address.parse()? {
                IpAddr::V4(address) => tlv(IP_ADDRESS, &address.octets())?,
                IpAddr::V6(address) => tlv(IP_ADDRESS, &address.octets())?,
            });
        }
        for uri in texts("san_uri") {
            names.extend(tlv(URI, uri.as_bytes())?);
        }
        if !names.is_empty() {
            let names = tlv(SEQUENCE, &names)?;
            let extension = CustomExtension::from_oid_content(SUBJECT_ALT_NAME, names);
            params.custom_extensions.push(extension);
        }
        Ok(params.signed_by(&self.key, &self.issuer)?.into())
    }
}

/// Tag, length (X.690 §8.1.3) and content.
fn tlv(tag: u8, content: &[u8]) -> Result<Vec<u8>, Anything> {
    let length = u16::try_from(content.len())?;
    let head = match length.to_be_bytes() {
        [0, short @ ..0x80] => vec![tag, short],
        [0, low] => vec![tag, 0x81, low],
        [high, low] => vec![tag, 0x82, high, low],
    };
    Ok([&head, content].concat())
}

const SEQUENCE: u8 = 0x30;
/// GeneralName, RFC 5280 §4.2.1.6.
const DNS_NAME: u8 = 0x82;
const URI: u8 = 0x86;
const IP_ADDRESS: u8 = 0x87;
const SUBJECT_ALT_NAME: &[u64] = &[2, 5, 29, 17];
