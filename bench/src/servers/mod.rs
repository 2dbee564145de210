//! Servers that nginx is not, each a child of the runner that ends when the runner does.

mod hold;
mod hybrid;
mod relay;

use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Stdio};
use std::{env, thread};

use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::net::TcpListener;
use tokio::runtime::Builder;

use crate::Result;
use crate::tool::{SERVER_CORE, pinned};

#[derive(Clone, Debug)]
pub enum Kind {
    /// Plain HTTP, for behind nginx: answers nobody until all have come.
    Hold,
    /// TLS with X25519MLKEM768, which Debian's nginx has not: a leaf and its key.
    Hybrid { leaf: PathBuf, key: PathBuf },
    /// A proxy by CONNECT, as far away as RELAY_TRIP says.
    Relay,
}

/// A running server, which ends with this.
pub struct Server {
    child: Child,
    pub address: SocketAddr,
    /// At whose end the child ends too, should this process not come to that.
    _stdin: ChildStdin,
}

impl Server {
    pub fn start(kind: &Kind) -> Result<Self> {
        let mut child = pinned(SERVER_CORE, &env::current_exe()?)
            .arg("serve")
            .args(kind.words())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let stdin = child.stdin.take().expect("it is piped");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("it is piped")).read_line(&mut line)?;
        let address = line
            .trim()
            .parse()
            .map_err(|_| format!("{kind:?} does not listen"))?;
        Ok(Self {
            child,
            address,
            _stdin: stdin,
        })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Kind {
    fn words(&self) -> Vec<PathBuf> {
        match self {
            Self::Hold => vec!["hold".into()],
            Self::Hybrid { leaf, key } => vec!["hybrid".into(), leaf.clone(), key.clone()],
            Self::Relay => vec!["relay".into()],
        }
    }

    pub fn read(words: &[String]) -> Result<Self> {
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        match words[..] {
            ["hold"] => Ok(Self::Hold),
            ["hybrid", leaf, key] => Ok(Self::Hybrid {
                leaf: leaf.into(),
                key: key.into(),
            }),
            ["relay"] => Ok(Self::Relay),
            _ => Err("serve hold | hybrid LEAF KEY | relay".into()),
        }
    }
}

/// What the child does, until its standard input ends.
pub fn run(kind: &Kind) -> Result<()> {
    thread::spawn(|| {
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        std::process::exit(0);
    });
    let runtime = Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        println!("{}", listener.local_addr()?);
        match kind {
            Kind::Hold => hold::serve(listener).await,
            Kind::Hybrid { leaf, key } => hybrid::serve(listener, leaf, key).await,
            Kind::Relay => relay::serve(listener).await,
        }
    })
}

/// Reads the head of a request; nobody here sends anything after it. `None` if there is none.
async fn head(stream: &mut (impl AsyncRead + Unpin)) -> Option<String> {
    let mut head = Vec::with_capacity(1_024);
    while !head.ends_with(b"\r\n\r\n") {
        if stream.read_buf(&mut head).await.ok()? == 0 {
            return None;
        }
    }
    String::from_utf8(head).ok()
}

/// A response as small as nginx's, after which the connection is closed.
fn response() -> Vec<u8> {
    let body = "x".repeat(crate::server::SMALL);
    let head = "HTTP/1.1 200 OK\r\nserver: bench\r\ncontent-type: application/octet-stream\r\n";
    format!(
        "{head}content-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}
