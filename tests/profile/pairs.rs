//! The pairs: what keeps a rule, and what breaks it and no other.

use crate::mint::{generalized, integer, key_usage, name, rsa_key, sequence, tlv, utc};
use crate::path::*;

/// A path that keeps a rule, and one that breaks it and no other.
pub(crate) struct Pair {
    pub(crate) rule: &'static str,
    pub(crate) keeps: Change,
    pub(crate) breaks: Change,
    pub(crate) code: &'static str,
}

pub(crate) const PAIRS: &[Pair] = &[
    pair(
        "serial-positive",
        |p| p.leaf.serial = vec![0, 0x80],
        |p| p.leaf.serial = vec![0],
    ),
    pair("serial-positive", as_it_is, |p| p.ca.serial = vec![0x80]),
    pair("serial-positive", as_it_is, |p| {
        p.root.serial = vec![0xff, 0]
    }),
    pair(
        "serial-length",
        |p| p.leaf.serial = vec![0x7f; 20],
        |p| p.leaf.serial = [0, 0x80].repeat(11)[..21].to_vec(),
    ),
    pair("serial-length", as_it_is, |p| p.root.serial = vec![1; 21]),
    pair(
        "time-form",
        |p| p.ca.validity[1] = generalized("20500101000000Z"),
        |p| p.ca.validity[1] = generalized("20491231235959Z"),
    ),
    pair("time-form", as_it_is, |p| {
        p.root.validity[0] = generalized("20200101000000Z")
    }),
    pair(
        "issuer-name",
        |p| p.rename_ca(&["any"]),
        |p| p.rename_ca(&[]),
    ),
    pair(
        "issuer-name",
        |p| p.vouch_for_root(&["another"]),
        |p| p.vouch_for_root(&[]),
    ),
    coded(
        "rsa-size",
        "weak-key",
        |p| p.leaf.key = rsa_key(2048, 3),
        |p| p.leaf.key = rsa_key(1024, 3),
    ),
    pair(
        "rsa-octets",
        |p| p.leaf.key = rsa_key(2056, 3),
        |p| p.leaf.key = rsa_key(2052, 3),
    ),
    pair(
        "rsa-exponent",
        |p| p.leaf.key = rsa_key(2048, 3),
        |p| p.leaf.key = rsa_key(2048, 4),
    ),
    pair("rsa-exponent", as_it_is, |p| p.leaf.key = rsa_key(2048, 1)),
    pair(
        "key-kind",
        |p| p.leaf.key = ed25519(),
        |p| {
            p.claim_public_trust();
            p.leaf.key = ed25519();
        },
    ),
    pair(
        "extension-once",
        |p| {
            p.leaf.set("1.2.3.4", false, vec![5, 0]);
            p.leaf.set("1.2.3.5", false, vec![5, 0]);
        },
        |p| {
            p.leaf.set("1.2.3.4", false, vec![5, 0]);
            let twice = p.leaf.extensions.last().unwrap().clone();
            p.leaf.extensions.push(twice);
        },
    ),
    pair(
        "extension-form",
        |p| {
            p.leaf
                .set(CRL_POINTS, false, points(&[&full_name("http://crl.test/")]))
        },
        |p| p.leaf.set(CRL_POINTS, false, sequence(&[&[5, 0]])),
    ),
    pair("extension-form", as_it_is, |p| {
        p.root.set(KEY_ID, false, vec![5, 0])
    }),
    pair("extension-form", as_it_is, |p| {
        p.ca.set(POLICIES, false, sequence(&[]))
    }),
    pair("extension-form", as_it_is, |p| {
        p.leaf.set(AIA, false, sequence(&[]))
    }),
    pair("extension-form", as_it_is, |p| {
        p.leaf.set(AIA, false, vec![0x30, 5])
    }),
    pair("extension-form", as_it_is, |p| {
        p.leaf.set(
            ISSUER_KEY_ID,
            false,
            sequence(&[&tlv(0x80, &[CA_ID]), &tlv(0x80, &[CA_ID])]),
        )
    }),
    pair("extension-form", as_it_is, |p| {
        p.leaf.set(ISSUER_NAMES, false, names(&[(0x8f, b"what")]));
    }),
    pair("extension-not-critical", as_it_is, |p| {
        p.root.mark_critical(KEY_ID, true)
    }),
    pair("extension-not-critical", as_it_is, |p| {
        p.leaf
            .set(CRL_POINTS, true, points(&[&full_name("http://crl.test/")]))
    }),
    pair(
        "policy-once",
        |p| {
            p.leaf
                .set(POLICIES, false, policies(&["1.2.3.4", "1.2.3.5"]))
        },
        |p| {
            p.leaf.set(
                POLICIES,
                false,
                policies(&["1.2.3.4", "1.2.3.5", "1.2.3.4"]),
            )
        },
    ),
    pair(
        "policy-mapping",
        |p| {
            p.ca.set(POLICY_MAPPINGS, false, mapping("1.2.3.4", "1.2.3.5"))
        },
        |p| {
            p.ca.set(POLICY_MAPPINGS, false, mapping("1.2.3.4", ANY_POLICY))
        },
    ),
    pair("policy-mapping", as_it_is, |p| {
        p.ca.set(POLICY_MAPPINGS, false, mapping(ANY_POLICY, "1.2.3.4"))
    }),
    pair("policy-constraints-critical", as_it_is, |p| {
        p.ca.set(POLICY_CONSTRAINTS, false, sequence(&[&tlv(0x80, &[&[0]])]))
    }),
    pair("policy-constraints-critical", as_it_is, |p| {
        p.ca.set(INHIBIT_ANY_POLICY, false, integer(&[0]))
    }),
    pair(
        "distribution-point",
        |p| {
            p.leaf.set(
                CRL_POINTS,
                false,
                points(&[&full_name("http://crl.test/"), &tlv(0x81, &[&[1, 2]])]),
            )
        },
        |p| {
            p.leaf
                .set(CRL_POINTS, false, points(&[&tlv(0x81, &[&[1, 2]])]))
        },
    ),
    pair("ca-key-id", as_it_is, |p| p.ca.remove(KEY_ID)),
    pair(
        "ca-key-id",
        |p| p.leaf.remove(KEY_ID),
        |p| p.root.remove(KEY_ID),
    ),
    pair("issuer-key-id", as_it_is, |p| p.leaf.remove(ISSUER_KEY_ID)),
    pair(
        "issuer-key-id",
        |p| p.root.remove(ISSUER_KEY_ID),
        |p| p.ca.remove(ISSUER_KEY_ID),
    ),
    // The root's own signature, under another's name, is still its own: only one that another has
    // signed is no self-signed one.
    pair(
        "issuer-key-id",
        |p| {
            p.vouch_for_root(&["another"]);
            p.root.remove(ISSUER_KEY_ID);
        },
        |p| {
            p.vouch_for_root(&["another"]);
            p.root.remove(ISSUER_KEY_ID);
            p.root_is_signed_by_another = true;
        },
    ),
    pair("issuer-key-id-key", as_it_is, |p| {
        p.leaf.set(ISSUER_KEY_ID, false, sequence(&[]))
    }),
    pair("issuer-key-id-key", as_it_is, |p| {
        p.root.set(ISSUER_KEY_ID, false, sequence(&[]))
    }),
    pair("issuer-key-id-only", as_it_is, |p| {
        p.leaf.set(
            ISSUER_KEY_ID,
            false,
            sequence(&[
                &tlv(0x80, &[CA_ID]),
                &tlv(0xa1, &[&tlv(0xa4, &[&name(&["root"])])]),
                &tlv(0x82, &[&[1]]),
            ]),
        )
    }),
    pair(
        "issuer-key-id-match",
        |p| p.ca.remove(AIA),
        |p| p.leaf.set(ISSUER_KEY_ID, false, key_id(ROOT_ID)),
    ),
    pair("issuer-key-id-match", as_it_is, |p| {
        p.ca.set(ISSUER_KEY_ID, false, key_id(CA_ID))
    }),
    pair(
        "root-key-id-match",
        |p| p.root.set(ISSUER_KEY_ID, false, key_id(ROOT_ID)),
        |p| p.root.set(ISSUER_KEY_ID, false, key_id(CA_ID)),
    ),
    coded(
        "root-expired",
        "expired",
        |p| p.root.validity[1] = utc("260601000000Z"),
        |p| p.root.validity[1] = utc("260531235959Z"),
    ),
    coded(
        "root-not-yet-valid",
        "not-yet-valid",
        |p| p.root.validity[0] = utc("260601000000Z"),
        |p| p.root.validity[0] = utc("260601000001Z"),
    ),
    coded(
        "root-critical-extension",
        "unknown-critical-extension",
        |p| p.root.set("1.2.3.4", false, vec![5, 0]),
        |p| p.root.set("1.2.3.4", true, vec![5, 0]),
    ),
    coded(
        "root-critical-extension",
        "unknown-critical-extension",
        as_it_is,
        |p| {
            p.root
                .set(POLICY_CONSTRAINTS, true, sequence(&[&tlv(0x80, &[&[0]])]))
        },
    ),
    coded("root-is-ca", "not-a-ca", as_it_is, |p| {
        p.root.remove(BASIC_CONSTRAINTS)
    }),
    coded("root-is-ca", "not-a-ca", as_it_is, |p| {
        p.root.set(BASIC_CONSTRAINTS, true, sequence(&[]))
    }),
    coded(
        "root-path-length",
        "path-length",
        |p| p.root.set(BASIC_CONSTRAINTS, true, ca_with_path_length(1)),
        |p| p.root.set(BASIC_CONSTRAINTS, true, ca_with_path_length(0)),
    ),
    // Who is of the root's own name is not counted.
    coded(
        "root-path-length",
        "path-length",
        |p| {
            p.rename_ca(&["root"]);
            p.root.set(BASIC_CONSTRAINTS, true, ca_with_path_length(0));
        },
        |p| p.root.set(BASIC_CONSTRAINTS, true, ca_with_path_length(0)),
    ),
    coded(
        "root-purpose",
        "wrong-purpose",
        |p| {
            p.vouch_for_root(&["another"]);
            p.root
                .set(EKU, false, purposes(&[SERVER_AUTH, CODE_SIGNING]));
        },
        |p| {
            p.vouch_for_root(&["another"]);
            p.root.set(EKU, false, purposes(&[CODE_SIGNING]));
        },
    ),
    pair("root-version", as_it_is, |p| {
        p.root.version = None;
        p.root.extensions.clear();
    }),
    pair("root-eku", as_it_is, |p| {
        p.root.set(EKU, false, purposes(&[SERVER_AUTH]))
    }),
    coded(
        "ca-signs",
        "not-a-ca",
        |p| p.ca.set(KEY_USAGE, true, key_usage(&[CERT_SIGN])),
        |p| p.ca.set(KEY_USAGE, true, key_usage(&[CRL_SIGN])),
    ),
    coded(
        "ca-signs",
        "not-a-ca",
        |p| p.root.remove(KEY_USAGE),
        |p| p.root.set(KEY_USAGE, true, key_usage(&[DIGITAL_SIGNATURE])),
    ),
    pair("ca-basic-constraints-critical", as_it_is, |p| {
        p.ca.mark_critical(BASIC_CONSTRAINTS, false)
    }),
    pair("ca-basic-constraints-critical", as_it_is, |p| {
        p.root.mark_critical(BASIC_CONSTRAINTS, false)
    }),
    pair(
        "ca-path-length",
        |p| p.root.set(BASIC_CONSTRAINTS, true, ca_with_path_length(1)),
        |p| {
            p.root.set(BASIC_CONSTRAINTS, true, ca_with_path_length(1));
            p.root.remove(KEY_USAGE);
        },
    ),
    pair(
        "ca-key-usage",
        |p| p.root.remove(KEY_USAGE),
        |p| p.ca.remove(KEY_USAGE),
    ),
    pair(
        "key-usage-critical",
        |p| p.leaf.mark_critical(KEY_USAGE, false),
        |p| {
            p.claim_public_trust();
            p.leaf.mark_critical(KEY_USAGE, false);
        },
    ),
    pair(
        "key-usage-critical",
        |p| {
            p.claim_public_trust();
            p.root.mark_critical(KEY_USAGE, false);
        },
        |p| {
            p.claim_public_trust();
            p.ca.mark_critical(KEY_USAGE, false);
        },
    ),
    pair(
        "name-constraints-ca",
        |p| p.ca.set(NAME_CONSTRAINTS, true, permitted(DNS, b"test")),
        |p| p.leaf.set(NAME_CONSTRAINTS, true, permitted(DNS, b"test")),
    ),
    pair(
        "name-constraints-critical",
        |p| p.ca.set(NAME_CONSTRAINTS, true, permitted(DNS, b"test")),
        |p| p.ca.set(NAME_CONSTRAINTS, false, permitted(DNS, b"test")),
    ),
    pair(
        "name-constraints-subtrees",
        |p| p.root.set(NAME_CONSTRAINTS, true, permitted(DNS, b"test")),
        |p| p.root.set(NAME_CONSTRAINTS, true, sequence(&[])),
    ),
    pair("name-constraints-subtrees", as_it_is, |p| {
        p.ca.set(NAME_CONSTRAINTS, true, sequence(&[&tlv(0xa1, &[])]))
    }),
    pair(
        "name-constraints-base",
        |p| {
            p.ca.set(NAME_CONSTRAINTS, true, excluded(DNS, b"other.test"))
        },
        |p| {
            p.ca.set(NAME_CONSTRAINTS, true, excluded(DNS, b".other.test"))
        },
    ),
    pair(
        "name-constraints-base",
        |p| {
            p.ca.set(
                NAME_CONSTRAINTS,
                true,
                permitted(ADDRESS, &[192, 0, 2, 0, 255, 255, 255, 0]),
            )
        },
        |p| {
            p.ca.set(
                NAME_CONSTRAINTS,
                true,
                permitted(ADDRESS, &[192, 0, 2, 0, 255, 0, 255, 0]),
            )
        },
    ),
    pair(
        "name-constraints-base",
        |p| {
            p.root
                .set(NAME_CONSTRAINTS, true, permitted(EMAIL, b"a@mail.test"))
        },
        |p| {
            p.root
                .set(NAME_CONSTRAINTS, true, permitted(EMAIL, b"a@b@mail.test"))
        },
    ),
    pair(
        "wildcard-public-suffix",
        |p| p.stand_for("shop.co.uk", &["*.co.uk", "Shop.co.uk"]),
        |p| p.stand_for("shop.co.uk", &["*.co.uk", "*.shop.co.uk"]),
    ),
    pair(
        "wildcard-public-suffix",
        |p| p.stand_for(HOST, &["*.co.uk"]),
        |p| p.stand_for("a.XN--55qx5d.cn", &["*.XN--55QX5D.cn"]),
    ),
    pair(
        "wildcard-public-suffix",
        |p| p.stand_for("any.github.io", &["*.github.io"]),
        |p| p.stand_for("any.org.uk", &["*.co.uk", "*.org.uk"]),
    ),
    pair(
        "san-critical",
        |p| {
            p.leaf.subject = name(&[]);
            p.leaf.mark_critical(NAMES, true);
        },
        |p| p.leaf.subject = name(&[]),
    ),
    pair("san-critical", as_it_is, |p| {
        p.leaf.mark_critical(NAMES, true)
    }),
    pair(
        "san-dns",
        |p| p.add_names(&[(DNS, b"*.a.test"), (DNS, b"localhost")]),
        |p| p.add_names(&[(DNS, b"a..test")]),
    ),
    pair("san-dns", as_it_is, |p| p.add_names(&[(DNS, b"a.test.")])),
    pair("san-dns", as_it_is, |p| p.add_names(&[(DNS, b"192.0.2.1")])),
    pair("san-dns", as_it_is, |p| p.add_names(&[(DNS, b"a.*.test")])),
    pair(
        "san-underscore",
        |p| p.add_names(&[(DNS, b"a-b.test")]),
        |p| p.add_names(&[(DNS, b"a_b.test")]),
    ),
    pair(
        "san-a-label",
        |p| p.add_names(&[(DNS, b"xn--bcher-kva.test")]),
        |p| p.add_names(&[(DNS, b"xn--99999999.test")]),
    ),
    pair("san-a-label", as_it_is, |p| {
        p.add_names(&[(DNS, b"ab--cd.test")])
    }),
    pair(
        "san-address",
        |p| p.add_names(&[(ADDRESS, &[0; 16])]),
        |p| p.add_names(&[(ADDRESS, &[0; 5])]),
    ),
    pair(
        "san-email",
        |p| p.add_names(&[(EMAIL, b"a@mail.test")]),
        |p| p.add_names(&[(EMAIL, b"a@b@mail.test")]),
    ),
    pair(
        "san-uri",
        |p| p.add_names(&[(URI, b"spiffe://a.test/b")]),
        |p| p.add_names(&[(URI, b"a.test/b")]),
    ),
    pair(
        "common-name-once",
        |p| p.leaf.subject = name(&[HOST]),
        |p| p.leaf.subject = name(&[HOST, HOST]),
    ),
    pair(
        "common-name-in-san",
        |p| p.add_names(&[(EMAIL, b"a@mail.test")]),
        |p| {
            p.add_names(&[(EMAIL, b"a@mail.test")]);
            p.leaf.subject = name(&["other.test"]);
        },
    ),
    pair(
        "common-name-in-san",
        |p| p.leaf.subject = name(&["A server"]),
        |p| p.leaf.subject = name(&["other.test"]),
    ),
    pair(
        "common-name-in-san",
        |p| p.leaf.subject = name(&["a"]),
        |p| p.leaf.subject = name(&["HOST.test"]),
    ),
    pair(
        "common-name-in-san",
        |p| {
            p.add_names(&[(ADDRESS, &[192, 0, 2, 1])]);
            p.leaf.subject = name(&["192.0.2.1"]);
        },
        |p| {
            p.add_names(&[(ADDRESS, &[192, 0, 2, 1])]);
            p.leaf.subject = name(&["192.0.2.001"]);
        },
    ),
    pair(
        "common-name-in-san",
        |p| {
            p.add_names(&[(ADDRESS, &V6)]);
            p.leaf.subject = name(&["2001:db8::1"]);
        },
        |p| {
            p.add_names(&[(ADDRESS, &V6)]);
            p.leaf.subject = name(&["2001:DB8::1"]);
        },
    ),
    pair(
        "common-name-in-san",
        |p| p.leaf.subject = name(&["*.other.test"]),
        |p| {
            p.claim_public_trust();
            p.leaf.subject = name(&["*.other.test"]);
        },
    ),
    pair("leaf-signs-nothing", as_it_is, |p| {
        p.leaf
            .set(KEY_USAGE, true, key_usage(&[DIGITAL_SIGNATURE, CERT_SIGN]))
    }),
    pair("leaf-signs-nothing", as_it_is, |p| {
        p.leaf
            .set(KEY_USAGE, true, key_usage(&[DIGITAL_SIGNATURE, CRL_SIGN]))
    }),
    pair(
        "leaf-digital-signature",
        |p| p.leaf.remove(KEY_USAGE),
        |p| p.leaf.set(KEY_USAGE, true, key_usage(&[KEY_ENCIPHERMENT])),
    ),
    pair(
        "leaf-path-length",
        |p| p.leaf.set(BASIC_CONSTRAINTS, true, sequence(&[])),
        |p| {
            p.leaf
                .set(BASIC_CONSTRAINTS, true, sequence(&[&integer(&[0])]))
        },
    ),
    pair("eku-absent", as_it_is, |p| p.leaf.remove(EKU)),
    pair("eku-critical", as_it_is, |p| {
        p.leaf.mark_critical(EKU, true)
    }),
    pair(
        "eku-other",
        |p| {
            p.leaf
                .set(EKU, false, purposes(&[SERVER_AUTH, CLIENT_AUTH]))
        },
        |p| {
            p.leaf
                .set(EKU, false, purposes(&[SERVER_AUTH, CODE_SIGNING]))
        },
    ),
    pair("eku-other", as_it_is, |p| {
        p.leaf
            .set(EKU, false, purposes(&[ANY_PURPOSE, SERVER_AUTH]))
    }),
    pair(
        "aia-uri",
        |p| p.leaf.set(AIA, false, access(URI, b"ldap:///CN=a?b")),
        |p| p.leaf.set(AIA, false, access(URI, b"not a URI")),
    ),
    pair(
        "aia-uri",
        |p| p.leaf.set(AIA, false, access(DNS, b"a.test")),
        |p| {
            p.claim_public_trust();
            p.leaf.set(AIA, false, access(DNS, b"a.test"));
        },
    ),
    pair(
        "validity-period",
        |p| p.leaf.validity = [utc("700101000000Z"), generalized("29690503000000Z")],
        |p| {
            p.claim_public_trust();
            p.leaf.validity = [utc("260101000000Z"), utc("270203000000Z")];
        },
    ),
];

const fn pair(rule: &'static str, keeps: Change, breaks: Change) -> Pair {
    Pair {
        rule,
        keeps,
        breaks,
        code: "profile",
    }
}

/// One whose breach has a code of its own.
const fn coded(rule: &'static str, code: &'static str, keeps: Change, breaks: Change) -> Pair {
    Pair {
        rule,
        keeps,
        breaks,
        code,
    }
}

fn as_it_is(_: &mut Path) {}
