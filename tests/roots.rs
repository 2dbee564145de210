//! Roots: every door of [`RootStore`] by a real fetch, and what the environment names in place of
//! the platform's, each case in a process of its own, for what was loaded is kept.
#![cfg(all(unix, feature = "lab"))]
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "what fails here fails a test"
)]

use std::fs;
use std::io::{self, Cursor, Read};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::UnixListener;
use std::process::Command;
use std::time::{Duration, SystemTime};

use rcgen::KeyPair;
use urlfetch::lab::{Lab, Scenario};
use urlfetch::tls::{Anchor, RootStore};
use urlfetch::{Client, Error, ErrorKind, Phase, Response, Result};

#[path = "support/child.rs"]
mod child;
#[path = "support/scratch.rs"]
mod scratch;

use child::{Warnings, alone, assert_no_packet};
use scratch::Scratch;

/// What the environment names: a test each.
///
/// `file` and `dir` are SSL_CERT_FILE and SSL_CERT_DIR; `lay` fills the folder that relative paths
/// lead to.
macro_rules! environment {
    ($($test:ident ($file:expr, $dir:expr, $lay:expr) => $check:expr;)+) => {$(
        #[test]
        fn $test() {
            let variables = [("SSL_CERT_FILE", $file), ("SSL_CERT_DIR", $dir)];
            let variables = variables.map(|(name, value): (_, Option<&str>)| Some((name, value?)));
            alone(stringify!($test), variables.into_iter().flatten(), || async {
                let warnings = Warnings::record();
                let lab = Lab::start().await.unwrap();
                let lay: fn(&Lab) = $lay;
                lay(&lab);
                $check.hold(&lab, &warnings).await;
            });
        }
    )+};
}

/// What must come of it.
enum Check {
    /// The lab is trusted, its CA is an anchor once, and the anchors are from these sources.
    Trusted(&'static [&'static str]),
    /// The first fetch is told all this; nothing leaves.
    Told(&'static [&'static str]),
    /// The lab is trusted, and one warning holds this.
    Warned(&'static str),
}
use Check::{Told, Trusted, Warned};

impl Check {
    async fn hold(self, lab: &Lab, warnings: &Warnings) {
        // Neither of these reads a file.
        let new = Client::new().unwrap();
        let built = Client::builder().build().unwrap();
        let url = lab.url(GOOD);
        match self {
            Told(words) => {
                for error in [
                    urlfetch::fetch(&url).await.unwrap_err(),
                    new.fetch(&url).await.unwrap_err(),
                    built.fetch(&url).await.unwrap_err(),
                    // Not to verify is no way round it either.
                    new.fetch(&url)
                        .validate_certificate(false)
                        .await
                        .unwrap_err(),
                    built.connect("127.0.0.1", 1).await.unwrap_err(),
                    RootStore::native().unwrap_err(),
                ] {
                    assert_told(&error, words);
                }
                assert_no_packet(lab, GOOD).await;
                assert_eq!(warnings.take(), [""; 0]);
            }
            Trusted(sources) => {
                is_trusted(lab).await;
                let roots = RootStore::native().unwrap();
                let found: Vec<_> = roots.anchors().map(Anchor::source).collect();
                assert_eq!(found, sources);
                assert_eq!(warnings.take(), [""; 0]);
            }
            Warned(words) => {
                is_trusted(lab).await;
                let warnings = warnings.take();
                assert_eq!(warnings.len(), 1, "{warnings:?}");
                assert!(warnings[0].contains(words), "{warnings:?}");
            }
        }
    }
}

