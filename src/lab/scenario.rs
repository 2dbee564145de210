//! What the lab can show: one [`Scenario`] is one server, with the outcome a strict client must
//! reach.
//!
//! The table at the end is the only list; the names, hosts and expectations are all read from it.

use std::fmt;

macro_rules! scenarios {
    ($(
        $variant:ident $name:literal $(at $host:literal)? => $expected:expr, $description:literal;
    )+) => {
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[non_exhaustive]
        /// One server of the [`Lab`](super::Lab): a certificate or a behaviour, and what must come
        /// of it.
        ///
        /// More are added as the crate grows: go through [`Scenario::all`] rather than a list of
        /// your own.
        pub enum Scenario {
            $(#[doc = $description] $variant,)+
        }

        impl Scenario {
            const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The kebab-case name, such as `wrong-host`.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)+ }
            }

            /// The host in this scenario's URL: a name under `lab.test`, or `127.0.0.1`.
            pub const fn host(self) -> &'static str {
                match self { $(Self::$variant => scenarios!(@host $name $($host)?),)+ }
            }

            /// What a client that trusts the lab's CA must make of it.
            pub const fn expected(self) -> Expected {
                use Expected::{Failed, Fetched, Refused};
                match self { $(Self::$variant => $expected,)+ }
            }

            /// One line on what this server does.
            pub const fn description(self) -> &'static str {
                match self { $(Self::$variant => $description,)+ }
            }
        }
    };
    (@host $name:literal) => { concat!($name, ".lab.test") };
    (@host $name:literal $host:literal) => { $host };
}

impl Scenario {
    /// Every scenario: the good certificates, the bad ones, other handshakes, then the behaviours.
    pub fn all() -> impl ExactSizeIterator<Item = Self> + Clone {
        Self::ALL.iter().copied()
    }
}

impl fmt::Display for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// The outcome a strict client must reach with a [`Scenario`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Expected {
    /// A verified response, whole.
    Fetched,
    /// The certificate is refused, for the reason with this stable code, before a byte of the
    /// request has left.
    Refused(&'static str),
    /// It fails, with the error of this stable code. `deadline` needs a deadline to be set.
    Failed(&'static str),
}

impl fmt::Display for Expected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fetched => f.write_str("fetched"),
            Self::Refused(code) => write!(f, "refused {code}"),
            Self::Failed(kind) => write!(f, "failed {kind}"),
        }
    }
}

