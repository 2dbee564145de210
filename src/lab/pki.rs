//! The lab's certificates: a root that clients trust, what it issued well, and what is wrong in
//! each bad case.
//!
//! All validity is fixed, so that no clock is read: what is good is good from 2000 to 2100.

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, CustomExtension, DnType, Error,
    ExtendedKeyUsagePurpose, GeneralSubtree, IsCa, KeyPair, KeyUsagePurpose, NameConstraints,
    SerialNumber, date_time_ymd,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

use super::ocsp::Response;
use super::{Scenario, der};

/// The lab's authorities and keys. Certificates of servers are minted as they are asked for.
pub(super) struct Pki {
    root: Authority,
    intermediate: Authority,
    constrained: Authority,
    stranger: Authority,
    client_root: Authority,
    /// One key serves all scenarios: what tells them apart is the certificate.
    server_key: KeyPair,
    ca_pem: String,
    client_certificate_pem: String,
    client_key_pem: String,
}

type Authority = CertifiedIssuer<'static, KeyPair>;

impl Pki {
    /// Makes the keys, the authorities and the client's identity.
    pub(super) fn mint() -> Result<Self, Error> {
        let root =
            CertifiedIssuer::self_signed(authority("urlfetch lab root", 1), KeyPair::generate()?)?;
        let intermediate =
            CertifiedIssuer::signed_by(authority(INTERMEDIATE, 2), KeyPair::generate()?, &root)?;

        let mut params = authority("urlfetch lab constrained intermediate", 3);
        params.name_constraints = Some(NameConstraints {
            permitted_subtrees: vec![GeneralSubtree::DnsName("permitted.lab.test".to_owned())],
            excluded_subtrees: Vec::new(),
        });
        let constrained = CertifiedIssuer::signed_by(params, KeyPair::generate()?, &root)?;

        let stranger =
            CertifiedIssuer::self_signed(authority("untrusted root", 4), KeyPair::generate()?)?;
        let client_root = CertifiedIssuer::self_signed(
            authority("urlfetch lab client root", 5),
            KeyPair::generate()?,
        )?;

        let client_key = KeyPair::generate()?;
        let mut client = leaf(vec!["client.lab.test".to_owned()], 6, &client_key)?;
        client.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        Ok(Self {
            ca_pem: root.pem(),
            client_certificate_pem: client.signed_by(&client_key, &client_root)?.pem(),
            client_key_pem: client_key.serialize_pem(),
            server_key: KeyPair::generate()?,
            root,
            intermediate,
            constrained,
            stranger,
            client_root,
        })
    }

    /// What the server of this scenario presents: its own certificate first.
    pub(super) fn chain(&self, scenario: Scenario) -> Result<Vec<CertificateDer<'static>>, Error> {
        let key = &self.server_key;
        let mut params = leaf(names(scenario), serial(scenario), key)?;
        match scenario {
            Scenario::CommonNameOnly => params.subject_alt_names.clear(),
            Scenario::Expired => params.not_after = date_time_ymd(2001, 1, 1),
            Scenario::NotYetValid => params.not_before = date_time_ymd(2099, 1, 1),
            Scenario::WrongPurpose => {
                params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth]
            }
            // rcgen writes the key identifier of a CA itself.
            Scenario::CaAsLeaf | Scenario::SelfSignedCa => {
                params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
                params.custom_extensions.clear();
            }
            Scenario::Stapled | Scenario::MissingStaple => {
                let promise = CustomExtension::from_oid_content(TLS_FEATURE, der::status_request());
                params.custom_extensions.push(promise);
            }
            _ => {}
        }

        let issued = |by: &Authority| params.signed_by(key, by).map(CertificateDer::from);
        let intermediate = self.intermediate.der().clone();
        Ok(match scenario {
            Scenario::SelfSigned | Scenario::SelfSignedCa => vec![params.self_signed(key)?.into()],
            Scenario::UntrustedRoot => vec![issued(&self.stranger)?, self.stranger.der().clone()],
            Scenario::MissingIntermediate => vec![issued(&self.intermediate)?],
            Scenario::NameConstraintViolated => {
                vec![issued(&self.constrained)?, self.constrained.der().clone()]
            }
            Scenario::BadSignature => vec![
                der::with_bad_signature(&issued(&self.intermediate)?),
                intermediate,
            ],
            Scenario::Version1 => {
                let issuer_key = self.intermediate.key();
                vec![
                    der::version_1(scenario.host(), key, INTERMEDIATE, issuer_key)?,
                    intermediate,
                ]
            }
            _ => vec![issued(&self.intermediate)?, intermediate],
        })
    }

    /// The OCSP response that the server of this scenario staples, if it does: the intermediate's.
    pub(super) fn staple(&self, scenario: Scenario) -> Result<Option<Vec<u8>>, Error> {
        let response = match scenario {
            Scenario::Stapled => Response::good(serial(scenario)),
            Scenario::Revoked => Response::revoked(serial(scenario)),
            Scenario::StapleOfAnother => Response::good(serial(Scenario::Stapled)),
            Scenario::StaleStaple => Response::stale(serial(scenario)),
            _ => return Ok(None),
        };
        let response = response.sign(INTERMEDIATE, self.intermediate.key())?;
        Ok(Some(response))
    }

    /// The key of every server.
    pub(super) fn server_key(&self) -> PrivateKeyDer<'static> {
        PrivatePkcs8KeyDer::from(self.server_key.serialize_der()).into()
    }

    /// The root that clients trust.
    pub(super) fn ca_der(&self) -> &CertificateDer<'static> {
        self.root.der()
    }

    pub(super) fn ca_pem(&self) -> &str {
        &self.ca_pem
    }

    /// The root by which a server knows the lab's clients; no client trusts it.
    pub(super) fn client_ca_der(&self) -> &CertificateDer<'static> {
        self.client_root.der()
    }

    /// The client's certificate and its PKCS#8 key.
    pub(super) fn client_identity_pem(&self) -> (&str, &str) {
        (&self.client_certificate_pem, &self.client_key_pem)
    }
}

