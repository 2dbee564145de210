//! Holds the picture of the rooms: a file names only files that stand below it.
//!
//! Read are `use` lines and inline paths of `src/`, without comments, strings and test modules. A
//! name that a `mod.rs` hands on counts for the file that defines it, and handing on is no
//! dependency: it is the door. Nor has a file that decides over security any `async` in it, so that
//! it can be read, and tested, as a function.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "what fails here fails a test"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

/// Every room, the highest first: each names only rooms after it. A room is a file by its path
/// without `.rs` and `/mod`, or, where it ends in `/*`, a file with its folder.
const ROOMS: &[&str] = &[
    // The doors.
    "lib",
    "appengine/*",
    "ssl/*",
    "lab/*",
    "service",
    // The client and its one loop.
    "fetch/*",
    "client/*",
    // What is asked and what came back.
    "request",
    "into_url",
    "payload",
    "response",
    "body/*",
    "head",
    "target",
    // From a URL to an open connection, and one exchange over it.
    "connect/exchange",
    "connect/pool",
    "connect/lease",
    "connect/host/*",
    "connect/sender",
    "connect/http2",
    "connect/incoming",
    "connect/http1",
    "connect/http1/outbound",
    "connect/http1/chunked",
    "connect/http1/head",
    "connect/upload",
    "connect/alive",
    "connect/farewell",
    "connect",
    "connect/route",
    "connect/through",
    "connect/wanted",
    "connect/failure",
    "connect/trust",
    "connect/resolve",
    "connect/answers",
    "connect/blocking",
    "connect/dial",
    "connect/tunnel",
    "connect/socks",
    "connect/facts",
    "connect/keep",
    "connect/stats",
    "connect/tally",
    "connect/stream",
    "connect/outgoing",
    "connect/guard",
    "connect/refused",
    "connect/asker",
    "connect/per_host",
    "connect/proxy",
    "connect/bypass",
    "connect/denied",
    "connect/origin",
    // From a socket to a judged peer.
    "tls/handshake",
    "tls/stream",
    "tls/overheard",
    "tls/driver",
    "tls/fill",
    "tls/engine",
    "tls/held",
    "connect/transport",
    "tls",
    "tls/sessions",
    "tls/key_log",
    "tls/callbacks",
    "tls/verify",
    "tls/search",
    "tls/rollover",
    "tls/json",
    "tls/peer",
    "tls/policy",
    "tls/profile/*",
    "tls/diagnose",
    "tls/revocation",
    "tls/listed",
    "tls/crls",
    "tls/staple",
    "tls/ocsp",
    "tls/signature",
    "tls/memo",
    "tls/candidates",
    "tls/roots",
    "tls/anchors",
    "tls/identity",
    "tls/platform",
    "tls/sources",
    "tls/pem",
    "tls/fault",
    "tls/crypto",
    // What is said of it all.
    "trace",
    "headers",
    "spare",
    "error/*",
    // The pure rooms.
    "connect/http1/fault",
    "connect/frames",
    "connect/framing",
    "connect/replay",
    "connect/special",
    "connect/net",
    "redirect",
    "reference",
    "decode/*",
    "charset",
    "limits/request",
    "limits/app_engine",
    "limits/profile",
    "limits/deadline",
    "limits",
    "timings",
    "tls/demand",
    "tls/path",
    "tls/presented",
    "tls/verdict",
    "tls/reason",
    "tls/pin",
    "tls/group",
    "tls/crl",
    "tls/revoked",
    "tls/scope",
    "tls/hostname",
    "tls/sct",
    "tls/places",
    "tls/alternative",
    "tls/name",
    "tls/long_names",
    "tls/extensions",
    "tls/general_name",
    "tls/key",
    "tls/readings",
    "tls/certificate",
    "tls/fields",
    "tls/ways",
    "tls/layout",
    "tls/dotted",
    "tls/shown",
];

