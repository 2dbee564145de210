//! What each reply has to come to, and where we do otherwise.

use std::collections::BTreeMap;

use serde_json::Value;

/// The two files, read together.
pub(crate) struct Table {
    /// By the id of a reply.
    expected: BTreeMap<String, String>,
    /// What a divergence that is meant comes to.
    known: BTreeMap<String, String>,
}

impl Table {
    /// Reads the expected outcomes, a list of `{ reason, replies: { OUTCOME: [ID] } }`, and the
    /// known divergences, a list of `{ id, expected, actual, reason }`.
    pub(crate) fn read(expected: &Value, known: &Value) -> Result<Self, String> {
        let mut table = Self {
            expected: BTreeMap::new(),
            known: BTreeMap::new(),
        };
        for group in list(expected)? {
            text(group, "reason")?;
            let replies = group["replies"].as_object();
            for (outcome, ids) in replies.ok_or_else(|| format!("no replies: {group}"))? {
                for id in list(ids)? {
                    let id = id.as_str().ok_or_else(|| format!("no id: {id}"))?;
                    if table.expected.insert(id.into(), outcome.clone()).is_some() {
                        return Err(format!("{id} is there twice"));
                    }
                }
            }
        }
        for each in list(known)? {
            let (id, actual) = (text(each, "id")?, text(each, "actual")?);
            text(each, "reason")?;
            let expected = text(each, "expected")?;
            if table.expected.get(id).map(String::as_str) != Some(expected) || expected == actual {
                return Err(format!("this is no divergence: {each}"));
            }
            if table.known.insert(id.into(), actual.into()).is_some() {
                return Err(format!("{id} is there twice"));
            }
        }
        Ok(table)
    }

    /// How many divergences are known.
    pub(crate) fn divergences(&self) -> usize {
        self.known.len()
    }

    /// What is said of each reply that came out other than it was to be, also where that is right,
    /// and of each row for which there is no reply.
    pub(crate) fn surprises(&self, outcomes: &[(String, String)]) -> Vec<String> {
        let mut surprises = Vec::new();
        let mut rows = self.expected.clone();
        for (id, outcome) in outcomes {
            let Some(expected) = rows.remove(id) else {
                surprises.push(format!("{id} is {outcome:?}, and it is not in the table"));
                continue;
            };
            match self.known.get(id) {
                Some(_) if *outcome == expected => surprises.push(format!(
                    "{id} is right now: take it out of the known divergences"
                )),
                Some(known) if outcome == known => {}
                None if *outcome == expected => {}
                _ => surprises.push(format!("{id} is {outcome:?}, expected {expected:?}")),
            }
        }
        surprises.extend(rows.keys().map(|id| format!("{id} has no reply")));
        surprises
    }
}

fn list(file: &Value) -> Result<&[Value], String> {
    let list = file.as_array();
    Ok(list.ok_or_else(|| format!("this is no list: {file}"))?)
}

fn text<'a>(each: &'a Value, field: &str) -> Result<&'a str, String> {
    let text = each[field].as_str().filter(|text| !text.is_empty());
    text.ok_or_else(|| format!("there is no {field}: {each}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn whatever_differs_is_said() {
        let expected = json!([
            { "reason": "r", "replies": { "200 1": ["a/0"], "malformed-reply": ["b/0"] } },
        ]);
        let known = json!([
            { "id": "b/0", "expected": "malformed-reply", "actual": "200 2", "reason": "r" },
        ]);
        let table = Table::read(&expected, &known).unwrap();
        for (replies, says) in [
            (&[("a/0", "200 1"), ("b/0", "200 2")][..], ""),
            (
                &[("a/0", "200 2"), ("b/0", "200 2")],
                "a/0 is \"200 2\", expected \"200 1\"",
            ),
            (
                &[("a/0", "200 1"), ("b/0", "malformed-reply")],
                "b/0 is right now",
            ),
            (
                &[("a/0", "200 1"), ("b/0", "200 3")],
                "b/0 is \"200 3\", expected",
            ),
            (&[("a/0", "200 1")], "b/0 has no reply"),
            (
                &[("a/0", "200 1"), ("b/0", "200 2"), ("c/0", "200 1")],
                "c/0 is \"200 1\", and it is not in the table",
            ),
        ] {
            let outcomes: Vec<_> = replies
                .iter()
                .map(|(id, outcome)| ((*id).to_owned(), (*outcome).to_owned()))
                .collect();
            let surprises = table.surprises(&outcomes).join("\n");
            assert!(surprises.starts_with(says), "{surprises}");
            assert_eq!(surprises.is_empty(), says.is_empty(), "{surprises}");
        }
    }

    #[test]
    fn each_row_stands_once_and_has_a_reason() {
        let row = json!({ "reason": "r", "replies": { "200 1": ["a/0"] } });
        let divergence = json!({
            "id": "a/0", "expected": "200 1", "actual": "200 2", "reason": "r",
        });
        let read = |rows: &Value, known: &Value| Table::read(rows, known).map(drop);
        assert_eq!(read(&json!([row]), &json!([divergence])), Ok(()));
        assert!(read(&json!([row, row]), &json!([])).is_err());
        assert!(read(&json!([row]), &json!([divergence, divergence])).is_err());
        let unexplained = json!({ "reason": "", "replies": { "200 1": ["a/0"] } });
        assert!(read(&json!([unexplained]), &json!([])).is_err());
        for (field, value) in [
            ("id", "b/0"),
            ("expected", "200 3"),
            ("actual", "200 1"),
            ("reason", ""),
        ] {
            let mut bad = divergence.clone();
            bad[field] = value.into();
            assert!(read(&json!([row]), &json!([bad])).is_err(), "{field}");
        }
    }
}
