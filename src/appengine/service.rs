//! The service behind the calls: a client, and how many of its calls run at once.

use std::fmt;
use std::pin::pin;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::Instant;

use super::error::Error;
use super::fetch::Fetch;
use crate::client::{Client, in_one_runtime};
use crate::error::ErrorKind;
use crate::into_url::IntoUrl;
use crate::limits::{Clock, Deadline, Limits};
use crate::timings::Phase;

/// App Engine's calls on a client of your own, for roots, an identity, a proxy or limits that are
/// not the default. Cloning is cheap and shares the client and its places.
///
/// # Examples
///
/// ```no_run
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// use urlfetch::appengine::UrlFetchService;
/// use urlfetch::tls::RootStore;
/// use urlfetch::{Client, Limits};
///
/// let client = Client::builder()
///     .limits(Limits::app_engine())
///     .roots(RootStore::native()?.add_pem_file("corp-ca.pem")?)
///     .build()?;
/// let service = UrlFetchService::new(client).max_in_flight(10);
/// let result = service.fetch("https://intranet.example/").deadline(5).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
#[doc(alias = "URLFetchService")]
pub struct UrlFetchService {
    client: Client,
    places: Arc<Semaphore>,
}

impl UrlFetchService {
    /// The calls on this client. Its limits are its own:
    /// [`Limits::app_engine`] are App Engine's.
    pub fn new(client: Client) -> Self {
        Self {
            client,
            places: Arc::new(Semaphore::new(CALLS)),
        }
    }

    /// How many calls run at once: 100 unless said otherwise, and one at least. The others queue,
    /// the first to come is the first to run, and their deadlines run meanwhile.
    pub fn max_in_flight(mut self, most: usize) -> Self {
        self.places = Arc::new(Semaphore::new(most.clamp(1, Semaphore::MAX_PERMITS)));
        self
    }

    /// Prepares a call, as [`fetch`](super::fetch) does.
    pub fn fetch(&self, url: impl IntoUrl) -> Fetch {
        Fetch::new(Some(self.clone()), url)
    }

    /// The service of [`fetch`](super::fetch). One that could not be built is not kept.
    pub(super) fn process_wide() -> Result<Self, Error> {
        static SERVICE: OnceLock<UrlFetchService> = OnceLock::new();
        if let Some(service) = SERVICE.get() {
            return Ok(service.clone());
        }
        let service = Self::new(Client::as_environment_says(Limits::app_engine())?);
        Ok(SERVICE.get_or_init(|| service).clone())
    }

    pub(super) fn client(&self) -> &Client {
        &self.client
    }

    /// A place among the calls that run, for one that began then and has this deadline, if any.
    pub(super) async fn place(
        &self,
        started: Instant,
        deadline: Option<Duration>,
    ) -> Result<SemaphorePermit<'_>, crate::Error> {
        if let Ok(place) = self.places.try_acquire() {
            return Ok(place);
        }
        let (budget, _) = self.client.shared().limits.budget(deadline);
        let deadline = Deadline::from(started, Clock::Total, budget);
        let turn = pin!(async {
            let place = deadline.run(Phase::Queued, self.places.acquire()).await?;
            place.map_err(|closed| {
                crate::Error::new(ErrorKind::Config, "no more calls are made").with_source(closed)
            })
        });
        in_one_runtime(turn, false).await
    }
}

impl fmt::Debug for UrlFetchService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UrlFetchService")
            .field("client", &self.client)
            .finish_non_exhaustive()
    }
}

/// How many API calls App Engine's Python library had under way at once.
const CALLS: usize = 100;
