//! What Python's names for versions of TLS ask for, and which of them are refused. Pure.

use std::fmt;

use crate::error::{Error, ErrorKind};
use crate::tls::Version;

/// The version of TLS that is asked for, by one of Python's `PROTOCOL_..` constants.
///
/// | constant | what is spoken |
/// |---|---|
/// | [`PROTOCOL_TLS_CLIENT`] [`PROTOCOL_TLS`] [`PROTOCOL_SSLv23`] | the best that both sides know: TLS 1.3 or 1.2 |
/// | [`PROTOCOL_TLSv1_2`] | the same: TLS 1.2 at least. In Python it was 1.2 alone; newer is never refused here |
/// | [`PROTOCOL_TLSv1_1`] [`PROTOCOL_TLSv1`] [`PROTOCOL_SSLv3`] [`PROTOCOL_SSLv2`] | nothing: an error that says so |
/// | [`PROTOCOL_TLS_SERVER`] | nothing: there is no server here |
///
/// In Python the old four named one version and no other, and `PROTOCOL_SSLv23`, for all its name,
/// the best there was.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Protocol(Named);

/// The best that both sides know: TLS 1.3 or 1.2.
pub const PROTOCOL_TLS_CLIENT: Protocol = Protocol(Named {
    name: "PROTOCOL_TLS_CLIENT",
    asks: Asks::AtLeast(Version::Tls12),
});
/// The best that both sides know: TLS 1.3 or 1.2. Peers are verified, which by this name alone they
/// were not in Python.
pub const PROTOCOL_TLS: Protocol = Protocol(Named {
    name: "PROTOCOL_TLS",
    ..PROTOCOL_TLS_CLIENT.0
});
/// The same as [`PROTOCOL_TLS`], by its older name. App Engine's default.
#[expect(non_upper_case_globals, reason = "Python's spelling")]
pub const PROTOCOL_SSLv23: Protocol = Protocol(Named {
    name: "PROTOCOL_SSLv23",
    ..PROTOCOL_TLS_CLIENT.0
});
/// TLS 1.2 at least, and 1.3 with a server that speaks it.
#[expect(non_upper_case_globals, reason = "Python's spelling")]
pub const PROTOCOL_TLSv1_2: Protocol = Protocol(Named {
    name: "PROTOCOL_TLSv1_2",
    ..PROTOCOL_TLS_CLIENT.0
});
/// TLS 1.1: refused (RFC 8996).
#[expect(non_upper_case_globals, reason = "Python's spelling")]
pub const PROTOCOL_TLSv1_1: Protocol = Protocol(Named {
    name: "PROTOCOL_TLSv1_1",
    asks: TLS_1_1,
});
/// TLS 1.0: refused (RFC 8996).
#[expect(non_upper_case_globals, reason = "Python's spelling")]
pub const PROTOCOL_TLSv1: Protocol = Protocol(Named {
    name: "PROTOCOL_TLSv1",
    asks: TLS_1_0,
});
/// SSL 3.0: refused (RFC 7568).
#[expect(non_upper_case_globals, reason = "Python's spelling")]
pub const PROTOCOL_SSLv3: Protocol = Protocol(Named {
    name: "PROTOCOL_SSLv3",
    asks: SSL_3_0,
});
/// SSL 2.0: refused (RFC 6176).
#[expect(non_upper_case_globals, reason = "Python's spelling")]
pub const PROTOCOL_SSLv2: Protocol = Protocol(Named {
    name: "PROTOCOL_SSLv2",
    asks: Asks::Gone("SSL 2.0", "RFC 6176"),
});
/// For servers, which this is none of: refused.
pub const PROTOCOL_TLS_SERVER: Protocol = Protocol(Named {
    name: "PROTOCOL_TLS_SERVER",
    asks: Asks::Server,
});

impl Protocol {
    /// The oldest version that is spoken.
    pub(super) fn oldest(self) -> Result<Version, Error> {
        self.0.oldest()
    }
}

/// As Python spells it.
impl fmt::Debug for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.name)
    }
}

/// The oldest version of TLS that is accepted: Python's `TLSVersion`, by its names.
///
/// What is older than TLS 1.2 cannot be said: it is an error, and not silently 1.2, for whoever
/// says it has a server in mind that no connection will come of.
#[doc(alias = "TLSVersion")]
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct TlsVersion(Named);

#[expect(non_upper_case_globals, reason = "Python's spelling")]
impl TlsVersion {
    /// TLS 1.2.
    pub const MINIMUM_SUPPORTED: Self = Self(Named {
        name: "TLSVersion.MINIMUM_SUPPORTED",
        asks: Asks::AtLeast(Version::Tls12),
    });
    /// SSL 3.0: refused (RFC 7568).
    pub const SSLv3: Self = Self(Named {
        name: "TLSVersion.SSLv3",
        asks: SSL_3_0,
    });
    /// TLS 1.0: refused (RFC 8996).
    pub const TLSv1: Self = Self(Named {
        name: "TLSVersion.TLSv1",
        asks: TLS_1_0,
    });
    /// TLS 1.1: refused (RFC 8996).
    pub const TLSv1_1: Self = Self(Named {
        name: "TLSVersion.TLSv1_1",
        asks: TLS_1_1,
    });
    /// TLS 1.2.
    pub const TLSv1_2: Self = Self(Named {
        name: "TLSVersion.TLSv1_2",
        asks: Asks::AtLeast(Version::Tls12),
    });
    /// TLS 1.3.
    pub const TLSv1_3: Self = Self(Named {
        name: "TLSVersion.TLSv1_3",
        asks: Asks::AtLeast(Version::Tls13),
    });
    /// TLS 1.3.
    pub const MAXIMUM_SUPPORTED: Self = Self(Named {
        name: "TLSVersion.MAXIMUM_SUPPORTED",
        asks: Asks::AtLeast(Version::Tls13),
    });

