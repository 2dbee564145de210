//! Trust: roots, identity and policy become one TLS configuration, and nothing else builds one.
//!
//! [`RootStore`] has whom to trust, [`Identity`] our own certificate, and [`Policy`] what a peer has
//! to show beyond a path to a root and the right name: every [`Rule`] of the strict profile, what a
//! [`CrlStore`] or a stapled OCSP response says of it, a [`Pin`], days that are left.
//! [`ClientBuilder`](crate::ClientBuilder) takes them for connections, and [`Verifier`] judges by
//! the same without one. What comes of it is a [`Verdict`], pass or fail, that lists every
//! [`Check`]: what was not looked at is skipped, and it says so.
//!
//! ```no_run
//! use urlfetch::tls::{
//!     CertificateDer, CrlStore, Outcome, PemObject, Policy, Presented, RootStore, ServerName,
//!     UnixTime, Verifier,
//! };
//!
//! # fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let crls = CrlStore::empty().add_dir("/var/lib/crls")?;
//! let verifier = Verifier::builder()
//!     .roots(RootStore::native()?)
//!     .policy(Policy::strict().crls(crls))
//!     .build()?;
//! let chain = CertificateDer::pem_file_iter("chain.pem")?.collect::<Result<Vec<_>, _>>()?;
//! let staple = std::fs::read("staple.der")?;
//! let presented = Presented::new(&chain).staple(&staple);
//! let verdict = verifier.judge(&presented, &ServerName::try_from("bank.example")?, UnixTime::now());
//! for check in verdict.checks() {
//!     match check.outcome() {
//!         Outcome::Passed => println!("{:?}: passed", check.subject()),
//!         Outcome::Skipped(why) => println!("{:?}: skipped, as {why}", check.subject()),
//!         Outcome::Failed(reason) => println!("{:?}: {reason}", check.subject()),
//!         _ => {}
//!     }
//! }
//! # Ok(())
//! # }
//! ```

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use rustls::time_provider::TimeProvider;
use rustls::{ClientConfig, SupportedProtocolVersion};

pub use alternative::AlternativeName;
pub use certificate::{Anchor, Certificate, MalformedCertificate};
pub use crls::CrlStore;
pub use fault::Skipped;
pub use group::KeyExchangeGroup;
pub use hostname::{Mismatch, match_hostname};
pub use identity::Identity;
pub use name::{Attribute, DistinguishedName};
pub use peer::Peer;
pub use pin::{MalformedPin, Pin};
pub use policy::{Policy, Version};
pub use presented::Presented;
pub use profile::{Level, Rule};
pub use reason::{Reason, Subject};
pub use revocation::{ExpirationPolicy, RevocationCheckDepth, UnknownStatusPolicy};
pub use roots::RootStore;
pub use sct::Sct;
pub use stream::TlsStream;
pub use verdict::{CertStatus, Check, Outcome, Staple, Verdict};
pub use verify::{Verifier, VerifierBuilder};

/// Reads certificates from PEM, such as `CertificateDer::pem_file_iter`.
pub use rustls::pki_types::pem::PemObject;
pub use rustls::pki_types::{CertificateDer, ServerName, UnixTime};

mod alternative;
mod anchors;
pub(crate) mod callbacks;
mod candidates;
pub(crate) mod certificate;
mod crl;
mod crls;
pub(crate) mod crypto;
pub(crate) mod demand;
mod diagnose;
mod dotted;
mod driver;
mod engine;
mod extensions;
pub(crate) mod fault;
mod fields;
mod fill;
mod general_name;
mod group;
pub(crate) mod handshake;
pub(crate) mod held;
pub(crate) mod hostname;
mod identity;
#[cfg(feature = "json")]
mod json;
mod key;
pub(crate) mod key_log;
mod layout;
mod listed;
mod long_names;
mod memo;
pub(crate) mod name;
mod ocsp;
mod overheard;
mod path;
mod peer;
pub(crate) mod pem;
mod pin;
mod places;
pub(crate) mod platform;
pub(crate) mod policy;
mod presented;
mod profile;
mod readings;
pub(crate) mod reason;
mod revocation;
mod revoked;
mod rollover;
pub(crate) mod roots;
mod scope;
mod sct;
mod search;
mod sessions;
pub(crate) mod shown;
mod signature;
pub(crate) mod sources;
mod staple;
mod stream;
pub(crate) mod verdict;
pub(crate) mod verify;
mod ways;

