//! TLS without a stream: what came goes in, what is to be sent comes out, by rustls' engine of that
//! kind. It decrypts each record where it was read to, where rustls' other kind copies it first.

use bytes::BufMut;
use rustls::CommonState;
use rustls::client::UnbufferedClientConnection;
use rustls::unbuffered::{
    ConnectionState, EncodeError, EncryptError, InsufficientSizeError, WriteTraffic,
};

use super::held::Held;

/// A client's end of a connection.
pub(super) struct Engine {
    tls: UnbufferedClientConnection,
    /// What has come and was not taken in.
    pub(super) incoming: Held,
    /// Records to be sent.
    pub(super) outgoing: Held,
    /// Data that nobody has read yet: less than had come at once, as no more is let in before it is
    /// read.
    data: Held,
    /// The peer has said that no more data comes.
    has_ended: bool,
    has_said_goodbye: bool,
    /// Nothing is believed after it.
    failed: Option<rustls::Error>,
}

/// How far TLS has come in what was given to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// There is data.
    Data,
    /// No more data comes.
    End,
    /// It has taken in all whole records, and needs more of the handshake.
    Handshake,
    /// It has taken in all whole records, and the handshake is over.
    Open,
}

/// What is done where data may be sent.
#[derive(Clone, Copy)]
enum Say<'a> {
    Nothing,
    Data(&'a [u8]),
    Goodbye,
}

impl Engine {
    pub(super) fn new(tls: UnbufferedClientConnection) -> Self {
        Self {
            tls,
            incoming: Held::default(),
            outgoing: Held::default(),
            data: Held::default(),
            has_ended: false,
            has_said_goodbye: false,
            failed: None,
        }
    }

    /// What was agreed on.
    pub(super) fn agreed(&self) -> &CommonState {
        &self.tls
    }

    /// Whether nobody has been told yet of something that has come.
    pub(super) fn has_news(&self) -> bool {
        !self.data.is_empty() || self.has_ended || self.failed.is_some()
    }

    /// Whether bytes have come that TLS has not taken in: the beginning of a record or message, as
    /// soon as it was asked to.
    pub(super) fn is_amid_record(&self) -> bool {
        !self.incoming.is_empty()
    }

    /// Takes records in until there is data, which is kept.
    ///
    /// # Errors
    ///
    /// A fault of the peer's, once and for all. What there is to tell it of that is to be sent.
    pub(super) fn take_in(&mut self) -> Result<Step, rustls::Error> {
        match self.data.is_empty() {
            true => self.advance(Say::Nothing, &mut nowhere()),
            false => Ok(Step::Data),
        }
    }

    /// The same, and hands over as much of the data as there is room for.
    ///
    /// # Errors
    ///
    /// As above.
    pub(super) fn read(&mut self, buf: &mut dyn BufMut) -> Result<Step, rustls::Error> {
        if self.data.is_empty() {
            return self.advance(Say::Nothing, buf);
        }
        self.data.take_into(buf);
        if self.data.is_empty() {
            self.data = Held::default();
        }
        Ok(Step::Data)
    }

    /// Seals data, to be sent. Whether it did: not after goodbye, nor before the handshake is over.
    ///
    /// # Errors
    ///
    /// As above: all that has come is taken in first.
    pub(super) fn write(&mut self, data: &[u8]) -> Result<bool, rustls::Error> {
        if self.has_said_goodbye {
            return Ok(false);
        }
        Ok(self.advance(Say::Data(data), &mut nowhere())? == Step::Open)
    }

    /// Says once that no more data comes.
    ///
    /// # Errors
    ///
    /// As above.
    pub(super) fn say_goodbye(&mut self) -> Result<(), rustls::Error> {
        if !self.has_said_goodbye {
            self.advance(Say::Goodbye, &mut nowhere())?;
            self.has_said_goodbye = true;
        }
        Ok(())
    }

