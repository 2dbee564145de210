//! Contexts: which CAs, which demands and which versions, for sockets and for fetches.

use std::fs;
use std::path::Path;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::net::TcpStream;
use urlfetch::lab::{Lab, Scenario};
use urlfetch::ssl::{self, CaData, Pem, Protocol, SslContext, TlsVersion};
use urlfetch::tls::{Certificate, CrlStore, Pin, Policy, Version};
use urlfetch::{Error, ErrorKind, Result, TlsStream};

use crate::child::{Warnings, alone, assert_no_packet};
use crate::scratch::Scratch;

/// A handshake with a scenario's server, over a socket of the test's own.
async fn wrap(lab: &Lab, context: &SslContext, scenario: Scenario) -> Result<TlsStream> {
    let tcp = TcpStream::connect(lab.addr(scenario)).await.unwrap();
    context.wrap_socket(tcp, scenario.host())?.await
}

fn trusting(lab: &Lab) -> SslContext {
    trusts(lab.ca_pem()).unwrap()
}

fn trusts<'a>(cadata: impl Into<CaData<'a>>) -> Result<SslContext> {
    ssl::create_default_context().load_verify_locations(None, None, Some(cadata.into()))
}

/// A CA that has issued nothing.
pub(crate) fn other_ca() -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, "other");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

fn assert_config(error: &Error, why: &str) {
    assert_eq!(error.kind(), ErrorKind::Config, "{error}");
    assert!(error.to_string().contains(why), "{error}\n{why}");
}

#[tokio::test]
async fn cas_come_from_a_file_a_folder_a_reader_text_and_der_and_add_up() {
    let lab = Lab::start().await.unwrap();
    let scratch = Scratch::new();
    let file = scratch.path().join("ca.pem");
    fs::write(&file, lab.ca_pem()).unwrap();
    let folder = scratch.path();
    let other = other_ca();

    let new = ssl::create_default_context;
    let load = |file: Option<Pem>, folder: Option<&Path>, data: Option<CaData<'_>>| {
        new().load_verify_locations(file, folder, data).unwrap()
    };
    let in_a_row = [other.der(), lab.ca_der()].concat();
    let noise = format!("issued for tests\n{}\nas ever\n", lab.ca_pem());
    let contexts = [
        ("file", load(Some((&file).into()), None, None)),
        ("folder", load(None, Some(folder), None)),
        (
            "reader",
            load(Some(Pem::reader(lab.ca_pem().as_bytes())), None, None),
        ),
        ("text", load(None, None, Some(lab.ca_pem().into()))),
        (
            "text with noise",
            load(None, None, Some(noise.as_str().into())),
        ),
        ("DER", load(None, None, Some(lab.ca_der().into()))),
        (
            "DER in a row",
            load(None, None, Some(in_a_row.as_slice().into())),
        ),
        (
            "all three",
            load(
                Some((&file).into()),
                Some(folder),
                Some(other.pem().as_str().into()),
            ),
        ),
        (
            "after another",
            trusts(other.pem().as_str())
                .unwrap()
                .load_verify_locations(Some((&file).into()), None, None)
                .unwrap(),
        ),
        (
            "before another",
            trusting(&lab)
                .load_verify_locations(None, None, Some(other.der().as_ref().into()))
                .unwrap(),
        ),
    ];
    for (case, context) in contexts {
        let stream = wrap(&lab, &context, Scenario::Good).await;
        assert!(stream.unwrap().verdict().is_verified(), "{case}");
    }
    let stranger = trusts(other.pem().as_str()).unwrap();
    let error = wrap(&lab, &stranger, Scenario::Good).await.unwrap_err();
    assert_eq!(error.code(), "unknown-issuer");
}

