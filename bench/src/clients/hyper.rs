//! hyper-util's legacy client with hyper-rustls: what reqwest stands on.

use bytes::Bytes;
use http::{Request, Response, Uri};
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::proxy::Tunnel;
use hyper_util::rt::{TokioExecutor, TokioTimer};

use super::{Fetch, Got, Look};
use crate::Result;
use crate::setup::Setup;

#[derive(Clone)]
pub struct Hyper {
    client: Way,
    url: std::sync::Arc<str>,
}

#[derive(Clone)]
enum Way {
    Straight(Client<HttpsConnector<HttpConnector>, Empty<Bytes>>),
    Proxied(Client<HttpsConnector<Tunnel<HttpConnector>>, Empty<Bytes>>),
}

impl Fetch for Hyper {
    fn new(setup: &Setup) -> Result<Self> {
        let https = HttpsConnectorBuilder::new()
            .with_tls_config(setup.tls()?)
            .https_only()
            .enable_http1()
            .enable_http2();
        let mut http = HttpConnector::new();
        http.enforce_http(false);
        http.set_nodelay(true);
        let mut builder = Client::builder(TokioExecutor::new());
        builder.pool_timer(TokioTimer::new());
        let client = match &setup.proxy {
            None => Way::Straight(builder.build(https.wrap_connector(http))),
            Some(proxy) => {
                let tunnel = Tunnel::new(format!("http://{proxy}").parse()?, http);
                Way::Proxied(builder.build(https.wrap_connector(tunnel)))
            }
        };
        Ok(Self {
            client,
            url: setup.url.clone(),
        })
    }

    async fn get(&self, look: Look) -> Result<Got> {
        let response = self.send().await?;
        let resumed = look.is_resumed(response.headers());
        let status = response.status().as_u16();
        let bytes = response.into_body().collect().await?.to_bytes().len() as u64;
        Ok(Got {
            status,
            bytes,
            resumed,
        })
    }

    async fn drain(&self) -> Result<Got> {
        let response = self.send().await?;
        let status = response.status().as_u16();
        let mut body = response.into_body();
        let mut bytes = 0;
        while let Some(frame) = body.frame().await {
            bytes += frame?.data_ref().map_or(0, |piece| piece.len() as u64);
        }
        Ok(Got {
            status,
            bytes,
            resumed: false,
        })
    }
}

impl Hyper {
    async fn send(&self) -> Result<Response<Incoming>> {
        let uri: Uri = self.url.parse()?;
        let request = Request::get(uri).body(Empty::new())?;
        Ok(match &self.client {
            Way::Straight(client) => client.request(request).await?,
            Way::Proxied(client) => client.request(request).await?,
        })
    }
}
