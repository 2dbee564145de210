//! Who may do without verification: what a connection's peer must have shown before a request is
//! written, and the environment's word in it, HTTPSVERIFY. Pure: the environment is handed in as a
//! function.

use std::ffi::OsString;
use std::fmt;

use super::shown::Shown;
use super::verdict::Verdict;

/// Whether a connection may be used without its peer having proved who it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Demand {
    /// The peer must be verified.
    Verified,
    /// The peer is judged and reported, and used whatever comes of it.
    Reported,
}

impl Demand {
    /// The last look before a request is written: does this connection meet the demand, whatever
    /// went wrong above?
    pub(crate) fn admits(self, https: bool, party: Party<'_>) -> Result<(), Inadmissible> {
        match (https, party, self) {
            (false, Party::Plain, _) => Ok(()),
            (true, Party::Tls(verdict), Self::Verified) if verdict.is_verified() => Ok(()),
            (true, Party::Tls(_), Self::Reported) => Ok(()),
            (true, Party::Tls(_), Self::Verified) => Err(Inadmissible::Unverified),
            (true, Party::Plain, _) => Err(Inadmissible::Plain),
            (false, Party::Tls(_), _) => Err(Inadmissible::Misdirected),
        }
    }
}

/// What is at the other end of a connection.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Party<'a> {
    /// Whoever answered: there is no TLS.
    Plain,
    /// A TLS peer that was judged.
    Tls(&'a Verdict),
}

/// Why a connection was not used for a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Inadmissible {
    Unverified,
    Plain,
    Misdirected,
}

impl fmt::Display for Inadmissible {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unverified => "the connection's peer is not verified and the request demands it",
            Self::Plain => "the URL says https and the connection has no TLS",
            Self::Misdirected => "the URL says http and the connection has TLS",
        })
    }
}

impl std::error::Error for Inadmissible {}

/// What HTTPSVERIFY says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HttpsVerify {
    /// Unset or empty.
    Unset,
    /// `1`: nobody in this process may do without verification.
    Required,
    /// `0`: who says nothing gets none.
    Off,
}

impl HttpsVerify {
    /// Reads the variable. White space is not forgiven.
    pub(crate) fn read(environment: Environment<'_>) -> Result<Self, InvalidHttpsVerify> {
        match environment(HTTPSVERIFY) {
            None => Ok(Self::Unset),
            Some(value) => match value.to_str() {
                Some("") => Ok(Self::Unset),
                Some("1") => Ok(Self::Required),
                Some("0") => Ok(Self::Off),
                _ => Err(InvalidHttpsVerify {
                    value: value.to_string_lossy().into_owned(),
                }),
            },
        }
    }

    /// What is demanded of a peer when `said` was said, or the environment's refusal of it.
    pub(crate) fn demand(self, said: Said) -> Result<Demand, VerificationRequired> {
        match (said, self) {
            (Said::Verify | Said::Explicitly, _) => Ok(Demand::Verified),
            (Said::Nothing, Self::Unset | Self::Required) => Ok(Demand::Verified),
            (Said::Nothing, Self::Off) => Ok(Demand::Reported),
            (Said::DoNotVerify, Self::Unset | Self::Off) => Ok(Demand::Reported),
            (Said::DoNotVerify, Self::Required) => Err(VerificationRequired),
        }
    }
}

/// Who asks for what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Said {
    /// `fetch(url)` and `Client::new()`: the environment decides.
    Nothing,
    /// `Client::builder()` that said nothing of verification: it counts as explicit, and the
    /// environment never loosens explicit code.
    Explicitly,
    /// `validate_certificate(true)`.
    Verify,
    /// `validate_certificate(false)`, `danger_accept_unverified()`.
    DoNotVerify,
}

/// Is Python's variable set where ours is not? It is not read, and somebody may think it is.
pub(crate) fn has_only_pythons(environment: Environment<'_>) -> bool {
    let set = |name| environment(name).is_some_and(|value| !value.is_empty());
    set("PYTHONHTTPSVERIFY") && !set(HTTPSVERIFY)
}

/// The environment, as `std::env::var_os` gives it.
pub(crate) type Environment<'a> = &'a dyn Fn(&str) -> Option<OsString>;

/// HTTPSVERIFY has a value that means nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct InvalidHttpsVerify {
    value: String,
}

impl fmt::Display for InvalidHttpsVerify {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "HTTPSVERIFY is \"{}\"; it can be 1 (everything in this process is verified) or 0 \
             (what does not ask for verification is only reported)",
            Shown(&self.value)
        )
    }
}

impl std::error::Error for InvalidHttpsVerify {}

/// Somebody asked not to verify, under HTTPSVERIFY=1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct VerificationRequired;

impl fmt::Display for VerificationRequired {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HTTPSVERIFY=1 demands verification and the code asked for none")
    }
}

impl std::error::Error for VerificationRequired {}

const HTTPSVERIFY: &str = "HTTPSVERIFY";

#[cfg(test)]
mod tests {
    use super::*;

