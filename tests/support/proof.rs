//! Certificates for the proof and for the verdicts: one root that is trusted, one moment that it is
//! now, and everything else told by what differs from a good certificate.

use std::net::IpAddr;
use std::time::{Duration, SystemTime};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, IsCa, KeyPair, KeyUsagePurpose, SanType, SerialNumber, date_time_ymd,
};
use rustls::pki_types::CertificateDer;
use urlfetch::tls::RootStore;

pub(crate) type Chain = Vec<CertificateDer<'static>>;
pub(crate) type Authority = CertifiedIssuer<'static, KeyPair>;

/// When it is now: 2026-06-01. Certificates are good from 2020 to 2030 unless a test says
/// otherwise.
pub(crate) fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_780_272_000)
}

/// The parameters of a good certificate for a server of these names and addresses.
pub(crate) fn leaf(names: &[&str]) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.subject_alt_names = names.iter().map(|name| alternative(name)).collect();
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    certain(params, names.first().copied().unwrap_or("nameless"))
}

/// The parameters of a good CA.
pub(crate) fn ca(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    certain(params, name)
}

/// A root by itself. It is trusted by whoever has it in a [`store`].
pub(crate) fn root(name: &str) -> Authority {
    CertifiedIssuer::self_signed(ca(name), KeyPair::generate().unwrap()).unwrap()
}

/// A CA below another.
pub(crate) fn below(above: &Authority, params: CertificateParams) -> Authority {
    CertifiedIssuer::signed_by(params, KeyPair::generate().unwrap(), above).unwrap()
}

pub(crate) fn issue(
    issuer: &Authority,
    params: &CertificateParams,
    key: &KeyPair,
) -> CertificateDer<'static> {
    params.signed_by(key, issuer).unwrap().into()
}

pub(crate) fn store(root: &Authority) -> RootStore {
    RootStore::empty().add_pem(root.pem()).unwrap()
}

fn alternative(name: &str) -> SanType {
    match name.parse::<IpAddr>() {
        Ok(address) => SanType::IpAddress(address),
        Err(_) => SanType::DnsName(name.try_into().unwrap()),
    }
}

fn certain(mut params: CertificateParams, common_name: &str) -> CertificateParams {
    params.distinguished_name = DistinguishedName::new();
    params
        .distinguished_name
        .push(DnType::CommonName, common_name);
    params.serial_number = Some(SerialNumber::from(1));
    params.not_before = date_time_ymd(2020, 1, 1);
    params.not_after = date_time_ymd(2030, 1, 1);
    params
}
