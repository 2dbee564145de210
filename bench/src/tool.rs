//! The programs of the system that the bench stands on.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Each with the package of Debian that has it, and how it is asked for its version.
const TOOLS: [Tool; 4] = [
    Tool::new("nginx", "nginx", "-v"),
    Tool::new("taskset", "util-linux", "--version"),
    Tool::new("valgrind", "valgrind", "--version"),
    Tool::new("strace", "strace", "--version"),
];

pub struct Tool {
    pub name: &'static str,
    package: &'static str,
    version: &'static str,
}

impl Tool {
    const fn new(name: &'static str, package: &'static str, version: &'static str) -> Self {
        Self {
            name,
            package,
            version,
        }
    }

    pub fn all() -> &'static [Self] {
        &TOOLS
    }

    /// The first line of what it says of itself, or how to install it.
    pub fn shown(&self) -> String {
        let Some(path) = find(self.name) else {
            return format!("missing: `apt-get install {}`", self.package);
        };
        let Ok(output) = Command::new(path).arg(self.version).output() else {
            return "does not run".to_owned();
        };
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8_lossy(&said);
        said.lines().next().unwrap_or_default().to_owned()
    }
}

/// Where a tool is, if the system has it.
pub fn find(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    // Where servers are kept, which not every user's PATH names.
    let folders = env::split_paths(&path).chain(["/usr/sbin", "/sbin"].map(PathBuf::from));
    folders
        .map(|folder| folder.join(name))
        .find(|path| path.is_file())
}

/// How to install what is needed and not there; `None` if all is.
pub fn missing(needed: &[&str]) -> Option<String> {
    let lacks = |tool: &&Tool| needed.contains(&tool.name) && find(tool.name).is_none();
    let said = TOOLS
        .iter()
        .filter(lacks)
        .map(|tool| format!("{} is {}.", tool.name, tool.shown()));
    let said: Vec<String> = said.collect();
    (!said.is_empty()).then(|| said.join(" "))
}

/// A command that runs on this core alone; anywhere if there is no taskset, which RESULTS.md says.
pub fn pinned(core: usize, program: &Path) -> Command {
    let Some(taskset) = find("taskset") else {
        return Command::new(program);
    };
    let mut command = Command::new(taskset);
    command.arg("-c").arg(core.to_string()).arg(program);
    command
}

/// The core of the clients, and that of servers.
pub const CLIENT_CORE: usize = 0;
pub const SERVER_CORE: usize = 1;