/// Who names a room above it, and why it may. One that nobody needs any more fails.
const EXCEPTIONS: &[(&str, &str, &str)] = &[(
    "request",
    "client/*",
    "a request holds the client that it was prepared on, so that it can be awaited",
)];

/// The rooms in which it is decided what is safe: pure, so no `async` and no tokio.
/// (`limits/deadline` has tokio's Instant, which tests can stop, and decides nothing but when.)
const DECISIONS: &[&str] = &[
    "connect/http1/chunked",
    "connect/http1/head",
    "connect/http1/fault",
    "connect/frames",
    "connect/bypass",
    "connect/denied",
    "connect/framing",
    "connect/guard",
    "connect/refused",
    "connect/asker",
    "connect/net",
    "connect/origin",
    "connect/per_host",
    "connect/proxy",
    "connect/replay",
    "connect/special",
    "decode/*",
    "headers",
    "limits/app_engine",
    "limits/profile",
    "limits/request",
    "redirect",
    "target",
    "tls/alternative",
    "tls/candidates",
    "tls/certificate",
    "tls/crl",
    "tls/demand",
    "tls/diagnose",
    "tls/dotted",
    "tls/engine",
    "tls/extensions",
    "tls/fields",
    "tls/general_name",
    "tls/group",
    "tls/held",
    "tls/hostname",
    "tls/json",
    "tls/key",
    "tls/layout",
    "tls/listed",
    "tls/long_names",
    "tls/memo",
    "tls/name",
    "tls/ocsp",
    "tls/path",
    "tls/peer",
    "tls/pem",
    "tls/pin",
    "tls/places",
    "tls/policy",
    "tls/presented",
    "tls/profile/*",
    "tls/readings",
    "tls/reason",
    "tls/revocation",
    "tls/revoked",
    "tls/rollover",
    "tls/scope",
    "tls/sct",
    "tls/search",
    "tls/shown",
    "tls/signature",
    "tls/staple",
    "tls/verdict",
    "tls/verify",
    "tls/ways",
];

