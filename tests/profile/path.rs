//! Paths of a root, a CA and a leaf, minted after a change to the parts of a good one, and judged.

use std::time::Duration;

use rcgen::{KeyPair, PKCS_ED25519, PublicKeyData};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use urlfetch::tls::{Policy, Presented, RootStore, Verdict, Verifier};

use crate::mint::{Tbs, integer, key_usage, name, octets, oid, sequence, tlv, utc};

/// What is changed in a good path.
pub(crate) type Change = fn(&mut Path);

/// A root, a CA below it and a leaf below that, before they are signed.
pub(crate) struct Path {
    pub(crate) root: Tbs,
    pub(crate) ca: Tbs,
    pub(crate) leaf: Tbs,
    pub(crate) root_is_signed_by_another: bool,
    /// For which it is judged.
    pub(crate) host: &'static str,
}

impl Path {
    pub(crate) fn good([root_key, ca_key, leaf_key]: &[KeyPair; 3]) -> Self {
        let authority = |tbs: &mut Tbs, id: &[u8]| {
            tbs.set(BASIC_CONSTRAINTS, true, sequence(&[&[1, 1, 0xff]]));
            tbs.set(KEY_USAGE, true, key_usage(&[CERT_SIGN, CRL_SIGN]));
            tbs.set(KEY_ID, false, octets(id));
        };
        let mut root = Tbs::new(name(&["root"]), name(&["root"]), root_key);
        authority(&mut root, ROOT_ID);
        let mut ca = Tbs::new(name(&["ca"]), name(&["root"]), ca_key);
        authority(&mut ca, CA_ID);
        ca.set(ISSUER_KEY_ID, false, key_id(ROOT_ID));
        let mut leaf = Tbs::new(name(&[HOST]), name(&["ca"]), leaf_key);
        leaf.set(NAMES, false, names(&[(DNS, HOST.as_bytes())]));
        leaf.set(ISSUER_KEY_ID, false, key_id(CA_ID));
        leaf.set(KEY_USAGE, true, key_usage(&[DIGITAL_SIGNATURE]));
        leaf.set(EKU, false, purposes(&[SERVER_AUTH]));
        leaf.set(AIA, false, access(URI, b"http://ca.test/ca.crt"));
        Self {
            root,
            ca,
            leaf,
            root_is_signed_by_another: false,
            host: HOST,
        }
    }

    pub(crate) fn rename_ca(&mut self, common_names: &[&str]) {
        self.ca.subject = name(common_names);
        self.leaf.issuer = name(common_names);
    }

    /// Makes the root one that says that another has issued it.
    pub(crate) fn vouch_for_root(&mut self, issuer: &[&str]) {
        self.root.issuer = name(issuer);
        self.root.set(ISSUER_KEY_ID, false, key_id(&[9; 20]));
    }

    /// A domain validated certificate, for as long as such ones may be.
    pub(crate) fn claim_public_trust(&mut self) {
        self.leaf
            .set(POLICIES, false, policies(&["2.23.140.1.2.1"]));
        self.leaf.validity = [utc("260101000000Z"), utc("270202235959Z")];
    }

    /// Judges it for another host, with these names behind the first one's.
    pub(crate) fn stand_for(&mut self, host: &'static str, more: &[&str]) {
        let more: Vec<_> = more.iter().map(|name| (DNS, name.as_bytes())).collect();
        self.add_names(&more);
        self.host = host;
    }

    /// Puts names behind the host's.
    pub(crate) fn add_names(&mut self, more: &[(u8, &[u8])]) {
        let all = [&[(DNS, HOST.as_bytes())], more].concat();
        self.leaf.set(NAMES, false, names(&all));
    }
}

pub(crate) struct World {
    pub(crate) keys: [KeyPair; 3],
    another: KeyPair,
}

impl World {
    pub(crate) fn new() -> Self {
        Self {
            keys: [(); 3].map(|()| KeyPair::generate().unwrap()),
            another: KeyPair::generate().unwrap(),
        }
    }

    pub(crate) fn judge(&self, change: Change, policy: Policy) -> Verdict {
        self.judge_path(change, policy)
    }

    pub(crate) fn judge_path(&self, change: impl Fn(&mut Path), policy: Policy) -> Verdict {
        let mut path = Path::good(&self.keys);
        change(&mut path);
        let [root_key, ca_key, _] = &self.keys;
        let root = match path.root_is_signed_by_another {
            true => path.root.sign(&self.another),
            false => path.root.sign(root_key),
        };
        let chain = [path.leaf.sign(ca_key), path.ca.sign(root_key)];
        judge_for(path.host, &root, &chain, policy)
    }
}