    fn advance(&mut self, say: Say<'_>, into: &mut dyn BufMut) -> Result<Step, rustls::Error> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        let error = loop {
            match self.step(say, into) {
                Ok(None) => {}
                Ok(Some(step)) => return Ok(step),
                Err(error) => break error,
            }
        };
        self.failed = Some(error.clone());
        // What rustls has to tell the peer of it.
        let status = self.tls.process_tls_records(self.incoming.rest_mut());
        if let Ok(ConnectionState::EncodeTlsData(mut alert)) = status.state {
            let _ = add(&mut self.outgoing, 0, |room| alert.encode(room));
        }
        Err(error)
    }

    /// One step of rustls'; `None` if another is to follow.
    fn step(&mut self, say: Say<'_>, into: &mut dyn BufMut) -> Result<Option<Step>, rustls::Error> {
        let status = self.tls.process_tls_records(self.incoming.rest_mut());
        let mut taken = status.discard;
        let step = match status.state {
            Ok(ConnectionState::ReadTraffic(mut records)) => match records.next_record() {
                Some(Ok(record)) => {
                    taken += record.discard;
                    self.data.add(put(into, record.payload));
                    // Who has something to say is not kept from it by what the peer says.
                    Ok(matches!(say, Say::Nothing).then_some(Step::Data))
                }
                Some(Err(error)) => Err(error),
                None => Err(unknown()),
            },
            Ok(ConnectionState::EncodeTlsData(mut message)) => {
                add(&mut self.outgoing, 0, |room| message.encode(room)).map(|()| None)
            }
            Ok(ConnectionState::TransmitTlsData(sent)) => {
                sent.done();
                Ok(None)
            }
            Ok(ConnectionState::WriteTraffic(open)) => match (say, self.has_ended) {
                (Say::Nothing, true) => Ok(Some(Step::End)),
                _ => seal(&mut self.outgoing, say, open).map(|()| Some(Step::Open)),
            },
            Ok(ConnectionState::PeerClosed) => {
                self.has_ended = true;
                Ok(None)
            }
            Ok(ConnectionState::Closed) => Ok(Some(Step::End)),
            Ok(ConnectionState::BlockedHandshake) => Ok(Some(Step::Handshake)),
            Ok(_) => Err(unknown()),
            Err(error) => Err(error),
        };
        self.incoming.take(taken);
        step
    }
}

/// For data that is kept.
fn nowhere() -> &'static mut [u8] {
    &mut []
}

/// As much as there is room for, and what is left.
fn put<'a>(into: &mut dyn BufMut, data: &'a [u8]) -> &'a [u8] {
    let (now, later) = data.split_at(data.len().min(into.remaining_mut()));
    into.put_slice(now);
    later
}

fn seal<D>(
    outgoing: &mut Held,
    say: Say<'_>,
    mut open: WriteTraffic<'_, D>,
) -> Result<(), rustls::Error> {
    match say {
        Say::Nothing => Ok(()),
        Say::Data(data) => {
            let records = 1 + data.len() / RECORD;
            let most = data.len() + records * AROUND_RECORD;
            add(outgoing, most, |room| open.encrypt(data, room))
        }
        Say::Goodbye => add(outgoing, AROUND_RECORD, |room| {
            open.queue_close_notify(room)
        }),
    }
}

/// Adds what `write` writes to so much room, or to as much as it says that it needs.
fn add<E>(
    outgoing: &mut Held,
    most: usize,
    mut write: impl FnMut(&mut [u8]) -> Result<usize, E>,
) -> Result<(), rustls::Error>
where
    E: ToString,
    for<'a> Needed: From<&'a E>,
{
    let error = match outgoing.add_up_to(most, &mut write) {
        Ok(()) => return Ok(()),
        Err(error) => error,
    };
    let written = match Needed::from(&error) {
        Needed(Some(most)) => outgoing.add_up_to(most, write),
        Needed(None) => Err(error),
    };
    written.map_err(|error| rustls::Error::General(error.to_string()))
}

/// How much room is needed, if it was too little.
struct Needed(Option<usize>);

