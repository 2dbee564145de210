//! A test in a process of its own, for the environment belongs to the process, and what was made
//! of it is kept for the process's life.

use std::env;
use std::ffi::OsStr;
use std::fmt::{self, Write};
use std::future::Future;
use std::process::{self, Command};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use tokio::net::TcpStream;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};
use urlfetch::lab::{Lab, Scenario};

use crate::scratch::Scratch;

/// Runs `body`, the whole of the test with this name, in a process of its own.
///
/// Of the variables that the library reads it has only these; its folder is empty, its own, and
/// where relative paths lead. It has one thread, a tokio runtime.
pub(crate) fn alone<'a, V, F>(
    test: &str,
    variables: impl IntoIterator<Item = (&'a str, V)>,
    body: impl FnOnce() -> F,
) where
    V: AsRef<OsStr>,
    F: Future<Output = ()>,
{
    if env::var_os(IS_CHILD).is_some() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        // A thread, for a test may hang by blocking the runtime's.
        thread::spawn(|| {
            thread::sleep(NET);
            eprintln!("the test hangs");
            process::abort();
        });
        return runtime.block_on(body());
    }
    let folder = Scratch::new();
    let mut child = Command::new(env::current_exe().unwrap());
    child
        .args([test, "--exact", "--nocapture"])
        .env(IS_CHILD, "1")
        .current_dir(folder.path());
    for name in READ {
        child.env_remove(name);
    }
    for (name, value) in variables {
        child.env(name, value);
    }
    let output = child.output().unwrap();
    let told = String::from_utf8_lossy(&output.stdout);
    // With a name that is not a test's nothing runs, successfully.
    assert!(
        output.status.success() && told.contains("1 passed"),
        "{test}: {}\n{told}\n{}",
        output.status,
        String::from_utf8_lossy(&output.stderr),
    );
}

/// Panics if anybody has connected to the scenario's server.
///
/// Connections are accepted in their order: when ours was counted, so was every one before it.
pub(crate) async fn assert_no_packet(lab: &Lab, scenario: Scenario) {
    let ours = TcpStream::connect(lab.addr(scenario)).await.unwrap();
    while lab.connections(scenario) == 0 {
        tokio::task::yield_now().await;
    }
    drop(ours);
    assert_eq!(
        lab.connections(scenario),
        1,
        "{scenario}: a packet was sent"
    );
}

/// What this process logs at WARN and above.
#[derive(Clone, Default)]
pub(crate) struct Warnings(Arc<Mutex<Vec<String>>>);

impl Warnings {
    /// Records from now on, of all threads.
    pub(crate) fn record() -> Self {
        let warnings = Self::default();
        tracing::subscriber::set_global_default(warnings.clone()).unwrap();
        warnings
    }

    /// Those since the last time, each as its fields.
    pub(crate) fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

impl Subscriber for Warnings {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.is_event() && *metadata.level() <= Level::WARN
    }

    fn event(&self, event: &Event<'_>) {
        struct Fields(String);
        impl Visit for Fields {
            fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
                write!(self.0, "{}={value:?} ", field.name()).unwrap();
            }
        }
        let mut fields = Fields(String::new());
        event.record(&mut fields);
        self.0.lock().unwrap().push(fields.0);
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

const READ: [&str; 14] = [
    "HTTPSVERIFY",
    "PYTHONHTTPSVERIFY",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "SSLKEYLOGFILE",
    "HTTPS_PROXY",
    "https_proxy",
    "HTTP_PROXY",
    "http_proxy",
    "ALL_PROXY",
    "all_proxy",
    "NO_PROXY",
    "no_proxy",
    "REQUEST_METHOD",
];
const IS_CHILD: &str = "URLFETCH_TEST_IS_CHILD";
/// Far beyond what a test takes: it turns one that hangs into one that fails.
const NET: Duration = Duration::from_secs(30);