#[test]
fn a_room_names_only_rooms_below_it() {
    let house = House::read();
    let place = |room: &str| ROOMS.iter().position(|each| *each == room);
    let mut wrong = Vec::new();
    let mut used = BTreeSet::new();
    for (room, named) in house.names() {
        if place(&room).is_none() {
            wrong.push(format!("src/{room} has no place in ROOMS"));
        }
        for (below, path) in named {
            if place(&room) < place(&below) {
                continue;
            }
            match EXCEPTIONS
                .iter()
                .find(|(from, to, _)| *from == room && *to == below)
            {
                Some(exception) => _ = used.insert(exception),
                None => wrong.push(format!("{room} names {below}, above it, by `{path}`")),
            }
        }
    }
    for room in ROOMS {
        if !house.rooms().contains(*room) {
            wrong.push(format!("ROOMS has {room}, and src/ has not"));
        }
    }
    for exception in EXCEPTIONS {
        if !used.contains(exception) {
            wrong.push(format!("nobody needs {exception:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn what_decides_over_security_does_not_wait() {
    let house = House::read();
    for (module, Module { uses, code }) in &house.modules {
        if DECISIONS.contains(&house.room(module).as_str()) {
            let paths = uses.iter().flat_map(|each| &each.paths);
            let mut words = words(code).chain(paths.flatten().cloned());
            let waits = words.find(|word| ["async", "await", "tokio"].contains(&word.as_str()));
            assert_eq!(waits, None, "{module}");
        }
    }
    for room in DECISIONS {
        assert!(house.rooms().contains(*room), "src/ has no {room}");
    }
}

#[test]
fn the_reader_sees_what_it_must() {
    let house = House::of([
        (
            "lib",
            "mod low; mod wide; pub use low::Thing; pub fn f() { wide::go() }",
        ),
        ("low", "/* crate::wide */ const S: &str = \"crate::wide\";"),
        ("wide", "mod narrow; pub(crate) use narrow::{Inner, Other}; "),
        (
            "wide/narrow",
            "use super::{Own, super::low as l}; pub(in crate::user) struct S; fn f<'a>() { let _ = '\"'; crate::Thing::new(); }
             mod inner { use super::Own; }
             #[cfg(test)] mod tests { use crate::user; }",
        ),
        (
            "user",
            "fn f(a: crate::doubly::A) { #[expect(x)] use crate::{wide::{self, Inner}, low}; }",
        ),
        ("doubly", "fn f(x: super::wide::Other) { r#\"crate::low\"#; }"),
    ]);
    let names = house.names();
    let rooms = |room: &str| names[room].keys().map(String::as_str).collect::<Vec<_>>();
    assert_eq!(rooms("lib"), ["wide"]);
    assert_eq!(rooms("low"), [""; 0]);
    assert_eq!(rooms("wide"), [""; 0]);
    assert_eq!(rooms("wide/narrow"), ["low", "wide"]);
    assert_eq!(rooms("user"), ["doubly", "low", "wide", "wide/narrow"]);
    assert_eq!(rooms("doubly"), ["wide/narrow"]);
}

/// Every module by its path, such as `tls/policy`.
struct House {
    modules: BTreeMap<String, Module>,
    /// What a module hands on, by module and name, and the module that it is of.
    handed_on: BTreeMap<(String, String), String>,
}

/// What is left of a file without comments, strings, attributes and tests.
struct Module {
    uses: Vec<Use>,
    /// All but the `use` statements.
    code: String,
}

/// A `use` statement.
struct Use {
    /// Whether it hands on what it names.
    is_public: bool,
    paths: Vec<Vec<String>>,
}

impl House {
    fn read() -> Self {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
        let mut files = Vec::new();
        let mut folders = vec![source.clone()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else if path.extension().is_some_and(|extension| extension == "rs") {
                    let name = path.strip_prefix(&source).unwrap().with_extension("");
                    let name = name.to_str().unwrap().replace('\\', "/");
                    let module = name.strip_suffix("/mod").unwrap_or(&name).to_owned();
                    files.push((module, fs::read_to_string(path).unwrap()));
                }
            }
        }
        Self::of(
            files
                .iter()
                .map(|(module, text)| (module.as_str(), text.as_str())),
        )
    }

    fn of<'a>(files: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let modules = files.into_iter();
        let mut house = Self {
            modules: modules
                .map(|(module, text)| (module.to_owned(), Module::read(text)))
                .collect(),
            handed_on: BTreeMap::new(),
        };
        let mut handed_on = BTreeMap::new();
        for (module, Module { uses, .. }) in &house.modules {
            let public = uses.iter().filter(|each| each.is_public);
            for path in public.flat_map(|each| &each.paths) {
                let Some(whole) = house.absolute(module, path) else {
                    continue;
                };
                let from = house.module_of(&whole);
                if let Some(name) = path.last().filter(|_| from != *module) {
                    handed_on.insert((module.clone(), name.clone()), from);
                }
            }
        }
        house.handed_on = handed_on;
        house
    }

    fn rooms(&self) -> BTreeSet<String> {
        self.modules
            .keys()
            .map(|module| self.room(module))
            .collect()
    }

    /// The room that a module is in.
    fn room(&self, module: &str) -> String {
        let whole = |room: &&&str| {
            room.strip_suffix("/*").is_some_and(|folder| {
                module
                    .strip_prefix(folder)
                    .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
            })
        };
        let room = ROOMS.iter().find(whole);
        room.map_or_else(|| module.to_owned(), |room| (*room).to_owned())
    }

    /// For each room, the other rooms that it names, with one path by which it does.
    fn names(&self) -> BTreeMap<String, BTreeMap<String, String>> {
        let mut names: BTreeMap<_, BTreeMap<_, _>> = BTreeMap::new();
        for (module, Module { uses, code }) in &self.modules {
            let named = names.entry(self.room(module)).or_default();
            let mut see = |path: &[String]| {
                let Some(whole) = self.absolute(module, path) else {
                    return;
                };
                let to = self.room(&self.definer_of(&whole));
                if to != self.room(module) {
                    named.insert(to, path.join("::"));
                }
            };
            for path in inline_paths(code) {
                see(&path);
            }
            for each in uses {
                for path in &each.paths {
                    // A name that is handed on and used here too is a dependency after all.
                    if !each.is_public || words(code).any(|word| Some(&word) == path.last()) {
                        see(path);
                    }
                }
            }
        }
        names
    }

    /// A path from the root of the crate, if it does not lead out of it.
    fn absolute(&self, module: &str, path: &[String]) -> Option<Vec<String>> {
        let mut base: Vec<String> = match module {
            "lib" => Vec::new(),
            module => module.split('/').map(str::to_owned).collect(),
        };
        let mut rest = path;
        match path.first().map(String::as_str) {
            Some("crate") => {
                base.clear();
                rest = &path[1..];
            }
            Some("self") => rest = &path[1..],
            Some("super") => {}
            Some(first) => {
                base.push(first.to_owned());
                if !self.modules.contains_key(&base.join("/")) {
                    return None;
                }
                rest = &path[1..];
            }
            None => return None,
        }
        while let Some("super") = rest.first().map(String::as_str) {
            base.pop();
            rest = &rest[1..];
        }
        base.extend(rest.iter().cloned());
        Some(base)
    }

    /// The innermost module on an absolute path.
    fn module_of(&self, path: &[String]) -> String {
        (1..=path.len())
            .rev()
            .map(|length| path[..length].join("/"))
            .find(|module| self.modules.contains_key(module))
            .unwrap_or_else(|| "lib".to_owned())
    }

    /// The module that defines what an absolute path names.
    fn definer_of(&self, path: &[String]) -> String {
        let module = self.module_of(path);
        let depth = match module.as_str() {
            "lib" => 0,
            module => module.split('/').count(),
        };
        let handed_on = path
            .get(depth)
            .and_then(|name| self.handed_on.get(&(module.clone(), name.clone())));
        handed_on.cloned().unwrap_or(module)
    }
}

impl Module {
    fn read(text: &str) -> Self {
        let text = without_tests(&bare(text));
        let text = without(&text, "#[", '[', ']');
        let text = without(&text, "#![", '[', ']');
        let text = without(&text, "pub(in ", '(', ')').replace("pub(crate)", "pub");
        let text = flat(&text.replace("pub(super)", "pub"));
        let mut module = Self {
            uses: Vec::new(),
            code: String::new(),
        };
        // A statement begins where another, or a block, ends or begins.
        let mut rest = text.as_str();
        while let Some(end) = rest.find(['{', '}', ';']) {
            let is_public = rest.trim_start().starts_with("pub use ");
            if is_public || rest.trim_start().starts_with("use ") {
                let end = rest.find(';').unwrap();
                let mut paths = Vec::new();
                grow(rest[..end].split_once("use ").unwrap().1, &[], &mut paths);
                module.uses.push(Use { is_public, paths });
                rest = &rest[end + 1..];
            } else {
                module.code.push_str(&rest[..=end]);
                rest = &rest[end + 1..];
            }
        }
        module
    }
}

/// Code without comments, and with its strings and characters empty.
fn bare(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let skipped = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            rest.find("*/").unwrap() + 2
        } else if rest.starts_with("r\"") || rest.starts_with("r#") {
            let hashes = rest[1..].chars().take_while(|c| *c == '#').count();
            let end = format!("\"{}", "#".repeat(hashes));
            match rest[1 + hashes..].strip_prefix('"') {
                Some(string) => 2 + hashes + string.find(&end).unwrap() + end.len(),
                None => 0, // r#identifier
            }
        } else if first == '"' {
            quoted(rest, '"')
        } else if first == '\'' && is_character(rest) {
            quoted(rest, '\'')
        } else {
            0
        };
        if skipped == 0 {
            out.push(first);
            rest = &rest[first.len_utf8()..];
        } else {
            out.push(' ');
            rest = &rest[skipped..];
        }
    }
    out
}

