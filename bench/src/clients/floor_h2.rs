//! The least that HTTP/2 costs: bare `h2` over one connection.

use std::sync::Arc;

use bytes::Bytes;
use h2::client::{Builder, ResponseFuture, SendRequest};
use http::{Request, Uri};
use tokio::sync::OnceCell;

use super::floor::Dial;
use super::{Fetch, Got, Look};
use crate::Result;
use crate::setup::Setup;

#[derive(Clone)]
pub struct FloorH2(Arc<Shared>);

struct Shared {
    dial: Dial,
    uri: Uri,
    connection: OnceCell<SendRequest<Bytes>>,
}

impl Fetch for FloorH2 {
    fn new(setup: &Setup) -> Result<Self> {
        Ok(Self(Arc::new(Shared {
            dial: Dial::new(setup, &[b"h2"])?,
            uri: setup.url.parse()?,
            connection: OnceCell::new(),
        })))
    }

    async fn get(&self, _: Look) -> Result<Got> {
        let response = self.0.send().await?.await?;
        let status = response.status().as_u16();
        let mut body = response.into_body();
        let mut whole = Vec::new();
        while let Some(piece) = body.data().await {
            let piece = piece?;
            body.flow_control().release_capacity(piece.len())?;
            whole.extend_from_slice(&piece);
        }
        Ok(Got {
            status,
            bytes: whole.len() as u64,
            resumed: false,
        })
    }

    async fn drain(&self) -> Result<Got> {
        let response = self.0.send().await?.await?;
        let status = response.status().as_u16();
        let mut body = response.into_body();
        let mut bytes = 0;
        while let Some(piece) = body.data().await {
            let piece = piece?;
            body.flow_control().release_capacity(piece.len())?;
            bytes += piece.len() as u64;
        }
        Ok(Got {
            status,
            bytes,
            resumed: false,
        })
    }
}

impl Shared {
    async fn send(&self) -> Result<ResponseFuture> {
        let sender = self.connection.get_or_try_init(|| self.open()).await?;
        let mut sender = sender.clone().ready().await?;
        let request = Request::get(self.uri.clone())
            .header("accept", "*/*")
            .body(())?;
        let (response, _) = sender.send_request(request, true)?;
        Ok(response)
    }

    async fn open(&self) -> Result<SendRequest<Bytes>> {
        let stream = self.dial.open().await?;
        let (sender, connection) = Builder::new()
            .initial_window_size(WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .handshake(stream)
            .await?;
        tokio::spawn(async {
            if let Err(error) = connection.await {
                eprintln!("the h2 connection broke: {error}");
            }
        });
        Ok(sender)
    }
}

/// The windows of hyper's clients; those of the protocol would halve the throughput.
const WINDOW: u32 = 2 << 20;
const CONNECTION_WINDOW: u32 = 5 << 20;