#[test]
fn cas_that_are_named_and_cannot_be_used_are_an_error_and_never_none() {
    let scratch = Scratch::new();
    let at = |name: &str| scratch.path().join(name);
    fs::write(at("empty.pem"), "").unwrap();
    fs::write(at("junk.pem"), "no certificate").unwrap();
    let key = KeyPair::generate().unwrap().serialize_pem();
    fs::write(at("key.pem"), &key).unwrap();
    fs::create_dir(at("empty")).unwrap();
    fs::create_dir(at("junk")).unwrap();
    fs::write(at("junk/junk.pem"), "no certificate").unwrap();
    let pem = other_ca().pem();
    let file = |name: &str| Some(Pem::from(at(name)));
    let folder = |name: &str| Some(at(name));
    let mut broken = pem.clone();
    broken.replace_range(100..101, "!");

    let der = |bytes: &'static [u8]| Some(CaData::Der(bytes));
    for (cafile, capath, cadata, why) in [
        (None, None, None, "neither cafile nor capath nor cadata"),
        (
            file("none.pem"),
            None,
            None,
            "there is nothing at this path",
        ),
        (file("empty.pem"), None, None, "it is empty"),
        (file("junk.pem"), None, None, "it is not PEM"),
        (file("key.pem"), None, None, "it is a private key"),
        (file("empty"), None, None, "it is a folder"),
        (Some(Pem::reader(&b""[..])), None, None, "it is empty"),
        (Some(Pem::reader(&b"junk"[..])), None, None, "it is not PEM"),
        (None, folder("none"), None, "there is nothing at this path"),
        (None, folder("empty"), None, "the folder is empty"),
        (
            None,
            folder("junk"),
            None,
            "nothing in the folder is a usable CA",
        ),
        (None, folder("key.pem"), None, "it is not a folder"),
        (None, None, Some("".into()), "it is empty"),
        (None, None, Some("junk".into()), "it is not PEM"),
        (None, None, Some(key.as_str().into()), "it is a private key"),
        (None, None, Some(broken.as_str().into()), "base64"),
        (None, None, der(b""), "it is empty"),
        (None, None, der(b"junk"), "it is neither DER nor PEM"),
        (
            None,
            None,
            Some(pem.as_bytes().into()),
            "it is PEM and DER was expected",
        ),
        // What is good does not make up for what is not.
        (
            Some(Pem::reader(pem.as_bytes())),
            folder("none"),
            None,
            "nothing at this path",
        ),
    ] {
        let context = ssl::create_default_context();
        let error = context
            .load_verify_locations(cafile, capath.as_deref(), cadata)
            .unwrap_err();
        assert_config(&error, why);
    }
}

#[tokio::test]
async fn a_peer_is_the_host_that_was_named_whatever_the_context_was_made_from() {
    let lab = Lab::start().await.unwrap();
    let of = |protocol: Protocol| {
        let context = SslContext::new(protocol).unwrap();
        let ca = Some(lab.ca_pem().into());
        context.load_verify_locations(None, None, ca).unwrap()
    };
    for context in [
        trusting(&lab),
        trusting(&lab).verify_mode(ssl::CERT_OPTIONAL),
        of(ssl::PROTOCOL_SSLv23),
        of(ssl::PROTOCOL_TLS),
        of(ssl::PROTOCOL_TLS_CLIENT),
        of(ssl::PROTOCOL_TLSv1_2),
    ] {
        wrap(&lab, &context, Scenario::Good).await.unwrap();
        for scenario in [Scenario::WrongHost, Scenario::IpForName] {
            let error = wrap(&lab, &context, scenario).await.unwrap_err();
            assert_eq!(error.code(), "hostname-mismatch", "{error}");
        }
        let error = wrap(&lab, &context, Scenario::Expired).await.unwrap_err();
        assert_eq!(error.code(), "expired");
    }
}

#[tokio::test]
async fn the_best_version_of_both_is_spoken_and_none_below_the_minimum() {
    let lab = Lab::start().await.unwrap();
    let newest = Policy::default().min_version(Version::Tls13);
    for (context, with_1_3, with_1_2) in [
        (trusting(&lab), true, true),
        // Python's spoke 1.2 alone.
        (lowest(&lab, TlsVersion::TLSv1_2), true, true),
        (lowest(&lab, TlsVersion::MINIMUM_SUPPORTED), true, true),
        (lowest(&lab, TlsVersion::TLSv1_3), true, false),
        (lowest(&lab, TlsVersion::MAXIMUM_SUPPORTED), true, false),
        (trusting(&lab).policy(newest.clone()), true, false),
        // Of two minimums the newer, in either order.
        (
            lowest(&lab, TlsVersion::TLSv1_2).policy(newest),
            true,
            false,
        ),
        (
            lowest(&lab, TlsVersion::TLSv1_3).policy(Policy::default()),
            true,
            false,
        ),
    ] {
        for (scenario, version, is_spoken) in [
            (Scenario::Good, Version::Tls13, with_1_3),
            (Scenario::Tls12Only, Version::Tls12, with_1_2),
        ] {
            match wrap(&lab, &context, scenario).await {
                Ok(stream) => {
                    assert!(is_spoken, "{context:?}");
                    assert_eq!(stream.peer().version(), version);
                }
                Err(error) => {
                    assert!(!is_spoken, "{context:?}: {error}");
                    assert!(error.to_string().contains("TLS 1.3, which the"), "{error}");
                }
            }
        }
    }
}

