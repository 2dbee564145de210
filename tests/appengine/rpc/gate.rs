//! A server that says what has come to it, and answers when it may.

use std::collections::HashMap;
use std::future::poll_fn;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::oneshot;
use urlfetch::appengine::{Fetch, UrlFetchService};
use urlfetch::{ClientBuilder, Limits};

use crate::script::{Server, Talk, builder, in_time, reply};

pub(super) struct Gate {
    pub(super) server: Server,
    asked: UnboundedReceiver<(String, oneshot::Sender<Vec<u8>>)>,
    gone: UnboundedReceiver<String>,
    held: HashMap<String, oneshot::Sender<Vec<u8>>>,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Speaks {
    Plain,
    Http1,
    H2,
}

/// What is given to a connection's script.
struct Porter {
    asked: UnboundedSender<(String, oneshot::Sender<Vec<u8>>)>,
    gone: UnboundedSender<String>,
}

impl Gate {
    pub(super) async fn start(speaks: Speaks) -> Self {
        let ((asks, asked), (goes, gone)) = (unbounded_channel(), unbounded_channel());
        let porter = Arc::new(Porter {
            asked: asks,
            gone: goes,
        });
        let http1 = {
            let porter = Arc::clone(&porter);
            move |talk| Arc::clone(&porter).http1(talk)
        };
        let server = match speaks {
            Speaks::Plain => Server::start("http", None, http1).await,
            Speaks::Http1 => Server::start("https", Some("http/1.1"), http1).await,
            Speaks::H2 => {
                Server::h2(move |request, respond| {
                    Arc::clone(&porter).h2(request.path().to_owned(), respond)
                })
                .await
            }
        };
        Self {
            server,
            asked,
            gone,
            held: HashMap::new(),
        }
    }

    /// A call to it.
    pub(super) fn call(&self, service: &UrlFetchService, path: &str) -> Fetch {
        service.fetch(self.server.url(path))
    }

    /// The path of the next request.
    pub(super) async fn asked(&mut self) -> String {
        let (path, answer) = in_time(self.asked.recv()).await.unwrap();
        self.held.insert(path.clone(), answer);
        path
    }

    /// Answers the request of this path by 200.
    pub(super) fn answer(&mut self, path: &str) {
        self.answer_by(path, reply("200 OK", "", path));
    }

    pub(super) fn answer_by(&mut self, path: &str, reply: Vec<u8>) {
        let answer = self.held.remove(path).unwrap();
        answer.send(reply).unwrap();
    }

    /// Answers all that have come by 200.
    pub(super) fn answer_all(&mut self) {
        for (path, answer) in self.held.drain() {
            // Some clients have left.
            let _ = answer.send(reply("200 OK", "", path));
        }
    }

    /// The path of the next request whose client left before it was answered.
    pub(super) async fn gone(&mut self) -> String {
        in_time(self.gone.recv()).await.unwrap()
    }
}

impl Porter {
    async fn http1(self: Arc<Self>, mut talk: Talk) {
        while let Some(request) = talk.request().await {
            let (answer, answered) = oneshot::channel();
            let path = request.path().to_owned();
            // Nobody may want to know any more.
            let _ = self.asked.send((path.clone(), answer));
            tokio::select! {
                Ok(reply) = answered => talk.say(reply).await.unwrap(),
                () = talk.until_gone() => {
                    let _ = self.gone.send(path);
                    return;
                }
            }
        }
    }

    async fn h2(self: Arc<Self>, path: String, mut respond: h2::server::SendResponse<Bytes>) {
        let (answer, answered) = oneshot::channel();
        let _ = self.asked.send((path.clone(), answer));
        tokio::select! {
            Ok(_) = answered => {
                let mut body = respond.send_response(http::Response::new(()), false).unwrap();
                body.send_data(path.into(), true).unwrap();
            }
            reset = poll_fn(|cx| respond.poll_reset(cx)) => {
                // A connection that is closed is no stream that is reset.
                assert_eq!(reset.unwrap(), h2::Reason::CANCEL);
                let _ = self.gone.send(path);
            }
        }
    }
}

/// A service of so many calls at once, within App Engine's limits but for the deadlines: these are
/// 100 s, and 1000 s at most.
pub(super) fn at_most(most: usize, builder: ClientBuilder) -> UrlFetchService {
    let limits = Limits::app_engine()
        .deadline(Duration::from_secs(100))
        .max_deadline(Duration::from_secs(1000));
    UrlFetchService::new(builder.limits(limits).build().unwrap()).max_in_flight(most)
}

/// The same on the client of all tests.
pub(super) fn service(most: usize) -> UrlFetchService {
    at_most(most, builder())
}
