//! How a client is made of what was said of it, and of what the environment says.

use std::ffi::OsString;
use std::sync::{Arc, Once};

use http::HeaderValue;

use super::{Client, ClientBuilder, Shared};
use crate::connect::proxy::{Unreadable, UnusableProxy};
use crate::connect::{Connector, Pool, Proxies, Proxy, Route, Trust};
use crate::error::{Error, ErrorKind, Result};
use crate::limits::Limits;
use crate::tls::crypto;
use crate::tls::demand::{self, HttpsVerify, Said};
use crate::tls::key_log::KeyLog;
use crate::trace;

/// Through which proxies.
#[derive(Debug)]
pub(super) enum Way {
    AsTheEnvironmentSays,
    Direct,
    /// An URL that cannot be read is an error when the client is built.
    Through(Result<Proxy, Unreadable>),
}

impl ClientBuilder {
    pub(super) fn build_as(self, said: Said) -> Result<Client> {
        crypto::gather_entropy();
        self.keep.check()?;
        let environment = |name: &str| std::env::var_os(name);
        let https_verify = HttpsVerify::read(&environment)?;
        let demand = https_verify.demand(said)?;
        if demand::has_only_pythons(&environment) {
            static ONCE: Once = Once::new();
            ONCE.call_once(trace::pythons_variable);
        }
        let user_agent = HeaderValue::try_from(self.user_agent).map_err(|error| {
            Error::new(ErrorKind::Config, "the user agent cannot be sent").with_source(error)
        })?;
        let key_log = match self.key_log {
            true => KeyLog::open(&environment)?,
            false => None,
        };
        let host_policies = self.host_policies.iter().map(|(_, policy)| policy);
        for policy in host_policies.chain([&self.policy]) {
            policy.provider()?;
        }
        let bypass = self.proxy_bypass.as_deref();
        let proxies = self.way.proxies(&environment, &self.limits, bypass)?;
        Ok(Client(Arc::new(Shared {
            connector: Connector {
                route: Route {
                    resolver: self.resolver,
                    guard: self.guard.whole()?,
                    proxies,
                },
                timeout: self.connect_timeout,
                trust: Trust::new(
                    self.roots,
                    self.identity,
                    self.policy,
                    self.host_policies,
                    self.clock,
                    key_log,
                )?,
            },
            pool: Pool::new(self.keep),
            https_verify,
            demand,
            limits: self.limits,
            user_agent,
        })))
    }
}

impl Way {
    fn proxies(
        self,
        environment: &dyn Fn(&str) -> Option<OsString>,
        limits: &Limits,
        bypass: Option<&str>,
    ) -> Result<Proxies, UnusableProxy> {
        match self {
            Self::AsTheEnvironmentSays => {
                Proxies::from_environment(environment, limits.allow_http, bypass)
            }
            Self::Direct => Ok(Proxies::none()),
            Self::Through(Ok(proxy)) => Ok(Proxies::all(proxy, bypass)),
            Self::Through(Err(why)) => {
                let of = "the proxy of ClientBuilder::proxy";
                Err(UnusableProxy { of, why })
            }
        }
    }
}
