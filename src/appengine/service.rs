//! The service behind the calls: a client, and how many of its calls run at once.

use std::fmt;
use std::sync::{Arc, OnceLock};

use super::error::Error;
use super::fetch::Fetch;
use super::places::Places;
use crate::client::Client;
use crate::into_url::IntoUrl;
use crate::limits::Limits;

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
    places: Arc<Places>,
}

impl UrlFetchService {
    /// The calls on this client. Its limits are its own: to have App Engine's, plain http among
    /// them, say `.limits(Limits::app_engine())` when it is built.
    pub fn new(client: Client) -> Self {
        Self {
            client,
            places: Arc::new(Places::new(CALLS)),
        }
    }

    /// How many calls run at once: 100 unless said otherwise, and one at least. The others queue.
    ///
    /// The first to come is the first to run. Deadlines run meanwhile; the wait is
    /// [`Timings::queued`](crate::Timings::queued), and one that is in vain
    /// `DeadlineExceededError`. A call has its place until its whole body is there, or until it is
    /// dropped.
    ///
    /// Each tokio runtime has so many places, as it has connections of its own: those of a runtime
    /// that stands still, such as a current-thread one between two `block_on`s, are kept from
    /// nobody else. Within a runtime an [`Rpc`](super::Rpc) runs by itself; a call that is awaited
    /// directly runs when it is polled, so that one that was begun and is polled no more keeps its
    /// place, or its turn, from those behind it.
    ///
    /// Clones made before this keep the places they share.
    pub fn max_in_flight(mut self, most: usize) -> Self {
        self.places = Arc::new(Places::new(most));
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

    pub(super) fn places(&self) -> &Places {
        &self.places
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
