//! Clients and runtimes: a client serves any number of them, at once and one after another, and
//! what belongs to one that is gone, or stands still, fails by name and holds up nobody else.
#![cfg(feature = "lab")]
#![expect(clippy::unwrap_used, reason = "what fails here fails a test")]

use std::future::{Future, IntoFuture, pending};
use std::net::TcpListener;
use std::pin::pin;
use std::process::Command;
use std::sync::mpsc;
use std::sync::{Arc, Barrier};
use std::task::{Context, Waker};
use std::thread;
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};
use urlfetch::lab::{Lab, Scenario};
use urlfetch::{Client, ErrorKind, Response};

#[test]
fn the_process_wide_client_serves_many_runtimes() {
    let Some(url) = child("the_process_wide_client_serves_many_runtimes") else {
        return;
    };
    // One after another.
    for n in 0..RUNTIMES {
        use_briefly(&runtime(n), &url);
    }
    // All at once: every runtime is there before the first begins, and lives until all have ended.
    let meet = Arc::new(Barrier::new(RUNTIMES));
    let threads: Vec<_> = (0..RUNTIMES)
        .map(|n| {
            let (meet, url) = (Arc::clone(&meet), url.clone());
            thread::spawn(move || {
                let runtime = runtime(n);
                meet.wait();
                use_briefly(&runtime, &url);
                meet.wait();
            })
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
    // And from within others that are gone.
    let outlives = runtime(0);
    let _entered = outlives.enter();
    thread::spawn(move || use_briefly(&runtime(1), &url))
        .join()
        .unwrap();
}

#[test]
fn a_runtime_that_stands_still_holds_up_no_other() {
    let Some(url) = child("a_runtime_that_stands_still_holds_up_no_other") else {
        return;
    };
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let half_done = format!("https://{}/", silent.local_addr().unwrap());

    // It has a pooled connection, a body half read, and a dial half done; then nobody polls it.
    let parked = runtime(0);
    use_briefly(&parked, &url);
    let _half_read = parked.block_on(half_read(urlfetch::fetch(format!("{url}bytes/10000000"))));
    let dialling = parked.spawn(urlfetch::fetch(&half_done).into_future());
    let (accepted, was_accepted) = mpsc::channel();
    thread::spawn(move || {
        let connections: Vec<_> = silent
            .incoming()
            .take(2)
            .map(|_| accepted.send(()))
            .collect();
        assert_eq!(connections.len(), 2);
        thread::park();
    });
    parked.block_on(async {
        while was_accepted.try_recv().is_err() {
            tokio::task::yield_now().await;
        }
    });
    assert!(!dialling.is_finished());

    for n in 0..2 {
        use_briefly(&runtime(n), &url);
    }
    // Another runtime makes a dial of its own, and does not wait for the one half done.
    let other = runtime(1);
    other.spawn(urlfetch::fetch(&half_done).into_future());
    was_accepted.recv_timeout(HANG).unwrap();
    use_briefly(&parked, &url);
}

#[test]
fn outside_a_runtime_a_fetch_is_refused() {
    let client = Client::builder().build().unwrap();
    for request in [
        urlfetch::fetch("https://example.com/"),
        client.fetch("https://example.com/"),
    ] {
        let error = poll_once(request.into_future()).unwrap().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(!error.request_was_sent());
    }
}

#[test]
fn a_client_outlives_the_runtime_it_was_made_in() {
    let lab = ServedLab::start();
    let client = runtime(0).block_on(async { lab.client() });
    for n in 0..4 {
        for scenario in [Scenario::Good, Scenario::GoodHttp1] {
            let runtime = runtime(n);
            let fetch = || async { client.fetch(lab.url(scenario, "/")).await.unwrap() };
            runtime.block_on(async { fetch().await.bytes().await.unwrap() });
            runtime.block_on(async { fetch().await.bytes().await.unwrap() });
        }
    }
    assert_eq!(lab.0.connections(Scenario::Good), 4);
    assert_eq!(lab.0.connections(Scenario::GoodHttp1), 4);
}

#[test]
fn a_body_whose_runtime_is_gone_fails_and_is_never_short() {
    let lab = ServedLab::start();
    for scenario in [Scenario::Good, Scenario::GoodHttp1] {
        for path in [ENDLESS, "/"] {
            for waited in [false, true] {
                // `/` of dripping-body is of a length not announced.
                let (scenario, path) = match path {
                    "/" => (Scenario::DrippingBody, "/"),
                    path => (scenario, path),
                };
                let first = runtime(0);
                let client = lab.client();
                let mut response = first.block_on(half_read(client.fetch(lab.url(scenario, path))));
                if waited {
                    // Until nothing more is there, so that the body's own clock belongs to this
                    // runtime, which then goes.
                    let _entered = first.enter();
                    read_dry(&mut response);
                }
                drop(first);
                let error = runtime(1).block_on(to_its_end(response)).unwrap_err();
                assert_eq!(error.kind(), ErrorKind::ConnectionClosed, "{error}");
            }
        }
    }
}

#[test]
fn a_body_can_be_read_in_another_runtime_and_by_its_clock() {
    let lab = ServedLab::start();
    let client = lab.client();
    for (scenario, endless) in [
        (Scenario::Good, lab.url(Scenario::Good, ENDLESS)),
        (Scenario::GoodHttp1, lab.url(Scenario::DrippingBody, "/")),
    ] {
        let first = Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let fetch = client
            .fetch(lab.url(scenario, "/bytes/10000000"))
            .into_future();
        let response = first.block_on(half_read(fetch));
        runtime(0).block_on(to_its_end(response)).unwrap();

        // Now the first one stands still with its connection.
        let parked = runtime(0);
        let fetch = client.fetch(endless);
        let mut response = parked.block_on(half_read(fetch.deadline(SOON).into_future()));
        {
            let _entered = parked.enter();
            read_dry(&mut response);
        }
        let error = runtime(1).block_on(to_its_end(response)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Deadline, "{error}");
    }
}

#[test]
fn a_body_read_outside_a_runtime_fails_without_a_panic() {
    let lab = ServedLab::start();
    let client = lab.client();
    let parked = runtime(0);
    let fetch = client.fetch(lab.url(Scenario::DrippingBody, "/"));
    let mut response = parked.block_on(half_read(fetch));
    let error = loop {
        // What has arrived is still handed out.
        match poll_once(response.chunk()).unwrap() {
            Ok(some) => assert!(some.is_some(), "all of it has come"),
            Err(error) => break error,
        }
    };
    assert_eq!(error.kind(), ErrorKind::Config, "{error}");
}

#[test]
fn a_fetch_that_changes_its_runtime_fails_and_does_not_hang() {
    let lab = ServedLab::start();
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let silent = format!("https://{}/", silent.local_addr().unwrap());
    let slow = lab.url(Scenario::SlowHeaders, "/");
    for url in [silent, slow] {
        for gone in [false, true] {
            let client = lab.client();
            let mut fetch = pin!(client.fetch(&url).into_future());
            let first = runtime(0);
            first.block_on(async {
                for _ in 0..100 {
                    assert!(poll_once(fetch.as_mut()).is_none());
                    tokio::task::yield_now().await;
                }
            });
            let first = (!gone).then_some(first);
            let moved = async { tokio::time::timeout(HANG, fetch).await.unwrap() };
            let error = runtime(1).block_on(moved).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Config, "{error}");
            assert!(error.request_was_sent());
            drop(first);
        }
    }
}

/// Two fetches at once, one after them, and the bodies of all.
fn use_briefly(runtime: &Runtime, url: &str) {
    let fetch = || async { urlfetch::fetch(url).deadline(HANG).await?.text().await };
    let (one, two) = runtime.block_on(async { tokio::join!(fetch(), fetch()) });
    for text in [one, two, runtime.block_on(fetch())] {
        assert!(text.unwrap().contains("lab"));
    }
}

async fn half_read(fetch: impl IntoFuture<Output = urlfetch::Result<Response>>) -> Response {
    let mut response = fetch.await.unwrap();
    response.chunk().await.unwrap().unwrap();
    response
}

async fn to_its_end(mut response: Response) -> urlfetch::Result<()> {
    let reading = async {
        while response.chunk().await?.is_some() {}
        Ok(())
    };
    // The net comes first: at its end a reader that nobody has woken must not be asked once more.
    tokio::select! {
        biased;
        () = tokio::time::sleep(HANG) => panic!("nobody wakes the reader"),
        read = reading => read,
    }
}

/// Reads until nothing more is there.
fn read_dry(response: &mut Response) {
    while let Some(read) = poll_once(response.chunk()) {
        assert!(read.unwrap().is_some(), "all of it has come");
    }
}

fn poll_once<F: Future>(future: F) -> Option<F::Output> {
    let mut cx = Context::from_waker(Waker::noop());
    match pin!(future).poll(&mut cx) {
        std::task::Poll::Ready(output) => Some(output),
        std::task::Poll::Pending => None,
    }
}

/// Runtimes of every kind.
fn runtime(n: usize) -> Runtime {
    let mut builder = match n % 2 {
        0 => Builder::new_current_thread(),
        _ => Builder::new_multi_thread(),
    };
    builder.worker_threads(2).enable_all().build().unwrap()
}

/// A lab on a thread of its own, whose runtime depends on nobody's.
struct ServedLab(Arc<Lab>);

impl ServedLab {
    fn start() -> Self {
        let (started, lab) = mpsc::channel();
        thread::spawn(move || {
            runtime(0).block_on(async {
                started.send(Arc::new(Lab::start().await.unwrap())).unwrap();
                pending::<()>().await;
            });
        });
        Self(lab.recv().unwrap())
    }

    fn client(&self) -> Client {
        self.0.client().unwrap()
    }

    fn url(&self, scenario: Scenario, path: &str) -> String {
        self.0.url_to(scenario, path)
    }
}

/// In the process that the test runner started: starts a lab, runs the named test again in a
/// process whose platform roots are the lab's, and is `None`. In that process: a URL of the lab.
fn child(test: &str) -> Option<String> {
    if let Ok(url) = std::env::var(LAB_URL) {
        return Some(url);
    }
    let lab = ServedLab::start();
    let roots = std::env::temp_dir().join(format!("{test}-{}.pem", std::process::id()));
    std::fs::write(&roots, lab.0.ca_pem()).unwrap();
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test])
        .env(LAB_URL, lab.0.url(Scenario::GoodByIp))
        .env("SSL_CERT_FILE", &roots)
        .env_remove("SSL_CERT_DIR")
        .env_remove("HTTPSVERIFY")
        .output()
        .unwrap();
    std::fs::remove_file(roots).unwrap();
    assert!(
        child.status.success(),
        "{}",
        String::from_utf8_lossy(&child.stdout)
    );
    None
}

const LAB_URL: &str = "URLFETCH_TEST_LAB_URL";

/// As many runtimes as a large suite of tests makes.
const RUNTIMES: usize = 50;

/// More than is ever there.
const ENDLESS: &str = "/bytes/1000000000000";

/// Long enough for a head to come, and to be waited for.
const SOON: Duration = Duration::from_secs(2);

/// No wait is so long that does not last for ever.
const HANG: Duration = Duration::from_secs(20);