    /// The oldest version that is spoken.
    pub(super) fn oldest(self) -> Result<Version, Error> {
        self.0.oldest()
    }
}

/// As Python spells it.
impl fmt::Debug for TlsVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.name)
    }
}

/// A name of Python's, and what it asks for.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Named {
    name: &'static str,
    asks: Asks,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Asks {
    AtLeast(Version),
    /// A version that must not be spoken, and which RFC says so.
    Gone(&'static str, &'static str),
    Server,
}

impl Named {
    fn oldest(self) -> Result<Version, Error> {
        let name = self.name;
        match self.asks {
            Asks::AtLeast(version) => Ok(version),
            Asks::Gone(version, rfc) => Err(Error::new(
                ErrorKind::Config,
                format!("{name} asks for {version}, which is not spoken ({rfc})"),
            )
            .with_hint(Some(
                "PROTOCOL_TLS_CLIENT speaks the best that both sides know; a server that knows \
                 neither TLS 1.2 nor 1.3 has to be updated",
            ))),
            Asks::Server => Err(Error::new(
                ErrorKind::Config,
                format!("{name} is for servers, and this is a client"),
            )
            .with_hint(Some("a client says PROTOCOL_TLS_CLIENT"))),
        }
    }
}

const SSL_3_0: Asks = Asks::Gone("SSL 3.0", "RFC 7568");
const TLS_1_0: Asks = Asks::Gone("TLS 1.0", "RFC 8996");
const TLS_1_1: Asks = Asks::Gone("TLS 1.1", "RFC 8996");

#[cfg(test)]
mod tests {
    use super::*;

    /// What comes of it: a version, or what is in the error beside the name.
    type Outcome = Result<Version, &'static str>;

    #[test]
    fn each_constant_is_a_version_that_is_spoken_or_a_refusal_by_its_name() {
        let best: Outcome = Ok(Version::Tls12);
        let newest: Outcome = Ok(Version::Tls13);
        let ssl_2 = Err("asks for SSL 2.0, which is not spoken (RFC 6176)");
        let ssl_3 = Err("asks for SSL 3.0, which is not spoken (RFC 7568)");
        let tls_1_0 = Err("asks for TLS 1.0, which is not spoken (RFC 8996)");
        let tls_1_1 = Err("asks for TLS 1.1, which is not spoken (RFC 8996)");
        let server = Err("is for servers, and this is a client");
        for (named, name, expected) in [
            (PROTOCOL_SSLv2.0, "PROTOCOL_SSLv2", ssl_2),
            (PROTOCOL_SSLv3.0, "PROTOCOL_SSLv3", ssl_3),
            (PROTOCOL_SSLv23.0, "PROTOCOL_SSLv23", best),
            (PROTOCOL_TLS.0, "PROTOCOL_TLS", best),
            (PROTOCOL_TLS_CLIENT.0, "PROTOCOL_TLS_CLIENT", best),
            (PROTOCOL_TLS_SERVER.0, "PROTOCOL_TLS_SERVER", server),
            (PROTOCOL_TLSv1.0, "PROTOCOL_TLSv1", tls_1_0),
            (PROTOCOL_TLSv1_1.0, "PROTOCOL_TLSv1_1", tls_1_1),
            (PROTOCOL_TLSv1_2.0, "PROTOCOL_TLSv1_2", best),
            (
                TlsVersion::MINIMUM_SUPPORTED.0,
                "TLSVersion.MINIMUM_SUPPORTED",
                best,
            ),
            (TlsVersion::SSLv3.0, "TLSVersion.SSLv3", ssl_3),
            (TlsVersion::TLSv1.0, "TLSVersion.TLSv1", tls_1_0),
            (TlsVersion::TLSv1_1.0, "TLSVersion.TLSv1_1", tls_1_1),
            (TlsVersion::TLSv1_2.0, "TLSVersion.TLSv1_2", best),
            (TlsVersion::TLSv1_3.0, "TLSVersion.TLSv1_3", newest),
            (
                TlsVersion::MAXIMUM_SUPPORTED.0,
                "TLSVersion.MAXIMUM_SUPPORTED",
                newest,
            ),
        ] {
            assert_eq!(named.name, name);
            match (named.oldest(), expected) {
                (Ok(version), Ok(expected)) => assert_eq!(version, expected, "{name}"),
                (Err(error), Err(why)) => {
                    assert_eq!(error.kind(), ErrorKind::Config, "{name}");
                    let sentence = format!("{name} {why}\nhint: ");
                    assert!(error.to_string().starts_with(&sentence), "{error}");
                }
                (outcome, _) => panic!("{name}: {outcome:?}"),
            }
        }
    }
}
