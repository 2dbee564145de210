//! The least that HTTP/1.1 over TLS costs: a request written by hand, a response read by httparse,
//! and connections kept in a `Vec`. It follows nothing, limits nothing and times nothing.

use std::str;
use std::sync::{Arc, Mutex};

use http::Uri;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::{Fetch, Got, Look, RESUMED, REUSED};
use crate::Result;
use crate::setup::Setup;

#[derive(Clone)]
pub struct Floor(Arc<Shared>);

struct Shared {
    dial: Dial,
    request: Vec<u8>,
    idle: Mutex<Vec<Connection>>,
}

/// What opens a connection, here and for h2.
pub struct Dial {
    connector: TlsConnector,
    host: String,
    port: u16,
    name: ServerName<'static>,
    proxy: Option<Arc<str>>,
}

struct Connection {
    stream: TlsStream<TcpStream>,
    buffer: Vec<u8>,
}

struct Head {
    status: u16,
    /// How many bytes of the buffer it takes.
    taken: usize,
    length: u64,
    closes: bool,
    resumed: bool,
}

impl Fetch for Floor {
    fn new(setup: &Setup) -> Result<Self> {
        let uri: Uri = setup.url.parse()?;
        let authority = uri.authority().ok_or("a URL has a host")?;
        let request = format!(
            "GET {} HTTP/1.1\r\nhost: {authority}\r\naccept: */*\r\n\r\n",
            uri.path()
        );
        Ok(Self(Arc::new(Shared {
            dial: Dial::new(setup, &[])?,
            request: request.into_bytes(),
            idle: Mutex::default(),
        })))
    }

    async fn get(&self, look: Look) -> Result<Got> {
        let (mut connection, head) = self.send(look).await?;
        let length = usize::try_from(head.length)?;
        let mut body = Vec::with_capacity(length);
        body.extend_from_slice(&connection.buffer[head.taken..]);
        while body.len() < length {
            if connection.stream.read_buf(&mut body).await? == 0 {
                return Err("the body ended early".into());
            }
        }
        let bytes = body.len() as u64;
        Ok(self.done(connection, &head, bytes))
    }

    async fn drain(&self) -> Result<Got> {
        let (mut connection, head) = self.send(Look::Away).await?;
        let mut bytes = (connection.buffer.len() - head.taken) as u64;
        while bytes < head.length {
            connection.buffer.clear();
            match connection.stream.read_buf(&mut connection.buffer).await? {
                0 => return Err("the body ended early".into()),
                read => bytes += read as u64,
            }
        }
        Ok(self.done(connection, &head, bytes))
    }
}

impl Floor {
    async fn send(&self, look: Look) -> Result<(Connection, Head)> {
        let kept = self
            .0
            .idle
            .lock()
            .expect("nothing panics while it holds it")
            .pop();
        let mut connection = match kept {
            Some(connection) => connection,
            None => Connection {
                stream: self.0.dial.open().await?,
                buffer: Vec::with_capacity(BUFFER),
            },
        };
        connection.stream.write_all(&self.0.request).await?;
        connection.stream.flush().await?;
        connection.buffer.clear();
        loop {
            if connection.stream.read_buf(&mut connection.buffer).await? == 0 {
                return Err("the head ended early".into());
            }
            if let Some(head) = Head::read(&connection.buffer, look)? {
                return Ok((connection, head));
            }
        }
    }

    fn done(&self, connection: Connection, head: &Head, bytes: u64) -> Got {
        if !head.closes {
            self.0
                .idle
                .lock()
                .expect("nothing panics while it holds it")
                .push(connection);
        }
        Got {
            status: head.status,
            bytes,
            resumed: head.resumed,
        }
    }
}

impl Head {
    /// `None` while it is not whole.
    fn read(buffer: &[u8], look: Look) -> Result<Option<Self>> {
        let mut headers = [httparse::EMPTY_HEADER; 32];
        let mut response = httparse::Response::new(&mut headers);
        let httparse::Status::Complete(taken) = response.parse(buffer)? else {
            return Ok(None);
        };
        let mut head = Self {
            status: response.code.ok_or("a whole head has a status")?,
            taken,
            length: 0,
            closes: false,
            resumed: false,
        };
        for header in response.headers.iter() {
            if header.name.eq_ignore_ascii_case("content-length") {
                head.length = str::from_utf8(header.value)?.parse()?;
            } else if header.name.eq_ignore_ascii_case("connection") {
                head.closes = header.value.eq_ignore_ascii_case(b"close");
            } else if look == Look::Resumed && header.name.eq_ignore_ascii_case(REUSED) {
                head.resumed = header.value == RESUMED;
            }
        }
        Ok(Some(head))
    }
}

impl Dial {
    pub fn new(setup: &Setup, alpn: &[&[u8]]) -> Result<Self> {
        let uri: Uri = setup.url.parse()?;
        let host = uri.host().ok_or("a URL has a host")?.to_owned();
        let mut tls = setup.tls()?;
        tls.alpn_protocols = alpn.iter().map(|protocol| protocol.to_vec()).collect();
        Ok(Self {
            connector: TlsConnector::from(Arc::new(tls)),
            name: ServerName::try_from(host.clone())?,
            host,
            port: uri.port_u16().unwrap_or(443),
            proxy: setup.proxy.clone(),
        })
    }

    pub async fn open(&self) -> Result<TlsStream<TcpStream>> {
        let stream = match &self.proxy {
            None => TcpStream::connect((&*self.host, self.port)).await?,
            Some(proxy) => self.tunnel(proxy).await?,
        };
        stream.set_nodelay(true)?;
        Ok(self.connector.connect(self.name.clone(), stream).await?)
    }

    async fn tunnel(&self, proxy: &str) -> Result<TcpStream> {
        let mut stream = TcpStream::connect(proxy).await?;
        let request = format!("CONNECT {}:{} HTTP/1.1\r\n\r\n", self.host, self.port);
        stream.write_all(request.as_bytes()).await?;
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            if stream.read_buf(&mut head).await? == 0 {
                return Err("the proxy hung up".into());
            }
        }
        Ok(stream)
    }
}

/// A record of TLS is at most 16 KiB.
const BUFFER: usize = 16 << 10;