environment! {
    file_good (Some("ca.pem"), None, ca) => Trusted(&["SSL_CERT_FILE=ca.pem"]);
    file_with_the_same_ca_twice (Some("ca.pem"), None, |lab| {
        fs::write("ca.pem", lab.ca_pem().repeat(2)).unwrap();
    }) => Trusted(&["SSL_CERT_FILE=ca.pem"]);
    file_behind_a_link (Some("link"), None, |lab| {
        ca(lab);
        symlink("ca.pem", "link").unwrap();
    }) => Trusted(&["SSL_CERT_FILE=link"]);
    file_missing (Some("ca.pem"), None, nothing) =>
        Told(&["SSL_CERT_FILE=ca.pem: there is nothing at this path", "check it"]);
    file_below_a_file (Some("ca.pem/ca.pem"), None, ca) =>
        Told(&["SSL_CERT_FILE=ca.pem/ca.pem: ", "check the path"]);
    file_empty (Some("ca.pem"), None, |_| fs::write("ca.pem", "").unwrap()) =>
        Told(&["SSL_CERT_FILE=ca.pem: it is empty; check that it was written whole"]);
    file_blank (Some("ca.pem"), None, |_| fs::write("ca.pem", " \r\n\n").unwrap()) =>
        Told(&["SSL_CERT_FILE=ca.pem: it is empty; check that it was written whole"]);
    file_is_a_folder (Some("."), None, nothing) =>
        Told(&["SSL_CERT_FILE=.: it is a folder and a file was expected", "SSL_CERT_DIR"]);
    file_of_prose (Some("ca.pem"), None, |_| fs::write("ca.pem", "my CA").unwrap()) =>
        Told(&["SSL_CERT_FILE=ca.pem: no line in it begins with -----BEGIN"]);
    file_is_a_key (Some("ca.key"), None, |_| fs::write("ca.key", key()).unwrap()) =>
        Told(&["SSL_CERT_FILE=ca.key: entry 1 (line 1): it is a private key", "name the CA's certificate"]);
    file_with_a_key_in_it (Some("ca.pem"), None, |lab| {
        fs::write("ca.pem", format!("{}{}", lab.ca_pem(), key())).unwrap();
    }) => Told(&["SSL_CERT_FILE=ca.pem: entry 2 (line ", "it is a private key", "keep the key out"]);
    file_with_broken_base64 (Some("ca.pem"), None, |lab| {
        let broken = lab.ca_pem().replacen("MI", "M!", 1);
        fs::write("ca.pem", format!("{}{broken}", lab.ca_pem())).unwrap();
    }) => Told(&["SSL_CERT_FILE=ca.pem: entry 2 (line ", "base64 of the CERTIFICATE is broken", "copy"]);
    file_cut_off (Some("ca.pem"), None, |lab| {
        fs::write("ca.pem", &lab.ca_pem()[..200]).unwrap();
    }) => Told(&["SSL_CERT_FILE=ca.pem: entry 1 (line 1): ", "has no END line of its own"]);
    file_in_der (Some("ca.der"), None, |lab| fs::write("ca.der", lab.ca_der()).unwrap()) =>
        Told(&["SSL_CERT_FILE=ca.der: it is DER and PEM was expected", "openssl x509 -inform der"]);
    file_of_no_certificate (Some("ca.pem"), None, |_| {
        let pem = "-----BEGIN CERTIFICATE-----\nMAMCAQU=\n-----END CERTIFICATE-----\n";
        fs::write("ca.pem", pem).unwrap();
    }) => Told(&["SSL_CERT_FILE=ca.pem: entry 1 (line 1): ", "cannot serve as a trust anchor"]);
    file_with_a_terrible_name (Some("\x1b[2Jca\n.pem"), None, nothing) =>
        Told(&["SSL_CERT_FILE=\\u{1b}[2Jca\\n.pem: there is nothing at this path"]);
    file_that_is_a_socket (Some("socket"), None, |_| {
        // Its listener may go: the file stays.
        UnixListener::bind("socket").unwrap();
    }) => Told(&["SSL_CERT_FILE=socket: reading failed (check the path and its permissions)"]);
    file_that_is_a_loop (Some("loop"), None, |_| symlink("loop", "loop").unwrap()) =>
        Told(&["SSL_CERT_FILE=loop: reading failed (check the path"]);
    file_without_an_end (Some("/dev/zero"), None, nothing) =>
        Told(&["SSL_CERT_FILE=/dev/zero: it is larger than 16 MiB", "check that it is the right one"]);
    file_that_is_nowhere (Some("/dev/null"), None, nothing) =>
        Told(&["SSL_CERT_FILE=/dev/null: it is empty"]);

    folder_good (None, Some("certs"), |lab| folder("certs", lab)) =>
        Trusted(&["SSL_CERT_DIR=certs/ca.pem"]);
    folder_with_its_hashed_link (None, Some("certs"), |lab| {
        folder("certs", lab);
        symlink("ca.pem", "certs/5ed36f99.0").unwrap();
    }) => Trusted(&["SSL_CERT_DIR=certs/ca.pem"]);
    folder_among_folders (None, Some("certs::more:"), |lab| {
        folder("certs", lab);
        fs::create_dir("more").unwrap();
        fs::write("more/a.pem", other_ca()).unwrap();
    }) => Trusted(&["SSL_CERT_DIR=certs/ca.pem", "SSL_CERT_DIR=more/a.pem"]);
    folder_with_what_must_not_be_opened (None, Some("certs"), |lab| {
        folder("certs", lab);
        make_fifo("certs/a.pem");
        symlink("/dev/zero", "certs/b.pem").unwrap();
        symlink("nowhere", "certs/c.pem").unwrap();
        fs::create_dir("certs/d.pem").unwrap();
        fs::write("certs/e.pem", key()).unwrap();
    }) => Trusted(&["SSL_CERT_DIR=certs/ca.pem"]);
    folder_missing (None, Some("certs"), nothing) =>
        Told(&["SSL_CERT_DIR=certs: there is nothing at this path"]);
    folder_missing_among_good_ones (None, Some("certs:gone"), |lab| folder("certs", lab)) =>
        Told(&["SSL_CERT_DIR=gone: there is nothing at this path"]);
    folder_empty (None, Some("certs"), |_| fs::create_dir("certs").unwrap()) =>
        Told(&["SSL_CERT_DIR=certs: the folder is empty; put PEM files in it"]);
    folder_is_a_file (None, Some("ca.pem"), ca) =>
        Told(&["SSL_CERT_DIR=ca.pem: it is not a folder and one was expected", "SSL_CERT_FILE"]);
    folder_of_nothing_usable (None, Some("certs"), |_| {
        fs::create_dir("certs").unwrap();
        fs::write("certs/ca.key", key()).unwrap();
        make_fifo("certs/fifo");
    }) => Told(&["SSL_CERT_DIR=certs: nothing in the folder is a usable CA", "2 skipped", "ca.key"]);

    both_good (Some("a.pem"), Some("certs"), |lab| {
        fs::write("a.pem", other_ca()).unwrap();
        folder("certs", lab);
    }) => Trusted(&["SSL_CERT_FILE=a.pem", "SSL_CERT_DIR=certs/ca.pem"]);
    both_with_the_same_ca (Some("ca.pem"), Some("certs"), |lab| {
        ca(lab);
        folder("certs", lab);
    }) => Trusted(&["SSL_CERT_FILE=ca.pem"]);
    both_and_the_file_missing (Some("ca.pem"), Some("certs"), |lab| folder("certs", lab)) =>
        Told(&["SSL_CERT_FILE=ca.pem: there is nothing"]);
    both_and_the_folder_missing (Some("ca.pem"), Some("certs"), ca) =>
        Told(&["SSL_CERT_DIR=certs: there is nothing"]);

    file_variable_empty (Some(""), Some("certs"), |lab| folder("certs", lab)) =>
        Warned("SSL_CERT_FILE is set but empty");
    folder_variable_empty (Some("ca.pem"), Some(""), ca) => Warned("SSL_CERT_DIR is set but empty");
    folder_variable_of_nothing_but_colons (Some("ca.pem"), Some("::"), ca) =>
        Warned("SSL_CERT_DIR is set but empty");
}