impl From<&EncodeError> for Needed {
    fn from(error: &EncodeError) -> Self {
        match error {
            EncodeError::InsufficientSize(InsufficientSizeError { required_size }) => {
                Self(Some(*required_size))
            }
            EncodeError::AlreadyEncoded => Self(None),
        }
    }
}

impl From<&EncryptError> for Needed {
    fn from(error: &EncryptError) -> Self {
        match error {
            EncryptError::InsufficientSize(InsufficientSizeError { required_size }) => {
                Self(Some(*required_size))
            }
            EncryptError::EncryptExhausted => Self(None),
        }
    }
}

fn unknown() -> rustls::Error {
    rustls::Error::General("rustls is in a state that is not known".to_owned())
}

/// Most data of a record (RFC 8446 §5.1).
pub(super) const RECORD: usize = 16 << 10;

/// Most bytes of a record beside its data, or of one that has two bytes: its head (5), a nonce (8, of
/// TLS 1.2's AES-GCM), its type (1), and a tag (16); twice as many.
const AROUND_RECORD: usize = 64;

#[cfg(test)]
#[cfg(feature = "lab")]
pub(super) mod tests {
    use std::io::{Read, Write};
    use std::sync::Arc;

    use rcgen::generate_simple_self_signed;
    use rustls::pki_types::PrivatePkcs8KeyDer;
    use rustls::version::{TLS12, TLS13};
    use rustls::{
        AlertDescription, ClientConfig, Error, RootCertStore, ServerConfig, ServerConnection,
        SupportedProtocolVersion,
    };

    use super::*;
    use crate::tls::crypto;

    const VERSIONS: [&SupportedProtocolVersion; 2] = [&TLS12, &TLS13];

    #[test]
    fn data_come_whole_and_in_order_however_the_bytes_are_cut() {
        let sent: Vec<u8> = (0..100_000_u32).map(|n| (n % 251) as u8).collect();
        for version in VERSIONS {
            for (record, piece, room) in [
                (1, 1, 1),
                (333, 50, 100),
                (RECORD, 1_000, 40),
                (RECORD, 16_405, RECORD),
                (RECORD, 100_000, 7_777),
            ] {
                let (mut client, mut server) = pair_of(version);
                let some = sent.get(..record * 40).unwrap_or(&sent);
                let mut wire = Vec::new();
                for data in some.chunks(record) {
                    server.writer().write_all(data).unwrap();
                    wire.extend(written(&mut server));
                }
                let mut read = Vec::new();
                for bytes in wire.chunks(piece) {
                    client.incoming.add(bytes);
                    while client.take_in().unwrap() == Step::Data {
                        assert!(client.has_news());
                        read.extend(read_from(&mut client, room));
                    }
                    assert!(!client.has_news());
                }
                assert!(read == some, "{version:?} {record} {piece} {room}");
                assert!(!client.is_amid_record(), "{version:?} {record} {piece}");
            }
        }
    }

    /// Nor do messages that are spread over many records: what has come of one counts as begun until
    /// it is whole.
    #[test]
    fn hands_are_shaken_however_the_bytes_are_cut() {
        for version in VERSIONS {
            for (record, piece) in [(None, 1), (None, 100), (Some(32), 1), (Some(33), 50)] {
                let (mut client, mut server) = strangers(version, record);
                let mut begun = 0;
                while client.agreed().is_handshaking() || server.wants_write() {
                    let _ = client.take_in().unwrap();
                    assert_eq!(take(&mut server, &sent(&mut client)).unwrap(), b"");
                    for bytes in written(&mut server).chunks(piece) {
                        client.incoming.add(bytes);
                        assert!(client.take_in().unwrap() != Step::Data);
                        begun += usize::from(client.is_amid_record());
                    }
                }
                let case = format!("{version:?} {record:?} {piece}");
                assert_eq!(client.take_in(), Ok(Step::Open), "{case}");
                assert!(begun > 0 && !client.is_amid_record(), "{case}");
                assert_eq!(client.write(b"data"), Ok(true), "{case}");
                assert_eq!(take(&mut server, &sent(&mut client)).unwrap(), b"data");
            }
        }
    }