    fn with(value: Option<&str>) -> impl Fn(&str) -> Option<OsString> {
        let value = value.map(OsString::from);
        move |name| (name == "HTTPSVERIFY").then(|| value.clone()).flatten()
    }

    #[test]
    fn the_variable_is_read_to_the_letter() {
        let rows: [(Option<&str>, Option<HttpsVerify>); 17] = [
            (None, Some(HttpsVerify::Unset)),
            (Some(""), Some(HttpsVerify::Unset)),
            (Some("1"), Some(HttpsVerify::Required)),
            (Some("0"), Some(HttpsVerify::Off)),
            (Some("1 "), None),
            (Some(" 1"), None),
            (Some("0\n"), None),
            (Some("01"), None),
            (Some("00"), None),
            (Some("2"), None),
            (Some("-1"), None),
            (Some("true"), None),
            (Some("false"), None),
            (Some("yes"), None),
            (Some("off"), None),
            (Some("\u{ff11}"), None),
            (Some(" "), None),
        ];
        for (value, expected) in rows {
            assert_eq!(HttpsVerify::read(&with(value)).ok(), expected, "{value:?}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_value_that_is_not_text_is_anything_else() {
        use std::os::unix::ffi::OsStringExt;
        let read = HttpsVerify::read(&|_| Some(OsString::from_vec(vec![b'1', 0xff])));
        assert!(read.is_err());
    }

    #[test]
    fn a_bad_value_is_named_cut_and_escaped_with_the_two_that_are_accepted() {
        let value = format!("\u{1b}[31m{}", "x".repeat(10_000));
        let message = HttpsVerify::read(&with(Some(&value)))
            .unwrap_err()
            .to_string();
        assert!(message.contains("can be 1 ("), "{message}");
        assert!(message.contains("or 0 ("), "{message}");
        assert!(!message.contains('\u{1b}'), "{message}");
        assert!(message.len() < 1_000, "{}", message.len());
    }

    #[test]
    fn who_says_what_gets_what() {
        use Demand::{Reported, Verified};
        let rows = [
            (HttpsVerify::Unset, Said::Nothing, Ok(Verified)),
            (HttpsVerify::Unset, Said::DoNotVerify, Ok(Reported)),
            (HttpsVerify::Unset, Said::Explicitly, Ok(Verified)),
            (HttpsVerify::Unset, Said::Verify, Ok(Verified)),
            (HttpsVerify::Required, Said::Nothing, Ok(Verified)),
            (
                HttpsVerify::Required,
                Said::DoNotVerify,
                Err(VerificationRequired),
            ),
            (HttpsVerify::Required, Said::Explicitly, Ok(Verified)),
            (HttpsVerify::Required, Said::Verify, Ok(Verified)),
            (HttpsVerify::Off, Said::Nothing, Ok(Reported)),
            (HttpsVerify::Off, Said::DoNotVerify, Ok(Reported)),
            (HttpsVerify::Off, Said::Explicitly, Ok(Verified)),
            (HttpsVerify::Off, Said::Verify, Ok(Verified)),
        ];
        for (variable, said, expected) in rows {
            assert_eq!(variable.demand(said), expected, "{variable:?} {said:?}");
        }
    }

    #[test]
    fn pythons_variable_is_noticed_only_where_ours_is_not_set() {
        let rows = [
            (None, None, false),
            (Some("1"), None, true),
            (Some("0"), Some(""), true),
            (Some("1"), Some("1"), false),
            (Some(""), None, false),
        ];
        for (pythons, ours, expected) in rows {
            let environment = |name: &str| match name {
                "PYTHONHTTPSVERIFY" => pythons.map(OsString::from),
                "HTTPSVERIFY" => ours.map(OsString::from),
                _ => None,
            };
            assert_eq!(
                has_only_pythons(&environment),
                expected,
                "{pythons:?} {ours:?}"
            );
        }
    }

    #[test]
    fn only_a_verified_peer_meets_the_demand_for_one() {
        let good = Verdict::stub(true);
        let bad = Verdict::stub(false);
        use Demand::{Reported, Verified};
        let rows = [
            (Verified, true, Party::Tls(&good), Ok(())),
            (
                Verified,
                true,
                Party::Tls(&bad),
                Err(Inadmissible::Unverified),
            ),
            (Verified, true, Party::Plain, Err(Inadmissible::Plain)),
            (Verified, false, Party::Plain, Ok(())),
            (
                Verified,
                false,
                Party::Tls(&good),
                Err(Inadmissible::Misdirected),
            ),
            (Reported, true, Party::Tls(&good), Ok(())),
            (Reported, true, Party::Tls(&bad), Ok(())),
            (Reported, true, Party::Plain, Err(Inadmissible::Plain)),
            (Reported, false, Party::Plain, Ok(())),
            (
                Reported,
                false,
                Party::Tls(&bad),
                Err(Inadmissible::Misdirected),
            ),
        ];
        for (demand, https, party, expected) in rows {
            assert_eq!(
                demand.admits(https, party),
                expected,
                "{demand:?} {https} {party:?}"
            );
        }
    }
}