use crate::error::{Error, ErrorKind, Result};
use callbacks::{Credentials, HandshakeVerifier};
use demand::Demand;
use key_log::KeyLog;
pub(crate) use sessions::Protocols;
use sessions::Sessions;

/// TLS under one policy, one set of roots, one identity and one demand.
///
/// There is one verifier and one resolver of credentials for as long as it lives: rustls ties
/// resumption to their addresses. Tickets are kept for each origin apart, as rustls' own store
/// knows a server by its name alone.
pub(crate) struct Tls {
    template: ClientConfig,
    verifier: Arc<HandshakeVerifier>,
    oldest: Version,
    clock: Clock,
    has_identity: bool,
    origins: Mutex<HashMap<Ticketed, Arc<Sessions>>>,
}

/// What a ticket store belongs to.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Ticketed {
    pub(crate) host: String,
    /// 0 of a stream that somebody else opened: such streams share tickets with their like.
    pub(crate) port: u16,
    pub(crate) protocols: Protocols,
}

impl Tls {
    pub(crate) fn new(
        roots: RootStore,
        identity: Option<&Identity>,
        policy: Policy,
        demand: Demand,
        clock: Clock,
        key_log: Option<Arc<KeyLog>>,
    ) -> Result<Self> {
        let (provider, oldest) = (policy.provider()?, policy.oldest_version());
        let verifier = Arc::new(HandshakeVerifier {
            verifier: Verifier::builder().roots(roots).policy(policy).build()?,
            demand,
        });
        let mut template = ClientConfig::builder_with_details(provider, Arc::new(clock.clone()))
            .with_protocol_versions(versions(oldest))
            .map_err(|error| {
                Error::new(ErrorKind::Config, "no TLS configuration can be made").with_source(error)
            })?
            .dangerous()
            .with_custom_certificate_verifier(Arc::clone(&verifier) as _)
            .with_client_cert_resolver(Arc::new(Credentials::new(identity)));
        // A request that can be replayed by whoever recorded it is no verified request.
        template.enable_early_data = false;
        // Without one nothing is logged: the environment alone has no say in it.
        if let Some(key_log) = key_log {
            template.key_log = key_log;
        }
        Ok(Self {
            template,
            verifier,
            oldest,
            clock,
            has_identity: identity.is_some(),
            origins: Mutex::default(),
        })
    }

    /// What is kept of one origin.
    fn sessions(&self, origin: &Ticketed) -> Arc<Sessions> {
        let mut origins = self.origins.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(sessions) = origins.get(origin) {
            return Arc::clone(sessions);
        }
        if origins.len() >= MAX_TICKETED {
            // Which one goes costs its next connection a full handshake and nothing else.
            let any = origins.keys().next().cloned();
            any.and_then(|any| origins.remove(&any));
        }
        let sessions = Arc::new(Sessions::new(&self.template, &origin.protocols));
        origins.insert(origin.clone(), Arc::clone(&sessions));
        sessions
    }

    /// Drops an origin's tickets, and what was stapled with them.
    fn forget(&self, origin: &Ticketed) {
        let mut origins = self.origins.lock().unwrap_or_else(PoisonError::into_inner);
        origins.remove(origin);
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls")
            .field("verifier", &self.verifier)
            .field("has_identity", &self.has_identity)
            .finish_non_exhaustive()
    }
}

/// The time that certificates and tickets are judged by.
#[derive(Clone)]
pub(crate) struct Clock(Arc<dyn Fn() -> UnixTime + Send + Sync>);

impl Clock {
    pub(crate) fn new(now: impl Fn() -> UnixTime + Send + Sync + 'static) -> Self {
        Self(Arc::new(now))
    }

    pub(crate) fn now(&self) -> UnixTime {
        (self.0)()
    }
}

impl Default for Clock {
    fn default() -> Self {
        Self::new(UnixTime::now)
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Clock")
    }
}

impl TimeProvider for Clock {
    fn current_time(&self) -> Option<UnixTime> {
        Some(self.now())
    }
}

fn versions(oldest: Version) -> &'static [&'static SupportedProtocolVersion] {
    static FROM_1_2: [&SupportedProtocolVersion; 2] =
        [&rustls::version::TLS13, &rustls::version::TLS12];
    static FROM_1_3: [&SupportedProtocolVersion; 1] = [&rustls::version::TLS13];
    match oldest {
        Version::Tls12 => &FROM_1_2,
        Version::Tls13 => &FROM_1_3,
    }
}

/// Most origins whose tickets are kept.
const MAX_TICKETED: usize = 1_000;