fn nothing(_: &Lab) {}

fn ca(lab: &Lab) {
    fs::write("ca.pem", lab.ca_pem()).unwrap();
}

fn folder(name: &str, lab: &Lab) {
    fs::create_dir(name).unwrap();
    fs::write(format!("{name}/ca.pem"), lab.ca_pem()).unwrap();
}

fn key() -> String {
    KeyPair::generate().unwrap().serialize_pem()
}

fn other_ca() -> String {
    let key = KeyPair::generate().unwrap();
    let mut params = rcgen::CertificateParams::default();
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    params.self_signed(&key).unwrap().pem()
}

fn make_fifo(path: &str) {
    let made = Command::new("mkfifo").arg(path).status().unwrap();
    assert!(made.success());
}

/// By the process's own client, and by one of a builder without roots.
async fn is_trusted(lab: &Lab) {
    let built = Client::builder().build().unwrap();
    for response in [
        urlfetch::fetch(lab.url(GOOD)).await.unwrap(),
        built.fetch(lab.url(GOOD)).await.unwrap(),
    ] {
        assert!(response.verdict().unwrap().is_verified());
    }
    let error = urlfetch::fetch(lab.url(BAD)).await.unwrap_err();
    assert_eq!(error.code(), "hostname-mismatch");
}

