//! An nginx of a test's own: one process, one port of loopback, one certificate.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use rcgen::{CertificateParams, CertifiedIssuer, Issuer, KeyPair};

use crate::free_port;
use crate::scratch::Scratch;

/// What nginx serves, and by what name it says who it is.
pub(crate) struct Site<'a> {
    pub(crate) certificate: CertificateParams,
    /// Lines of nginx' `server` block.
    pub(crate) directives: &'a str,
    /// What stands after the port in `listen`.
    pub(crate) listen: &'a str,
}

/// A running nginx, until it is dropped.
pub(crate) struct Nginx {
    child: Child,
    folder: Scratch,
    pub(crate) addr: SocketAddr,
    /// The certificate of the authority that issued the server's.
    pub(crate) ca_pem: String,
}

impl Nginx {
    /// Starts an nginx and returns when it listens.
    pub(crate) fn start(site: &Site<'_>) -> Self {
        let folder = Scratch::new();
        let ca_pem = mint(folder.path(), &site.certificate);
        let (child, addr) = free_port::start("nginx", |addr| {
            Some((spawn(folder.path(), site, addr)?, addr))
        });
        Self {
            child,
            folder,
            addr,
            ca_pem,
        }
    }

    /// Ends nginx in good order, and returns what it logged of each request:
    /// `VERSION-OF-TLS "REQUEST LINE" STATUS`.
    pub(crate) fn stop(mut self) -> Vec<String> {
        let asked = nginx(self.folder.path()).args(["-s", "stop"]).status();
        assert!(asked.unwrap().success(), "nginx could not be asked to stop");
        self.child.wait().unwrap();
        let log = fs::read_to_string(self.folder.path().join("access.log")).unwrap();
        log.lines().map(str::to_owned).collect()
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        // By then it may have ended by itself, which is no harm.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Starts nginx. `None` if its port was taken meanwhile.
fn spawn(folder: &Path, site: &Site<'_>, addr: SocketAddr) -> Option<Child> {
    let Site {
        directives, listen, ..
    } = site;
    let configuration = format!(
        "daemon off; master_process off; pid nginx.pid; error_log stderr notice;
         events {{}}
         http {{
             log_format requests '$ssl_protocol \"$request\" $status';
             access_log access.log requests;
             client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi;
             uwsgi_temp_path uwsgi; scgi_temp_path scgi;
             server {{
                 listen {addr} {listen};
                 ssl_certificate chain.pem; ssl_certificate_key key.pem;
                 {directives}
             }}
         }}"
    );
    fs::write(folder.join("nginx.conf"), configuration).unwrap();
    let mut child = nginx(folder)
        .stdin(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("nginx is not in PATH: {error}"));
    // It opens its sockets, then says by which method it waits for events: with no sleep, that is
    // the moment at which it can be connected to.
    let mut log = String::new();
    let mut stderr = BufReader::new(child.stderr.take().unwrap());
    while stderr.read_line(&mut log).unwrap() > 0 {
        if log.contains("event method") {
            // Who closes the pipe could end nginx by its next notice.
            child.stderr = Some(stderr.into_inner());
            return Some(child);
        }
    }
    child.wait().unwrap();
    assert!(log.contains("Address already in use"), "{log}");
    None
}

fn nginx(folder: &Path) -> Command {
    let mut command = Command::new("nginx");
    command.arg("-p").arg(folder).args(["-c", "nginx.conf"]);
    // What it says before it has read its configuration would go to a log of the system's.
    command.args(["-e", "stderr"]);
    command
}

/// Writes the chain and the key, and returns the certificate of the authority.
fn mint(folder: &Path, certificate: &CertificateParams) -> String {
    let mut authority = CertificateParams::default();
    authority.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate().unwrap()).unwrap();
    let issuer: &Issuer<'_, KeyPair> = &authority;
    let key = KeyPair::generate().unwrap();
    let leaf = certificate.signed_by(&key, issuer).unwrap();
    fs::write(folder.join("chain.pem"), leaf.pem()).unwrap();
    fs::write(folder.join("key.pem"), key.serialize_pem()).unwrap();
    authority.pem()
}