fn lowest(lab: &Lab, version: TlsVersion) -> SslContext {
    trusting(lab).minimum_version(version).unwrap()
}

/// In Python up to 3.12 a path ended in a root that had signed itself; with
/// VERIFY_X509_PARTIAL_CHAIN in an intermediate, or in the host's own certificate.
#[tokio::test]
async fn a_path_ends_in_an_intermediate_and_in_a_leaf_only_if_it_signed_itself() {
    let lab = Lab::start().await.unwrap();
    let loose = |scenario: Scenario| {
        let port = lab.addr(scenario).port();
        ssl::get_server_certificate("127.0.0.1", port).cert_reqs(ssl::CERT_NONE)
    };
    let good = wrap(&lab, &trusting(&lab), Scenario::Good).await.unwrap();
    let [leaf, intermediate] = good.peer().chain() else {
        panic!("{:?}", good.peer().chain())
    };
    let itself = loose(Scenario::SelfSigned).await.unwrap();
    for (anchor, scenario, expected) in [
        (intermediate, Scenario::Good, None),
        (intermediate, Scenario::MissingIntermediate, None),
        (leaf, Scenario::Good, Some("unknown-issuer")),
        (&itself, Scenario::SelfSigned, None),
        (&itself, Scenario::Good, Some("unknown-issuer")),
    ] {
        for cadata in [anchor.der().into(), anchor.to_pem().as_str().into()] {
            let cadata: CaData<'_> = cadata;
            let outcome = wrap(&lab, &trusts(cadata).unwrap(), scenario).await;
            let code = outcome.err().map(|error| error.code());
            assert_eq!(code, expected, "{scenario}: {anchor:?}");
        }
    }
}

/// What `verify_flags` were for.
#[tokio::test]
async fn a_contexts_policy_is_demanded_of_its_sockets_and_its_fetches() {
    let lab = Lab::start().await.unwrap();
    let ca = Certificate::from_der(lab.ca_der()).unwrap();
    let other = Certificate::from_der(other_ca().der()).unwrap();
    let default = Policy::default;
    for (policy, expected) in [
        (default().pin(Pin::of(&ca)), None),
        (default().pin(Pin::of(&other)), Some("pin-mismatch")),
        (default().require_staple(), Some("staple-missing")),
        // With VERIFY_CRL_CHECK_LEAF and no CRL Python refused every peer. Here CRLs are the demand.
        (default().crls(CrlStore::empty()), None),
    ] {
        let scenario = Scenario::GoodByIp;
        let context = trusting(&lab).policy(policy);
        let wrapped = wrap(&lab, &context, scenario).await.map(drop);
        let client = context.client().unwrap();
        let fetched = client.fetch(lab.url(scenario)).await.map(drop);
        for outcome in [wrapped, fetched] {
            let code = outcome.err().map(|error| error.code());
            assert_eq!(code, expected, "{context:?}");
        }
    }
}

/// The sentences are the table's of `Protocol`.
#[test]
fn a_version_that_is_gone_makes_no_context() {
    for (error, name) in [
        (SslContext::new(ssl::PROTOCOL_SSLv2), "PROTOCOL_SSLv2 asks"),
        (SslContext::new(ssl::PROTOCOL_SSLv3), "PROTOCOL_SSLv3 asks"),
        (
            SslContext::new(ssl::PROTOCOL_TLSv1),
            "PROTOCOL_TLSv1 asks for TLS 1.0, which is not spoken (RFC 8996)",
        ),
        (
            SslContext::new(ssl::PROTOCOL_TLSv1_1),
            "PROTOCOL_TLSv1_1 asks for TLS 1.1, which is not spoken (RFC 8996)",
        ),
        (
            SslContext::new(ssl::PROTOCOL_TLS_SERVER),
            "PROTOCOL_TLS_SERVER is for servers",
        ),
        (
            ssl::create_default_context().minimum_version(TlsVersion::TLSv1),
            "TLSVersion.TLSv1 asks for TLS 1.0",
        ),
    ] {
        assert_config(&error.unwrap_err(), name);
    }
}

