//! Fetches from a real nginx: a server that nobody here wrote.
//!
//! They need nginx in PATH, so `cargo test` leaves them out and says so; `.ci/run` has them run by
//! `cargo test --all-features --test nginx -- --ignored`.
#![cfg(feature = "lab")]
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "what fails here fails a test"
)]

use http::Version;
use rcgen::{CertificateParams, date_time_ymd};
use urlfetch::tls::{Policy, RootStore, Version as Tls};
use urlfetch::{Client, ClientBuilder, ErrorKind};

#[path = "support/free_port.rs"]
mod free_port;
#[path = "support/nginx.rs"]
mod nginx;
#[path = "support/scratch.rs"]
mod scratch;

use nginx::{Nginx, Site};

#[tokio::test]
#[ignore = "needs nginx in PATH: .ci/run runs it"]
async fn a_good_server_by_either_http() {
    for (listen, version, logged) in [
        ("ssl http2", Version::HTTP_2, "HTTP/2.0"),
        ("ssl", Version::HTTP_11, "HTTP/1.1"),
    ] {
        let nginx = Nginx::start(&Site {
            certificate: certificate_for("nginx.test"),
            directives: "ssl_protocols TLSv1.3; gzip on; gzip_min_length 1;
                         return 200 'hello, hello, hello, hello';",
            listen,
        });
        let client = client(&nginx).build().unwrap();
        for _ in 0..2 {
            let response = client.fetch(url(&nginx)).await.unwrap();
            assert_eq!(response.status(), 200);
            assert_eq!(response.version(), version);
            assert!(response.verdict().unwrap().is_verified());
            let text = response.text().await.unwrap();
            assert_eq!(text, "hello, hello, hello, hello");
        }
        let request = format!("TLSv1.3 \"GET /path?query {logged}\" 200");
        assert_eq!(nginx.stop(), [request.clone(), request]);
    }
}

#[tokio::test]
#[ignore = "needs nginx in PATH: .ci/run runs it"]
async fn what_proves_another_host_or_no_longer_proves_one_gets_no_request() {
    let mut expired = certificate_for("nginx.test");
    expired.not_before = date_time_ymd(2000, 1, 1);
    expired.not_after = date_time_ymd(2001, 1, 1);
    for (certificate, code) in [
        (certificate_for("other.test"), "hostname-mismatch"),
        (expired, "expired"),
    ] {
        let nginx = Nginx::start(&Site {
            certificate,
            directives: "ssl_protocols TLSv1.3; return 200 hello;",
            listen: "ssl http2",
        });
        let error = client(&nginx).build().unwrap().fetch(url(&nginx)).await;
        let error = error.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Certificate, "{error}");
        assert_eq!(error.code(), code, "{error}");
        assert!(!error.request_was_sent(), "{error}");

        // The log works, and this is all that is in it.
        let careless = client(&nginx).danger_accept_unverified().build().unwrap();
        careless.fetch(url(&nginx)).await.unwrap();
        assert_eq!(
            nginx.stop(),
            ["TLSv1.3 \"GET /path?query HTTP/2.0\" 200"],
            "{code}"
        );
    }
}

#[tokio::test]
#[ignore = "needs nginx in PATH: .ci/run runs it"]
async fn tls_1_2_is_spoken_unless_the_policy_wants_more() {
    let nginx = Nginx::start(&Site {
        certificate: certificate_for("nginx.test"),
        directives: "ssl_protocols TLSv1.2; return 200 hello;",
        listen: "ssl http2",
    });
    let response = client(&nginx).build().unwrap().fetch(url(&nginx)).await;
    assert!(response.unwrap().verdict().unwrap().is_verified());

    let policy = Policy::default().min_version(Tls::Tls13);
    let newer = client(&nginx).policy(policy).build().unwrap();
    let error = newer.fetch(url(&nginx)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Tls, "{error}");
    assert!(!error.request_was_sent(), "{error}");
    assert_eq!(nginx.stop(), ["TLSv1.2 \"GET /path?query HTTP/2.0\" 200"]);
}

fn certificate_for(host: &str) -> CertificateParams {
    let mut params = CertificateParams::new([host.to_owned()]).unwrap();
    params.not_before = date_time_ymd(2000, 1, 1);
    params.not_after = date_time_ymd(2100, 1, 1);
    params
}

fn client(nginx: &Nginx) -> ClientBuilder {
    let roots = RootStore::empty().add_pem(&nginx.ca_pem).unwrap();
    Client::builder()
        .roots(roots)
        .resolve("nginx.test", [nginx.addr])
}

fn url(nginx: &Nginx) -> String {
    format!("https://nginx.test:{}/path?query", nginx.addr.port())
}