/// The subject alternative names of the certificate, which are the host's own unless they are the
/// point.
fn names(scenario: Scenario) -> Vec<String> {
    let host = scenario.host();
    let name = match scenario {
        Scenario::Wildcard => "*.wildcard.lab.test",
        Scenario::WrongHost => "www.wrong-host.lab.test",
        Scenario::ValidForAnotherSite => Scenario::Good.host(),
        Scenario::WildcardTooDeep => "*.too-deep.lab.test",
        Scenario::IpForName => "ip-for-name.lab.test",
        // 1,000 names, the matching one last; about 30 KiB, where rustls takes a message of 64 KiB.
        Scenario::ManySans => {
            return (1..1_000)
                .map(|i| format!("site-{i:03}.{host}"))
                .chain([host.to_owned()])
                .collect();
        }
        _ => host,
    };
    vec![name.to_owned()]
}

/// The serial number of the certificate.
fn serial(scenario: Scenario) -> u64 {
    FIRST_SERVER_SERIAL + scenario as u64
}

/// The certificate of a server, as the CA/Browser Forum's Baseline Requirements (§7.1.2.7) have it.
fn leaf(names: Vec<String>, serial: u64, key: &KeyPair) -> Result<CertificateParams, Error> {
    let mut params = CertificateParams::new(names.clone())?;
    certain(&mut params, names.last().map_or("", String::as_str), serial);
    params.use_authority_key_identifier_extension = true;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let identifier = der::subject_key_identifier(&params, key);
    params.custom_extensions = vec![CustomExtension::from_oid_content(
        SUBJECT_KEY_IDENTIFIER,
        identifier,
    )];
    Ok(params)
}

/// The certificate of an authority.
fn authority(name: &str, serial: u64) -> CertificateParams {
    let mut params = CertificateParams::default();
    certain(&mut params, name, serial);
    params.use_authority_key_identifier_extension = true;
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

/// What rcgen would choose otherwise: the name, the validity, and a serial number that is not the
/// key's digest, for certificates of one key must differ in it.
fn certain(params: &mut CertificateParams, common_name: &str, serial: u64) {
    params.distinguished_name = rcgen::DistinguishedName::new();
    params
        .distinguished_name
        .push(DnType::CommonName, common_name);
    params.serial_number = Some(SerialNumber::from(serial));
    params.not_before = date_time_ymd(2000, 1, 1);
    params.not_after = date_time_ymd(2100, 1, 1);
}

const INTERMEDIATE: &str = "urlfetch lab intermediate";
const FIRST_SERVER_SERIAL: u64 = 16;
/// 2.5.29.14 (RFC 5280 §4.2.1.2).
const SUBJECT_KEY_IDENTIFIER: &[u64] = &[2, 5, 29, 14];
/// 1.3.6.1.5.5.7.1.24 (RFC 7633 §6).
const TLS_FEATURE: &[u64] = &[1, 3, 6, 1, 5, 5, 7, 1, 24];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use x509_cert::Certificate;
    use x509_cert::der::Decode;

    use super::*;

    #[test]
    fn certificates_are_der_and_within_a_handshake_message() {
        let pki = Pki::mint().unwrap();
        for scenario in Scenario::all() {
            let chain = pki.chain(scenario).unwrap();
            assert!(
                chain.iter().map(|der| der.len()).sum::<usize>() < 64 * 1024,
                "{scenario}"
            );
            for der in chain {
                Certificate::from_der(&der).unwrap_or_else(|error| panic!("{scenario}: {error}"));
            }
        }
    }

    #[test]
    fn one_issuer_gives_no_serial_number_twice() {
        let pki = Pki::mint().unwrap();
        let serials: BTreeSet<_> = Scenario::all()
            .map(|scenario| {
                let chain = pki.chain(scenario).unwrap();
                let tbs = Certificate::from_der(&chain[0]).unwrap().tbs_certificate;
                (
                    tbs.issuer.to_string(),
                    tbs.serial_number.as_bytes().to_vec(),
                )
            })
            .collect();
        assert_eq!(serials.len(), Scenario::all().len());
    }

    #[test]
    fn the_identity_of_the_client_is_pem() {
        let pki = Pki::mint().unwrap();
        let (certificate, key) = pki.client_identity_pem();
        assert!(certificate.starts_with("-----BEGIN CERTIFICATE-----"));
        assert!(key.starts_with("-----BEGIN PRIVATE KEY-----"));
    }
}