    #[test]
    fn what_has_begun_is_told_at_every_byte_of_it() {
        for version in VERSIONS {
            let (mut client, mut server) = pair_of(version);
            server.writer().write_all(b"data").unwrap();
            let wire = written(&mut server);
            for (n, byte) in wire.iter().enumerate() {
                assert_eq!(client.take_in(), Ok(Step::Open), "{version:?} {n}");
                assert_eq!(client.is_amid_record(), n > 0, "{version:?} {n}");
                client.incoming.add(&[*byte]);
            }
            assert_eq!(client.take_in(), Ok(Step::Data));
            assert!(!client.is_amid_record() && client.has_news());
        }
    }

    /// And what comes meanwhile is kept.
    #[test]
    fn what_is_written_is_read_whatever_has_come() {
        for version in VERSIONS {
            let (mut client, mut server) = pair_of(version);
            let mut answered = Vec::new();
            for length in [1, 100, RECORD - 1, RECORD, RECORD + 1, 4 * RECORD] {
                let data = vec![7; length];
                server.writer().write_all(&data).unwrap();
                client.incoming.add(&written(&mut server));
                assert_eq!(client.write(&data), Ok(true), "{version:?} {length}");
                let mut read = Vec::new();
                for bytes in sent(&mut client).chunks(4_000) {
                    read.extend(take(&mut server, bytes).unwrap());
                }
                assert!(read == data, "{version:?} {length}");
                while client.take_in().unwrap() == Step::Data {
                    answered.extend(read_from(&mut client, 999));
                }
            }
            assert_eq!(answered, vec![7; 1 + 100 + RECORD * 7]);
        }
    }

    #[test]
    fn keys_change_under_what_is_written_and_read() {
        let (mut client, mut server) = pair();
        for n in 0..10_u8 {
            server.refresh_traffic_keys().unwrap();
            server.writer().write_all(&[n]).unwrap();
            client.incoming.add(&written(&mut server));
            assert_eq!(client.take_in(), Ok(Step::Data));
            assert_eq!(client.write(&[n, n]), Ok(true));
            assert_eq!(take(&mut server, &sent(&mut client)).unwrap(), [n, n]);
            assert_eq!(read_from(&mut client, 9), [n]);
        }
    }

    #[test]
    fn a_fault_is_for_ever_and_the_peer_is_told() {
        for version in VERSIONS {
            let (mut client, mut server) = pair_of(version);
            server.writer().write_all(b"data").unwrap();
            let mut wire = written(&mut server);
            *wire.last_mut().unwrap() ^= 1;
            server.writer().write_all(b"more").unwrap();
            wire.extend(written(&mut server));
            client.incoming.add(&wire);
            for _ in 0..3 {
                assert_eq!(client.take_in(), Err(Error::DecryptError), "{version:?}");
                assert_eq!(client.write(b"x"), Err(Error::DecryptError));
                assert_eq!(client.say_goodbye(), Err(Error::DecryptError));
                assert!(client.has_news());
            }
            let error = take(&mut server, &sent(&mut client)).unwrap_err();
            let alert = Error::AlertReceived(AlertDescription::BadRecordMac);
            assert_eq!(error, alert, "{version:?}");
        }
    }

    #[test]
    fn each_side_says_goodbye_for_itself() {
        for version in VERSIONS {
            let (mut client, mut server) = pair_of(version);
            server.writer().write_all(b"data").unwrap();
            server.send_close_notify();
            client.incoming.add(&written(&mut server));
            assert_eq!(client.take_in(), Ok(Step::Data));
            assert_eq!(read_from(&mut client, 99), b"data");
            for _ in 0..3 {
                assert_eq!(client.take_in(), Ok(Step::End), "{version:?}");
                assert_eq!(read_from(&mut client, 99), b"");
                assert!(client.has_news());
            }
            // Its own data may still go, until it says that no more comes; and that it says once.
            assert_eq!(client.write(b"last"), Ok(true));
            client.say_goodbye().unwrap();
            client.say_goodbye().unwrap();
            assert_eq!(client.write(b"x"), Ok(false));
            assert_eq!(client.take_in(), Ok(Step::End));
            let wire = sent(&mut client);
            assert_eq!(take(&mut server, &wire).unwrap(), b"last");
            assert!(server.process_new_packets().unwrap().peer_has_closed());
            assert_eq!(sent(&mut client), b"");
        }
    }

