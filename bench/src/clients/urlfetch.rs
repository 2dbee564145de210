//! urlfetch, from a URL in words and from one that was prepared.

use std::sync::Arc;

use urlfetch::tls::{KeyExchangeGroup, Policy, RootStore};
use urlfetch::{Client, Response, Target};

use super::{Fetch, Got, Look};
use crate::Result;
use crate::setup::{KeyExchange, Roots, Setup};

/// Each fetch from the words of the URL.
#[derive(Clone)]
pub struct Urlfetch {
    client: Client,
    url: Arc<str>,
}

/// Each fetch from a target prepared once.
#[derive(Clone)]
pub struct Prepared {
    client: Client,
    target: Target,
}

impl Fetch for Urlfetch {
    fn new(setup: &Setup) -> Result<Self> {
        Ok(Self {
            client: client(setup)?,
            url: setup.url.clone(),
        })
    }

    async fn get(&self, look: Look) -> Result<Got> {
        whole(self.client.fetch(&*self.url).await?, look).await
    }

    async fn drain(&self) -> Result<Got> {
        pieces(self.client.fetch(&*self.url).await?).await
    }
}

impl Fetch for Prepared {
    fn new(setup: &Setup) -> Result<Self> {
        Ok(Self {
            client: client(setup)?,
            target: Target::new(&*setup.url)?,
        })
    }

    async fn get(&self, look: Look) -> Result<Got> {
        whole(self.client.fetch(&self.target).await?, look).await
    }

    async fn drain(&self) -> Result<Got> {
        pieces(self.client.fetch(&self.target).await?).await
    }
}

/// All is as it comes but what the bench gives to every client.
fn client(setup: &Setup) -> Result<Client> {
    let group = match setup.key_exchange {
        KeyExchange::X25519 => KeyExchangeGroup::X25519,
        KeyExchange::X25519MlKem768 => KeyExchangeGroup::X25519MLKEM768,
    };
    let builder = Client::builder().policy(Policy::default().key_exchange_groups([group]));
    let builder = match &setup.roots {
        Roots::Only(path) => builder.roots(RootStore::empty().add_pem_file(path)?),
        Roots::Native => builder,
    };
    let builder = match &setup.proxy {
        Some(proxy) => builder.proxy(format!("http://{proxy}")),
        None => builder.no_proxy(),
    };
    Ok(builder.max_response_size(u64::MAX).build()?)
}

async fn whole(response: Response, look: Look) -> Result<Got> {
    let resumed = look.is_resumed(response.headers());
    let status = response.status().as_u16();
    let bytes = response.bytes().await?.len() as u64;
    Ok(Got {
        status,
        bytes,
        resumed,
    })
}

async fn pieces(response: Response) -> Result<Got> {
    let status = response.status().as_u16();
    let mut bytes = 0;
    let mut body = response.into_body();
    while let Some(piece) = body.chunk().await? {
        bytes += piece.len() as u64;
    }
    Ok(Got {
        status,
        bytes,
        resumed: false,
    })
}
