//! The service that the process shares: HTTPSVERIFY, and the roots that SSL_CERT_FILE names, each
//! in a process of its own.
//!
//! The servers are asked for by IP address, as that service has no resolver but the system's.
#![cfg(unix)]

use std::fs;

use urlfetch::appengine::{self, Exception, Fetch, FetchResult};
use urlfetch::lab::{Lab, Scenario};

use crate::child::{Warnings, alone, assert_no_packet};
use crate::script::{Server, in_time};
use crate::{go, service_of};

/// A row is what the environment says. Its columns are what the call says of
/// `validate_certificate`: nothing, `true`, `false`.
macro_rules! table {
    ($($row:ident $variables:expr => $nothing:ident $verify:ident $do_not:ident;)+) => {$(
        #[test]
        fn $row() {
            let test = concat!("environment::", stringify!($row));
            let variables: &[(&str, &str)] = $variables;
            holds(test, variables, [Outcome::$nothing, Outcome::$verify, Outcome::$do_not]);
        }
    )+};
}

table! {
    unset &[] => Verified Verified Reported;
    httpsverify_empty &[("HTTPSVERIFY", "")] => Verified Verified Reported;
    httpsverify_1 &[("HTTPSVERIFY", "1")] => Verified Verified Refused;
    httpsverify_0 &[("HTTPSVERIFY", "0")] => Reported Verified Reported;
    httpsverify_yes &[("HTTPSVERIFY", "yes")] => Invalid Invalid Invalid;
    // Python's alone changes nothing.
    pythonhttpsverify_0 &[("PYTHONHTTPSVERIFY", "0")] => Verified Verified Reported;
    pythonhttpsverify_1 &[("PYTHONHTTPSVERIFY", "1")] => Verified Verified Reported;
    both_variables &[("HTTPSVERIFY", "1"), ("PYTHONHTTPSVERIFY", "0")] => Verified Verified Refused;
}

#[derive(Clone, Copy, Debug)]
enum Outcome {
    /// Only the good server is used.
    Verified,
    /// Both are used, the result says what is wrong with the bad one, and somebody is warned.
    Reported,
    /// HTTPSVERIFY=1 forbids it.
    Refused,
    /// HTTPSVERIFY means nothing.
    Invalid,
}

fn holds(test: &str, variables: &[(&str, &str)], columns: [Outcome; 3]) {
    let roots = ("SSL_CERT_FILE", "ca.pem");
    alone(test, variables.iter().copied().chain([roots]), || async {
        let warnings = Warnings::record();
        let lab = start_lab().await;
        for (outcome, said) in columns.into_iter().zip([None, Some(true), Some(false)]) {
            let fetch = |scenario| fetch(&lab, scenario).validate_certificate(said);
            let connections = lab.connections(BAD);
            match outcome {
                Outcome::Verified => {
                    let result = fetch(GOOD).await.unwrap();
                    assert!(result.verdict().unwrap().is_verified());
                    let error = fetch(BAD).await.unwrap_err();
                    assert_eq!(error.exception(), Exception::SslCertificateError, "{error}");
                    assert!(error.to_string().contains("hostname-mismatch"), "{error}");
                    assert_eq!(unverified(&warnings), 0, "{said:?}");
                }
                Outcome::Reported => {
                    let verified = |result: FetchResult| {
                        assert_eq!(result.status_code(), 200);
                        result
                            .verdict()
                            .unwrap()
                            .reason()
                            .map(|reason| reason.code())
                    };
                    assert_eq!(verified(fetch(GOOD).await.unwrap()), None);
                    let code = verified(fetch(BAD).await.unwrap());
                    assert_eq!(code, Some("hostname-mismatch"));
                    let new = lab.connections(BAD) - connections;
                    assert_eq!(unverified(&warnings), new, "{said:?}");
                }
                Outcome::Refused => is_refused(&lab, said, "HTTPSVERIFY=1 demands").await,
                Outcome::Invalid => is_refused(&lab, said, "HTTPSVERIFY is \"yes\"").await,
            }
        }
        if matches!(columns, [Outcome::Invalid, ..]) {
            assert_no_packet(&lab, GOOD).await;
            assert_no_packet(&lab, BAD).await;
        }
    });
}

/// Fails, and no connection is made.
async fn is_refused(lab: &Lab, said: Option<bool>, why: &str) {
    for scenario in [GOOD, BAD] {
        let before = lab.connections(scenario);
        let error = fetch(lab, scenario).validate_certificate(said).await;
        let error = error.unwrap_err();
        assert_eq!(error.exception(), Exception::DownloadError, "{error}");
        assert!(error.to_string().contains(why), "{error}");
        assert!(!error.cause().request_was_sent());
        assert_eq!(lab.connections(scenario), before);
    }
}

/// A client that a program builds is as the program says.
#[test]
fn a_service_of_ones_own_verifies_under_httpsverify_0() {
    let test = "environment::a_service_of_ones_own_verifies_under_httpsverify_0";
    alone(test, [("HTTPSVERIFY", "0")], || async {
        let lab = Lab::start().await.unwrap();
        let service = service_of(&lab);
        let error = service.fetch(lab.url(BAD)).await.unwrap_err();
        assert!(error.is_ssl_certificate_error(), "{error}");
        let call = service.fetch(lab.url(BAD)).validate_certificate(false);
        assert!(!call.await.unwrap().verdict().unwrap().is_verified());
    });
}

