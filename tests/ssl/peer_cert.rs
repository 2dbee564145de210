//! What `getpeercert` gives of a certificate, against what Python's gave of it.

use rcgen::KeyPair;
use urlfetch::ssl::{AltValue, cert_time_to_seconds, getpeercert};
use urlfetch::tls::{AlternativeName, Certificate};

use crate::mint::{Tbs, generalized, name, oid, sequence, tlv, utc};

/// The whole of it, key after key.
#[cfg(feature = "json")]
#[test]
fn it_is_the_document_that_python_gave() {
    let mut tbs = tbs(name(&["host.test"]));
    tbs.set(ACCESS, false, access(&[(OCSP, b"http://ocsp.test/")]));
    let sparse = minted(&tbs);
    tbs.set(
        SUBJECT_ALT_NAME,
        false,
        sequence(&[&tlv(DNS, &[b"host.test"])]),
    );
    tbs.set(
        ACCESS,
        false,
        access(&[
            (OCSP, b"http://ocsp.test/"),
            (CA_ISSUERS, b"http://ca.test/"),
        ]),
    );
    tbs.set(
        CRL_POINTS,
        false,
        sequence(&[&sequence(&[&point(&[&tlv(URI, &[b"http://crl.test/"])])])]),
    );
    for (certificate, expected) in [
        (
            sparse,
            r#"{"subject":[[["commonName","host.test"]]],"issuer":[[["commonName","issuer"]]],"version":3,"serialNumber":"01","notBefore":"Jan  1 00:00:00 2020 GMT","notAfter":"Jan  1 00:00:00 2030 GMT","OCSP":["http://ocsp.test/"]}"#,
        ),
        (
            minted(&tbs),
            r#"{"subject":[[["commonName","host.test"]]],"issuer":[[["commonName","issuer"]]],"version":3,"serialNumber":"01","notBefore":"Jan  1 00:00:00 2020 GMT","notAfter":"Jan  1 00:00:00 2030 GMT","subjectAltName":[["DNS","host.test"]],"OCSP":["http://ocsp.test/"],"caIssuers":["http://ca.test/"],"crlDistributionPoints":["http://crl.test/"]}"#,
        ),
    ] {
        let document = serde_json::to_string(&getpeercert(&certificate)).unwrap();
        assert_eq!(document, expected);
    }
}

