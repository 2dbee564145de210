//! Reuse: what one was given, an open connection or a TLS session, is never used for another that
//! differs from it in one thing: roots, pins, identity, version, verification, or the policy of a
//! host. Over TLS 1.2 and 1.3, HTTP/1.1 and h2, at one server with one certificate.
#![cfg(feature = "lab")]
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "what fails here fails a test"
)]

#[expect(dead_code, reason = "the tests of pins need more of it")]
#[path = "support/proof.rs"]
mod proof;
#[expect(dead_code, reason = "the proof needs more of it")]
#[path = "support/proof_server.rs"]
mod server;

use proof::{Authority, Chain, issue, leaf, now, root, store};
use rcgen::{ExtendedKeyUsagePurpose, KeyPair};
use server::{BODY, FULL, RESUMED, Site, Speaks, run};
use urlfetch::tls::{Certificate, Identity, Pin, Policy, Version};
use urlfetch::{Client, ClientBuilder, Error};

const HOST: &str = "site.test";
const OTHER: &str = "other.test";

/// The first is content with the server, the second is not: nothing that the first has helps it.
#[test]
fn what_one_has_open_is_no_way_in_for_another() {
    each(|world| {
        for (name, site, [content, refusing], code) in world.at_odds() {
            let case = format!("{name}: {:?}", world.speaks);
            run(async {
                content.fetch().await.unwrap();
                for _ in 0..2 {
                    let before = site.connections();
                    let error = refusing.fetch().await.unwrap_err();
                    assert_eq!(error.code(), code, "{case}: {error}");
                    assert!(site.connections() > before, "{case}");
                }
                // The connection was open all along.
                let before = site.connections();
                content.fetch().await.unwrap();
                assert_eq!(site.connections(), before, "{case}");
            });
            // With no connection open, and tickets of the first.
            let error = run(refusing.fetch()).unwrap_err();
            assert_eq!(error.code(), code, "{case}: {error}");
            run(content.fetch()).unwrap();
            let seen = run(site.seen());
            let mut kinds: Vec<_> = seen.iter().map(|seen| seen.handshake).collect();
            // Over TLS 1.3 a client learns late that it is not welcome, and may try once more.
            kinds.dedup();
            assert_eq!(kinds, [FULL, None, RESUMED], "{case}");
            for seen in seen.iter().filter(|seen| seen.handshake.is_none()) {
                assert_eq!(seen.received, 0, "{case}: {seen:?}");
            }
        }
    });
}

/// Both are content, by themselves: each has connections and sessions of its own.
#[test]
fn two_that_differ_share_nothing_even_where_both_are_content() {
    each(|world| {
        for (name, site, pair) in world.in_agreement() {
            let case = format!("{name}: {:?}", world.speaks);
            for pair in [[&pair[0], &pair[1]], [&pair[1], &pair[0]]] {
                let before = site.connections();
                run(async {
                    for _ in 0..3 {
                        for each in pair {
                            each.fetch().await.unwrap();
                        }
                    }
                    assert_eq!(site.connections() - before, 2, "{case}");
                });
            }
            let kinds = run(site.kinds());
            assert_eq!(kinds, [FULL, FULL, RESUMED, RESUMED], "{case}");
        }
    });
}

/// Who fetches, what, and whether the peer has to be verified.
#[derive(Clone)]
struct Party {
    client: Client,
    url: String,
    validate: bool,
}

impl Party {
    /// The same client, when it does not verify.
    fn unverified(&self) -> Self {
        Self {
            validate: false,
            ..self.clone()
        }
    }

    async fn fetch(&self) -> Result<(), Error> {
        let call = self.client.fetch(&self.url);
        let response = call.validate_certificate(self.validate).await?;
        assert_eq!(response.text().await?, BODY);
        Ok(())
    }
}

/// A server that anybody may speak to, and one that demands a certificate.
struct World {
    speaks: Speaks,
    root: Authority,
    key: KeyPair,
    chain: Chain,
    open: Site,
    demanding: Site,
}

impl World {
    fn new(speaks: Speaks) -> Self {
        let root = root("root");
        let key = KeyPair::generate().unwrap();
        let chain = vec![issue(&root, &leaf(&[HOST, OTHER]), &key)];
        let open = Site::open(speaks);
        let demanding = Site::demanding(speaks, &root);
        for site in [&open, &demanding] {
            site.present(&chain, &key);
        }
        Self {
            speaks,
            root,
            key,
            chain,
            open,
            demanding,
        }
    }

