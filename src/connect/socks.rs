//! A tunnel through a SOCKS 5 proxy (RFC 1928), with a user name and a password if need be
//! (RFC 1929).

use std::net::IpAddr;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::denied::Denied;
use super::origin::Origin;
use super::proxy::Credentials;

/// Whom the proxy is to connect to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Destination<'a> {
    Address(IpAddr),
    /// A name, which the proxy resolves.
    Name(&'a str),
}

impl<'a> Destination<'a> {
    pub(super) fn of(origin: &'a Origin) -> Self {
        match origin.host().parse() {
            Ok(address) => Self::Address(address),
            Err(_) => Self::Name(origin.host()),
        }
    }
}

/// Asks the proxy at the other end of `stream` for a tunnel. After that, the stream is the tunnel:
/// not a byte beyond the proxy's answer is read.
pub(super) async fn open<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut S,
    destination: Destination<'_>,
    port: u16,
    credentials: Option<&Credentials>,
) -> Result<(), Denied> {
    say(stream, greeting(credentials.is_some())).await?;
    match choice(hear(stream).await?, credentials)? {
        None => {}
        Some(credentials) => {
            say(stream, &login(credentials)?).await?;
            admitted(hear(stream).await?)?;
        }
    }
    say(stream, &request(destination, port)?).await?;
    let [version, reply, _, kind] = hear(stream).await?;
    granted(version, reply)?;
    // The address that the proxy connects from, which is nobody's business.
    match kind {
        IPV4 => hear::<_, { 4 + 2 }>(stream).await.map(drop),
        IPV6 => hear::<_, { 16 + 2 }>(stream).await.map(drop),
        NAME => {
            let [length] = hear(stream).await?;
            let mut rest = vec![0; usize::from(length) + 2];
            stream.read_exact(&mut rest).await?;
            Ok(())
        }
        _ => Err(Denied::Malformed("its address is of no known kind")),
    }
}

async fn say<S: AsyncWrite + Unpin>(stream: &mut S, bytes: &[u8]) -> Result<(), Denied> {
    stream.write_all(bytes).await?;
    Ok(stream.flush().await?)
}

async fn hear<S: AsyncRead + Unpin, const LENGTH: usize>(
    stream: &mut S,
) -> Result<[u8; LENGTH], Denied> {
    let mut bytes = [0; LENGTH];
    stream.read_exact(&mut bytes).await?;
    Ok(bytes)
}

/// RFC 1928 §3: what may be chosen from. Who has credentials gives them only if he is asked to.
fn greeting(has_credentials: bool) -> &'static [u8] {
    match has_credentials {
        true => &[VERSION, 2, NO_AUTHENTICATION, PASSWORD],
        false => &[VERSION, 1, NO_AUTHENTICATION],
    }
}

/// The credentials to give, if it chose that.
fn choice(
    [version, method]: [u8; 2],
    credentials: Option<&Credentials>,
) -> Result<Option<&Credentials>, Denied> {
    match (version, method, credentials) {
        (VERSION, NO_AUTHENTICATION, _) => Ok(None),
        (VERSION, PASSWORD, Some(credentials)) => Ok(Some(credentials)),
        (VERSION, NONE_OF_THEM, None) => Err(Denied::Unauthorized),
        (VERSION, NONE_OF_THEM, Some(_)) => Err(Denied::Refused(String::from(
            "it accepts no way to log in that can be offered",
        ))),
        (VERSION, _, _) => Err(Denied::Malformed("it chose what it was not offered")),
        _ => Err(Denied::Malformed("it does not speak SOCKS 5")),
    }
}

/// RFC 1929 §2.
fn login(credentials: &Credentials) -> Result<Vec<u8>, Denied> {
    let Credentials { user, password } = credentials;
    let mut login = vec![LOGIN_VERSION];
    for text in [user, password] {
        login.push(length(text)?);
        login.extend_from_slice(text);
    }
    Ok(login)
}

fn admitted([version, status]: [u8; 2]) -> Result<(), Denied> {
    match (version, status) {
        (LOGIN_VERSION, 0) => Ok(()),
        (LOGIN_VERSION, _) => Err(Denied::Unrecognized),
        _ => Err(Denied::Malformed("it does not log in as RFC 1929 has it")),
    }
}

/// RFC 1928 §4.
fn request(destination: Destination<'_>, port: u16) -> Result<Vec<u8>, Denied> {
    let mut request = vec![VERSION, CONNECT, 0];
    match destination {
        Destination::Address(IpAddr::V4(address)) => {
            request.push(IPV4);
            request.extend_from_slice(&address.octets());
        }
        Destination::Address(IpAddr::V6(address)) => {
            request.push(IPV6);
            request.extend_from_slice(&address.octets());
        }
        Destination::Name(name) => {
            request.push(NAME);
            request.push(length(name.as_bytes())?);
            request.extend_from_slice(name.as_bytes());
        }
    }
    request.extend_from_slice(&port.to_be_bytes());
    Ok(request)
}

