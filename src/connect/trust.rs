//! Whom a connection is to, and the TLS that it is made with: roots and identity are the client's,
//! the policy is the host's.

use std::hash::{Hash, Hasher};
use std::sync::{Arc, OnceLock};

use super::blocking;
use super::origin::Origin;
use super::per_host::PerHost;
use crate::error::Result;
use crate::tls::demand::Demand;
use crate::tls::key_log::KeyLog;
use crate::tls::{Clock, Identity, Policy, RootStore, Tls};

/// What a client trusts, host by host. It does not change for as long as the client lives: an
/// origin has one policy.
#[derive(Debug)]
pub(crate) struct Trust(PerHost<Arc<Terms>>);

impl Trust {
    /// `policy` is for all hosts that no pattern of `host_policies` covers. Without roots the
    /// platform's are loaded at first use, off the async threads.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`](crate::ErrorKind::Config) if the roots are given and empty, or a
    /// pattern cannot be read or is there twice.
    pub(crate) fn new(
        roots: Option<RootStore>,
        identity: Option<Identity>,
        policy: Policy,
        host_policies: Vec<(String, Policy)>,
        clock: Clock,
        key_log: Option<Arc<KeyLog>>,
    ) -> Result<Self> {
        let roots = Arc::new(roots.map_or_else(OnceLock::new, OnceLock::from));
        let terms = |policy| -> Result<_> {
            let terms = Terms {
                roots: Arc::clone(&roots),
                identity: identity.clone(),
                policy,
                clock: clock.clone(),
                key_log: key_log.clone(),
                verified: OnceLock::new(),
                reported: OnceLock::new(),
                to_proxy: OnceLock::new(),
            };
            if let Some(roots) = roots.get() {
                terms.make(roots.clone(), To::Origin(Demand::Verified))?;
            }
            Ok(Arc::new(terms))
        };
        let host_policies = host_policies.into_iter();
        let host_terms = host_policies.map(|(pattern, policy)| Ok((pattern, terms(policy)?)));
        let host_terms: Vec<_> = host_terms.collect::<Result<_>>()?;
        Ok(Self(PerHost::new(terms(policy)?, host_terms)?))
    }

    /// What makes TLS to a proxy. It is the policy's for the proxy's host, and verifies whatever is
    /// demanded of an origin: the proxy is given a password, and nobody said that anybody may have
    /// it. Our own certificate is for origins, and tickets are apart from theirs.
    pub(super) async fn tls_to_proxy(&self, proxy: &Origin) -> Result<Arc<Tls>> {
        self.0.of(proxy).tls(To::Proxy).await
    }

    pub(crate) fn endpoint(&self, origin: Origin, demand: Demand) -> Endpoint {
        Endpoint {
            terms: Arc::clone(self.0.of(&origin)),
            origin,
            demand,
        }
    }
}

/// Whom a connection is to, and under which policy and demand.
///
/// This is all that its TLS depends on, so connections are told apart by it: what was made for one
/// endpoint never serves another. The proxy on the way need not be named: within one client it follows
/// from the origin.
#[derive(Clone, Debug)]
pub(crate) struct Endpoint {
    origin: Origin,
    demand: Demand,
    terms: Arc<Terms>,
}

impl Endpoint {
    /// Itself, to be kept; see [`Origin::to_keep`].
    pub(super) fn to_keep(&self) -> Self {
        Self {
            origin: self.origin.to_keep(),
            demand: self.demand,
            terms: Arc::clone(&self.terms),
        }
    }

    pub(crate) fn origin(&self) -> &Origin {
        &self.origin
    }

    pub(crate) fn demand(&self) -> Demand {
        self.demand
    }

    /// What makes TLS to it, with tickets of its own.
    pub(super) async fn tls(&self) -> Result<Arc<Tls>> {
        self.terms.tls(To::Origin(self.demand)).await
    }
}

/// Terms are the same only if they are one: what they demand says nothing of their roots.
impl PartialEq for Endpoint {
    fn eq(&self, other: &Self) -> bool {
        let Self {
            origin,
            demand,
            terms,
        } = self;
        *origin == other.origin && *demand == other.demand && Arc::ptr_eq(terms, &other.terms)
    }
}

impl Eq for Endpoint {}

/// That of the origin, which has one policy and is hardly ever under two demands.
impl Hash for Endpoint {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.origin.hash(state);
    }
}