/// Half a verification is none, and is refused before a byte is written.
#[tokio::test]
async fn a_certificate_is_required_with_its_name_or_not_at_all() {
    let lab = Lab::start().await.unwrap();
    for (mode, check, why) in [
        (ssl::CERT_REQUIRED, false, "check_hostname is off"),
        (ssl::CERT_OPTIONAL, false, "check_hostname is off"),
        (ssl::CERT_NONE, true, "check_hostname is on"),
    ] {
        for context in [
            trusting(&lab).verify_mode(mode).check_hostname(check),
            trusting(&lab).check_hostname(check).verify_mode(mode),
        ] {
            let (ours, theirs) = tokio::io::duplex(1024);
            assert_config(
                &context.wrap_socket(ours, "good.lab.test").unwrap_err(),
                why,
            );
            assert_nothing_came(theirs).await;
            assert_config(&context.client().unwrap_err(), why);
            assert_config(&context.client_builder().unwrap_err(), why);
        }
    }
}

async fn assert_nothing_came(mut end: DuplexStream) {
    let mut received = Vec::new();
    end.read_to_end(&mut received).await.unwrap();
    assert_eq!(received, b"");
}

/// It is reported and logged, as by any other way of saying so.
#[test]
fn a_peer_that_need_not_be_verified_is_judged_all_the_same() {
    let test = "context::a_peer_that_need_not_be_verified_is_judged_all_the_same";
    alone(test, [("HTTPSVERIFY", "0")], || async {
        let warnings = Warnings::record();
        let lab = Lab::start().await.unwrap();
        let loose = trusting(&lab)
            .check_hostname(false)
            .verify_mode(ssl::CERT_NONE);
        let stream = wrap(&lab, &loose, Scenario::WrongHost).await.unwrap();
        let reason = stream.verdict().reason().unwrap();
        assert_eq!(reason.code(), "hostname-mismatch");
        assert_eq!(warnings.take().len(), 1);

        let url = lab.url(Scenario::IpForName);
        let response = loose.client().unwrap().fetch(&url).await.unwrap();
        assert!(!response.verdict().unwrap().is_verified());
        assert_eq!(warnings.take().len(), 1);

        // The environment never loosens a context.
        let strict = trusting(&lab);
        let error = wrap(&lab, &strict, Scenario::WrongHost).await.unwrap_err();
        assert_eq!(error.code(), "hostname-mismatch");
        let error = strict.client().unwrap().fetch(&url).await.unwrap_err();
        assert_eq!(error.code(), "hostname-mismatch");
        assert_eq!(warnings.take(), [""; 0]);
    });
}

#[test]
fn https_verify_refuses_to_do_without() {
    let test = "context::https_verify_refuses_to_do_without";
    alone(test, [("HTTPSVERIFY", "1")], || async {
        let lab = Lab::start().await.unwrap();
        let why = "HTTPSVERIFY=1 demands";
        let loose = trusting(&lab)
            .check_hostname(false)
            .verify_mode(ssl::CERT_NONE);
        assert_config(&loose.client().unwrap_err(), why);
        let (ours, theirs) = tokio::io::duplex(1024);
        assert_config(&loose.wrap_socket(ours, "good.lab.test").unwrap_err(), why);
        assert_nothing_came(theirs).await;

        let (ours, theirs) = tokio::io::duplex(1024);
        let wrapping = ssl::wrap_socket(ours, "good.lab.test").cert_reqs(ssl::CERT_NONE);
        assert_config(&wrapping.await.unwrap_err(), why);
        assert_nothing_came(theirs).await;

        let port = lab.addr(Scenario::GoodByIp).port();
        let asking = ssl::get_server_certificate("127.0.0.1", port).cert_reqs(ssl::CERT_NONE);
        assert_config(&asking.await.unwrap_err(), why);
        assert_no_packet(&lab, Scenario::GoodByIp).await;

        wrap(&lab, &trusting(&lab), Scenario::Good).await.unwrap();
    });
}