/// RFC 1928 §6.
fn granted(version: u8, reply: u8) -> Result<(), Denied> {
    let why = match (version, reply) {
        (VERSION, 0) => return Ok(()),
        (VERSION, 1) => "general failure",
        (VERSION, 2) => "its rules do not allow it",
        (VERSION, 3) => "the network is unreachable",
        (VERSION, 4) => "the host is unreachable",
        (VERSION, 5) => "the connection was refused",
        (VERSION, 6) => "the packets' time to live expired",
        (VERSION, 7) => "it does not know the command CONNECT",
        (VERSION, 8) => "it does not know this kind of address",
        (VERSION, _) => {
            return Err(Denied::Refused(format!(
                "reply {reply}, which has no meaning"
            )));
        }
        _ => return Err(Denied::Malformed("it does not speak SOCKS 5")),
    };
    Err(Denied::Refused(why.to_owned()))
}

/// One octet. What does not fit was refused when it was read: DNS has no longer names, and a proxy's
/// URL no longer credentials.
fn length(text: &[u8]) -> Result<u8, Denied> {
    u8::try_from(text.len()).map_err(|_| Denied::Malformed("a name is longer than SOCKS can say"))
}

const VERSION: u8 = 5;
const NO_AUTHENTICATION: u8 = 0;
const PASSWORD: u8 = 2;
const NONE_OF_THEM: u8 = 0xff;
const LOGIN_VERSION: u8 = 1;
const CONNECT: u8 = 1;
const IPV4: u8 = 1;
const NAME: u8 = 3;
const IPV6: u8 = 4;

#[cfg(test)]
mod tests {
    use super::*;

    fn credentials() -> Credentials {
        Credentials {
            user: b"user".to_vec(),
            password: vec![0xff],
        }
    }

    #[test]
    fn what_is_said_is_as_the_documents_have_it() {
        assert_eq!(greeting(false), [5, 1, 0]);
        assert_eq!(greeting(true), [5, 2, 0, 2]);
        assert_eq!(login(&credentials()).unwrap(), b"\x01\x04user\x01\xff");
        for (host, expected) in [
            (
                "127.0.0.1",
                b"\x05\x01\x00\x01\x7f\x00\x00\x01\x1f\x90".to_vec(),
            ),
            (
                "[2001:db8::1]",
                b"\x05\x01\x00\x04\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01\x1f\x90".to_vec(),
            ),
            ("a.test", b"\x05\x01\x00\x03\x06a.test\x1f\x90".to_vec()),
        ] {
            let origin = Origin::tls(host, 8080).unwrap();
            let said = request(Destination::of(&origin), origin.port()).unwrap();
            assert_eq!(said, expected, "{host}");
        }
        let long = "a".repeat(256);
        assert!(request(Destination::Name(&long), 1).is_err());
        assert!(request(Destination::Name(&long[1..]), 1).is_ok());
    }

    #[test]
    fn a_method_is_one_that_was_offered() {
        let ours = credentials();
        for (answer, has_credentials, expected) in [
            ([5, 0], false, Ok(false)),
            ([5, 0], true, Ok(false)),
            ([5, 2], true, Ok(true)),
            ([5, 2], false, Err("chose what it was not offered")),
            ([5, 1], true, Err("chose what it was not offered")),
            ([5, 255], false, Err("wants a user name")),
            ([5, 255], true, Err("accepts no way to log in")),
            ([4, 0], false, Err("does not speak SOCKS 5")),
            ([0, 0], true, Err("does not speak SOCKS 5")),
            (*b"HT", true, Err("does not speak SOCKS 5")),
        ] {
            let chosen = choice(answer, has_credentials.then_some(&ours));
            match (chosen.map(|each| each.is_some()), expected) {
                (Ok(found), Ok(expected)) => assert_eq!(found, expected, "{answer:?}"),
                (Err(denied), Err(part)) => {
                    let sentence = denied.sentence("p", "o");
                    assert!(sentence.contains(part), "{answer:?}: {sentence}");
                }
                (found, _) => panic!("{answer:?}: {found:?}"),
            }
        }
    }

    #[test]
    fn who_is_let_in_is_told_so() {
        for (answer, expected) in [
            ([1, 0], None),
            ([1, 1], Some("does not take the user name")),
            ([1, 255], Some("does not take the user name")),
            ([5, 0], Some("RFC 1929")),
        ] {
            let sentence = admitted(answer)
                .err()
                .map(|denied| denied.sentence("p", "o"));
            match expected {
                None => assert_eq!(sentence, None),
                Some(part) => assert!(sentence.unwrap().contains(part), "{answer:?}"),
            }
        }
    }

    #[test]
    fn every_reply_has_its_words() {
        for (version, reply, part) in [
            (5, 1, "refused a tunnel to o: general failure"),
            (5, 2, "refused a tunnel to o: its rules do not allow it"),
            (5, 3, "the network is unreachable"),
            (5, 4, "the host is unreachable"),
            (5, 5, "the connection was refused"),
            (5, 6, "time to live expired"),
            (5, 7, "does not know the command"),
            (5, 8, "does not know this kind of address"),
            (5, 9, "reply 9, which has no meaning"),
            (5, 255, "reply 255, which has no meaning"),
            (4, 0, "does not speak SOCKS 5"),
            (1, 0, "does not speak SOCKS 5"),
        ] {
            let sentence = granted(version, reply).unwrap_err().sentence("p", "o");
            assert!(sentence.contains(part), "{sentence}");
        }
        assert!(granted(5, 0).is_ok());
    }
}