/// The length of what begins with a quote and ends with the next that is not escaped.
fn quoted(text: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, each) in text.char_indices().skip(1) {
        match each {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            each if each == quote => return at + 1,
            _ => {}
        }
    }
    panic!("an open quote: {text}");
}

/// A character, not a lifetime.
fn is_character(text: &str) -> bool {
    let mut characters = text.chars().skip(1);
    match characters.next() {
        Some('\\') => true,
        _ => characters.next() == Some('\''),
    }
}

/// Code without the items that stand under `#[cfg(test)]` or `#[cfg(all(test, ..))]`.
fn without_tests(code: &str) -> String {
    let mut out = String::new();
    let mut rest = code;
    while let Some(at) = ["#[cfg(test)]", "#[cfg(all(test,"]
        .iter()
        .filter_map(|attribute| rest.find(attribute))
        .min()
    {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        // An item ends with its block, or without one.
        let end = rest.find(['{', ';']).unwrap();
        let length = match rest[end..].starts_with('{') {
            true => block(&rest[end..], '{', '}'),
            false => 1,
        };
        rest = &rest[end + length..];
    }
    out + rest
}

/// Code without what begins with `start` and ends with the bracket that closes it.
fn without(code: &str, start: &str, open: char, close: char) -> String {
    let mut out = String::new();
    let mut rest = code;
    while let Some(at) = rest.find(start) {
        out.push_str(&rest[..at]);
        let bracket = at + start.find(open).unwrap();
        rest = &rest[bracket + block(&rest[bracket..], open, close)..];
    }
    out + rest
}

