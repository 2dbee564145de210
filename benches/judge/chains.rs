//! Chains to be judged: short and long, by elliptic curves and by RSA.

use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, CrlDistributionPoint, CustomExtension,
    DistinguishedName, DnType, DnValue, ExtendedKeyUsagePurpose, IsCa, KeyPair, KeyUsagePurpose,
    PKCS_ECDSA_P256_SHA256, PKCS_RSA_SHA256, RsaKeySize, SanType, SerialNumber, date_time_ymd,
};
use urlfetch::tls::{CertificateDer, UnixTime};

/// What a server presents, and the root that it leads to.
pub(crate) struct Chain {
    pub(crate) name: String,
    pub(crate) presented: Vec<CertificateDer<'static>>,
    pub(crate) root: CertificateDer<'static>,
    /// The leaf's, in PKCS#8.
    pub(crate) key: Vec<u8>,
}

/// Of leaves that have the least and of such as public CAs issue today.
pub(crate) fn chains() -> Vec<Chain> {
    let mut chains = Vec::new();
    for (kind, new_key) in [("P-256", p_256 as fn() -> KeyPair), ("RSA-2048", rsa_2048)] {
        let below = |above: &Authority, name: &str, depth| {
            CertifiedIssuer::signed_by(authority(name, depth), new_key(), above).unwrap()
        };
        let root = CertifiedIssuer::self_signed(authority("root", 2), new_key()).unwrap();
        let upper = below(&root, "upper", 1);
        let (only, lower) = (below(&root, "only", 0), below(&upper, "lower", 0));
        let key = new_key();
        for (what, leaf) in [("plain", plain()), ("40 names", like_a_public_one(&key))] {
            for issuers in [&[&only][..], &[&lower, &upper]] {
                let signed = leaf.signed_by(&key, issuers.first().unwrap()).unwrap();
                let issuers = issuers.iter().map(|issuer| issuer.der().clone());
                let presented: Vec<_> = [signed.into()].into_iter().chain(issuers).collect();
                chains.push(Chain {
                    name: format!("{} certificates, {kind}, {what}", presented.len()),
                    presented,
                    root: root.der().clone(),
                    key: key.serialize_der(),
                });
            }
        }
    }
    chains
}

type Authority = CertifiedIssuer<'static, KeyPair>;

fn p_256() -> KeyPair {
    KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap()
}

fn rsa_2048() -> KeyPair {
    KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048).unwrap()
}

fn authority(name: &str, depth: u8) -> CertificateParams {
    let mut params = certain(name, name);
    params.not_before = date_time_ymd(2020, 1, 1);
    params.not_after = date_time_ymd(2035, 1, 1);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(depth));
    params.key_usages = vec![
        KeyUsagePurpose::DigitalSignature,
        KeyUsagePurpose::KeyCertSign,
        KeyUsagePurpose::CrlSign,
    ];
    if name != "root" {
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.custom_extensions = vec![policies(), access()];
        params.crl_distribution_points = crls();
    }
    params
}

/// The certificate of a server, with what every one of them has to have (BR 7.1.2.7).
fn plain() -> CertificateParams {
    let mut params = certain(HOST, "");
    params.subject_alt_names = vec![SanType::DnsName(HOST.try_into().unwrap())];
    params.not_before = date_time_ymd(2026, 4, 10);
    params.not_after = date_time_ymd(2026, 7, 9);
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.custom_extensions = vec![policies(), access()];
    params
}

/// The same with 40 names, the host's the last of them, and all that is usual besides.
fn like_a_public_one(key: &KeyPair) -> CertificateParams {
    let mut params = plain();
    let other = |i| SanType::DnsName(format!("shop-{i}.example.com").try_into().unwrap());
    params.subject_alt_names.splice(0..0, (1..40).map(other));
    params.crl_distribution_points = crls();
    let id = params.key_identifier(key);
    params.custom_extensions.extend([
        extension(&[2, 5, 29, 14], tlv(0x04, &[&id])),
        // Two timestamps (RFC 6962 §3.3) of 118 bytes each, with signatures of nobody.
        extension(
            &[1, 3, 6, 1, 4, 1, 11129, 2, 4, 2],
            tlv(0x04, &[&[0, 240], &timestamp(), &timestamp()]),
        ),
    ]);
    params
}

fn certain(common_name: &str, organization: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    let name = &mut params.distinguished_name;
    *name = DistinguishedName::new();
    if !organization.is_empty() {
        name.push(
            DnType::CountryName,
            DnValue::PrintableString("DE".try_into().unwrap()),
        );
        name.push(DnType::OrganizationName, organization);
    }
    name.push(DnType::CommonName, common_name);
    params.serial_number = Some(SerialNumber::from_slice(&[0x5a; 16]));
    params.use_authority_key_identifier_extension = true;
    params
}

/// certificatePolicies: the Baseline Requirements' `domain-validated`, 2.23.140.1.2.1.
fn policies() -> CustomExtension {
    let policy = tlv(0x30, &[&tlv(0x06, &[&[0x67, 0x81, 0x0c, 1, 2, 1]])]);
    extension(&[2, 5, 29, 32], tlv(0x30, &[&policy]))
}

/// authorityInfoAccess: where the issuer's certificate is, 1.3.6.1.5.5.7.48.2.
fn access() -> CustomExtension {
    let method = tlv(0x06, &[&[0x2b, 6, 1, 5, 5, 7, 0x30, 2]]);
    let location = tlv(0x86, &[b"http://ca.example.com/issuer.cer"]);
    let description = tlv(0x30, &[&method, &location]);
    extension(&[1, 3, 6, 1, 5, 5, 7, 1, 1], tlv(0x30, &[&description]))
}

fn crls() -> Vec<CrlDistributionPoint> {
    vec![CrlDistributionPoint {
        uris: vec!["http://ca.example.com/issuer.crl".to_owned()],
    }]
}

fn timestamp() -> Vec<u8> {
    // Version 1, the log's id, milliseconds, no extensions, ecdsa with SHA-256, the signature.
    let milliseconds = 1_775_000_000_000_u64.to_be_bytes();
    [
        &[0, 118, 0][..],
        &[7; 32],
        &milliseconds,
        &[0, 0, 4, 3, 0, 71],
        &[9; 71],
    ]
    .concat()
}

fn extension(id: &[u64], value: Vec<u8>) -> CustomExtension {
    CustomExtension::from_oid_content(id, value)
}

fn tlv(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let value = parts.concat();
    let length = value.len() as u8;
    let header = if length < 0x80 {
        vec![tag, length]
    } else {
        vec![tag, 0x81, length]
    };
    [header, value].concat()
}

/// 2026-06-01.
pub(crate) fn now() -> UnixTime {
    UnixTime::since_unix_epoch(Duration::from_secs(1_780_272_000))
}

pub(crate) const HOST: &str = "www.example.com";