#[test]
fn a_service_of_ones_own_is_refused_under_httpsverify_1() {
    let test = "environment::a_service_of_ones_own_is_refused_under_httpsverify_1";
    alone(test, [("HTTPSVERIFY", "1")], || async {
        let lab = Lab::start().await.unwrap();
        for scenario in [GOOD, BAD] {
            let call = service_of(&lab).fetch(lab.url(scenario));
            let error = call.validate_certificate(false).await.unwrap_err();
            assert_eq!(error.exception(), Exception::DownloadError, "{error}");
            assert!(
                error.to_string().contains("HTTPSVERIFY=1 demands"),
                "{error}"
            );
            assert_no_packet(&lab, scenario).await;
        }
    });
}

/// The stub went on without it, and production never had one.
#[test]
fn a_missing_ca_file_is_a_download_error_with_its_path() {
    let test = "environment::a_missing_ca_file_is_a_download_error_with_its_path";
    alone(test, [("SSL_CERT_FILE", "ca.pem")], || async {
        let lab = Lab::start().await.unwrap();
        is_told(&lab, "SSL_CERT_FILE=ca.pem: there is nothing at this path").await;
        // What could not be read is read again.
        fs::write("ca.pem", lab.ca_pem()).unwrap();
        let result = fetch(&lab, GOOD).await.unwrap();
        assert!(result.verdict().unwrap().is_verified());
    });
}

#[test]
fn an_empty_ca_file_is_a_download_error_with_its_path() {
    let test = "environment::an_empty_ca_file_is_a_download_error_with_its_path";
    alone(test, [("SSL_CERT_FILE", "ca.pem")], || async {
        fs::write("ca.pem", "").unwrap();
        let lab = Lab::start().await.unwrap();
        is_told(&lab, "SSL_CERT_FILE=ca.pem: it is empty").await;
    });
}

async fn is_told(lab: &Lab, why: &str) {
    for said in [None, Some(true), Some(false)] {
        let call = fetch(lab, GOOD).validate_certificate(said);
        let error = call.await.unwrap_err();
        assert_eq!(error.exception(), Exception::DownloadError, "{error}");
        assert!(error.to_string().contains(why), "{error}");
    }
    assert_no_packet(lab, GOOD).await;
}

#[test]
fn fetch_has_app_engines_limits() {
    let test = "environment::fetch_has_app_engines_limits";
    alone(test, [("SSL_CERT_FILE", "ca.pem")], || async {
        let lab = start_lab().await;
        let plain = Server::plain(go).await;
        let url = format!("http://127.0.0.1:{}", plain.addr.port());
        let post = appengine::fetch(format!("{url}/")).method("post");
        let result = in_time(post.payload("a=b").send()).await.unwrap();
        assert!(result.verdict().is_none());
        let form = "application/x-www-form-urlencoded";
        assert_eq!(plain.last().header("content-type"), form);
        let error = appengine::fetch("https://127.0.0.1:22/").await.unwrap_err();
        assert!(error.is_invalid_url_error(), "{error}");
        assert!(error.to_string().contains("port is 22"), "{error}");
        // The plain client of this crate has its own.
        let error = urlfetch::fetch(format!("{url}/")).await.unwrap_err();
        assert_eq!(error.kind(), urlfetch::ErrorKind::InvalidUrl);
        // One connection, for it is one client.
        for _ in 0..3 {
            fetch(&lab, GOOD).await.unwrap();
        }
        assert_eq!(lab.connections(GOOD), 1);
    });
}

/// Each of two runtimes has connections of its own, and the service serves both.
#[test]
fn fetch_serves_any_runtime() {
    let test = "environment::fetch_serves_any_runtime";
    alone(test, [("SSL_CERT_FILE", "ca.pem")], || async {
        let lab = start_lab().await;
        let url = lab.url(GOOD);
        fetch(&lab, GOOD).await.unwrap();
        let other = std::thread::spawn(move || {
            let mut runtime = tokio::runtime::Builder::new_current_thread();
            let runtime = runtime.enable_all().build().unwrap();
            runtime.block_on(appengine::fetch(url).send()).unwrap()
        });
        let other = tokio::task::spawn_blocking(|| other.join().unwrap());
        assert_eq!(other.await.unwrap().status_code(), 200);
        fetch(&lab, GOOD).await.unwrap();
        assert_eq!(lab.connections(GOOD), 2);
    });
}

fn fetch(lab: &Lab, scenario: Scenario) -> Fetch {
    appengine::fetch(lab.url(scenario))
}

/// How many connections to a peer that was not verified were warned of since the last time.
fn unverified(warnings: &Warnings) -> u64 {
    let told = warnings.take().into_iter();
    told.filter(|warning| warning.contains("tls.verified=false"))
        .count() as u64
}

/// The lab, whose CA is then where SSL_CERT_FILE says.
async fn start_lab() -> Lab {
    let lab = Lab::start().await.unwrap();
    fs::write("ca.pem", lab.ca_pem()).unwrap();
    lab
}

const GOOD: Scenario = Scenario::GoodByIp;
const BAD: Scenario = Scenario::IpForName;
