//! Holds MIGRATION.md to what there is: each new call stands in code that is compiled, each old call
//! has its row, and each item that is mended names its test.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "what fails here fails a test"
)]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

const GUIDE: &str = include_str!("../MIGRATION.md");
const OLD_CALLS: &str = include_str!("../fixtures/old_calls.txt");
const REASONS: &str = include_str!("../src/tls/reason.rs");

#[test]
fn every_new_call_stands_in_code_that_is_compiled() {
    let tables = tables(GUIDE);
    assert!(tables.len() > 10, "{} tables were found", tables.len());
    for table in &tables {
        let compiled = Words::of(&table.code);
        for row in &table.rows {
            let new = Words::of(&row.new_calls().join(" "));
            let missing: Vec<_> = new.missing(&compiled).collect();
            assert!(missing.is_empty(), "{row:?}: not in its code: {missing:?}");
        }
    }
}

#[test]
fn no_row_is_vague() {
    for row in tables(GUIDE).iter().flat_map(|table| &table.rows) {
        let [_, new, differs] = &row.cells;
        assert!(!row.old_calls().is_empty(), "{row:?}: no old call");
        assert!(!differs.is_empty(), "{row:?}: does it differ?");
        match row.new_calls().is_empty() {
            // Why, and what to do.
            true => assert!(*new == "none" && differs.len() > 40, "{row:?}"),
            false => assert!(!new.starts_with("none"), "{row:?}"),
        }
    }
}

#[test]
fn every_old_call_has_its_row() {
    let tables = tables(GUIDE);
    let mut section = None;
    for line in OLD_CALLS.lines().skip(3).filter(|line| !line.is_empty()) {
        if let Some(title) = line.strip_prefix("## ") {
            section = Some(title);
            continue;
        }
        let mut rows = tables
            .iter()
            .filter(|table| Some(table.section) == section)
            .flat_map(|table| &table.rows);
        assert!(
            rows.any(|row| row.old_calls().contains(&line)),
            "{section:?} has no row for {line}"
        );
    }
}

#[test]
fn a_number_of_openssls_becomes_a_code_that_there_is() {
    let tables = tables(GUIDE);
    let rows = tables.iter().flat_map(|table| &table.rows);
    let numbered = rows.filter(|row| {
        row.old_calls()
            .iter()
            .any(|old| old.starts_with("verify_code"))
    });
    let mut count = 0;
    for row in numbered {
        for code in Words::of(&row.new_calls().join(" ")).texts {
            count += 1;
            assert!(REASONS.contains(&format!("=> \"{code}\"")), "{row:?}");
        }
    }
    assert!(count > 10, "{count}");
}

#[test]
fn every_snippet_is_compiled() {
    for line in GUIDE.lines().filter(|line| line.starts_with("```")) {
        let known = ["", "python", "toml", "yaml", "rust", "rust,no_run"];
        assert!(known.contains(&line.trim_start_matches('`')), "{line}");
    }
}

#[test]
fn every_mended_item_names_a_test_that_there_is() {
    let mended = section(GUIDE, "What is mended");
    let items: Vec<_> = mended.split("\n- ").skip(1).collect();
    assert!(items.len() > 10, "{}", items.len());
    for item in items {
        let spans = spans(item);
        let [.., file, test] = spans.as_slice() else {
            panic!("{item} names no test");
        };
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
        let source = fs::read_to_string(&file).unwrap_or_else(|error| panic!("{item}: {error}"));
        assert!(is_test(&source, test), "{}: no test {test}", file.display());
    }
}

/// Those in sentences too, such as `ClientBuilder::roots`.
#[test]
fn every_path_is_of_names_that_the_source_has() {
    let mut known = BTreeSet::new();
    read(
        &Path::new(env!("CARGO_MANIFEST_DIR")).join("src"),
        &mut known,
    );
    let text: String = GUIDE.split("\n```").step_by(2).collect();
    let paths: Vec<_> = spans(&text)
        .into_iter()
        .filter(|span| span.contains("::"))
        .collect();
    assert!(paths.len() > 40, "{}", paths.len());
    for path in paths {
        let names = Words::of(path.split('(').next().unwrap()).names;
        assert!(names.is_subset(&known), "{path}");
    }
}

#[test]
fn every_link_leads_somewhere() {
    let slugs: BTreeSet<_> = GUIDE.lines().filter_map(heading).map(slug).collect();
    for link in GUIDE.split("](#").skip(1) {
        let link = link.split(')').next().unwrap();
        assert!(slugs.contains(link), "#{link}");
    }
}

/// Rows of old calls and new ones, and the code below them.
struct Table<'a> {
    section: &'a str,
    rows: Vec<Row<'a>>,
    code: String,
}

#[derive(Debug)]
struct Row<'a> {
    cells: [&'a str; 3],
}

impl<'a> Row<'a> {
    fn old_calls(&self) -> Vec<&'a str> {
        spans(self.cells[0])
    }

    fn new_calls(&self) -> Vec<&'a str> {
        spans(self.cells[1])
    }
}

