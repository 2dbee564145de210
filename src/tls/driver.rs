//! A connection of TLS over a stream.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use rustls::client::UnbufferedClientConnection;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::engine::{Engine, RECORD, Step};
use super::fill::Fill;

/// It reads and writes data once it has [shaken hands](Self::poll_handshake).
pub(super) struct Driver<S> {
    pub(super) stream: S,
    pub(super) engine: Engine,
    fill: Fill,
}

impl<S> Driver<S> {
    pub(super) fn new(tls: UnbufferedClientConnection, stream: S) -> Self {
        Self {
            stream,
            engine: Engine::new(tls),
            fill: Fill::default(),
        }
    }

    /// Gives memory back that is only of use while much is read or written.
    pub(super) fn rest(&mut self) {
        self.fill.rest(&mut self.engine.incoming);
        self.engine.outgoing.give_back();
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Driver<S> {
    pub(super) fn poll_handshake(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            let taken = self.engine.take_in();
            let step = taken.map_err(|error| self.told(error, cx))?;
            ready!(Pin::new(&mut *self).poll_flush(cx))?;
            if !self.engine.agreed().is_handshaking() {
                return Poll::Ready(Ok(()));
            }
            let has_ended = match step {
                Step::Handshake => ready!(self.poll_fill(cx))? == 0,
                Step::Data | Step::End | Step::Open => true,
            };
            if has_ended {
                let message = "the connection ended amid the handshake";
                return Poll::Ready(Err(io::Error::new(io::ErrorKind::UnexpectedEof, message)));
            }
        }
    }

    fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let Self {
            stream,
            engine,
            fill,
        } = self;
        fill.poll(&mut engine.incoming, stream, cx)
    }

    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let outgoing = &mut self.engine.outgoing;
        while !outgoing.is_empty() {
            match ready!(Pin::new(&mut self.stream).poll_write(cx, outgoing.rest()))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                count => outgoing.take(count),
            }
        }
        Poll::Ready(Ok(()))
    }

    /// A fault of the peer's, of which it is told if that can be done at once.
    fn told(&mut self, error: rustls::Error, cx: &mut Context<'_>) -> io::Error {
        let _ = self.poll_send(cx);
        io::Error::new(io::ErrorKind::InvalidData, error)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Driver<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if buf.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        loop {
            match self.engine.read(buf) {
                Ok(Step::Data | Step::End) => return Poll::Ready(Ok(())),
                Ok(Step::Open | Step::Handshake) => {}
                Err(error) => return Poll::Ready(Err(self.told(error, cx))),
            }
            if ready!(self.poll_fill(cx))? == 0 {
                let message = "peer closed connection without sending TLS close_notify";
                return Poll::Ready(Err(io::Error::new(io::ErrorKind::UnexpectedEof, message)));
            }
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Driver<S> {
    /// What was sealed before goes first: there is never more of it than of one write.
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_send(cx))?;
        let data = buf.get(..AT_ONCE).unwrap_or(buf);
        if data.is_empty() {
            return Poll::Ready(Ok(0));
        }
        match self.engine.write(data) {
            Ok(true) => {}
            Ok(false) => return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
            Err(error) => return Poll::Ready(Err(self.told(error, cx))),
        }
        match self.poll_send(cx) {
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Ready(Ok(())) | Poll::Pending => Poll::Ready(Ok(data.len())),
        }
    }

    /// What is small goes into one record.
    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let mut parts = bufs.iter().filter(|part| !part.is_empty());
        match (parts.next(), parts.next()) {
            (Some(first), Some(_)) if first.len() < RECORD => {
                let mut record = Vec::with_capacity(RECORD.min(bufs.iter().map(|b| b.len()).sum()));
                for part in bufs {
                    let room = RECORD - record.len();
                    record.extend_from_slice(part.get(..room).unwrap_or(part));
                }
                self.poll_write(cx, &record)
            }
            (first, _) => self.poll_write(cx, first.map_or(&[], |first| first)),
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_send(cx))?;
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    /// Of a peer that is at fault there is no goodbye, but it is told why.
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let _ = self.engine.say_goodbye();
        ready!(self.poll_send(cx))?;
        match ready!(Pin::new(&mut self.stream).poll_shutdown(cx)) {
            // It is as shut as can be.
            Err(error) if error.kind() == io::ErrorKind::NotConnected => Poll::Ready(Ok(())),
            done => Poll::Ready(done),
        }
    }
}