/// What the environment names is trusted by a context for which nothing was loaded, or where it is
/// asked for.
#[test]
fn default_certs_are_those_of_the_environment() {
    let test = "context::default_certs_are_those_of_the_environment";
    alone(test, [("SSL_CERT_FILE", "ca.pem")], || async {
        let lab = Lab::start().await.unwrap();
        let new = ssl::create_default_context;
        // Nothing is there yet: it is an error, and never no CAs.
        let (why, file) = ("nothing at this path", "SSL_CERT_FILE=ca.pem");
        let error = new().load_default_certs().unwrap_err();
        assert_config(&error, why);
        assert_config(&error, file);
        let error = wrap(&lab, &new(), Scenario::Good).await.unwrap_err();
        assert_config(&error, why);
        fs::write("ca.pem", "").unwrap();
        assert_config(&new().load_default_certs().unwrap_err(), "it is empty");

        fs::write("ca.pem", lab.ca_pem()).unwrap();
        let other = other_ca();
        let strange = || trusts(other.pem().as_str()).unwrap();
        let default = || new().load_default_certs().unwrap();
        for (case, context, expected) in [
            ("nothing loaded", new(), None),
            ("defaults", default(), None),
            ("another in their place", strange(), Some("unknown-issuer")),
            ("both", strange().load_default_certs().unwrap(), None),
            (
                "both, the other way round",
                default()
                    .load_verify_locations(None, None, Some(other.pem().as_str().into()))
                    .unwrap(),
                None,
            ),
        ] {
            let outcome = wrap(&lab, &context, Scenario::Good).await;
            assert_eq!(outcome.err().map(|error| error.code()), expected, "{case}");
        }
    });
}

#[test]
fn default_certs_come_to_those_that_were_loaded() {
    let test = "context::default_certs_come_to_those_that_were_loaded";
    alone(test, [("SSL_CERT_FILE", "ca.pem")], || async {
        fs::write("ca.pem", other_ca().pem()).unwrap();
        let lab = Lab::start().await.unwrap();
        let context = trusting(&lab).load_default_certs().unwrap();
        wrap(&lab, &context, Scenario::Good).await.unwrap();
    });
}

#[tokio::test]
async fn one_context_has_one_client_until_it_is_changed() {
    let lab = Lab::start().await.unwrap();
    let context = trusting(&lab);
    assert!(!exchange(&lab, &context).await);
    assert!(exchange(&lab, &context).await);
    assert!(exchange(&lab, &context.clone()).await);
    let changed = context.clone().verify_mode(ssl::CERT_OPTIONAL);
    assert!(!exchange(&lab, &changed).await);
    assert!(exchange(&lab, &context).await);
}

/// A request over a socket of its own; whether a session was resumed.
async fn exchange(lab: &Lab, context: &SslContext) -> bool {
    let mut stream = wrap(lab, context, Scenario::Good).await.unwrap();
    let request = b"GET / HTTP/1.1\r\nhost: good.lab.test\r\nconnection: close\r\n\r\n";
    stream.write_all(request).await.unwrap();
    let mut reply = String::new();
    stream.read_to_string(&mut reply).await.unwrap();
    assert!(reply.starts_with("HTTP/1.1 200 "), "{reply}");
    stream.peer().is_resumed()
}

/// `urlopen(context=...)`: what a context trusts and shows holds for HTTP too.
#[tokio::test]
async fn a_contexts_client_fetches() {
    let lab = Lab::start().await.unwrap();
    let context = trusting(&lab);
    let client = context.client().unwrap();
    let response = client.fetch(lab.url(Scenario::GoodByIp)).await.unwrap();
    assert!(response.verdict().unwrap().is_verified());
    let error = client
        .fetch(lab.url(Scenario::IpForName))
        .await
        .unwrap_err();
    assert_eq!(error.code(), "hostname-mismatch");

    let (cert, key) = lab.client_identity_pem();
    let context = context
        .load_cert_chain(
            Pem::reader(cert.as_bytes()),
            Some(Pem::reader(key.as_bytes())),
        )
        .unwrap();
    let scenario = Scenario::ClientCertificateRequired;
    let client = context
        .client_builder()
        .unwrap()
        .resolve(scenario.host(), [lab.addr(scenario)])
        .build()
        .unwrap();
    let response = client.fetch(lab.url(scenario)).await.unwrap();
    assert_eq!(response.status(), 200);
}