/// The tables of old and new calls, each with the Rust code up to the next one or the next heading.
fn tables(guide: &str) -> Vec<Table<'_>> {
    let mut tables: Vec<Table<'_>> = Vec::new();
    let (mut section, mut is_open, mut fence) = ("", false, None);
    for line in guide.lines() {
        match (line.strip_prefix("```"), fence) {
            (Some(_), Some(_)) => fence = None,
            (Some(language), None) => fence = Some(language),
            (None, Some(language)) if is_open && language.starts_with("rust") => {
                let table = tables.last_mut().unwrap();
                table.code.push_str(line.strip_prefix("# ").unwrap_or(line));
                table.code.push('\n');
            }
            (None, Some(_)) => {}
            (None, None) if line == HEADER => {
                is_open = true;
                tables.push(Table {
                    section,
                    rows: Vec::new(),
                    code: String::new(),
                });
            }
            (None, None) if heading(line).is_some() => {
                is_open = false;
                section = line.strip_prefix("## ").unwrap_or(section);
            }
            (None, None) if is_open && line.starts_with("| ") => {
                let row = line.trim_matches('|').split('|').map(str::trim);
                let cells: Vec<_> = row.collect();
                let cells = cells.try_into().unwrap_or_else(|_| panic!("{line}"));
                tables.last_mut().unwrap().rows.push(Row { cells });
            }
            (None, None) => {}
        }
    }
    assert_eq!(fence, None, "code without end");
    tables
}

fn section<'a>(guide: &'a str, title: &str) -> &'a str {
    let (_, after) = guide.split_once(&format!("\n## {title}\n")).unwrap();
    after.split("\n## ").next().unwrap()
}

/// A line of text is a heading only outside of code, where Python's comments look like one.
fn heading(line: &str) -> Option<&str> {
    let title = line.trim_start_matches('#').strip_prefix(' ')?;
    line.starts_with('#').then_some(title)
}

/// As GitHub makes them.
fn slug(title: &str) -> String {
    let kept = title
        .chars()
        .filter(|c| c.is_alphanumeric() || " -_".contains(*c));
    kept.collect::<String>().to_lowercase().replace(' ', "-")
}

/// Adds the words of all files in a folder.
fn read(folder: &Path, words: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            read(&path, words);
        } else {
            let text = fs::read_to_string(path).unwrap();
            let found = text.split(|c: char| !c.is_alphanumeric() && c != '_');
            words.extend(found.map(str::to_owned));
        }
    }
}

/// What stands between backquotes.
fn spans(text: &str) -> Vec<&str> {
    text.split('`').skip(1).step_by(2).collect()
}

fn is_test(source: &str, name: &str) -> bool {
    let signature = format!("fn {name}(");
    let mut lines = source.lines().map(str::trim).scan("", |before, line| {
        Some((std::mem::replace(before, line), line))
    });
    lines.any(|(before, line)| {
        let line = line.strip_prefix("async ").unwrap_or(line);
        line.starts_with(&signature) && before.starts_with("#[") && before.contains("test")
    })
}

/// What code says: its names, and its texts.
struct Words {
    names: BTreeSet<String>,
    texts: BTreeSet<String>,
}

impl Words {
    /// Of code without comments, so that nothing is taken for code that is not compiled.
    fn of(code: &str) -> Self {
        let mut words = Self {
            names: BTreeSet::new(),
            texts: BTreeSet::new(),
        };
        let mut rest = code;
        while let Some(first) = rest.chars().next() {
            let is_word = |c: char| c.is_alphanumeric() || c == '_';
            rest = if let Some(comment) = rest.strip_prefix("//") {
                comment.trim_start_matches(|c| c != '\n')
            } else if let Some(raw) = rest.strip_prefix("r#\"") {
                let (text, after) = raw.split_once("\"#").unwrap();
                words.texts.insert(text.to_owned());
                after
            } else if let Some(quoted) = rest.strip_prefix('"') {
                let end = end_of_text(quoted);
                words.texts.insert(quoted[..end].to_owned());
                &quoted[end + 1..]
            } else if is_word(first) {
                let after = rest.trim_start_matches(is_word);
                let word = &rest[..rest.len() - after.len()];
                if !first.is_numeric() {
                    words.names.insert(word.to_owned());
                }
                after
            } else {
                &rest[first.len_utf8()..]
            };
        }
        words
    }

    fn missing<'a>(&'a self, code: &'a Self) -> impl Iterator<Item = &'a String> {
        let names = self.names.difference(&code.names);
        names.chain(self.texts.difference(&code.texts))
    }
}

fn end_of_text(quoted: &str) -> usize {
    let mut is_escaped = false;
    let end = quoted.find(|c| {
        let ends = c == '"' && !is_escaped;
        is_escaped = c == '\\' && !is_escaped;
        ends
    });
    end.unwrap_or_else(|| panic!("a text without end: {quoted}"))
}

const HEADER: &str = "| Old call | New call | What differs |";

#[test]
fn comments_and_texts_are_no_names() {
    let code = "let a = \"b \\\" c\"; // d\nlet e = r#\"{\"f\": 7}\"#;";
    let words = Words::of(code);
    assert_eq!(Vec::from_iter(words.names), ["a", "e", "let"]);
    assert_eq!(Vec::from_iter(words.texts), ["b \\\" c", "{\"f\": 7}"]);
}

#[test]
fn what_is_missing_is_found() {
    let guide = format!(
        "## Here\n\n{HEADER}\n|---|---|---|\n| `a()` | `b(\"c\")` | It is `d` |\n\n```rust\nb(\"c\"); // e\n```\n"
    );
    let tables = tables(&guide);
    let [table] = tables.as_slice() else {
        panic!("{}", tables.len());
    };
    assert_eq!(
        (table.section, table.rows[0].old_calls()),
        ("Here", vec!["a()"])
    );
    let compiled = Words::of(&table.code);
    for (new, missing) in [("b(\"c\")", ""), ("e", "e"), ("b(\"d\")", "d"), ("B", "B")] {
        let new = Words::of(new);
        let found: String = new.missing(&compiled).map(String::as_str).collect();
        assert_eq!(found, missing);
    }
    assert!(is_test("#[tokio::test]\nasync fn a() {}\n", "a"));
    assert!(!is_test("async fn a() {}\n", "a") && !is_test("#[test]\nfn ab() {}\n", "a"));
}
