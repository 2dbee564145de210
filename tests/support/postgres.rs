//! A PostgreSQL of a test's own, with TLS on: one cluster, one port of loopback, one certificate.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, Stdio};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};

use crate::free_port;
use crate::scratch::Scratch;

/// A running PostgreSQL, until it is dropped.
pub(crate) struct Postgres {
    child: Child,
    /// It ends when the server and all its children have.
    stderr: BufReader<ChildStderr>,
    folder: Scratch,
    pub(crate) addr: SocketAddr,
    /// The certificate of the authority that issued the server's.
    pub(crate) ca_file: PathBuf,
}

impl Postgres {
    /// Starts a server whose certificate is for this host, and returns when it listens.
    pub(crate) fn start(host: &str) -> Self {
        let folder = Scratch::new();
        let ca_file = folder.path().join("ca.pem");
        mint(folder.path(), &ca_file, host);
        own(folder.path());
        let made = program("initdb", folder.path())
            .args(["--pgdata=data", "--username=postgres", "--auth=trust"])
            .args(["--no-sync", "--no-locale", "--encoding=UTF8"])
            .output()
            .unwrap();
        let told = String::from_utf8_lossy(&made.stderr);
        assert!(made.status.success(), "initdb: {told}");
        // All connections are logged, those without TLS refused.
        fs::write(folder.path().join("data/pg_hba.conf"), HBA).unwrap();
        let (child, stderr, addr) = free_port::start("PostgreSQL", |addr| {
            let (child, stderr) = spawn(folder.path(), addr)?;
            Some((child, stderr, addr))
        });
        Self {
            child,
            stderr,
            folder,
            addr,
            ca_file,
        }
    }

    /// Ends the server in good order, and returns what it logged since it was ready.
    pub(crate) fn stop(mut self) -> String {
        let asked = program("pg_ctl", self.folder.path())
            .args(["stop", "--pgdata=data", "--mode=fast", "--timeout=30"])
            .stdout(Stdio::null())
            .status();
        assert!(asked.unwrap().success(), "PostgreSQL does not stop");
        let mut log = String::new();
        while self.stderr.read_line(&mut log).unwrap() > 0 {}
        self.child.wait().unwrap();
        log
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        if let Ok(Some(_)) = self.child.try_wait() {
            return;
        }
        // Killed, it would leave its children and its shared memory behind.
        let _ = program("pg_ctl", self.folder.path())
            .args(["stop", "--pgdata=data", "--mode=immediate", "--timeout=30"])
            .stdout(Stdio::null())
            .status();
        let _ = self.child.wait();
    }
}

/// Starts the server. `None` if its port was taken meanwhile.
fn spawn(folder: &Path, addr: SocketAddr) -> Option<(Child, BufReader<ChildStderr>)> {
    let settings = [
        format!("listen_addresses={}", addr.ip()),
        format!("port={}", addr.port()),
        "unix_socket_directories=".into(),
        "ssl=on".into(),
        "ssl_cert_file=../chain.pem".into(),
        "ssl_key_file=../key.pem".into(),
        "log_connections=on".into(),
        "logging_collector=off".into(),
        "log_destination=stderr".into(),
        "fsync=off".into(),
    ];
    let mut command = program("postgres", folder);
    command.arg("-D").arg("data");
    for setting in settings {
        command.arg("-c").arg(setting);
    }
    let mut child = command
        .stdin(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stderr = BufReader::new(child.stderr.take().unwrap());
    let mut log = String::new();
    while stderr.read_line(&mut log).unwrap() > 0 {
        if log.contains("database system is ready to accept connections") {
            return Some((child, stderr));
        }
    }
    child.wait().unwrap();
    assert!(log.contains("Address already in use"), "{log}");
    None
}

/// A program of PostgreSQL's, run as somebody who is not root: it does not run as root. Debian
/// keeps the server's programs out of PATH.
fn program(name: &str, folder: &Path) -> Command {
    let debians = fs::read_dir("/usr/lib/postgresql").into_iter().flatten();
    let debians = debians.filter_map(|version| Some(version.ok()?.path().join("bin").join(name)));
    let debians = debians.filter(|path| path.exists()).max();
    let path = debians.unwrap_or_else(|| name.into());
    let mut command = match is_root() {
        true => {
            let mut command = Command::new("setpriv");
            command.args([
                "--reuid=postgres",
                "--regid=postgres",
                "--init-groups",
                "--",
            ]);
            command.arg(path);
            command
        }
        false => Command::new(path),
    };
    // Messages are looked for in English.
    command.current_dir(folder).env("LC_ALL", "C");
    command
}

/// Gives the folder to whom PostgreSQL runs as.
fn own(folder: &Path) {
    if is_root() {
        let mut command = Command::new("chown");
        let owned = command
            .args(["-R", "postgres:postgres"])
            .arg(folder)
            .status();
        assert!(owned.unwrap().success());
    }
}

fn is_root() -> bool {
    let id = Command::new("id").arg("-u").output().unwrap();
    id.stdout == b"0\n"
}

/// Writes the chain, the key and the certificate of the authority.
fn mint(folder: &Path, ca_file: &Path, host: &str) {
    let mut authority = CertificateParams::default();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    // Two authorities of one name would be told apart by their keys alone.
    let name = format!("the authority of {}", folder.display());
    authority.distinguished_name.push(DnType::CommonName, name);
    let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let leaf = CertificateParams::new([host.to_owned()]).unwrap();
    let leaf = leaf.signed_by(&key, &authority).unwrap();
    fs::write(ca_file, authority.pem()).unwrap();
    fs::write(folder.join("chain.pem"), leaf.pem()).unwrap();
    let key_file = folder.join("key.pem");
    fs::write(&key_file, key.serialize_pem()).unwrap();
    // PostgreSQL takes no key that others can read.
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    fs::set_permissions(key_file, mode).unwrap();
}

/// Over TLS anybody may be anybody; without TLS nobody may.
const HBA: &str = "hostssl all all 127.0.0.1/32 trust\nhostnossl all all 0.0.0.0/0 reject\n";
