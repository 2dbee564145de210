//! ureq, which blocks.

use std::io::Read;
use std::sync::Arc;

use ureq::config::Config;
use ureq::http::Response;
use ureq::tls::{Certificate, RootCerts, TlsConfig};
use ureq::{Agent, Body, Proxy};

use super::{Fetch, Got, Look};
use crate::Result;
use crate::setup::{Roots, Setup};

#[derive(Clone)]
pub struct Ureq {
    agent: Agent,
    url: Arc<str>,
}

impl Fetch for Ureq {
    const BLOCKS: bool = true;

    fn new(setup: &Setup) -> Result<Self> {
        let roots = match &setup.roots {
            Roots::Only(path) => {
                let authority = Setup::authority(path)?;
                RootCerts::new_with_certs(&[Certificate::from_der(&authority).to_owned()])
            }
            Roots::Native => native()?,
        };
        let tls = TlsConfig::builder()
            .root_certs(roots)
            .unversioned_rustls_crypto_provider(setup.provider()?)
            .build();
        let proxy = match &setup.proxy {
            Some(proxy) => Some(Proxy::new(&format!("http://{proxy}"))?),
            None => None,
        };
        // By default it keeps three connections a host, which is no pool for 64 at once.
        let config = Config::builder()
            .tls_config(tls)
            .proxy(proxy)
            .max_idle_connections(POOLED)
            .max_idle_connections_per_host(POOLED);
        Ok(Self {
            agent: config.build().into(),
            url: setup.url.clone(),
        })
    }

    async fn get(&self, look: Look) -> Result<Got> {
        let mut response = self.call()?;
        let resumed = look.is_resumed(response.headers());
        let status = response.status().as_u16();
        let bytes = response.body_mut().read_to_vec()?.len() as u64;
        Ok(Got {
            status,
            bytes,
            resumed,
        })
    }

    async fn drain(&self) -> Result<Got> {
        let mut response = self.call()?;
        let status = response.status().as_u16();
        let mut reader = response.body_mut().as_reader();
        let mut buffer = vec![0; 16 << 10];
        let mut bytes = 0;
        loop {
            match reader.read(&mut buffer)? {
                0 => {
                    return Ok(Got {
                        status,
                        bytes,
                        resumed: false,
                    });
                }
                read => bytes += read as u64,
            }
        }
    }
}

impl Ureq {
    fn call(&self) -> Result<Response<Body>> {
        Ok(self.agent.get(&*self.url).call()?)
    }
}

/// Built without its own finders of roots, it is handed those of the platform.
fn native() -> Result<RootCerts> {
    let found = rustls_native_certs::load_native_certs().certs;
    let roots: Vec<Certificate<'static>> = found
        .iter()
        .map(|der| Certificate::from_der(der).to_owned())
        .collect();
    Ok(RootCerts::new_with_certs(&roots))
}

const POOLED: usize = 1_024;
