//! reqwest, with the roots and the key exchange of all.

use reqwest::{Client, Proxy, Response};

use super::{Fetch, Got, Look};
use crate::Result;
use crate::setup::{Roots, Setup};

#[derive(Clone)]
pub struct Reqwest {
    client: Client,
    url: std::sync::Arc<str>,
}

impl Fetch for Reqwest {
    fn new(setup: &Setup) -> Result<Self> {
        let builder = Client::builder();
        let builder = match &setup.roots {
            Roots::Only(_) => {
                let mut tls = setup.tls()?;
                tls.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
                builder.tls_backend_preconfigured(tls)
            }
            // As it comes: by the platform's verifier.
            Roots::Native => {
                let provider = (*setup.provider()?).clone();
                let _ = provider.install_default();
                builder
            }
        };
        let builder = match &setup.proxy {
            Some(proxy) => builder.proxy(Proxy::https(format!("http://{proxy}"))?),
            None => builder.no_proxy(),
        };
        Ok(Self {
            client: builder.build()?,
            url: setup.url.clone(),
        })
    }

    async fn get(&self, look: Look) -> Result<Got> {
        let response = self.send().await?;
        let resumed = look.is_resumed(response.headers());
        let status = response.status().as_u16();
        let bytes = response.bytes().await?.len() as u64;
        Ok(Got {
            status,
            bytes,
            resumed,
        })
    }

    async fn drain(&self) -> Result<Got> {
        let mut response = self.send().await?;
        let status = response.status().as_u16();
        let mut bytes = 0;
        while let Some(piece) = response.chunk().await? {
            bytes += piece.len() as u64;
        }
        Ok(Got {
            status,
            bytes,
            resumed: false,
        })
    }
}

impl Reqwest {
    async fn send(&self) -> Result<Response> {
        Ok(self.client.get(&*self.url).send().await?)
    }
}