pub(crate) fn judge(root: &[u8], chain: &[CertificateDer<'_>], policy: Policy) -> Verdict {
    judge_for(HOST, root, chain, policy)
}

fn judge_for(
    host: &'static str,
    root: &[u8],
    chain: &[CertificateDer<'_>],
    policy: Policy,
) -> Verdict {
    let roots = RootStore::empty().add_der(root).unwrap();
    let verifier = Verifier::builder().roots(roots).policy(policy).build();
    let host = ServerName::try_from(host).unwrap();
    // 2026-06-01.
    let now = UnixTime::since_unix_epoch(Duration::from_secs(1_780_272_000));
    verifier.unwrap().judge(&Presented::new(chain), &host, now)
}

pub(crate) fn ed25519() -> Vec<u8> {
    let key = KeyPair::generate_for(&PKCS_ED25519).unwrap();
    key.subject_public_key_info()
}

/// A key of which only the kind is real.
pub(crate) fn of_another_kind(algorithm: &str, curve: Option<&str>) -> Vec<u8> {
    let curve = curve.map(oid).unwrap_or_default();
    let algorithm = sequence(&[&oid(algorithm), &curve]);
    sequence(&[&algorithm, &tlv(0x03, &[&[0, 4], &[1; 48]])])
}

pub(crate) fn algorithm(id: &str) -> Vec<u8> {
    sequence(&[&oid(id)])
}

pub(crate) fn names(names: &[(u8, &[u8])]) -> Vec<u8> {
    let names = names.iter().map(|(tag, value)| tlv(*tag, &[value]));
    sequence(&[&names.collect::<Vec<_>>().concat()])
}

pub(crate) fn key_id(id: &[u8]) -> Vec<u8> {
    sequence(&[&tlv(0x80, &[id])])
}

pub(crate) fn purposes(ids: &[&str]) -> Vec<u8> {
    let ids = ids.iter().map(|id| oid(id));
    sequence(&[&ids.collect::<Vec<_>>().concat()])
}

pub(crate) fn policies(ids: &[&str]) -> Vec<u8> {
    let policies = ids.iter().map(|id| sequence(&[&oid(id)]));
    sequence(&[&policies.collect::<Vec<_>>().concat()])
}

pub(crate) fn mapping(from: &str, to: &str) -> Vec<u8> {
    sequence(&[&sequence(&[&oid(from), &oid(to)])])
}

/// A caIssuers description.
pub(crate) fn access(tag: u8, location: &[u8]) -> Vec<u8> {
    sequence(&[&sequence(&[
        &oid("1.3.6.1.5.5.7.48.2"),
        &tlv(tag, &[location]),
    ])])
}

/// One distribution point of these fields.
pub(crate) fn points(fields: &[&[u8]]) -> Vec<u8> {
    sequence(&[&sequence(fields)])
}

pub(crate) fn full_name(uri: &str) -> Vec<u8> {
    tlv(0xa0, &[&tlv(0xa0, &[&tlv(URI, &[uri.as_bytes()])])])
}

pub(crate) fn ca_with_path_length(length: u8) -> Vec<u8> {
    sequence(&[&[1, 1, 0xff], &integer(&[length])])
}

pub(crate) fn permitted(tag: u8, base: &[u8]) -> Vec<u8> {
    sequence(&[&tlv(0xa0, &[&sequence(&[&tlv(tag, &[base])])])])
}

pub(crate) fn excluded(tag: u8, base: &[u8]) -> Vec<u8> {
    sequence(&[&tlv(0xa1, &[&sequence(&[&tlv(tag, &[base])])])])
}

pub(crate) const HOST: &str = "host.test";
pub(crate) const ROOT_ID: &[u8] = &[1; 20];
pub(crate) const CA_ID: &[u8] = &[2; 20];
/// 2001:db8::1.
pub(crate) const V6: [u8; 16] = [0x20, 1, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];

/// The tags of GeneralName, RFC 5280 §4.2.1.6.
pub(crate) const EMAIL: u8 = 0x81;
pub(crate) const DNS: u8 = 0x82;
pub(crate) const URI: u8 = 0x86;
pub(crate) const ADDRESS: u8 = 0x87;

/// Kinds of keys, RFC 3279 §2.3.
pub(crate) const DSA: &str = "1.2.840.10040.4.1";
pub(crate) const EC: &str = "1.2.840.10045.2.1";
pub(crate) const P_192: &str = "1.2.840.10045.3.1.1";

/// The bits of KeyUsage, RFC 5280 §4.2.1.3.
pub(crate) const DIGITAL_SIGNATURE: u8 = 0;
pub(crate) const KEY_ENCIPHERMENT: u8 = 2;
pub(crate) const CERT_SIGN: u8 = 5;
pub(crate) const CRL_SIGN: u8 = 6;

/// RFC 5280 §4.2.
pub(crate) const KEY_ID: &str = "2.5.29.14";
pub(crate) const KEY_USAGE: &str = "2.5.29.15";
pub(crate) const NAMES: &str = "2.5.29.17";
pub(crate) const ISSUER_NAMES: &str = "2.5.29.18";
pub(crate) const BASIC_CONSTRAINTS: &str = "2.5.29.19";
pub(crate) const NAME_CONSTRAINTS: &str = "2.5.29.30";
pub(crate) const CRL_POINTS: &str = "2.5.29.31";
pub(crate) const POLICIES: &str = "2.5.29.32";
pub(crate) const ANY_POLICY: &str = "2.5.29.32.0";
pub(crate) const POLICY_MAPPINGS: &str = "2.5.29.33";
pub(crate) const ISSUER_KEY_ID: &str = "2.5.29.35";
pub(crate) const POLICY_CONSTRAINTS: &str = "2.5.29.36";
pub(crate) const EKU: &str = "2.5.29.37";
pub(crate) const ANY_PURPOSE: &str = "2.5.29.37.0";
pub(crate) const INHIBIT_ANY_POLICY: &str = "2.5.29.54";
pub(crate) const AIA: &str = "1.3.6.1.5.5.7.1.1";
pub(crate) const SERVER_AUTH: &str = "1.3.6.1.5.5.7.3.1";
pub(crate) const CLIENT_AUTH: &str = "1.3.6.1.5.5.7.3.2";
pub(crate) const CODE_SIGNING: &str = "1.3.6.1.5.5.7.3.3";
/// RFC 6962 §3.3.
pub(crate) const SCTS: &str = "1.3.6.1.4.1.11129.2.4.2";
