//! The client as a tower service, so that tower's layers apply to it.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures_core::Stream;
use http_body::Body as HttpBody;
use tower_service::Service;

use crate::body::Body;
use crate::client::Client;
use crate::connect::outgoing::Cause;
use crate::error::{Error, Result};
use crate::payload::Payload;

/// A request's body is sent as a stream, which cannot be sent twice: a redirect that keeps it (307,
/// 308) is refused.
///
/// The response carries as extensions an `Arc<`[`Verdict`](crate::tls::Verdict)`>` and a
/// [`Peer`](crate::tls::Peer) if there was TLS, [`Timings`](crate::Timings) until the head
/// ([`Body::timings`] has them from then on), and the redirects that were followed as
/// `Vec<`[`Hop`](crate::Hop)`>`.
impl<B> Service<http::Request<B>> for Client
where
    B: HttpBody<Data = Bytes> + Send + 'static,
    B::Error: Into<Cause> + 'static,
{
    type Response = http::Response<Body>;
    type Error = Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<B>) -> Self::Future {
        let (head, body) = request.into_parts();
        let fetch = self
            .fetch(head.uri)
            .method(head.method)
            .headers(head.headers)
            .payload(payload(body));
        Box::pin(async move {
            let fetched = fetch.send().await?;
            let timings = *fetched.timings();
            let peer = fetched.peer().cloned();
            let mut response = http::Response::new(fetched.body);
            *response.status_mut() = fetched.status;
            *response.version_mut() = fetched.version;
            *response.headers_mut() = fetched.headers;
            let extensions = response.extensions_mut();
            if let Some(peer) = peer {
                extensions.insert(Arc::clone(peer.shared_verdict()));
                extensions.insert(peer);
            }
            extensions.insert(timings);
            extensions.insert(fetched.hops);
            Ok(response)
        })
    }
}

fn payload<B>(body: B) -> Payload
where
    B: HttpBody<Data = Bytes> + Send + 'static,
    B::Error: Into<Cause> + 'static,
{
    if body.is_end_stream() {
        return Payload::empty();
    }
    let length = body.size_hint().exact();
    let stream = Payload::stream(Data(Box::pin(body)));
    match length {
        Some(length) => stream.length(length),
        None => stream,
    }
}

/// The data of a body, without its trailers.
struct Data<B>(Pin<Box<B>>);

impl<B: HttpBody<Data = Bytes>> Stream for Data<B> {
    type Item = Result<Bytes, B::Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            match ready!(self.0.as_mut().poll_frame(cx)) {
                None => return Poll::Ready(None),
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => return Poll::Ready(Some(Ok(data))),
                    Err(_trailers) => {}
                },
            }
        }
    }
}
