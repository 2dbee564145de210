//! What a child is told to do, and what it says it measured: words of the form `key=value`, so that
//! both can be read, and an order be given by hand.

use std::collections::BTreeMap;
use std::path::Path;
use std::str::FromStr;
use std::time::Duration;

use crate::Result;
use crate::clients::{Look, Name};
use crate::setup::{KeyExchange, Roots, Setup};

/// One client, and what it is to do.
#[derive(Clone, Debug)]
pub struct Order {
    pub client: Name,
    pub http2: bool,
    pub setup: Setup,
    pub work: Work,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Work {
    /// So many small responses, one after the other.
    Count(usize),
    /// Small responses, so many at once, for so long.
    Rate {
        at_once: usize,
        time: Duration,
        look: Look,
    },
    /// So many big bodies, one after the other.
    Bodies(usize),
    /// So many requests in flight, until all are answered.
    Held(usize),
    /// One response, as soon as can be.
    Fresh,
}

impl Order {
    pub fn words(&self) -> Vec<String> {
        let setup = &self.setup;
        let mut words = vec![
            format!("client={}", self.client.shown()),
            format!("http2={}", self.http2),
            format!("url={}", setup.url),
            format!("key-exchange={}", setup.key_exchange.name()),
        ];
        if let Roots::Only(path) = &setup.roots {
            words.push(format!("ca={}", path.display()));
        }
        if let Some(proxy) = &setup.proxy {
            words.push(format!("proxy={proxy}"));
        }
        words.extend(self.work.words());
        words
    }

    pub fn read(words: impl IntoIterator<Item = String>) -> Result<Self> {
        let words = Words::read(words)?;
        let named = words.get::<String>("client")?;
        let key_exchange = words.get::<String>("key-exchange")?;
        Ok(Self {
            client: Name::named(&named).ok_or_else(|| format!("no client {named}"))?,
            http2: words.get("http2")?,
            setup: Setup {
                url: words.get::<String>("url")?.into(),
                roots: match words.find("ca") {
                    Some(path) => Roots::Only(Path::new(path).into()),
                    None => Roots::Native,
                },
                key_exchange: KeyExchange::named(&key_exchange)
                    .ok_or_else(|| format!("no key exchange {key_exchange}"))?,
                proxy: words.find("proxy").map(Into::into),
            },
            work: Work::read(&words)?,
        })
    }
}

impl Work {
    fn words(self) -> Vec<String> {
        match self {
            Self::Count(many) => vec!["work=count".into(), format!("many={many}")],
            Self::Bodies(many) => vec!["work=bodies".into(), format!("many={many}")],
            Self::Held(many) => vec!["work=held".into(), format!("many={many}")],
            Self::Fresh => vec!["work=fresh".into()],
            Self::Rate {
                at_once,
                time,
                look,
            } => vec![
                "work=rate".into(),
                format!("at-once={at_once}"),
                format!("ms={}", time.as_millis()),
                format!("resumed={}", look == Look::Resumed),
            ],
        }
    }

    fn read(words: &Words) -> Result<Self> {
        match words.get::<String>("work")?.as_str() {
            "count" => Ok(Self::Count(words.get("many")?)),
            "bodies" => Ok(Self::Bodies(words.get("many")?)),
            "held" => Ok(Self::Held(words.get("many")?)),
            "fresh" => Ok(Self::Fresh),
            "rate" => Ok(Self::Rate {
                at_once: words.get("at-once")?,
                time: Duration::from_millis(words.get("ms")?),
                look: if words.get("resumed")? {
                    Look::Resumed
                } else {
                    Look::Away
                },
            }),
            other => Err(format!("no work {other}").into()),
        }
    }
}

/// Values by their keys.
#[derive(Clone, Debug, Default)]
pub struct Words(BTreeMap<String, String>);

impl Words {
    pub fn read(words: impl IntoIterator<Item = impl AsRef<str>>) -> Result<Self> {
        let mut read = BTreeMap::new();
        for word in words {
            let word = word.as_ref();
            let (key, value) = word
                .split_once('=')
                .ok_or_else(|| format!("{word} has no ="))?;
            read.insert(key.to_owned(), value.to_owned());
        }
        Ok(Self(read))
    }

    pub fn add(&mut self, key: &str, value: f64) {
        self.0.insert(key.to_owned(), value.to_string());
    }

    pub fn find(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(String::as_str)
    }

    pub fn get<T: FromStr>(&self, key: &str) -> Result<T> {
        let value = self.find(key).ok_or_else(|| format!("no {key}="))?;
        value
            .parse()
            .map_err(|_| format!("{key}={value} cannot be read").into())
    }
}
