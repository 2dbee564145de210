//! One authority and one certificate for `localhost`, both ECDSA P-256, minted for each run.

use std::path::PathBuf;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, KeyUsagePurpose, SerialNumber, date_time_ymd,
};

use crate::Result;
use crate::folder::Folder;

/// Where the files are, for as long as this lives.
pub struct Pki {
    pub ca: PathBuf,
    pub leaf: PathBuf,
    pub key: PathBuf,
    _folder: Folder,
}

impl Pki {
    pub fn mint() -> Result<Self> {
        let ca = CertifiedIssuer::self_signed(authority(), KeyPair::generate()?)?;
        let key = KeyPair::generate()?;
        let leaf = server()?.signed_by(&key, &ca)?;

        let folder = Folder::new()?;
        Ok(Self {
            ca: folder.write("ca.pem", ca.pem())?,
            leaf: folder.write("leaf.pem", leaf.pem())?,
            key: folder.write("leaf.key", key.serialize_pem())?,
            _folder: folder,
        })
    }
}

fn authority() -> CertificateParams {
    let mut params = named("urlfetch bench root", 1);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

fn server() -> Result<CertificateParams> {
    let names = ["localhost", "127.0.0.1"].map(str::to_owned);
    let mut params = named("localhost", 2);
    params.subject_alt_names = CertificateParams::new(names)?.subject_alt_names;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.use_authority_key_identifier_extension = true;
    Ok(params)
}

fn named(name: &str, serial: u64) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.serial_number = Some(SerialNumber::from(serial));
    params.not_before = date_time_ymd(2020, 1, 1);
    params.not_after = date_time_ymd(2099, 1, 1);
    params
}