fn assert_told(error: &Error, words: &[&str]) {
    assert_eq!(error.kind(), ErrorKind::Config, "{error}");
    assert!(!error.request_was_sent());
    let told = error.to_string();
    assert!(
        told.starts_with("cannot read CA certificates from SSL_CERT_"),
        "{told}"
    );
    for word in words {
        assert!(told.contains(word), "{told}\nlacks {word}");
    }
    for shown in [told, format!("{error:?}")] {
        assert!(shown.chars().all(|c| !c.is_control()), "{shown:?}");
    }
}

#[test]
fn a_file_that_cannot_be_read() {
    alone(
        "a_file_that_cannot_be_read",
        [("SSL_CERT_FILE", "ca.pem")],
        || async {
            let lab = Lab::start().await.unwrap();
            ca(&lab);
            fs::set_permissions("ca.pem", fs::Permissions::from_mode(0o000)).unwrap();
            if fs::read("ca.pem").is_ok() {
                // Permissions stop nobody here. Linux has files that nobody can read.
                eprintln!("skipped in part: this user may read everything");
                fs::remove_file("ca.pem").unwrap();
                symlink("/proc/self/mem", "ca.pem").unwrap();
            }
            if fs::read("ca.pem").is_err() {
                let error = urlfetch::fetch(lab.url(GOOD)).await.unwrap_err();
                let words =
                    "SSL_CERT_FILE=ca.pem: reading failed (check the path and its permissions)";
                assert_told(&error, &[words]);
                assert_no_packet(&lab, GOOD).await;
            }
        },
    );
}

#[test]
fn both_variables_empty_are_the_platforms_roots() {
    let test = "both_variables_empty_are_the_platforms_roots";
    alone(
        test,
        [("SSL_CERT_FILE", ""), ("SSL_CERT_DIR", "")],
        || async {
            let warnings = Warnings::record();
            let lab = Lab::start().await.unwrap();
            // A machine may have no roots at all; if it has some, the lab's is not among them.
            let error = urlfetch::fetch(lab.url(GOOD)).await.unwrap_err();
            match error.kind() {
                ErrorKind::Certificate => assert_eq!(error.code(), "unknown-issuer"),
                kind => {
                    assert_eq!(kind, ErrorKind::Config, "{error}");
                    assert!(
                        error
                            .to_string()
                            .contains("this system has no CA certificates")
                    );
                }
            }
            assert!(!error.request_was_sent());
            let warnings = warnings.take();
            assert_eq!(warnings.len(), 2, "{warnings:?}");
        },
    );
}

#[test]
fn a_failed_load_is_not_kept_and_a_good_one_is() {
    let test = "a_failed_load_is_not_kept_and_a_good_one_is";
    alone(test, [("SSL_CERT_FILE", "ca.pem")], || async {
        let lab = Lab::start().await.unwrap();
        let fetch = || async { urlfetch::fetch(lab.url(GOOD)).await };
        for _ in 0..2 {
            assert_told(&fetch().await.unwrap_err(), &["ca.pem: there is nothing"]);
        }
        ca(&lab);
        fetch().await.unwrap();
        fs::remove_file("ca.pem").unwrap();
        fetch().await.unwrap();
        // Once per process, for every client.
        Client::new().unwrap().fetch(lab.url(GOOD)).await.unwrap();
        assert_eq!(RootStore::native().unwrap().len(), 1);
    });
}