scenarios! {
    Good "good" => Fetched,
        "A valid certificate, over HTTP/2 or HTTP/1.1.";
    GoodHttp1 "good-http1" => Fetched,
        "A valid certificate, over HTTP/1.1 only.";
    GoodByIp "good-by-ip" at "127.0.0.1" => Fetched,
        "Asked for by IP address, and the certificate has that address as an iPAddress SAN.";
    Wildcard "wildcard" at "any.wildcard.lab.test" => Fetched,
        "A certificate for `*.wildcard.lab.test`, asked for as `any.wildcard.lab.test`.";
    ManySans "many-sans" => Fetched,
        "A certificate with 1,000 names, of which the last one matches.";
    Tls12Only "tls12-only" => Fetched,
        "A valid certificate on a server that speaks TLS 1.2 and nothing newer.";
    Stapled "stapled" => Fetched,
        "A certificate that promises a stapled OCSP response, and a good one is stapled.";

    WrongHost "wrong-host" => Refused("hostname-mismatch"),
        "A certificate for `www.wrong-host.lab.test`, asked for without the `www`.";
    ValidForAnotherSite "valid-for-another-site" => Refused("hostname-mismatch"),
        "The certificate of the scenario `good`, with its key, on another site.";
    WildcardTooDeep "wildcard-too-deep" at "a.b.too-deep.lab.test" => Refused("hostname-mismatch"),
        "A certificate for `*.too-deep.lab.test`, asked for two labels below.";
    CommonNameOnly "common-name-only" => Refused("hostname-mismatch"),
        "The host stands in the subject's common name, and there are no subject alternative names.";
    IpForName "ip-for-name" at "127.0.0.1" => Refused("hostname-mismatch"),
        "Asked for by IP address, and the certificate of the trusted CA has a DNS name only.";
    Expired "expired" => Refused("expired"),
        "A certificate that ended on 2001-01-01.";
    NotYetValid "not-yet-valid" => Refused("not-yet-valid"),
        "A certificate that begins on 2099-01-01.";
    SelfSigned "self-signed" => Refused("self-signed"),
        "A certificate signed by its own key.";
    SelfSignedCa "self-signed-ca" => Refused("self-signed"),
        "A certificate signed by its own key with CA:TRUE, as `openssl req -x509` makes it.";
    UntrustedRoot "untrusted-root" => Refused("unknown-issuer"),
        "A certificate of a CA that nobody trusts.";
    MissingIntermediate "missing-intermediate" => Refused("unknown-issuer"),
        "A valid certificate, sent without the intermediate that leads to the CA.";
    CaAsLeaf "ca-as-leaf" => Refused("ca-as-end-entity"),
        "A CA certificate (CA:TRUE) of the trusted CA, in the place of the server's own.";
    WrongPurpose "wrong-purpose" => Refused("wrong-purpose"),
        "A certificate for TLS clients: its extended key usage has clientAuth only.";
    NameConstraintViolated "name-constraint-violated" => Refused("name-constraint"),
        "The intermediate may only issue for `permitted.lab.test`, and issued for another name.";
    BadSignature "bad-signature" => Refused("bad-signature"),
        "A valid certificate with one bit of its signature flipped.";
    Version1 "version-1" => Refused("unsupported-version"),
        "An X.509 version 1 certificate: no extensions, the host in the common name.";
    Revoked "revoked" => Refused("revoked"),
        "The stapled OCSP response says that the certificate was revoked: its key is compromised.";
    StapleOfAnother "staple-of-another" => Refused("staple-invalid"),
        "The stapled OCSP response is a good one, and is about another certificate.";
    StaleStaple "stale-staple" => Refused("staple-invalid"),
        "A good OCSP response is stapled, which was to be replaced in January 2000.";
    MissingStaple "missing-staple" => Refused("staple-missing"),
        "A certificate that promises a stapled OCSP response (RFC 7633), and none is stapled.";

    OldTls "old-tls" => Failed("tls"),
        "A server that answers with TLS 1.1, whatever it is offered.";
    PlainHttp "plain-http" => Failed("tls"),
        "Plain HTTP on the TLS port; a request in clear is answered.";
    ClientCertificateRequired "client-certificate-required" => Failed("tls"),
        "Demands a client certificate; with the lab's client identity, it is fetched.";

    SlowHeaders "slow-headers" => Failed("deadline"),
        "The response head is begun and never finished.";
    DrippingBody "dripping-body" => Failed("deadline"),
        "The body comes a byte at a time and never ends.";
    BigBody "big-body" => Failed("response-too-large"),
        "A body of 64 MiB, of a length not announced.";
    Gzip "gzip" => Fetched,
        "A body in Content-Encoding gzip.";
    Deflate "deflate" => Fetched,
        "A body in Content-Encoding deflate, in its zlib wrapper as RFC 9110 says.";
    DeflateRaw "deflate-raw" => Fetched,
        "A body in Content-Encoding deflate, without the wrapper, as some servers send it.";
    Brotli "br" => Fetched,
        "A body in Content-Encoding br.";
    Zstd "zstd" => Fetched,
        "A body in Content-Encoding zstd.";
    BrokenCoding "broken-coding" => Failed("decode"),
        "A gzip body whose last bytes, the checksum and the length, are wrong.";
    DoubleCoding "double-coding" => Failed("decode"),
        "A body that says it was encoded twice.";
    DecompressionBomb "decompression-bomb" => Failed("response-too-large"),
        "64 KiB of gzip that decode to more than 64 MiB.";
    RedirectChain "redirect-chain" => Fetched,
        "Three redirects, then a response.";
    RedirectLoop "redirect-loop" => Failed("too-many-redirects"),
        "A redirect to itself.";
    RedirectDowngrade "redirect-downgrade" => Failed("redirect-refused"),
        "A redirect from https to http.";
    RedirectCrossOrigin "redirect-cross-origin" => Fetched,
        "A redirect to the scenario `good`, which answers with the request it received.";
    ShortBody "short-body" => Failed("connection-closed"),
        "A Content-Length of 1,000, fewer bytes, and a proper end of the connection.";
    ShortChunks "short-chunks" => Failed("connection-closed"),
        "A chunked body without its last chunk, and a proper end of the connection.";
    NoCloseNotify "no-close-notify" => Failed("connection-closed"),
        "A body whose length is by the close, and a close without TLS's close_notify.";
    GarbageReply "garbage-reply" => Failed("malformed-reply"),
        "An answer that is not HTTP.";
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn names_and_hosts_tell_scenarios_apart() {
        let names: BTreeSet<_> = Scenario::all().map(Scenario::name).collect();
        assert_eq!(names.len(), Scenario::all().len());

        let hosts: Vec<_> = Scenario::all()
            .map(Scenario::host)
            .filter(|host| *host != "127.0.0.1")
            .collect();
        assert_eq!(hosts.iter().collect::<BTreeSet<_>>().len(), hosts.len());
        assert!(hosts.iter().all(|host| host.ends_with(".lab.test")));
    }

    #[test]
    fn names_are_kebab_case() {
        for scenario in Scenario::all() {
            let name = scenario.to_string();
            assert!(
                name.bytes()
                    .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-'),
                "{name}"
            );
        }
        assert_eq!(format!("{:<12}|", Scenario::Good), "good        |");
    }
}
