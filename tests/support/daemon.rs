//! A program of somebody else's that listens on a port of loopback: one process, until it is
//! dropped.

use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::free_port;
use crate::scratch::Scratch;

/// A running program.
pub(crate) struct Daemon {
    child: Child,
    pub(crate) addr: SocketAddr,
    _folder: Scratch,
}

impl Daemon {
    /// Starts a program that does not leave the foreground, and returns when it can be connected to.
    /// `command` gets an empty folder and the address to listen at.
    pub(crate) fn start(test: &str, command: impl Fn(&Path, SocketAddr) -> Command) -> Self {
        free_port::start(test, |addr| {
            let folder = Scratch::new();
            let mut command = command(folder.path(), addr);
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
            daemon.listens().then_some(daemon)
        })
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

/// Between two looks.
const PAUSE: Duration = Duration::from_millis(5);
/// Far beyond what a start takes: it turns one that hangs into one that fails.
const NET: Duration = Duration::from_secs(30);
