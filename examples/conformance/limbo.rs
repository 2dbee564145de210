//! A case of x509-limbo, asked of a `Verifier`.
//!
//! What a case asks for and we have no word for is skipped, and said. Its `features`, `importance`
//! and `conflicts_with` change nothing. `signature_algorithms` are what the crate accepts.

use std::fmt;
use std::time::Duration;

use serde_json::Value;
use urlfetch::tls::{
    CertificateDer, CrlStore, PemObject, Policy, Presented, RevocationCheckDepth, RootStore, Rule,
    ServerName, UnixTime, UnknownStatusPolicy, Verifier,
};
use x509_cert::der::DateTime;

/// The two policies that peers are judged by.
#[derive(Clone, Copy)]
pub(crate) enum Profile {
    Default,
    Strict,
}

impl Profile {
    pub(crate) const ALL: [Self; 2] = [Self::Default, Self::Strict];

    fn policy(self) -> Policy {
        match self {
            Self::Default => Policy::default(),
            Self::Strict => Policy::strict(),
        }
    }
}

impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Default => "default",
            Self::Strict => "strict",
        })
    }
}

/// What came of a case.
pub(crate) enum Judged {
    Accepted,
    /// By this reason.
    Refused(String),
    /// We cannot be asked that, because of this.
    Skipped(String),
}

impl fmt::Display for Judged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Accepted => f.write_str("accepted"),
            Self::Refused(why) | Self::Skipped(why) => f.write_str(why),
        }
    }
}

/// Whether the suite expects that the peer is accepted, and what we say.
pub(crate) fn judge(case: &Value, profile: Profile) -> (bool, Judged) {
    let expected = case["expected_result"] == "SUCCESS";
    let judged = match Question::of(case, profile) {
        Ok(question) => match question.ask() {
            Ok(()) => Judged::Accepted,
            Err(why) => Judged::Refused(why),
        },
        Err(why) => Judged::Skipped(why),
    };
    (expected, judged)
}

/// What a case asks.
struct Question<'a> {
    case: &'a Value,
    name: &'a str,
    now: UnixTime,
    policy: Policy,
}

impl<'a> Question<'a> {
    /// Puts the case into our words, or says why there are none.
    fn of(case: &'a Value, profile: Profile) -> Result<Self, String> {
        if !["SUCCESS", "FAILURE"]
            .iter()
            .any(|result| case["expected_result"] == *result)
        {
            return Err("it does not say what to expect".into());
        }
        if case["validation_kind"] != "SERVER" {
            return Err("it is not about a server".into());
        }
        let peer = &case["expected_peer_name"];
        let name = match peer.get("kind").and_then(Value::as_str) {
            Some("DNS" | "IP") => peer["value"].as_str().unwrap_or_default(),
            Some(kind) => return Err(format!("a server has no name of the kind {kind}")),
            None => return Err("no peer is judged without a name".into()),
        };
        let mut policy = profile.policy();
        for usage in texts(case, "key_usage") {
            // It is the use of a server's key in TLS 1.3.
            if usage != "digitalSignature" {
                return Err(format!("we cannot ask for the key usage {usage}"));
            }
        }
        for purpose in texts(case, "extended_key_usage") {
            if purpose != "serverAuth" {
                return Err(format!("we cannot ask for the purpose {purpose}"));
            }
        }
        // Whoever is asked for no purpose does not demand that a certificate names one.
        if texts(case, "extended_key_usage").next().is_none() {
            if let Some(rule) = Rule::find("eku-absent") {
                policy = policy.waive(rule);
            }
        }
        if let Some(intermediates) = case["max_chain_depth"].as_u64() {
            let most = usize::try_from(intermediates).unwrap_or(usize::MAX);
            // The leaf is one more.
            policy = policy.max_chain_length(most.saturating_add(1));
        }
        Ok(Self {
            case,
            name,
            now: moment(&case["validation_time"])?,
            policy,
        })
    }

    /// Whether the peer is good, else why not. What cannot be loaded is no reason to trust it.
    fn ask(self) -> Result<(), String> {
        let mut roots = RootStore::empty();
        for pem in texts(self.case, "trusted_certs") {
            roots = roots.add_pem(pem).map_err(|error| error.to_string())?;
        }
        let mut crls = CrlStore::empty();
        for pem in texts(self.case, "crls") {
            crls = crls.add_pem(pem).map_err(|error| error.to_string())?;
        }
        let chain = texts(self.case, "peer_certificate")
            .chain(texts(self.case, "untrusted_intermediates"))
            .map(|pem| CertificateDer::from_pem_slice(pem.as_bytes()));
        let chain: Vec<_> = chain
            .collect::<Result<_, _>>()
            .map_err(|error| error.to_string())?;
        let name = ServerName::try_from(self.name)
            .map_err(|error| format!("\"{}\" is no name: {error}", self.name.escape_debug()))?;
        let presented = Presented::new(&chain);
        for policy in self.policies(crls) {
            let verifier = Verifier::builder().roots(roots.clone()).policy(policy);
            let verifier = verifier.build().map_err(|error| error.to_string())?;
            let verdict = verifier.judge(&presented, &name, self.now);
            match verdict.reason() {
                None if verdict.is_verified() => {}
                None => return Err("it is not verified".into()),
                Some(reason) => return Err(reason.to_string()),
            }
        }
        Ok(())
    }

    /// The policies of which all have to accept the peer. Where there are CRLs, the status of the
    /// leaf has to be known, and no CA may be revoked that is listed.
    fn policies(&self, crls: CrlStore) -> Vec<Policy> {
        if crls.is_empty() {
            return vec![self.policy.clone()];
        }
        let policy = self.policy.clone().crls(crls);
        let leaf = policy
            .clone()
            .revocation_depth(RevocationCheckDepth::EndEntity);
        vec![leaf, policy.unknown_status(UnknownStatusPolicy::Allow)]
    }
}

