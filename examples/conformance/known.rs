//! The divergences that are meant, each with its reason.

use serde_json::Value;

use crate::limbo::Profile;

/// What the file of known divergences says. It is for the whole suite: what it has and a file of
/// cases has not is no news.
pub(crate) struct Known<'a>(Vec<Divergence<'a>>);

struct Divergence<'a> {
    id: &'a str,
    profile: &'a str,
    actual: &'a str,
}

impl<'a> Known<'a> {
    /// Reads a list of `{ id, profile, expected, actual, reason }`; `expected` and `actual` are as
    /// limbo's `expected_result`, and are not the same.
    pub(crate) fn read(file: &'a Value) -> Result<Self, String> {
        let list = file.as_array().ok_or("the known divergences are no list")?;
        let read = |each: &'a Value| {
            let field = |name| each[name].as_str().filter(|text| !text.is_empty());
            let missing =
                || format!("a known divergence has no id, profile, result or reason: {each}");
            let (expected, _) = field("expected").zip(field("reason")).ok_or_else(missing)?;
            let (id, profile) = field("id").zip(field("profile")).ok_or_else(missing)?;
            let actual = field("actual").ok_or_else(missing)?;
            let results = ["SUCCESS", "FAILURE"];
            let differ = expected != actual;
            if !differ || !results.contains(&expected) || !results.contains(&actual) {
                return Err(format!("this is no divergence: {each}"));
            }
            if !Profile::ALL.iter().any(|each| each.to_string() == profile) {
                return Err(format!("there is no such profile: {each}"));
            }
            Ok(Divergence {
                id,
                profile,
                actual,
            })
        };
        list.iter().map(read).collect::<Result<_, _>>().map(Self)
    }

    /// What is said of a case that came out other than it was to be, by the suite or by us.
    pub(crate) fn surprise(
        &self,
        id: &str,
        profile: Profile,
        expected: bool,
        accepts: bool,
    ) -> Option<String> {
        let is_it = |each: &&Divergence<'_>| each.id == id && each.profile == profile.to_string();
        let known = self.0.iter().find(is_it);
        let is_known = known.is_some_and(|each| (each.actual == "SUCCESS") == accepts);
        match (expected == accepts, is_known) {
            (true, _) if known.is_some() => Some(format!(
                "{profile} {id} is right now: take it out of the known divergences"
            )),
            (false, false) => Some(format!(
                "{profile} {id} is {}, and that is not among the known divergences",
                if accepts { "accepted" } else { "refused" }
            )),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_not_as_it_was_to_be_is_said() {
        let file = json!([{
            "id": "a", "profile": "strict", "expected": "SUCCESS", "actual": "FAILURE", "reason": "r",
        }]);
        let known = Known::read(&file).unwrap();
        for (id, profile, expected, accepts, says) in [
            ("a", Profile::Strict, true, false, ""),
            ("a", Profile::Strict, true, true, "strict a is right now"),
            ("a", Profile::Strict, false, false, "strict a is right now"),
            ("a", Profile::Strict, false, true, "strict a is accepted"),
            ("a", Profile::Default, true, false, "default a is refused"),
            ("b", Profile::Strict, true, false, "strict b is refused"),
            ("b", Profile::Strict, false, true, "strict b is accepted"),
            ("b", Profile::Strict, true, true, ""),
        ] {
            let surprise = known
                .surprise(id, profile, expected, accepts)
                .unwrap_or_default();
            assert!(surprise.starts_with(says), "{surprise}");
            assert_eq!(surprise.is_empty(), says.is_empty(), "{surprise}");
        }
    }

    #[test]
    fn each_divergence_is_one_and_has_a_reason() {
        let good = json!({
            "id": "a", "profile": "strict", "expected": "SUCCESS", "actual": "FAILURE", "reason": "r",
        });
        assert!(Known::read(&json!([good])).is_ok());
        for (field, value) in [
            ("id", ""),
            ("profile", "loose"),
            ("expected", "FAILURE"),
            ("actual", "refused"),
            ("reason", ""),
        ] {
            let mut bad = good.clone();
            bad[field] = value.into();
            assert!(Known::read(&json!([bad])).is_err(), "{field}");
        }
        assert!(Known::read(&good).is_err());
    }
}