/// Most data that is sealed at once, of which others would have to wait: rustls' number.
const AT_ONCE: usize = 64 << 10;

#[cfg(test)]
#[cfg(feature = "lab")]
mod tests {
    use std::io::Read;
    use std::task::Waker;

    use rustls::ServerConnection;
    use rustls::version::TLS13;

    use super::super::engine::tests::{pair, strangers_with, written};
    use super::*;

    /// What its peer sent, and what was sent to it.
    #[derive(Default)]
    struct Wire {
        comes: Vec<u8>,
        /// Whether it ends where nothing comes.
        has_ended: bool,
        went: Vec<u8>,
        /// How much it takes at every other time; at the others it takes nothing.
        takes: usize,
        is_busy: bool,
        shuts: usize,
    }

    impl AsyncRead for Wire {
        fn poll_read(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
            buf: &mut ReadBuf<'_>,
        ) -> Poll<io::Result<()>> {
            if self.comes.is_empty() && !self.has_ended {
                return Poll::Pending;
            }
            let most = self.comes.len().min(buf.remaining());
            buf.put_slice(&self.comes.drain(..most).collect::<Vec<_>>());
            Poll::Ready(Ok(()))
        }
    }

    impl AsyncWrite for Wire {
        fn poll_write(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
            buf: &[u8],
        ) -> Poll<io::Result<usize>> {
            self.is_busy = !self.is_busy;
            if !self.is_busy {
                return Poll::Pending;
            }
            let some = buf.get(..self.takes).unwrap_or(buf);
            self.went.extend_from_slice(some);
            Poll::Ready(Ok(some.len()))
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            self.shuts += 1;
            match self.shuts {
                1 => Poll::Ready(Ok(())),
                _ => Poll::Ready(Err(io::ErrorKind::NotConnected.into())),
            }
        }
    }

    #[test]
    fn nothing_is_lost_on_a_stream_that_takes_little() {
        let data: Vec<u8> = (0..300_000_u32).map(|n| (n % 251) as u8).collect();
        for (takes, parts) in [
            (1_000, &[300_000][..]),
            (50_000, &[9, 16_384]),
            (77, &[1, 2, 40_000]),
            (usize::MAX, &[16_384, 1]),
        ] {
            let (mut driver, mut server) = driven(takes);
            let (mut written, mut most) = (0, 0);
            while written < data.len() {
                let mut left = data.get(written..).unwrap();
                let slices = parts.iter().map(|length| {
                    let (part, rest) = left.split_at(left.len().min(*length));
                    left = rest;
                    IoSlice::new(part)
                });
                let slices: Vec<_> = slices.collect();
                let polled = poll(&mut driver, |driver, cx| {
                    driver.poll_write_vectored(cx, &slices)
                });
                if let Poll::Ready(count) = polled {
                    written += count.unwrap();
                }
                most = most.max(driver.engine.outgoing.rest().len());
            }
            while poll(&mut driver, |driver, cx| driver.poll_flush(cx)).is_pending() {}
            assert!(heard(&mut driver, &mut server) == data, "{takes} {parts:?}");
            assert!(most < AT_ONCE + 1_000, "{takes} {parts:?}: {most}");
        }
    }

    #[test]
    fn what_is_small_goes_into_one_record() {
        let (mut driver, mut server) = driven(usize::MAX);
        let parts = [&b""[..], b"head", b"", b"and payload"].map(IoSlice::new);
        let polled = poll(&mut driver, |driver, cx| {
            driver.poll_write_vectored(cx, &parts)
        });
        assert_eq!(ready(polled).unwrap(), 15);
        let [_, _, _, high, low, ..] = *driver.stream.went else {
            panic!("there is no record");
        };
        let length: usize = u16::from_be_bytes([high, low]).into();
        assert_eq!(driver.stream.went.len(), 5 + length);
        assert_eq!(heard(&mut driver, &mut server), b"headand payload");
        let polled = poll(&mut driver, |driver, cx| {
            driver.poll_write_vectored(cx, &[])
        });
        assert_eq!(ready(polled).unwrap(), 0);
    }