/// The runtime has one thread, and SSL_CERT_FILE is a pipe that somebody has yet to write to: to
/// open it blocks.
#[test]
fn roots_are_loaded_at_the_first_connection_and_off_the_async_threads() {
    let test = "roots_are_loaded_at_the_first_connection_and_off_the_async_threads";
    alone(test, [("SSL_CERT_FILE", "fifo")], || async {
        let lab = Lab::start().await.unwrap();
        make_fifo("fifo");
        let new = Client::new().unwrap();
        let waiting = tokio::spawn(urlfetch::fetch(lab.url(GOOD)).send());
        let also_waiting = tokio::spawn(new.fetch(lab.url(GOOD)).send());

        // A clock that ends a fetch meanwhile says what it ended in.
        let short = Duration::from_millis(20);
        let error = new.fetch(lab.url(BAD)).deadline(short).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Deadline, "{error}");
        assert_eq!(error.phase(), Some(Phase::Queued));
        // Others are served on the same thread.
        let built = lab.client().unwrap();
        built.fetch(lab.url(GOOD)).await.unwrap();
        assert!(!waiting.is_finished() && !also_waiting.is_finished());

        let pem = lab.ca_pem().to_owned();
        let writer = std::thread::spawn(move || fs::write("fifo", pem));
        for response in [waiting, also_waiting] {
            let response: Result<Response> = response.await.unwrap();
            assert!(response.unwrap().verdict().unwrap().is_verified());
        }
        writer.join().unwrap().unwrap();
        let anchors = RootStore::native().unwrap();
        assert_eq!(
            anchors.anchors().next().unwrap().source(),
            "SSL_CERT_FILE=fifo"
        );
    });
}

/// A file of roots that hangs (a pipe, a network drive) is the trouble of those who need it.
#[test]
fn roots_that_hang_hold_up_nobody_who_has_his_own() {
    let test = "roots_that_hang_hold_up_nobody_who_has_his_own";
    alone(test, [("SSL_CERT_FILE", "fifo")], || async {
        let lab = Lab::start().await.unwrap();
        make_fifo("fifo");
        let new = Client::new().unwrap();
        let hanging: Vec<_> = (0..100)
            .map(|n| tokio::spawn(new.fetch(format!("https://h{n}.lab.test/")).send()))
            .collect();
        // So often that each of them has been polled.
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }

        // One whose name is resolved by the system, off the async threads too.
        let roots = RootStore::empty().add_pem(lab.ca_pem()).unwrap();
        let built = Client::builder().roots(roots).build().unwrap();
        let url = lab.url(BAD).replace("127.0.0.1", "localhost");
        let error = built.fetch(url).await.unwrap_err();
        assert_eq!(error.code(), "hostname-mismatch", "{error}");
        hanging.iter().for_each(|task| task.abort());
    });
}

#[tokio::test]
async fn every_door_leads_to_a_verified_fetch_and_every_anchor_knows_its_door() {
    let lab = Lab::start().await.unwrap();
    let scratch = Scratch::new();
    let path = |name: &str| scratch.path().join(name).to_str().unwrap().to_owned();
    let (pem, der, certs) = (path("ca.pem"), path("ca.der"), path("certs"));
    fs::write(&pem, lab.ca_pem()).unwrap();
    fs::write(&der, lab.ca_der()).unwrap();
    fs::create_dir(&certs).unwrap();
    let member = format!("{certs}/ca.pem");
    fs::write(&member, lab.ca_pem()).unwrap();

    let empty = RootStore::empty;
    let rows = [
        (empty().add_pem(lab.ca_pem()), "bytes"),
        (empty().add_pem_file(&pem), &pem),
        (empty().add_pem_dir(&certs), &member),
        (
            empty().add_pem_reader(Cursor::new(lab.ca_pem().to_owned())),
            "reader",
        ),
        (
            empty().add_pem_reader(fs::File::open(&pem).unwrap()),
            "reader",
        ),
        (empty().add_der(lab.ca_der()), "bytes"),
        (empty().add_der_file(&der), &der),
    ];
    for (roots, source) in rows {
        let roots = roots.unwrap();
        assert_eq!((roots.len(), roots.is_empty()), (1, false));
        let anchor = roots.anchors().next().unwrap();
        assert_eq!(anchor.source(), source);
        assert_eq!(anchor.subject(), "CN=urlfetch lab root");
        assert_eq!(anchor.certificate().der(), lab.ca_der());
        assert_eq!(anchor.sha256(), anchor.certificate().sha256());
        // 2000-01-01 and 2100-01-01, as the lab mints them.
        let after = |seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
        assert_eq!(anchor.not_before(), after(946_684_800));
        assert_eq!(anchor.not_after(), after(4_102_444_800));

        let client = Client::builder().roots(roots).build().unwrap();
        let response = client.fetch(lab.url(GOOD)).await.unwrap();
        let verdict = response.verdict().unwrap();
        assert!(verdict.is_verified());
        assert_eq!(verdict.anchor().unwrap().source(), source);
    }
}