    /// (in what they differ, where, who is content and who is not, and why not)
    fn at_odds(&self) -> Vec<(&str, &Site, [Party; 2], &str)> {
        let wrong = || Policy::default().pin([0; 32]);
        let patient = || Policy::default().min_days_left(10_000);
        let newer = || Policy::default().min_version(Version::Tls13);
        let stranger = || store(&root("a stranger"));
        let with = |change: Change<'_>| self.party(&self.open, change);
        let asked = |change: Change<'_>| self.party(&self.demanding, change);
        let plain = || with(&|builder| builder);
        let pinned = || with(&|builder| builder.policy(wrong()));
        let careless = with(&|builder| builder.policy(wrong()).danger_accept_unverified());
        let of_one = pinned();
        let mismatch = "pin-mismatch";
        let mut rows = vec![
            (
                "roots",
                &self.open,
                [plain(), with(&|builder| builder.roots(stranger()))],
                "unknown-issuer",
            ),
            ("pins", &self.open, [plain(), pinned()], mismatch),
            (
                "days left",
                &self.open,
                [plain(), with(&|builder| builder.policy(patient()))],
                "expires-soon",
            ),
            (
                "identity",
                &self.demanding,
                [
                    asked(&|builder| builder.identity(self.identity("ours"))),
                    asked(&|builder| builder),
                ],
                "tls",
            ),
            (
                "verification, of two clients",
                &self.open,
                [careless.unverified(), pinned()],
                mismatch,
            ),
            (
                "verification, of two calls",
                &self.open,
                [of_one.unverified(), of_one],
                mismatch,
            ),
            (
                "the host's policy, of two clients",
                &self.open,
                [
                    with(&|builder| builder.policy_for(OTHER, wrong())),
                    with(&|builder| builder.policy_for(HOST, wrong())),
                ],
                mismatch,
            ),
            (
                "the host's policy, of two hosts",
                &self.open,
                self.two_hosts(&|builder| builder.policy_for(OTHER, wrong())),
                mismatch,
            ),
        ];
        if self.speaks.tls12 {
            let newer = with(&|builder| builder.policy(newer()));
            rows.push(("version", &self.open, [plain(), newer], "tls"));
        }
        rows
    }

    /// (in what they differ, where, and who)
    fn in_agreement(&self) -> Vec<(&str, &Site, [Party; 2])> {
        let leaf = self.chain.first().unwrap();
        let pin = Pin::of(&Certificate::from_der(leaf).unwrap());
        let right = || Policy::default().pin(pin);
        let more = || store(&self.root).add_pem(root("another").pem()).unwrap();
        let with = |change: Change<'_>| self.party(&self.open, change);
        let asked = |change: Change<'_>| self.party(&self.demanding, change);
        let plain = || with(&|builder| builder);
        let of_one = plain();
        vec![
            ("nothing but the client", &self.open, [plain(), plain()]),
            (
                "roots",
                &self.open,
                [plain(), with(&|builder| builder.roots(more()))],
            ),
            (
                "pins",
                &self.open,
                [plain(), with(&|builder| builder.policy(right()))],
            ),
            (
                "identity",
                &self.demanding,
                [
                    asked(&|builder| builder.identity(self.identity("one"))),
                    asked(&|builder| builder.identity(self.identity("two"))),
                ],
            ),
            ("verification", &self.open, [of_one.unverified(), of_one]),
            (
                "the host's policy, of two clients",
                &self.open,
                [plain(), with(&|builder| builder.policy_for(HOST, right()))],
            ),
            (
                "the host's policy, of two hosts",
                &self.open,
                self.two_hosts(&|builder| builder.policy_for(OTHER, right())),
            ),
            (
                "two hosts of one policy",
                &self.open,
                self.two_hosts(&|builder| builder),
            ),
        ]
    }

    /// One client that asks for two hosts, which are one server.
    fn two_hosts(&self, change: Change<'_>) -> [Party; 2] {
        let host = self.party(&self.open, change);
        let other = Party {
            url: self.open.url(OTHER),
            ..host.clone()
        };
        [host, other]
    }

    /// A client of its own.
    fn party(&self, site: &Site, change: Change<'_>) -> Party {
        let builder = Client::builder()
            .roots(store(&self.root))
            .resolve(HOST, [site.addr()])
            .resolve(OTHER, [site.addr()])
            .clock(now);
        Party {
            client: change(builder).build().unwrap(),
            url: site.url(HOST),
            validate: true,
        }
    }

    fn identity(&self, name: &str) -> Identity {
        let mut params = leaf(&[name]);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        let certificate = params.signed_by(&self.key, &self.root).unwrap();
        Identity::from_pem(certificate.pem(), self.key.serialize_pem()).unwrap()
    }
}

type Change<'a> = &'a dyn Fn(ClientBuilder) -> ClientBuilder;

/// Runs a test over each TLS and each HTTP.
fn each(test: impl Fn(&World)) {
    for tls12 in [true, false] {
        for h2 in [true, false] {
            test(&World::new(Speaks { tls12, h2 }));
        }
    }
}