    #[test]
    fn goodbye_is_said_once_and_is_the_last_word() {
        let (mut driver, mut server) = driven(10);
        while poll(&mut driver, |driver, cx| driver.poll_shutdown(cx)).is_pending() {}
        ready(poll(&mut driver, |driver, cx| driver.poll_shutdown(cx))).unwrap();
        assert_eq!(driver.stream.shuts, 2);
        assert_eq!(heard(&mut driver, &mut server), b"");
        assert!(server.process_new_packets().unwrap().peer_has_closed());
        let polled = poll(&mut driver, |driver, cx| driver.poll_write(cx, b"x"));
        assert_eq!(ready(polled).unwrap_err().kind(), io::ErrorKind::BrokenPipe);
        assert_eq!(driver.stream.went, b"");
    }

    #[test]
    fn an_end_without_goodbye_is_an_error() {
        for (goodbye, expected) in [(true, None), (false, Some(io::ErrorKind::UnexpectedEof))] {
            let (mut driver, mut server) = driven(usize::MAX);
            io::Write::write_all(&mut server.writer(), b"data").unwrap();
            if goodbye {
                server.send_close_notify();
            }
            driver.stream.comes = written(&mut server);
            driver.stream.has_ended = true;
            assert_eq!(read(&mut driver).unwrap(), b"data");
            for _ in 0..2 {
                let end = read(&mut driver);
                let kind = end.as_ref().err().map(io::Error::kind);
                assert_eq!(kind, expected, "{end:?}");
                assert_eq!(end.unwrap_or_default(), b"");
            }
        }
    }

    #[test]
    fn a_fault_is_told_to_the_peer() {
        let (mut driver, mut server) = driven(usize::MAX);
        server.send_close_notify();
        driver.stream.comes = written(&mut server);
        *driver.stream.comes.last_mut().unwrap() ^= 1;
        let error = read(&mut driver).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        let mut wire = driver.stream.went.as_slice();
        server.read_tls(&mut wire).unwrap();
        let told = server.process_new_packets().unwrap_err().to_string();
        assert!(told.contains("BadRecordMac"), "{told}");
        ready(poll(&mut driver, |driver, cx| driver.poll_shutdown(cx))).unwrap();
    }

    #[test]
    fn a_long_chain_is_taken_and_one_without_end_is_not() {
        for (certificates, expected) in [
            (1, None),
            (100, None),
            (500, Some(io::ErrorKind::InvalidData)),
        ] {
            let (engine, mut server) = strangers_with(certificates, &TLS13, None);
            let mut driver = of(engine, usize::MAX);
            let done = loop {
                match poll(&mut driver, |mut driver, cx| driver.poll_handshake(cx)) {
                    Poll::Ready(done) => break done,
                    Poll::Pending => {}
                }
                heard(&mut driver, &mut server);
                driver.stream.comes.extend(written(&mut server));
            };
            let kind = done.as_ref().err().map(io::Error::kind);
            assert_eq!(kind, expected, "{certificates}: {done:?}");
        }
    }

    fn driven(takes: usize) -> (Driver<Wire>, ServerConnection) {
        let (engine, server) = pair();
        (of(engine, takes), server)
    }

    fn of(engine: Engine, takes: usize) -> Driver<Wire> {
        let stream = Wire {
            takes,
            ..Wire::default()
        };
        Driver {
            stream,
            engine,
            fill: Fill::default(),
        }
    }

    fn poll<T>(
        driver: &mut Driver<Wire>,
        poll: impl FnOnce(Pin<&mut Driver<Wire>>, &mut Context<'_>) -> Poll<T>,
    ) -> Poll<T> {
        poll(Pin::new(driver), &mut Context::from_waker(Waker::noop()))
    }

    fn ready<T>(polled: Poll<T>) -> T {
        match polled {
            Poll::Ready(done) => done,
            Poll::Pending => panic!("it waits"),
        }
    }

    fn read(driver: &mut Driver<Wire>) -> io::Result<Vec<u8>> {
        let mut room = [0; 99];
        let mut buf = ReadBuf::new(&mut room);
        ready(poll(driver, |driver, cx| driver.poll_read(cx, &mut buf)))?;
        Ok(buf.filled().to_vec())
    }

    /// The data of what went.
    fn heard(driver: &mut Driver<Wire>, server: &mut ServerConnection) -> Vec<u8> {
        let went = std::mem::take(&mut driver.stream.went);
        let (mut wire, mut data) = (went.as_slice(), Vec::new());
        while !wire.is_empty() {
            server.read_tls(&mut wire).unwrap();
            server.process_new_packets().unwrap();
            let _ = server.reader().read_to_end(&mut data);
        }
        data
    }
}