/// One key of it for each certificate: what Python 3.11 over OpenSSL 3.0 gave, as JSON. Where ours
/// is another, the reason stands there.
#[cfg(feature = "json")]
#[test]
fn each_key_has_what_python_gave() {
    const NUMERIC: u8 = 0x12;
    const IA5: u8 = 0x16;
    type Row = (
        Certificate,
        &'static str,
        &'static str,
        Option<&'static str>,
    );
    let plain = || tbs(name(&["host.test"]));
    let subject = |names: &[&[Pair<'_>]]| minted(&tbs(named(names)));
    let of_type = |id: &[u8]| {
        let attribute = sequence(&[&tlv(0x06, &[id]), &tlv(UTF8, &[b"v"])]);
        minted(&tbs(sequence(&[&tlv(0x31, &[&attribute])])))
    };
    let serial = |octets: &[u8]| {
        minted(&Tbs {
            serial: octets.to_vec(),
            ..plain()
        })
    };
    let dates = || {
        minted(&Tbs {
            validity: [utc("700102030405Z"), generalized("99991231235959Z")],
            ..plain()
        })
    };
    let alternatives = |names: &[&[u8]]| with(SUBJECT_ALT_NAME, sequence(names));
    let v6 = [
        0x20, 1, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0xab, 0xcd, 0, 1,
    ];
    let other = |kind: &str| tlv(0xa0, &[&oid(kind), &tlv(0xa0, &[&tlv(UTF8, &[b"other"])])]);
    let version_1 = || {
        minted(&Tbs {
            version: None,
            ..plain()
        })
    };
    let rows: Vec<Row> = vec![
        (version_1(), "version", "1", None),
        (version_1(), "subjectAltName", "null", None),
        (subject(&[]), "subject", "[]", None),
        // A relative name of no attribute (RFC 5280 §4.1.2.4 forbids it) has no first one to take.
        (
            subject(&[&[], &[(CN, UTF8, b"x")], &[]]),
            "subject",
            r#"[[["commonName", "x"]]]"#,
            None,
        ),
        // Relative names of several attributes are in the order of the bytes.
        (
            subject(&[
                &[("2.5.4.6", PRINTABLE, b"DE")],
                &[("0.9.2342.19200300.100.1.25", IA5, b"test")],
                &[
                    ("2.5.4.11", UTF8, b"unit"),
                    (CN, UTF8, b"z"),
                    (CN, UTF8, b"a"),
                    ("2.5.4.10", UTF8, b"firm"),
                ],
                &[("1.2.840.113549.1.9.1", IA5, b"who@host.test")],
            ]),
            "subject",
            r#"[[["countryName", "DE"]], [["domainComponent", "test"]],
                [["organizationalUnitName", "unit"], ["commonName", "z"], ["commonName", "a"],
                 ["organizationName", "firm"]], [["emailAddress", "who@host.test"]]]"#,
            None,
        ),
        // Texts in every form, and names of types.
        (
            subject(&[
                &[("2.5.4.8", TELETEX, b"caf\xe9")],
                &[("2.5.4.7", BMP, b"\x00b\x00\xfc\x04\x34")],
                &[("2.5.4.4", UTF8, "b\u{fc}\u{434}\u{1f600}".as_bytes())],
                &[("2.5.4.5", NUMERIC, b"0 1")],
                &[("2.5.4.42", IA5, b"\xe9")],
                &[("1.3.6.1.5.5.7.9.2", PRINTABLE, b"there")],
                &[("2.5.4.97", UTF8, b"VATDE-1")],
                &[("1.3.6.1.4.1.311.60.2.1.3", PRINTABLE, b"DE")],
                &[("1.2.3.4", UTF8, b"unknown")],
                &[(CN, UTF8, b"")],
                &[(CN, UTF8, b"a\0b\"\\\n")],
            ]),
            "subject",
            r#"[[["stateOrProvinceName", "caf\u00e9"]], [["localityName", "b\u00fc\u0434"]],
                [["surname", "b\u00fc\u0434\ud83d\ude00"]], [["serialNumber", "0 1"]],
                [["givenName", "\u00e9"]], [["id-pda-placeOfBirth", "there"]],
                [["organizationIdentifier", "VATDE-1"]], [["jurisdictionCountryName", "DE"]],
                [["1.2.3.4", "unknown"]], [["commonName", ""]], [["commonName", "a\u0000b\"\\\n"]]]"#,
            None,
        ),
        (
            subject(&[
                &[(CN, UTF8, b"\xff")],
                &[(CN, BMP, b"\xd8\x00")],
                &[(CN, BMP, b"\x00")],
            ]),
            "subject",
            "null",
            Some(
                r##"[[["commonName", "#0c01ff"]], [["commonName", "#1e02d800"]], [["commonName", "#1e0100"]]]"##,
            ),
        ),
        // A number that passes for commonName's where 32 bits of it are read; and one written in
        // more octets than it needs (X.690 §8.19.2), which Python refused.
        (
            of_type(&[0x55, 4, 0x90, 0x80, 0x80, 0x80, 3]),
            "subject",
            r#"[[["2.5.4.4294967299", "v"]]]"#,
            None,
        ),
        (
            of_type(&[0x55, 4, 0x80, 3]),
            "subject",
            "null",
            Some(r##"[[["#060455048003", "v"]]]"##),
        ),
        (
            alternatives(&[
                &tlv(0x88, &[&oid(CN)[2..]]),
                &tlv(0x88, &[&[0x88, 0x37, 3]]),
            ]),
            "subjectAltName",
            r#"[["Registered ID", "commonName"], ["Registered ID", "2.999.3"]]"#,
            Some(r#"[["Registered ID", "2.5.4.3"], ["Registered ID", "2.999.3"]]"#),
        ),
        (
            alternatives(&[&tlv(0x88, &[&[0x55, 4, 0x90, 0x80, 0x80, 0x80, 3]])]),
            "subjectAltName",
            r#"[["Registered ID", "2.5.4.4294967299"]]"#,
            None,
        ),
        (dates(), "notBefore", r#""Jan  2 03:04:05 1970 GMT""#, None),
        (dates(), "notAfter", r#""Dec 31 23:59:59 9999 GMT""#, None),
        (
            serial(&[0x0a, 0xbc, 1]),
            "serialNumber",
            r#""0ABC01""#,
            None,
        ),
        (serial(&[0, 0xff, 0]), "serialNumber", r#""FF00""#, None),
        (serial(&[0]), "serialNumber", r#""00""#, None),
        (serial(&[0x80]), "serialNumber", r#""-80""#, None),
        (serial(&[0xff, 0x7f]), "serialNumber", r#""-81""#, None),
        (serial(&[0xff, 0]), "serialNumber", r#""-0100""#, None),
        (
            alternatives(&[
                &tlv(DNS, &[b"host.test"]),
                &tlv(DNS, &[b"*.host.test"]),
                &tlv(IP, &[&[192, 0, 2, 1]]),
                &tlv(IP, &[&v6]),
                &tlv(0x81, &[b"who@host.test"]),
                &tlv(URI, &[b"https://host.test/a,b"]),
                &tlv(0x88, &[&oid("1.2.3.4.5")[2..]]),
                &tlv(
                    0xa4,
                    &[&named(&[
                        &[("2.5.4.6", PRINTABLE, b"DE")],
                        &[(CN, UTF8, b"x"), ("2.5.4.10", UTF8, b"y")],
                    ])],
                ),
                &tlv(0xa4, &[&named(&[])]),
                &other("1.2.3.4"),
                &tlv(0xa5, &[&tlv(0xa1, &[&tlv(UTF8, &[b"party"])])]),
                &tlv(0xa3, &[&sequence(&[])]),
            ]),
            "subjectAltName",
            r#"[["DNS", "host.test"], ["DNS", "*.host.test"], ["IP Address", "192.0.2.1"],
                ["IP Address", "2001:DB8:0:0:0:0:ABCD:1"], ["email", "who@host.test"],
                ["URI", "https://host.test/a,b"], ["Registered ID", "1.2.3.4.5"],
                ["DirName", [[["countryName", "DE"]], [["commonName", "x"], ["organizationName", "y"]]]],
                ["DirName", []], ["othername", "<unsupported>"], ["EdiPartyName", "<unsupported>"],
                ["X400Name", "<unsupported>"]]"#,
            None,
        ),
        (
            alternatives(&[
                &tlv(DNS, &[b""]),
                &tlv(DNS, &[b"a\0b"]),
                &tlv(DNS, &["b\u{fc}cher".as_bytes()]),
                &tlv(IP, &[&[1, 2, 3]]),
                &tlv(IP, &[&[0; 17]]),
            ]),
            "subjectAltName",
            r#"[["DNS", ""], ["DNS", "a\u0000b"], ["DNS", "b\u00fccher"], ["IP Address", "<invalid>"],
                ["IP Address", "<invalid>"]]"#,
            None,
        ),
        (alternatives(&[]), "subjectAltName", "[]", None),
        // Kinds that OpenSSL knows since 3.0: before it they were not supported, either.
        (
            alternatives(&[
                &other("1.3.6.1.4.1.311.20.2.3"),
                &other("1.3.6.1.5.5.7.8.9"),
            ]),
            "subjectAltName",
            r#"[["othername", "UPN:other"], ["othername", "SmtpUTF8Mailbox:other"]]"#,
            Some(r#"[["othername", "<unsupported>"], ["othername", "<unsupported>"]]"#),
        ),
        // One entry that cannot be read cost Python all of them.
        (
            alternatives(&[
                &tlv(DNS, &[b"\xff"]),
                &tlv(0x81, &[b"\xff"]),
                &tlv(URI, &[b"\xff"]),
                &tlv(0x88, &[b"\xff"]),
                &tlv(0xa4, &[b"\xff\x00"]),
                &tlv(0xa0, &[&oid("1.2.3.4")]),
                &tlv(
                    0xa0,
                    &[&oid("1.2.3.4"), &tlv(0xa1, &[&tlv(UTF8, &[b"other"])])],
                ),
                &tlv(0x83, &[b""]),
                &tlv(0x85, &[b""]),
                &tlv(0x89, &[b""]),
                &tlv(DNS, &[b"host.test"]),
            ]),
            "subjectAltName",
            "null",
            Some(
                r#"[["DNS", "<invalid>"], ["email", "<invalid>"], ["URI", "<invalid>"],
                    ["Registered ID", "<invalid>"], ["DirName", "<invalid>"], ["othername", "<invalid>"],
                    ["othername", "<invalid>"], ["X400Name", "<invalid>"], ["EdiPartyName", "<invalid>"],
                    ["othername", "<invalid>"], ["DNS", "host.test"]]"#,
            ),
        ),
        (
            with(SUBJECT_ALT_NAME, b"junk".to_vec()),
            "subjectAltName",
            "null",
            Some("[]"),
        ),
        (
            with(
                ACCESS,
                access(&[
                    (OCSP, b"http://ocsp.test/1"),
                    (CA_ISSUERS, b"http://ca.test/ca.der"),
                    (OCSP, b"http://ocsp.test/2"),
                    ("1.3.6.1.5.5.7.48.3", b"http://time.test/"),
                ]),
            ),
            "OCSP",
            r#"["http://ocsp.test/1", "http://ocsp.test/2"]"#,
            None,
        ),
        (
            with(
                ACCESS,
                sequence(&[
                    &sequence(&[&oid(CA_ISSUERS), &tlv(DNS, &[b"ca.test"])]),
                    &sequence(&[&oid(CA_ISSUERS), &tlv(URI, &[b"ldap:///cn=a"])]),
                ]),
            ),
            "caIssuers",
            r#"["ldap:///cn=a"]"#,
            None,
        ),
        (
            with(ACCESS, access(&[(CA_ISSUERS, b"a:")])),
            "OCSP",
            "null",
            None,
        ),
        (with(ACCESS, b"junk".to_vec()), "OCSP", "null", None),
        (
            with(
                CRL_POINTS,
                sequence(&[
                    &sequence(&[&point(&[
                        &tlv(URI, &[b"http://crl.test/1"]),
                        &tlv(DNS, &[b"crl.test"]),
                        &tlv(URI, &[b"ldap://crl.test/2"]),
                    ])]),
                    // For a reason only, of somebody else without a place, and with one.
                    &sequence(&[
                        &point(&[&tlv(URI, &[b"http://crl.test/3"])]),
                        &tlv(0x81, &[&[7, 0x80]]),
                    ]),
                    &sequence(&[&tlv(0xa2, &[&tlv(0xa4, &[&name(&["issuer"])])])]),
                    &sequence(&[
                        &point(&[&tlv(URI, &[b"http://crl.test/4"])]),
                        &tlv(0xa2, &[&tlv(0xa4, &[&name(&["issuer"])])]),
                    ]),
                ]),
            ),
            "crlDistributionPoints",
            r#"["http://crl.test/1", "ldap://crl.test/2", "http://crl.test/3", "http://crl.test/4"]"#,
            None,
        ),
        // A place relative to the issuer's name has no URI.
        (
            with(
                CRL_POINTS,
                sequence(&[&sequence(&[&tlv(
                    0xa0,
                    &[&tlv(0xa1, &[&sequence(&[&oid(CN), &tlv(UTF8, &[b"crl"])])])],
                )])]),
            ),
            "crlDistributionPoints",
            "null",
            None,
        ),
    ];
    for (certificate, key, in_python, instead) in rows {
        let ours = serde_json::to_value(getpeercert(&certificate)).unwrap();
        let expected: serde_json::Value =
            serde_json::from_str(instead.unwrap_or(in_python)).unwrap();
        // What is not there is null, too, which no key has.
        assert_eq!(ours[key], expected, "{certificate:?} {key}");
        assert_eq!(ours.get(key).is_none(), expected.is_null(), "{key}");
    }
}

#[test]
fn an_extension_that_is_there_twice_is_not_read() {
    let mut tbs = tbs(name(&["host.test"]));
    let extensions = [
        (SUBJECT_ALT_NAME, sequence(&[&tlv(DNS, &[b"host.test"])])),
        (ACCESS, access(&[(OCSP, b"http://ocsp.test/")])),
    ];
    for (id, value) in extensions {
        tbs.set(id, false, value);
        let same = tbs.extensions.last().unwrap().clone();
        tbs.extensions.push(same);
    }
    let certificate = minted(&tbs);
    let peer_cert = getpeercert(&certificate);
    assert_eq!(peer_cert.subject_alt_name, Some(vec![]));
    assert_eq!(peer_cert.ocsp, [""; 0]);
}

#[test]
fn its_dates_are_read_back() {
    let certificate = minted(&Tbs {
        validity: [utc("000229235959Z"), generalized("24000229000000Z")],
        ..tbs(name(&["host.test"]))
    });
    let peer_cert = getpeercert(&certificate);
    for (text, date) in [
        (&peer_cert.not_before, certificate.not_before()),
        (&peer_cert.not_after, certificate.not_after()),
    ] {
        let seconds = date
            .duration_since(std::time::UNIX_EPOCH)
            .unwrap()
            .as_secs();
        assert_eq!(cert_time_to_seconds(text), Ok(seconds as i64), "{text}");
    }
    assert_eq!(peer_cert.not_before, "Feb 29 23:59:59 2000 GMT");
}

/// Each kind as data, without the forms of Python.
#[test]
fn alternative_names_are_data() {
    let value = tlv(UTF8, &[b"other"]);
    let certificate = with(
        SUBJECT_ALT_NAME,
        sequence(&[
            &tlv(IP, &[&[0; 16]]),
            &tlv(0x88, &[&oid("1.2.3.4.5")[2..]]),
            &tlv(0xa0, &[&oid("1.2.3.4"), &tlv(0xa0, &[&value])]),
            &tlv(0xa3, &[&sequence(&[])]),
            &tlv(0xa5, &[&value]),
            &tlv(IP, &[&[1, 2, 3]]),
            &tlv(0xa4, &[&name(&["x"])]),
        ]),
    );
    let names = certificate.alternative_names().unwrap();
    let [.., AlternativeName::Directory(directory)] = names.as_slice() else {
        panic!("{names:?}")
    };
    let attribute = directory.attributes().next().unwrap();
    assert_eq!(
        (
            attribute.oid().as_str(),
            &*attribute.name(),
            attribute.text()
        ),
        (CN, "commonName", Some("x"))
    );
    assert_eq!(attribute.der(), tlv(UTF8, &[b"x"]));
    assert_eq!(
        names[..6],
        [
            AlternativeName::Ip([0_u16; 8].into()),
            AlternativeName::RegisteredId("1.2.3.4.5".to_owned()),
            AlternativeName::Other {
                type_id: "1.2.3.4".to_owned(),
                value: value.clone(),
            },
            AlternativeName::X400(sequence(&[])),
            AlternativeName::EdiParty(value),
            AlternativeName::Unreadable {
                kind: 7,
                value: vec![1, 2, 3],
            },
        ]
    );
    assert_eq!(minted(&tbs(name(&["x"]))).alternative_names(), None);
}

#[test]
fn what_is_shown_is_escaped_and_cut() {
    let bad = "\u{1b}[2J\u{202e}\", DNS \"bank.test\n";
    let long = "x".repeat(50_000);
    let mut tbs = tbs(named(&[
        &[(CN, UTF8, bad.as_bytes())],
        &[(CN, UTF8, long.as_bytes())],
    ]));
    let entries = [bad, &long].map(|text| tlv(DNS, &[text.as_bytes()]));
    let directory = tlv(0xa4, &[&named(&[&[(CN, UTF8, long.as_bytes())]])]);
    let many = [
        &entries.concat(),
        &directory,
        &entries.concat().repeat(20)[..],
    ];
    tbs.set(SUBJECT_ALT_NAME, false, sequence(&many));
    tbs.set(
        ACCESS,
        false,
        access(&[(OCSP, long.as_bytes()), (OCSP, bad.as_bytes())]),
    );
    let certificate = minted(&tbs);
    let peer_cert = getpeercert(&certificate);
    let names = certificate.alternative_names().unwrap();
    assert_eq!(peer_cert.subject[0][0].1, bad);
    assert!(
        matches!(&peer_cert.subject_alt_name.as_ref().unwrap()[0], (_, AltValue::Text(text)) if text == bad)
    );
    let shown = [
        (peer_cert.to_string(), 1_500),
        (format!("{peer_cert:?}"), 1_500),
        (format!("{:?}", names[0]), 300),
        (format!("{:?}", names[1]), 300),
        (format!("{:?}", names[2]), 300),
        (format!("{:?}", certificate.subject_name()), 300),
        (
            format!("{:?}", certificate.subject_name().attributes().last()),
            300,
        ),
        (
            format!("{:?}", peer_cert.subject_alt_name.as_ref().unwrap()[2]),
            300,
        ),
    ];
    for (shown, most) in shown {
        assert!(shown.len() < most, "{}", shown.len());
        assert!(
            shown.chars().all(|c| matches!(c, ' '..='~' | '\u{2026}')),
            "{shown}"
        );
        assert!(!shown.contains("DNS \"bank.test"), "{shown}");
    }
    let sparse = getpeercert(&with(
        SUBJECT_ALT_NAME,
        sequence(&[&tlv(DNS, &[b"a.test"]), &tlv(IP, &[&[192, 0, 2, 1]])]),
    ));
    assert_eq!(
        sparse.to_string(),
        "subject: commonName=\"host.test\"; issuer: commonName=\"issuer\"; version: 3; \
         serialNumber: 01; notBefore: Jan  1 00:00:00 2020 GMT; notAfter: Jan  1 00:00:00 2030 GMT; \
         subjectAltName: DNS \"a.test\", IP Address \"192.0.2.1\""
    );
}

/// One with every extension, changed bit by bit and cut: what can still be read is read to the end.
#[test]
fn no_change_makes_it_panic() {
    let mut tbs = tbs(named(&[
        &[("2.5.4.6", PRINTABLE, b"DE"), (CN, BMP, b"\x00b")],
        &[("1.2.3.4", TELETEX, b"\xe9")],
    ]));
    let names = [
        tlv(DNS, &[b"a.test"]),
        tlv(IP, &[&[192, 0, 2, 1]]),
        tlv(0x88, &[&oid("1.2.3.4.5")[2..]]),
        tlv(0xa4, &[&name(&["x"])]),
        tlv(
            0xa0,
            &[&oid("1.2.3.4"), &tlv(0xa0, &[&tlv(UTF8, &[b"other"])])],
        ),
        tlv(0xa5, &[&tlv(0xa1, &[&tlv(UTF8, &[b"party"])])]),
    ];
    tbs.set(SUBJECT_ALT_NAME, false, sequence(&[&names.concat()]));
    tbs.set(ACCESS, false, access(&[(OCSP, b"a:"), (CA_ISSUERS, b"b:")]));
    tbs.set(
        CRL_POINTS,
        false,
        sequence(&[&sequence(&[&point(&[&tlv(URI, &[b"c:"])])])]),
    );
    let der = minted(&tbs).der().to_vec();
    let (mut read, mut whole) = (0, 0);
    let changed = (0..der.len()).flat_map(|at| {
        [1, 2, 4, 8, 16, 32, 64, 128, 255_u8].map(|bits| {
            let mut changed = der.clone();
            changed[at] ^= bits;
            changed
        })
    });
    for der in changed.chain((0..der.len()).map(|length| der[..length].to_vec())) {
        let Ok(certificate) = Certificate::from_der(&der) else {
            continue;
        };
        read += 1;
        let peer_cert = getpeercert(&certificate);
        assert!(format!("{peer_cert:?}").len() < 3_000);
        assert!(
            cert_time_to_seconds(&peer_cert.not_after).is_ok(),
            "{peer_cert}"
        );
        // The names are as long as the parser found them.
        let count = certificate.subject_name().relative_names().len();
        assert_eq!(
            count == 0,
            certificate.subject().is_empty(),
            "{certificate:?}"
        );
        let dns_names = certificate.alternative_names().unwrap_or_default();
        let dns_names = dns_names.iter().filter_map(|name| match name {
            AlternativeName::Dns(name) => Some(name.as_str()),
            _ => None,
        });
        assert!(certificate.dns_names().eq(dns_names));
        whole += usize::from(Certificate::from_pem(certificate.to_pem()).unwrap() == certificate);
    }
    assert!(read > 500 && whole == read, "{read} {whole}");
}

fn access(places: &[(&str, &[u8])]) -> Vec<u8> {
    let describe = |(method, place): &(&str, &[u8])| sequence(&[&oid(method), &tlv(URI, &[place])]);
    sequence(&[&places.iter().map(describe).collect::<Vec<_>>().concat()])
}

/// A DistributionPoint's `distributionPoint` of these names.
fn point(names: &[&[u8]]) -> Vec<u8> {
    tlv(0xa0, &[&tlv(0xa0, names)])
}

fn with(id: &'static str, value: Vec<u8>) -> Certificate {
    let mut tbs = tbs(name(&["host.test"]));
    tbs.set(id, false, value);
    minted(&tbs)
}

/// Of the serial number 1, valid from 2020 to 2030.
fn tbs(subject: Vec<u8>) -> Tbs {
    Tbs::new(subject, name(&["issuer"]), &KeyPair::generate().unwrap())
}

fn minted(tbs: &Tbs) -> Certificate {
    let der = tbs.sign(&KeyPair::generate().unwrap());
    Certificate::from_der(&der).unwrap()
}

/// An attribute: its type, the tag of its value, and the value.
type Pair<'a> = (&'a str, u8, &'a [u8]);

/// A name of relative names, each of attributes.
fn named(relative_names: &[&[Pair<'_>]]) -> Vec<u8> {
    let attribute = |(id, tag, value): &Pair<'_>| sequence(&[&oid(id), &tlv(*tag, &[value])]);
    let relative_name = |attributes: &&[Pair<'_>]| {
        let attributes = attributes.iter().map(attribute).collect::<Vec<_>>();
        tlv(0x31, &[&attributes.concat()])
    };
    let relative_names = relative_names.iter().map(relative_name).collect::<Vec<_>>();
    sequence(&[&relative_names.concat()])
}

const CN: &str = "2.5.4.3";
const SUBJECT_ALT_NAME: &str = "2.5.29.17";
const CRL_POINTS: &str = "2.5.29.31";
const ACCESS: &str = "1.3.6.1.5.5.7.1.1";
const OCSP: &str = "1.3.6.1.5.5.7.48.1";
const CA_ISSUERS: &str = "1.3.6.1.5.5.7.48.2";

/// The tags of GeneralName, RFC 5280 §4.2.1.6.
const DNS: u8 = 0x82;
const URI: u8 = 0x86;
const IP: u8 = 0x87;
/// The tags of texts, X.680 §8.6.
const UTF8: u8 = 0x0c;
const PRINTABLE: u8 = 0x13;
const TELETEX: u8 = 0x14;
const BMP: u8 = 0x1e;
