//! Where the processes find their server and their certificates.

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};
use urlfetch::tls::RootStore;
use urlfetch::{Client, ClientBuilder};

use super::{mint, serve};
use crate::folder::Folder;

pub(crate) struct World {
    folder: PathBuf,
    /// Where the server speaks HTTP/1.1 in the clear, HTTP/1.1 over TLS, and HTTP/2.
    pub(crate) plain: SocketAddr,
    pub(crate) http1: SocketAddr,
    pub(crate) http2: SocketAddr,
    /// It goes with whoever made it.
    _made: Option<Folder>,
}

impl World {
    /// With a server of its own.
    pub(crate) fn new() -> Self {
        let folder = Folder::new().expect("a folder for what is minted");
        let (root, key) = mint::server();
        folder
            .write(CA, root.pem())
            .expect("room for a certificate");
        let [plain, http1, http2] = serve::start(&root, &key);
        Self {
            folder: folder.path().to_owned(),
            plain,
            http1,
            http2,
            _made: Some(folder),
        }
    }

    /// The same, for a process that is told of it.
    pub(crate) fn told(words: &[String]) -> (Self, &[String]) {
        let [folder, plain, http1, http2, rest @ ..] = words else {
            panic!("where is the server?");
        };
        let address = |word: &String| word.parse().expect("an address");
        let world = Self {
            folder: folder.into(),
            plain: address(plain),
            http1: address(http1),
            http2: address(http2),
            _made: None,
        };
        (world, rest)
    }

    pub(crate) fn tell<'c>(&self, command: &'c mut Command, word: &str) -> &'c mut Command {
        let command = command.args(["scale", word]).arg(&self.folder);
        command.args([self.plain, self.http1, self.http2].map(|address| address.to_string()))
    }

    /// The place of what is minted under this name.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    pub(crate) fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.file(name)).expect("what was prepared")
    }

    pub(crate) fn write(&self, name: &str, bytes: &[u8]) {
        fs::write(self.file(name), bytes).expect("room for what is minted");
    }

    /// A client who trusts the server and has all the time there is, as callgrind takes it.
    pub(crate) fn client(&self) -> ClientBuilder {
        let roots = RootStore::empty()
            .add_pem_file(self.file(CA))
            .expect("a root");
        let client = Client::builder().roots(roots).allow_http(true).no_proxy();
        let client = client.deadline(LONG).connect_timeout(LONG);
        let client = client.pool_idle_timeout(LONG).pool_max_age(LONG);
        client.pool_max_idle_per_host(usize::MAX)
    }

    pub(crate) fn plain(&self, path: &str) -> String {
        url("http", self.plain, path)
    }

    pub(crate) fn http1(&self, path: &str) -> String {
        url("https", self.http1, path)
    }

    pub(crate) fn http2(&self, path: &str) -> String {
        url("https", self.http2, path)
    }
}

pub(crate) fn current_thread() -> Runtime {
    Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime")
}

fn url(scheme: &str, at: SocketAddr, path: &str) -> String {
    format!("{scheme}://{at}{path}")
}

const CA: &str = "ca.pem";
const LONG: Duration = Duration::from_secs(24 * 60 * 60);
