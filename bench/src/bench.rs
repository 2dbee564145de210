//! What all workloads are run with: the servers, how often, and how a child is started.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;
use std::{env, fs};

use crate::Result;
use crate::clients::Name;
use crate::order::{Order, Words, Work};
use crate::pki::Pki;
use crate::server::{Door, Nginx};
use crate::servers::{Kind, Server};
use crate::setup::{KeyExchange, Roots, Setup};
use crate::table::Spread;
use crate::tool::{CLIENT_CORE, pinned};

pub struct Bench {
    pub rounds: usize,
    pub time: Duration,
    pub pki: Pki,
    pub nginx: Nginx,
    me: PathBuf,
    _hold: Server,
}

impl Bench {
    pub fn start(rounds: usize, time: Duration) -> Result<Self> {
        let pki = Pki::mint()?;
        let hold = Server::start(&Kind::Hold)?;
        Ok(Self {
            rounds,
            time,
            nginx: Nginx::start(&pki, Some(hold.address))?,
            pki,
            me: env::current_exe()?,
            _hold: hold,
        })
    }

    /// An order by nginx's door, as most are.
    pub fn order(&self, client: Name, door: Door, path: &str, work: Work) -> Order {
        Order {
            client,
            http2: door == Door::Http2,
            setup: Setup {
                url: self.nginx.url(door, path).into(),
                roots: Roots::Only(self.pki.ca.as_path().into()),
                key_exchange: KeyExchange::X25519,
                proxy: None,
            },
            work,
        }
    }

    /// The command that obeys an order, on the core of clients.
    pub fn command(&self, order: &Order) -> Command {
        let mut command = pinned(CLIENT_CORE, &self.me);
        command.arg("child").args(order.words());
        command
    }

    /// The program and its arguments that obey an order, for a tool that runs programs; `pinned` is
    /// for the tool.
    pub fn words(&self, order: &Order) -> Vec<String> {
        let me = self.me.display().to_string();
        [me, "child".to_owned()]
            .into_iter()
            .chain(order.words())
            .collect()
    }

    /// What a child measured.
    pub fn run(&self, order: &Order) -> Result<Words> {
        said(&mut self.command(order), order)
    }

    /// As many rounds as were asked for, in each of which the clients take turns; who begins
    /// changes from round to round.
    pub fn rounds<K: Copy + Ord>(
        &self,
        keys: &[K],
        measure: impl FnMut(K) -> Result<Words>,
    ) -> Result<Rounds<K>> {
        Self::turns(self.rounds, keys, measure)
    }

    /// The same, as often as this.
    pub fn turns<K: Copy + Ord>(
        many: usize,
        keys: &[K],
        mut measure: impl FnMut(K) -> Result<Words>,
    ) -> Result<Rounds<K>> {
        let mut rounds = Rounds(BTreeMap::new());
        for round in 0..many {
            let (before, after) = keys.split_at(round % keys.len().max(1));
            for &key in after.iter().chain(before) {
                rounds.0.entry(key).or_default().push(measure(key)?);
            }
        }
        Ok(rounds)
    }
}

/// What each client measured, round by round.
pub struct Rounds<K>(BTreeMap<K, Vec<Words>>);

impl<K: Copy + Ord> Rounds<K> {
    pub fn spread(&self, key: K, what: &str) -> Option<Spread> {
        Spread::of(self.values(key, what))
    }

    /// The median of the ratios to another client's value in the same round.
    pub fn ratio(&self, key: K, to: K, what: &str) -> Option<f64> {
        let ratios = self
            .values(key, what)
            .into_iter()
            .zip(self.values(to, what));
        Some(Spread::of(ratios.map(|(value, other)| value / other))?.median)
    }

    fn values(&self, key: K, what: &str) -> Vec<f64> {
        let rounds = self.0.get(&key).map(Vec::as_slice).unwrap_or_default();
        rounds
            .iter()
            .filter_map(|words| words.get(what).ok())
            .collect()
    }
}

/// Runs a child to its end, and reads what it printed.
pub fn said(command: &mut Command, order: &Order) -> Result<Words> {
    let output = command.stderr(Stdio::inherit()).output()?;
    if !output.status.success() {
        return Err(format!("{}: {:?}", output.status, order.words()).into());
    }
    Words::read(String::from_utf8(output.stdout)?.lines())
}

/// The load of the machine over the last minute, our own part of it included.
pub fn load() -> String {
    let all = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    all.split(' ').next().unwrap_or("unknown").to_owned()
}
