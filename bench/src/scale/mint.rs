//! Certificates and lists, made here so that there are as many as a growth wants.

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CertifiedIssuer,
    DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, KeyIdMethod, KeyPair,
    KeyUsagePurpose, RevocationReason, RevokedCertParams, SanType, SerialNumber, date_time_ymd,
};

pub(crate) type Key = KeyPair;
pub(crate) type Authority = CertifiedIssuer<'static, KeyPair>;

pub(crate) fn key() -> Key {
    KeyPair::generate().expect("a key of P-256")
}

/// A CA that is nobody's but its own.
pub(crate) fn root(name: &str) -> Authority {
    CertifiedIssuer::self_signed(ca(name), key()).expect("a root")
}

/// A CA below another.
pub(crate) fn below(above: &Authority, name: &str) -> Authority {
    CertifiedIssuer::signed_by(ca(name), key(), above).expect("a CA")
}

/// The parameters of a server's certificate.
pub(crate) fn leaf(names: impl IntoIterator<Item = String>) -> CertificateParams {
    let name = |name: String| match name.parse() {
        Ok(address) => SanType::IpAddress(address),
        Err(_) => SanType::DnsName(name.try_into().expect("ASCII")),
    };
    let mut params = certain("a server");
    params.subject_alt_names = names.into_iter().map(name).collect();
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params
}

pub(crate) fn der(params: &CertificateParams, issuer: &Authority) -> Vec<u8> {
    let certificate = params.signed_by(&key(), issuer).expect("a certificate");
    certificate.der().to_vec()
}

/// The certificate of the server of all growths, which is trusted by itself, and its key.
pub(crate) fn server() -> (Authority, Key) {
    let names = ["127.0.0.1", "localhost", "*.scale.test"].map(str::to_owned);
    let key = key();
    let bytes = key.serialize_der();
    let leaf = CertifiedIssuer::self_signed(leaf(names), key).expect("a certificate");
    (leaf, bytes.as_slice().try_into().expect("the same key"))
}

/// A list in which so many certificates are revoked, of none that is a [`leaf`].
pub(crate) fn crl(issuer: &Authority, entries: usize) -> Vec<u8> {
    let mut state = 1_u128;
    let mut serial = || {
        // A linear congruence is random enough to be out of order.
        state = state.wrapping_mul(0x2360_ed05_1fc6_5da4_4385_df64_9fcc_f645);
        state = state.wrapping_add(0x5851_f42d_4c95_7f2d_1405_7b7e_f767_814f);
        SerialNumber::from((state >> 1 | 1 << 126).to_be_bytes().to_vec())
    };
    let entry = |_| RevokedCertParams {
        serial_number: serial(),
        revocation_time: date_time_ymd(2026, 5, 1),
        reason_code: Some(RevocationReason::KeyCompromise),
        invalidity_date: None,
    };
    let params = CertificateRevocationListParams {
        this_update: date_time_ymd(2020, 1, 1),
        next_update: date_time_ymd(2040, 1, 1),
        crl_number: SerialNumber::from(1),
        issuing_distribution_point: None,
        revoked_certs: (0..entries).map(entry).collect(),
        key_identifier_method: KeyIdMethod::Sha256,
    };
    params.signed_by(issuer).expect("a CRL").der().to_vec()
}

fn ca(name: &str) -> CertificateParams {
    let mut params = certain(name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

/// Good from 2020 to 2040.
fn certain(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.serial_number = Some(SerialNumber::from(1));
    params.not_before = date_time_ymd(2020, 1, 1);
    params.not_after = date_time_ymd(2040, 1, 1);
    params
}
