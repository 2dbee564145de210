//! What a process has used so far.

use std::fs;
use std::time::Duration;

use nix::sys::resource::{Resource, UsageWho, getrlimit, getrusage, setrlimit};
use nix::sys::time::TimeVal;

use crate::Result;

/// Time on a processor.
#[derive(Clone, Copy, Debug)]
pub struct Cpu {
    pub user: Duration,
    pub system: Duration,
}

impl Cpu {
    /// Of this process, with all its threads.
    pub fn own() -> Result<Self> {
        Self::of(UsageWho::RUSAGE_SELF)
    }

    /// Of the children that were waited for.
    pub fn children() -> Result<Self> {
        Self::of(UsageWho::RUSAGE_CHILDREN)
    }

    pub fn since(self, earlier: Self) -> Self {
        Self {
            user: self.user - earlier.user,
            system: self.system - earlier.system,
        }
    }

    pub fn sum(self) -> Duration {
        self.user + self.system
    }

    fn of(who: UsageWho) -> Result<Self> {
        let usage = getrusage(who)?;
        Ok(Self {
            user: duration(usage.user_time())?,
            system: duration(usage.system_time())?,
        })
    }
}

/// Resident memory of this process, in KiB.
pub fn resident() -> Result<u64> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let line = line.ok_or("a process has resident memory")?;
    Ok(line.trim().trim_end_matches(" kB").parse()?)
}

/// Lets this process and its children open as many files as they may.
pub fn open_many_files() -> Result<()> {
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE)?;
    Ok(setrlimit(Resource::RLIMIT_NOFILE, most, most)?)
}

fn duration(time: TimeVal) -> Result<Duration> {
    let microseconds = u64::try_from(time.tv_usec())?;
    Ok(Duration::from_secs(time.tv_sec().try_into()?) + Duration::from_micros(microseconds))
}