/// The texts in a field, which holds one, several or none.
fn texts<'a>(case: &'a Value, field: &str) -> impl Iterator<Item = &'a str> {
    let several = case[field].as_array().into_iter().flatten();
    several
        .filter_map(Value::as_str)
        .chain(case[field].as_str())
}

/// The moment at which a case is to be judged: RFC 3339, or now.
fn moment(time: &Value) -> Result<UnixTime, String> {
    match time.as_str() {
        Some(text) => {
            parse(text).ok_or_else(|| format!("{text:?} is no moment that we can judge by"))
        }
        None => Ok(UnixTime::now()),
    }
}

/// Reads `2026-11-21T03:02:13.5+01:00`. A certificate's validity has no fractions of a second (RFC
/// 5280 §4.1.2.5): a moment counts as the second that it is in.
fn parse(text: &str) -> Option<UnixTime> {
    let (seconds, rest) = text.split_at_checked("2026-11-21T03:02:13".len())?;
    let local: DateTime = format!("{}Z", seconds.replace(' ', "T")).parse().ok()?;
    let local = local.unix_duration().as_secs();
    let offset = rest.trim_start_matches(|c: char| c == '.' || c.is_ascii_digit());
    let seconds = match offset.split_at_checked(1) {
        None | Some(("Z" | "z", "")) => local,
        Some((sign, offset)) => {
            let (hours, minutes) = offset.split_once(':')?;
            let hours: u64 = hours.parse().ok()?;
            let minutes: u64 = minutes.parse().ok()?;
            let offset = hours
                .checked_mul(60)?
                .checked_add(minutes)?
                .checked_mul(60)?;
            match sign {
                "+" => local.checked_sub(offset)?,
                "-" => local.checked_add(offset)?,
                _ => return None,
            }
        }
    };
    Some(UnixTime::since_unix_epoch(Duration::from_secs(seconds)))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn moments_are_floored_to_the_second() {
        for (text, seconds) in [
            ("1970-01-01T00:00:03+00:00", Some(3)),
            ("1970-01-01T00:00:03Z", Some(3)),
            ("1970-01-01T00:00:03", Some(3)),
            ("1970-01-01 00:00:03.999999Z", Some(3)),
            ("2024-03-01T00:00:00.999+00:00", Some(1_709_251_200)),
            ("1970-01-01T02:00:03+01:30", Some(1_803)),
            ("1970-01-01T00:00:03-01:30", Some(5_403)),
            ("1970-01-01T00:00:03+01:30", None),
            ("1969-12-31T23:59:59Z", None),
            ("1970-01-01", None),
            ("1970-13-01T00:00:03Z", None),
            ("1970-01-01T00:00:03 or so", None),
            ("1970-01-01T00:00:03+1", None),
            ("1970-01-01T00:00:0\u{fc}", None),
            ("", None),
        ] {
            let moment = parse(text).map(|moment| moment.as_secs());
            assert_eq!(moment, seconds, "{text}");
        }
    }

    #[test]
    fn whatever_a_case_holds_it_is_refused_or_skipped_and_why() {
        let whole = json!({
            "expected_result": "FAILURE",
            "validation_kind": "SERVER",
            "expected_peer_name": {"kind": "DNS", "value": "a.example"},
        });
        for (field, value, says) in [
            ("none", json!(null), "the root store is empty"),
            ("crls", json!(["no PEM"]), "it is not PEM"),
            ("trusted_certs", json!(["no PEM"]), "it is not PEM"),
            ("trusted_certs", json!([7, {}]), "the root store is empty"),
            (
                "max_chain_depth",
                json!(u64::MAX),
                "the root store is empty",
            ),
            ("max_chain_depth", json!(-1), "the root store is empty"),
            ("features", json!(["whatever"]), "the root store is empty"),
            (
                "key_usage",
                json!(["digitalSignature"]),
                "the root store is empty",
            ),
            (
                "key_usage",
                json!(["keyCertSign"]),
                "skipped: we cannot ask for the key usage",
            ),
            (
                "extended_key_usage",
                json!(["serverAuth"]),
                "the root store is empty",
            ),
            (
                "extended_key_usage",
                json!(["clientAuth"]),
                "skipped: we cannot ask for the purpose",
            ),
            (
                "validation_kind",
                json!("CLIENT"),
                "skipped: it is not about a server",
            ),
            (
                "validation_time",
                json!("soon"),
                "skipped: \"soon\" is no moment",
            ),
            (
                "expected_peer_name",
                json!(null),
                "skipped: no peer is judged without a name",
            ),
            (
                "expected_peer_name",
                json!({"kind": "RFC822"}),
                "skipped: a server has no name",
            ),
            (
                "expected_result",
                json!("MAYBE"),
                "skipped: it does not say what to expect",
            ),
        ] {
            let mut case = whole.clone();
            case[field] = value;
            for profile in Profile::ALL {
                let said = match judge(&case, profile) {
                    (_, Judged::Skipped(why)) => format!("skipped: {why}"),
                    (_, judged) => judged.to_string(),
                };
                assert!(said.contains(says), "{field}: {said}");
                assert_eq!(
                    said.starts_with("skipped"),
                    says.starts_with("skipped"),
                    "{said}"
                );
            }
        }
        let (_, judged) = judge(&json!([]), Profile::Strict);
        assert!(matches!(judged, Judged::Skipped(_)));
    }
}
