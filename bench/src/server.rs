//! nginx, as most services meet it: TLS 1.3 from one worker on a core of its own.

use std::fs::{self, File};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::Result;
use crate::folder::Folder;
use crate::pki::Pki;
use crate::tool::{SERVER_CORE, find, pinned};

/// How many bytes `/small` and `/big` have.
pub const SMALL: usize = 128;
pub const BIG: u64 = 512 << 20;

/// A running nginx, which ends with this.
pub struct Nginx {
    child: Child,
    ports: [u16; 4],
    _folder: Folder,
}

/// How a server of nginx's treats connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Door {
    /// HTTP/1.1, kept alive.
    Http1,
    /// HTTP/2, kept alive.
    Http2,
    /// HTTP/1.1, closed after each response, without session tickets.
    Full,
    /// HTTP/1.1, closed after each response, with session tickets.
    Resumed,
}

impl Nginx {
    /// Serves `/small` and `/big`, and what `backend` answers under `/hold/`.
    pub fn start(pki: &Pki, backend: Option<SocketAddr>) -> Result<Self> {
        let nginx = find("nginx").ok_or("no nginx: `apt-get install nginx-light`")?;
        let folder = Folder::new()?;
        let root = folder.path().join("root");
        fs::create_dir(&root)?;
        fs::write(root.join("small"), [b'x'; SMALL])?;
        // A file of holes: what is read of it costs no disk.
        File::create(root.join("big"))?.set_len(BIG)?;

        let ports = free_ports()?;
        let here = folder.path().display();
        let conf = folder.write("nginx.conf", config(pki, ports, backend, &here.to_string()))?;
        let child = pinned(SERVER_CORE, &nginx)
            .arg("-p")
            .arg(folder.path())
            .arg("-c")
            .arg(conf)
            .stderr(Stdio::inherit())
            .spawn()?;
        let nginx = Self {
            child,
            ports,
            _folder: folder,
        };
        nginx.until_it_listens()?;
        Ok(nginx)
    }

    pub fn url(&self, door: Door, path: &str) -> String {
        format!("https://localhost:{}{path}", self.ports[door as usize])
    }

    fn until_it_listens(&self) -> Result<()> {
        let begun = Instant::now();
        let listens = |port: &u16| TcpStream::connect(("127.0.0.1", *port)).is_ok();
        while !self.ports.iter().all(listens) {
            if begun.elapsed() > Duration::from_secs(10) {
                return Err("nginx does not listen".into());
            }
            sleep(Duration::from_millis(10));
        }
        Ok(())
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        // The master, which ends its worker before itself.
        let pid = i32::try_from(self.child.id()).expect("a pid is an i32 on Linux");
        let _ = kill(Pid::from_raw(pid), Signal::SIGTERM);
        let _ = self.child.wait();
    }
}

/// Ports that were free a moment ago; all are held until the last is known, so that they differ.
fn free_ports() -> Result<[u16; 4]> {
    let mut held = Vec::new();
    let mut ports = [0; 4];
    for port in &mut ports {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        *port = listener.local_addr()?.port();
        held.push(listener);
    }
    Ok(ports)
}

fn config(pki: &Pki, ports: [u16; 4], backend: Option<SocketAddr>, here: &str) -> String {
    let [http1, http2, full, resumed] = ports;
    let (leaf, key) = (pki.leaf.display(), pki.key.display());
    let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|what| format!("    {what}_temp_path {here}/{what};\n"))
        .concat();
    let hold = backend.map_or_else(String::new, |backend| {
        format!("location /hold/ {{ proxy_pass http://{backend}; proxy_read_timeout 600s; }}")
    });
    format!(
        "daemon off;
worker_processes 1;
pid {here}/nginx.pid;
error_log {here}/error.log;
events {{ worker_connections 30000; }}
http {{
    access_log off;
{temporary}    default_type application/octet-stream;
    root {here}/root;
    keepalive_requests 1000000000;
    keepalive_timeout 600s;
    http2_max_concurrent_streams 20000;
    ssl_protocols TLSv1.3;
    ssl_conf_command Ciphersuites TLS_AES_128_GCM_SHA256;
    ssl_ecdh_curve X25519;
    ssl_certificate {leaf};
    ssl_certificate_key {key};
    ssl_session_cache off;
    server {{ listen 127.0.0.1:{http1} ssl backlog=16384; {hold} }}
    server {{ listen 127.0.0.1:{http2} ssl http2; {hold} }}
    server {{
        listen 127.0.0.1:{full} ssl;
        keepalive_timeout 0;
        ssl_session_tickets off;
        ssl_conf_command NumTickets 0;
        ssl_conf_command Ciphersuites TLS_AES_128_GCM_SHA256;
        add_header X-Reused $ssl_session_reused;
    }}
    server {{
        listen 127.0.0.1:{resumed} ssl;
        keepalive_timeout 0;
        add_header X-Reused $ssl_session_reused;
    }}
}}
"
    )
}
