//! A program of somebody else's that listens on a port of loopback: one process, until it is
//! dropped.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// A running program.
pub(crate) struct Daemon {
    child: Child,
    pub(crate) addr: SocketAddr,
    _folder: Folder,
}

impl Daemon {
    /// Starts a program that does not leave the foreground, and returns when it can be connected to.
    /// `command` gets an empty folder and the address to listen at.
    pub(crate) fn start(test: &str, command: impl Fn(&Path, SocketAddr) -> Command) -> Self {
        for _ in 0..MOST_PORTS {
            let (folder, addr) = (Folder::new(test), free_port());
            let mut command = command(&folder.0, addr);
            let program = command.get_program().to_owned();
            command
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::null());
            let child = command.spawn();
            let child = child.unwrap_or_else(|error| panic!("{program:?} is not in PATH: {error}"));
            let mut daemon = Self {
                child,
                addr,
                _folder: folder,
            };
            if daemon.listens() {
                return daemon;
            }
        }
        panic!("{MOST_PORTS} free ports were taken before {test} had them");
    }

    /// Waits until it does. `false` if it has ended: somebody took its port meanwhile.
    fn listens(&mut self) -> bool {
        let started = Instant::now();
        while started.elapsed() < NET {
            if self.child.try_wait().unwrap().is_some() {
                return false;
            }
            if TcpStream::connect(self.addr).is_ok() {
                return true;
            }
            thread::sleep(PAUSE);
        }
        panic!("it does not listen");
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // By then it may have ended by itself, which is no harm.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A port that nobody has at this moment; somebody may have it at the next.
fn free_port() -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    listener.local_addr().unwrap()
}

/// A folder that goes with its owner.
struct Folder(PathBuf);

impl Folder {
    fn new(test: &str) -> Self {
        let name = format!("daemon-{}-{test}", std::process::id());
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        fs::create_dir_all(&folder).unwrap();
        Self(folder)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

const MOST_PORTS: usize = 10;
/// Between two looks.
const PAUSE: Duration = Duration::from_millis(5);
/// Far beyond what a start takes: it turns one that hangs into one that fails.
const NET: Duration = Duration::from_secs(30);