/// Code whose inline modules name things as their file would.
fn flat(code: &str) -> String {
    let mut out = String::new();
    let mut rest = code;
    while let Some(at) = rest.find("mod ") {
        let end = at + rest[at..].find(['{', ';']).unwrap();
        out.push_str(&rest[..end]);
        rest = &rest[end..];
        if rest.starts_with('{') {
            let length = block(rest, '{', '}');
            out.push_str(&rest[..length].replace("super::", "self::"));
            rest = &rest[length..];
        }
    }
    out + rest
}

/// The length of a block that begins here.
fn block(code: &str, open: char, close: char) -> usize {
    let mut depth = 0;
    for (at, each) in code.char_indices() {
        depth += i32::from(each == open) - i32::from(each == close);
        if depth == 0 {
            return at + 1;
        }
    }
    panic!("an open {open}: {code}");
}

/// The paths of a use tree.
fn grow(tree: &str, before: &[String], paths: &mut Vec<Vec<String>>) {
    let tree = tree.trim();
    if let Some((path, group)) = tree.split_once('{') {
        let mut before = before.to_vec();
        before.extend(words(path));
        let group = group.strip_suffix('}').unwrap();
        let mut depth = 0;
        let branches = group.split(|each| {
            match each {
                '{' => depth += 1,
                '}' => depth -= 1,
                _ => {}
            }
            depth == 0 && each == ','
        });
        for branch in branches.filter(|branch| !branch.trim().is_empty()) {
            grow(branch, &before, paths);
        }
        return;
    }
    let path = tree.split(" as ").next().unwrap_or(tree);
    let mut whole = before.to_vec();
    whole.extend(words(path).filter(|word| word != "self" || before.is_empty()));
    paths.push(whole);
}

/// The paths in code.
fn inline_paths(code: &str) -> impl Iterator<Item = Vec<String>> {
    code.split(|each: char| !each.is_alphanumeric() && each != '_' && each != ':')
        .filter(|path| path.contains("::") && !path.starts_with(':'))
        .map(|path| words(path).collect())
}

fn words(code: &str) -> impl Iterator<Item = String> {
    code.split(|each: char| !each.is_alphanumeric() && each != '_')
        .filter(|word| !word.is_empty())
        .map(str::to_owned)
}