    #[test]
    fn nothing_is_written_before_the_handshake_is_over() {
        for version in VERSIONS {
            let (mut client, mut server) = strangers(version, None);
            assert_eq!(client.write(b"early"), Ok(false), "{version:?}");
            let mut wire = sent(&mut client);
            while !wire.is_empty() {
                assert_eq!(take(&mut server, &wire).unwrap(), b"");
                client.incoming.add(&written(&mut server));
                client.take_in().unwrap();
                wire = sent(&mut client);
            }
            assert!(!client.agreed().is_handshaking());
            assert_eq!(client.take_in(), Ok(Step::Open));
        }
    }

    fn read_from(client: &mut Engine, room: usize) -> Vec<u8> {
        let mut data = Vec::new();
        let _ = client.read(&mut (&mut data).limit(room)).unwrap();
        data
    }

    /// What is to be sent, as if it were.
    fn sent(client: &mut Engine) -> Vec<u8> {
        let wire = client.outgoing.rest().to_vec();
        client.outgoing.take(wire.len());
        wire
    }

    /// The data of it.
    fn take(server: &mut ServerConnection, mut wire: &[u8]) -> Result<Vec<u8>, Error> {
        let mut data = Vec::new();
        while !wire.is_empty() {
            server.read_tls(&mut wire).unwrap();
            server.process_new_packets()?;
            let _ = server.reader().read_to_end(&mut data);
        }
        Ok(data)
    }

    pub(crate) fn written(server: &mut ServerConnection) -> Vec<u8> {
        let mut wire = Vec::new();
        while server.write_tls(&mut wire).unwrap() > 0 {}
        wire
    }

    /// Two ends of a connection that have shaken hands and have nothing more to say.
    pub(crate) fn pair() -> (Engine, ServerConnection) {
        pair_of(&TLS13)
    }

    fn pair_of(version: &'static SupportedProtocolVersion) -> (Engine, ServerConnection) {
        let (mut client, mut server) = strangers(version, None);
        while client.take_in().unwrap() != Step::Open || server.is_handshaking() {
            take(&mut server, &sent(&mut client)).unwrap();
            client.incoming.add(&written(&mut server));
        }
        assert_eq!(client.take_in(), Ok(Step::Open));
        assert!(!client.is_amid_record());
        (client, server)
    }

    fn strangers(
        version: &'static SupportedProtocolVersion,
        record: Option<usize>,
    ) -> (Engine, ServerConnection) {
        strangers_with(1, version, record)
    }

    /// Two ends of a connection that has not begun, whose server has its certificate so many times,
    /// and puts at most so much into a record.
    pub(crate) fn strangers_with(
        certificates: usize,
        version: &'static SupportedProtocolVersion,
        record: Option<usize>,
    ) -> (Engine, ServerConnection) {
        let minted = generate_simple_self_signed([String::from("a.test")]).unwrap();
        let certificate = minted.cert.der().clone();
        let key = PrivatePkcs8KeyDer::from(minted.signing_key.serialize_der()).into();
        let mut roots = RootCertStore::empty();
        roots.add(certificate.clone()).unwrap();
        let client = ClientConfig::builder_with_provider(crypto::provider())
            .with_protocol_versions(&[version])
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let mut server = ServerConfig::builder_with_provider(crypto::provider())
            .with_protocol_versions(&[version])
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate; certificates], key)
            .unwrap();
        server.max_fragment_size = record;
        let name = "a.test".try_into().unwrap();
        let client = UnbufferedClientConnection::new(Arc::new(client), name).unwrap();
        let mut server = ServerConnection::new(Arc::new(server)).unwrap();
        server.set_buffer_limit(None);
        (Engine::new(client), server)
    }
}