#[tokio::test]
async fn adders_chain_and_one_ca_is_one_anchor_from_where_it_was_first() {
    let lab = Lab::start().await.unwrap();
    let roots = || -> Result<RootStore> {
        RootStore::empty()
            .add_pem(other_ca())?
            .add_pem_reader(Cursor::new(lab.ca_pem().repeat(3)))?
            .add_der(lab.ca_der())?
            .add_pem(lab.ca_pem())
    };
    let roots = roots().unwrap();
    let sources: Vec<_> = roots.anchors().map(Anchor::source).collect();
    assert_eq!(sources, ["bytes", "reader"]);
    assert_eq!(roots.skipped(), []);
    let client = Client::builder().roots(roots).build().unwrap();
    let response = client.fetch(lab.url(GOOD)).await.unwrap();
    assert_eq!(
        response.verdict().unwrap().anchor().unwrap().source(),
        "reader"
    );
}

#[tokio::test]
async fn a_store_without_the_servers_ca_trusts_nothing_of_it() {
    let lab = Lab::start().await.unwrap();
    let roots = RootStore::empty().add_pem(other_ca()).unwrap();
    let client = Client::builder().roots(roots).build().unwrap();
    let error = client.fetch(lab.url(GOOD)).await.unwrap_err();
    assert_eq!(error.code(), "unknown-issuer");
    assert!(
        error
            .hint()
            .unwrap()
            .contains("RootStore::add_pem_file or SSL_CERT_FILE")
    );
    lab.settled(GOOD).await;
    assert_eq!(lab.received(GOOD), 0);
}

#[test]
fn an_empty_store_is_refused_when_the_client_is_built() {
    for builder in [
        Client::builder().roots(RootStore::empty()),
        Client::builder()
            .roots(RootStore::empty())
            .danger_accept_unverified(),
    ] {
        let error = builder.build().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        let told = error.to_string();
        assert!(told.contains("root"), "{told}");
    }
}

/// Gives the bytes, then fails.
struct Failing(Cursor<Vec<u8>>);

impl Read for Failing {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.0.read(buffer)? {
            0 => Err(io::Error::other("the drive was pulled")),
            read => Ok(read),
        }
    }
}

#[test]
fn a_reader_that_fails_half_way_adds_nothing() {
    // The whole CA has come by then; whether it was all of them is not known.
    let ca = other_ca();
    let reader = Failing(Cursor::new(ca.clone().into_bytes()));
    let error = RootStore::empty().add_pem_reader(reader).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    let told = error.to_string();
    assert!(
        told.starts_with("cannot read CA certificates from reader: reading failed"),
        "{told}"
    );
    assert!(told.ends_with("the drive was pulled"), "{told}");

    // One that is interrupted has not failed, and one without an end is ended.
    struct Interrupted(Cursor<Vec<u8>>, bool);
    impl Read for Interrupted {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            self.1 = !self.1;
            if self.1 {
                return Err(io::ErrorKind::Interrupted.into());
            }
            let few = buffer.len().min(7);
            self.0.read(&mut buffer[..few])
        }
    }
    let reader = Interrupted(Cursor::new(ca.into_bytes()), false);
    assert_eq!(RootStore::empty().add_pem_reader(reader).unwrap().len(), 1);
    let error = RootStore::empty()
        .add_pem_reader(io::repeat(b'-'))
        .unwrap_err();
    assert!(
        error
            .to_string()
            .contains("reader: it is larger than 16 MiB"),
        "{error}"
    );
}

const GOOD: Scenario = Scenario::GoodByIp;
const BAD: Scenario = Scenario::IpForName;
