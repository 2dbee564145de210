//! A payload on its way into an h2 stream, as fast as its peer makes room (RFC 9113 §5.2).

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};

use bytes::Bytes;
use h2::{Reason, SendStream};
use http_body::Body as _;
use tokio::task::AbortHandle;

use super::outgoing::Outgoing;

/// Uploads what there is room for at once, and leaves the rest to a task.
pub(super) fn begin(stream: SendStream<Bytes>, payload: Outgoing) -> Option<Piping> {
    let mut pipe = Pipe {
        stream,
        payload,
        waiting: None,
        ended: false,
    };
    // What the caller wrote runs in a task of its own: it may panic.
    if pipe.payload.is_whole() {
        let mut context = Context::from_waker(Waker::noop());
        if Pin::new(&mut pipe).poll(&mut context).is_ready() {
            return None;
        }
    }
    Some(Piping(tokio::spawn(pipe).abort_handle()))
}

/// An upload that goes on. It ends with this.
#[derive(Debug)]
pub(super) struct Piping(AbortHandle);

impl Drop for Piping {
    fn drop(&mut self) {
        self.0.abort();
    }
}

struct Pipe {
    stream: SendStream<Bytes>,
    payload: Outgoing,
    /// A piece that there was no room for yet, and whether it is the last one.
    waiting: Option<(Bytes, bool)>,
    ended: bool,
}

impl Future for Pipe {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let ended = ready!(self.pipe(cx));
        self.ended = true;
        if ended.is_err() {
            // Of no effect on a stream that is closed already.
            self.stream.send_reset(Reason::INTERNAL_ERROR);
        }
        Poll::Ready(())
    }
}

impl Pipe {
    /// The error is told by the stream, or by the payload.
    fn pipe(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), ()>> {
        loop {
            // It does not want the rest, or nothing of it.
            if self.stream.poll_reset(cx).is_ready() {
                return Poll::Ready(Err(()));
            }
            if let Some((piece, is_last)) = self.waiting.take() {
                while self.stream.capacity() == 0 {
                    match self.stream.poll_capacity(cx) {
                        Poll::Ready(Some(Ok(_))) => {}
                        Poll::Ready(Some(Err(_)) | None) => return Poll::Ready(Err(())),
                        Poll::Pending => {
                            self.waiting = Some((piece, is_last));
                            return Poll::Pending;
                        }
                    }
                }
                // A copy: the codec lets go of it under a lock that its whole connection needs, and
                // what happens when the caller's own goes is his to say.
                let sent = self
                    .stream
                    .send_data(Bytes::copy_from_slice(&piece), is_last);
                drop(piece);
                if is_last || sent.is_err() {
                    return Poll::Ready(sent.map_err(drop));
                }
            }
            let frame = match ready!(Pin::new(&mut self.payload).poll_frame(cx)) {
                Some(Ok(frame)) => frame,
                Some(Err(_)) => return Poll::Ready(Err(())),
                None => {
                    return Poll::Ready(self.stream.send_data(Bytes::new(), true).map_err(drop));
                }
            };
            if let Ok(piece) = frame.into_data() {
                // No more than a sign that there is something: room that one stream asks for and
                // does not use is missing to the others.
                self.stream.reserve_capacity(1);
                self.waiting = Some((piece, self.payload.is_end_stream()));
            }
        }
    }
}

/// Given up, or torn down by a panic of the payload's.
impl Drop for Pipe {
    fn drop(&mut self) {
        if !self.ended {
            self.stream.send_reset(Reason::CANCEL);
        }
    }
}