/// What TLS under one policy is made of, and the TLS made of it: one that verifies, one that only
/// reports, and one for proxies, which share neither verifier nor tickets with each other, nor with
/// another policy's.
#[derive(Debug)]
struct Terms {
    /// The client's: given, or loaded once.
    roots: Arc<OnceLock<RootStore>>,
    identity: Option<Identity>,
    policy: Policy,
    clock: Clock,
    key_log: Option<Arc<KeyLog>>,
    verified: OnceLock<Arc<Tls>>,
    reported: OnceLock<Arc<Tls>>,
    to_proxy: OnceLock<Arc<Tls>>,
}

/// Whom TLS is made to.
#[derive(Clone, Copy, Debug)]
enum To {
    Origin(Demand),
    Proxy,
}

impl Terms {
    async fn tls(&self, to: To) -> Result<Arc<Tls>> {
        if let Some(tls) = self.made(to).get() {
            return Ok(Arc::clone(tls));
        }
        if let Some(roots) = self.roots.get() {
            return self.make(roots.clone(), to);
        }
        // Files may hang (a network drive, a pipe): they take one thread then, and leave the rest
        // to those who resolve names.
        let roots = NATIVE.run(RootStore::native).await??;
        let tls = self.make(roots.clone(), to)?;
        // Roots that make no TLS are not kept.
        self.roots.get_or_init(|| roots);
        Ok(tls)
    }

    fn make(&self, roots: RootStore, to: To) -> Result<Arc<Tls>> {
        let (identity, demand) = match to {
            To::Origin(demand) => (self.identity.as_ref(), demand),
            To::Proxy => (None, Demand::Verified),
        };
        let tls = Tls::new(
            roots,
            identity,
            self.policy.clone(),
            demand,
            self.clock.clone(),
            self.key_log.clone(),
        )?;
        Ok(Arc::clone(self.made(to).get_or_init(|| Arc::new(tls))))
    }

    fn made(&self, to: To) -> &OnceLock<Arc<Tls>> {
        match to {
            To::Origin(Demand::Verified) => &self.verified,
            To::Origin(Demand::Reported) => &self.reported,
            To::Proxy => &self.to_proxy,
        }
    }
}

static NATIVE: blocking::Once<Result<RootStore>> = blocking::Once::new();

#[cfg(test)]
mod tests {
    use super::*;

    /// Whatever is demanded of the same host as an origin: no verifier, no tickets and no certificate
    /// of ours are shared.
    #[cfg(feature = "lab")]
    #[tokio::test]
    async fn a_proxys_tls_is_nobody_elses() {
        let root = rcgen::generate_simple_self_signed(["root.test".to_owned()]).unwrap();
        let roots = RootStore::empty().add_der(root.cert.der()).unwrap();
        let (policy, clock) = (Policy::default(), Clock::default());
        let trust = Trust::new(Some(roots), None, policy, vec![], clock, None).unwrap();
        let at = Origin::tls("both.test", 443).unwrap();
        let proxys = trust.tls_to_proxy(&at).await.unwrap();
        for demand in [Demand::Verified, Demand::Reported] {
            let target = trust.endpoint(at.clone(), demand);
            assert!(!Arc::ptr_eq(&proxys, &target.tls().await.unwrap()));
        }
        assert!(Arc::ptr_eq(
            &proxys,
            &trust.tls_to_proxy(&at).await.unwrap()
        ));
    }

    #[test]
    fn an_endpoint_is_an_origin_a_demand_and_a_policy() {
        let trust = || {
            let bank = (String::from("bank.test"), Policy::strict());
            let (policy, clock) = (Policy::default(), Clock::default());
            Trust::new(None, None, policy, vec![bank], clock, None).unwrap()
        };
        let (ours, others) = (trust(), trust());
        let at = |trust: &Trust, host, port, demand| {
            let origin = Origin::tls(host, port).unwrap();
            trust.endpoint(origin, demand)
        };
        use Demand::{Reported, Verified};
        let bank = at(&ours, "bank.test", 443, Verified);
        assert_eq!(bank, at(&ours, "BANK.test", 443, Verified));
        for other in [
            at(&ours, "bank.test", 443, Reported),
            at(&ours, "bank.test", 444, Verified),
            at(&ours, "shop.test", 443, Verified),
            // The name is told apart, and the policy is the same.
            at(&ours, "bank.test.", 443, Verified),
            // As strict as ours, and of roots that may be others.
            at(&others, "bank.test", 443, Verified),
        ] {
            assert_ne!(bank, other);
        }
        let policy = |host| at(&ours, host, 443, Verified).terms.policy.clone();
        assert_eq!(policy("bank.test."), Policy::strict());
        assert_eq!(policy("shop.test"), Policy::default());
    }
}
