//! Fetches from urlfetch's lab, whose hosts a tiny name server on loopback knows.

use std::error::Error;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use tokio::net::UdpSocket;
use tokio::task::JoinHandle;
use urlfetch::lab::{Lab, Scenario};
use urlfetch::{Client, ErrorKind, Resolve, RootStore};

use crate::hickory::Hickory;

#[tokio::test]
async fn both_families_are_found() {
    let server = NameServer::start().await;
    let mut found = server.resolver().resolve("both.test").await.unwrap();
    found.sort();
    let expected = [
        IpAddr::from(Ipv4Addr::LOCALHOST),
        Ipv6Addr::LOCALHOST.into(),
    ];
    assert_eq!(found, expected.map(|address| SocketAddr::new(address, 0)));
}

#[tokio::test]
async fn a_host_is_found_and_verified() {
    let server = NameServer::start().await;
    let lab = Lab::start().await.unwrap();
    let roots = RootStore::empty().add_pem(lab.ca_pem()).unwrap();
    let client = Client::builder().roots(roots).resolver(server.resolver());
    let client = client.build().unwrap();

    let response = client.fetch(lab.url(Scenario::Good)).await.unwrap();
    assert_eq!(response.remote_addr(), lab.addr(Scenario::Good));
    assert!(response.verdict().unwrap().is_verified());

    let error = client
        .fetch(lab.url(Scenario::WrongHost))
        .await
        .unwrap_err();
    assert_eq!(error.code(), "hostname-mismatch");
}

#[tokio::test]
async fn a_name_that_is_not_there_is_an_error_of_dns() {
    let server = NameServer::start().await;
    let client = Client::builder()
        .resolver(server.resolver())
        .build()
        .unwrap();
    let error = client.fetch("https://nowhere.test/").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Dns, "{error}");
    assert!(error.source().is_some(), "{error}");
}

/// Knows that `both.test` has both loopback addresses and that everything under `lab.test` is at
/// 127.0.0.1, and of nothing else.
struct NameServer {
    address: SocketAddr,
    serving: JoinHandle<()>,
}

impl NameServer {
    async fn start() -> Self {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = socket.local_addr().unwrap();
        let serving = tokio::spawn(async move {
            let mut query = [0; 512];
            loop {
                let (length, from) = socket.recv_from(&mut query).await.unwrap();
                let reply = reply(&query[..length]);
                socket.send_to(&reply, from).await.unwrap();
            }
        });
        Self { address, serving }
    }

    fn resolver(&self) -> Hickory {
        Hickory::at(self.address.ip(), self.address.port()).unwrap()
    }
}

impl Drop for NameServer {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

/// The reply to a query of one question (RFC 1035 §4.1).
fn reply(query: &[u8]) -> Vec<u8> {
    const HEADER: usize = 12;
    let mut name = String::new();
    let mut at = HEADER;
    while query[at] != 0 {
        let label = &query[at + 1..][..query[at].into()];
        name.push_str(&str::from_utf8(label).unwrap().to_ascii_lowercase());
        name.push('.');
        at += 1 + label.len();
    }
    let question = &query[HEADER..at + 5];
    let record = u16::from_be_bytes([query[at + 1], query[at + 2]]);
    const A: u16 = 1;
    const AAAA: u16 = 28;
    let address = match (name.as_str(), record) {
        ("both.test.", AAAA) => Ipv6Addr::LOCALHOST.octets().to_vec(),
        (_, A) => Ipv4Addr::LOCALHOST.octets().to_vec(),
        _ => Vec::new(),
    };
    let is_known = name == "both.test." || name.ends_with(".lab.test.");
    let answers: u16 = (is_known && !address.is_empty()).into();

    let mut reply = query[..2].to_vec();
    // A response, recursion desired and available; then NOERROR or NXDOMAIN.
    reply.extend([0x81, if is_known { 0x80 } else { 0x83 }]);
    reply.extend([1, answers, 0, 0].map(u16::to_be_bytes).concat());
    reply.extend(question);
    if answers > 0 {
        // The name is the question's; the class is IN, and a minute the time to live.
        reply.extend([0xc0, HEADER as u8]);
        reply.extend(record.to_be_bytes());
        reply.extend([0, 1, 0, 0, 0, 60, 0, address.len() as u8]);
        reply.extend(address);
    }
    reply
}
