//! Which addresses may be dialled at all, given who asked for them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::asker::Asker;
use super::net::Net;
use super::per_host::PerHost;
use super::refused::{Refused, Tried, Why};
use super::special::{self, Place};
use crate::error::{Error, ErrorKind, Result};
use crate::tls::shown::Shown;

/// Which addresses a client may dial: for services that fetch URLs of strangers, who would like to
/// see the service's own network.
///
/// Judged are the addresses that are about to be dialled, after every resolution, on every hop of
/// a fetch and for [`Client::connect`](crate::Client::connect), in whatever way they came: literals
/// in any spelling, the resolver's answers, the fixed ones of
/// [`ClientBuilder::resolve`](crate::ClientBuilder::resolve). No name is resolved a second time
/// between the judgement and the dial, and one refused answer refuses the name, so that a name with
/// changing answers gets nowhere. A connection that is open already is judged anew for everybody who
/// would use it. What is refused is an error of
/// [`ErrorKind::AddressRefused`], and nothing was sent there, not even a packet.
///
/// | | what may be dialled |
/// |---|---|
/// | [`default`](Self::default) | whatever the caller's own URL leads to. A redirect may lead as far away as it comes from, or farther, and never nearer, be it by the way of another host: a public host sends nobody to a private, loopback or link-local address, and a host of a private network sends nobody to a loopback or link-local one. |
/// | [`public_only`](Self::public_only) | public addresses alone |
///
/// Public is what IANA's special-purpose address registries of 2025-10-09 (RFC 6890) call globally
/// reachable or do not list, but for multicast, site-local, all of IPv6 outside of `2000::/3`, what
/// only one's own network answers, and the addresses at which clouds answer their virtual machines
/// (Azure's would be public: `168.63.129.16`). An IPv4-mapped address, and one of NAT64
/// (`64:ff9b::/96`), is what the IPv4 address in it is; 6to4, Teredo and the like are never public,
/// nor is an address with a zone. The order of the rules:
///
/// 1. what [`deny`](Self::deny) names is refused;
/// 2. once [`allow_port`](Self::allow_port) was called, so is every port that it does not name;
/// 3. what [`allow`](Self::allow) or [`allow_host`](Self::allow_host) names may be dialled;
/// 4. the rest is as the table above says.
///
/// # Proxies
///
/// A proxy that resolves names itself dials what it likes. Where it would be given a name,
/// `public_only` refuses, and so does a guard that denies something, unless
/// [`proxy_guards`](Self::proxy_guards) says that the proxy has a guard of its own. The default guard
/// lets a redirect lead to any name behind such a proxy, wherever that is. What is known is judged
/// all the same: an IP address in the URL, `localhost` (RFC 6761 §6.3), the port. A host that answers
/// through such a proxy counts as public when it redirects. The proxy's own address is your choice
/// and is not judged.
///
/// # What it does not do
///
/// It says where a connection may go, not what is behind it: a public address may be that of your
/// own load balancer, or of somebody who forwards; [`deny`](Self::deny) those. NAT64 and tunnels
/// under a prefix of a network's own look like any other address. Where the network gives public
/// hosts addresses that are not (DNS64 by `64:ff9b:1::/48`, a VPN that answers with `198.18.0.0/15`),
/// somebody has to [`allow`](Self::allow) those, and nobody here sees what is behind them. DNS itself
/// is asked about every name, which a stranger may notice. A stream given to
/// [`Client::wrap`](crate::Client::wrap) was dialled by somebody else, and other clients in the
/// process have guards of their own. A firewall round the service does what no code in it can.
///
/// # Examples
///
/// ```
/// use urlfetch::{AddressGuard, Client};
///
/// # fn example() -> urlfetch::Result<()> {
/// let client = Client::builder()
///     .address_guard(
///         AddressGuard::public_only()
///             .allow_port(443)
///             .allow("10.20.0.0/16") // the partners' network,
///             .deny("10.20.0.1"), // but for its router
///     )
///     .build()?;
/// # Ok(())
/// # }
/// # example().unwrap();
/// ```
#[derive(Clone, Debug, Default)]
#[must_use = "a guard guards the client that it is given to, by ClientBuilder::address_guard"]
pub struct AddressGuard {
    public_only: bool,
    allow: Vec<Net>,
    deny: Vec<Net>,
    /// Any, if none is named.
    ports: Vec<u16>,
    /// Whose addresses are allowed.
    hosts: PerHost<bool>,
    proxy_guards: bool,
    /// The first text that could not be read.
    fault: Option<Error>,
}

impl AddressGuard {
    /// Public addresses alone may be dialled, whoever asks.
    pub fn public_only() -> Self {
        Self {
            public_only: true,
            ..Self::default()
        }
    }

    /// These addresses may be dialled, public or not, after a redirect as well: `10.0.0.0/8`,
    /// `fd00:1234::/32`, or one address.
    ///
    /// An IPv4 range covers the IPv4-mapped addresses too (`::ffff:10.0.0.1`), which lead to the
    /// same hosts, and no other IPv6 address. What is no range is an error of
    /// [`ClientBuilder::build`](crate::ClientBuilder::build); so is one with bits set behind its
    /// prefix, such as `10.0.0.1/8`, where it is anybody's guess what was meant.
    pub fn allow(mut self, net: impl Into<String>) -> Self {
        if let Some(net) = self.read(&net.into()) {
            self.allow.push(net);
        }
        self
    }

    /// These addresses may not be dialled, whatever else is said. They are read as those of
    /// [`allow`](Self::allow) are. An IPv4 range covers every IPv6 address that holds one of its
    /// addresses: IPv4-mapped, -compatible and -translated, NAT64, 6to4.
    pub fn deny(mut self, net: impl Into<String>) -> Self {
        if let Some(net) = self.read(&net.into()) {
            self.deny.push(net);
        }
        self
    }

    /// Once this is called, only the ports that it names may be dialled, at any address. Without a
    /// call any port may be. The port is the one that is dialled, which is the URL's unless
    /// [`ClientBuilder::resolve`](crate::ClientBuilder::resolve) gives another.
    pub fn allow_port(mut self, port: u16) -> Self {
        self.ports.push(port);
        self
    }

    /// This host may be dialled wherever its name leads, after a redirect as well, but for what
    /// [`deny`](Self::deny) names. Whoever answers for the name in DNS is trusted with that.
    ///
    /// The pattern is a host name, an IP address, or `*.` and a name, and is read as that of
    /// [`ClientBuilder::policy_for`](crate::ClientBuilder::policy_for) is: spelling makes no
    /// difference, and what cannot be read is an error of
    /// [`ClientBuilder::build`](crate::ClientBuilder::build). An IP address here is a URL's host; for
    /// what names lead to there is [`allow`](Self::allow).
    pub fn allow_host(mut self, pattern: impl Into<String>) -> Self {
        if let Err(unreadable) = self.hosts.set(&pattern.into(), true) {
            self.fault.get_or_insert(unreadable);
        }
        self
    }

    /// A proxy that resolves names itself refuses what must not be dialled, so names may be given
    /// to it. Nothing here can know whether it does.
    pub fn proxy_guards(mut self) -> Self {
        self.proxy_guards = true;
        self
    }

    /// The guard, if all of it could be read.
    pub(crate) fn whole(self) -> Result<Self> {
        match self.fault {
            Some(fault) => Err(fault),
            None => Ok(self),
        }
    }

    fn read(&mut self, text: &str) -> Option<Net> {
        let net = Net::read(text);
        if net.is_none() {
            self.fault.get_or_insert_with(|| unreadable(text));
        }
        net
    }
}

impl AddressGuard {
    /// Whether all that a host was resolved to may be dialled: one address that may not refuses
    /// them all.
    pub(crate) fn admit(
        &self,
        host: &str,
        addresses: &[SocketAddr],
        asker: Asker,
    ) -> Result<(), Refused> {
        addresses.iter().try_for_each(|address| {
            self.judge(host, address, asker).map_err(|why| Refused {
                host: host.to_owned(),
                tried: Tried::Address(*address, addresses.len()),
                why,
            })
        })
    }

    /// Whether a proxy may be asked for a host that it resolves itself.
    pub(crate) fn admit_unseen(&self, host: &str, port: u16, asker: Asker) -> Result<(), Refused> {
        let known = known(host);
        if !known.is_empty() {
            let addresses: Vec<_> = known
                .iter()
                .map(|address| SocketAddr::new(*address, port))
                .collect();
            return self.admit(host, &addresses, asker);
        }
        let refused = |why| {
            Err(Refused {
                host: host.to_owned(),
                tried: Tried::Proxy(port),
                why,
            })
        };
        if let Some(why) = self.refuse_port(port) {
            return refused(why);
        }
        let rules = match (self.deny.is_empty(), self.public_only) {
            (false, _) => Some("deny"),
            (true, true) if !*self.hosts.of_host(host) => Some("public_only"),
            (true, _) => None,
        };
        match rules.filter(|_| !self.proxy_guards) {
            Some(rule) => refused(Why::Unseen(rule)),
            None => Ok(()),
        }
    }

    fn judge(&self, host: &str, address: &SocketAddr, asker: Asker) -> Result<(), Why> {
        let ip = address.ip();
        if !self.deny.is_empty() {
            // What it is dialled as, and what it may come out as.
            let forms = [Some(ip), special::held(ip).map(IpAddr::V4)];
            let denies = |net: &&Net| forms.iter().flatten().any(|form| net.contains(*form));
            if let Some(net) = self.deny.iter().find(denies) {
                return Err(Why::Denied(*net));
            }
        }
        if let Some(why) = self.refuse_port(address.port()) {
            return Err(why);
        }
        if asker == Asker::Caller && !self.public_only {
            return Ok(());
        }
        let canonical = ip.to_canonical();
        if self.allow.iter().any(|net| net.contains(canonical)) || *self.hosts.of_host(host) {
            return Ok(());
        }
        let place = Place::of_socket(address);
        let may = match asker {
            _ if self.public_only => place.is_public(),
            Asker::Host(sender) => Place::of(sender.to_canonical()).may_send_to(place),
            Asker::Caller | Asker::Unseen => place.is_public(),
        };
        match (may, self.public_only) {
            (true, _) => Ok(()),
            (false, true) => Err(Why::NotPublic(place)),
            (false, false) => Err(Why::SentBy(asker, place)),
        }
    }

    fn refuse_port(&self, port: u16) -> Option<Why> {
        let refuses = !self.ports.is_empty() && !self.ports.contains(&port);
        refuses.then_some(Why::Port)
    }
}

/// The addresses of a host that a proxy would be given by name, where the name says them.
fn known(host: &str) -> Vec<IpAddr> {
    let name = host.strip_suffix('.').unwrap_or(host);
    let is_below = |suffix: &str| {
        let start = name.len().checked_sub(suffix.len());
        let end = start.and_then(|start| name.get(start..));
        end.is_some_and(|end| end.eq_ignore_ascii_case(suffix))
    };
    // RFC 6761 §6.3: always a loopback address, and of which family the proxy knows alone.
    if name.eq_ignore_ascii_case("localhost") || is_below(".localhost") {
        return vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()];
    }
    let bare = name
        .strip_prefix('[')
        .and_then(|name| name.strip_suffix(']'));
    bare.unwrap_or(name).parse().into_iter().collect()
}

fn unreadable(net: &str) -> Error {
    Error::new(
        ErrorKind::Config,
        format!(
            "\"{}\" in an address guard is neither an IP address nor a range of them",
            Shown(net)
        ),
    )
    .with_hint(Some(
        "a range is its first address and the length of its prefix: 10.0.0.0/8, fd00::/8",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    const STRANGER: Asker = Asker::Host(IpAddr::V4(Ipv4Addr::new(8, 8, 8, 8)));
    const NEIGHBOUR: Asker = Asker::Host(IpAddr::V4(Ipv4Addr::new(10, 0, 0, 9)));
    const OURSELVES: Asker = Asker::Host(IpAddr::V4(Ipv4Addr::LOCALHOST));

    /// How a guard's word on an address begins after "is refused", or nothing if it may be dialled.
    fn word(guard: &AddressGuard, host: &str, addresses: &[&str], asker: Asker) -> String {
        let addresses: Vec<_> = addresses.iter().map(|each| each.parse().unwrap()).collect();
        said(guard.admit(host, &addresses, asker))
    }

    fn said(outcome: Result<(), Refused>) -> String {
        let Err(refused) = outcome else {
            return String::new();
        };
        let shown = refused.to_string();
        let (_, why) = shown.split_once("is refused ").unwrap();
        why.to_owned()
    }

    #[test]
    fn nobody_comes_nearer_by_a_detour() {
        let (caller, unseen) = (Asker::Caller, Asker::Unseen);
        for (before, then, expected) in [
            (caller, OURSELVES, OURSELVES),
            (caller, unseen, unseen),
            (OURSELVES, NEIGHBOUR, NEIGHBOUR),
            (OURSELVES, STRANGER, STRANGER),
            (NEIGHBOUR, OURSELVES, NEIGHBOUR),
            (NEIGHBOUR, unseen, unseen),
            (STRANGER, NEIGHBOUR, STRANGER),
            (STRANGER, OURSELVES, STRANGER),
            (unseen, NEIGHBOUR, unseen),
        ] {
            assert_eq!(then.after(before), expected, "{before:?} {then:?}");
        }
    }

    #[test]
    fn rules_hold_in_their_order() {
        let public_only = AddressGuard::public_only;
        let everything = AddressGuard::default;
        let private = "by public_only: it is in 10.0.0.0/8, private use (RFC 1918)";
        let loopback = "by public_only: it stands for 127.0.0.1, which is in 127.0.0.0/8, loopback";
        #[rustfmt::skip]
        let rows: &[(AddressGuard, &str, &str)] = &[
            (everything(), "10.0.0.1:443", ""),
            (everything(), "127.0.0.1:443", ""),
            (everything(), "[fe80::1%2]:443", ""),
            (public_only(), "8.8.8.8:443", ""),
            (public_only(), "[2606:4700::1111]:1", ""),
            (public_only(), "[64:ff9b::8.8.8.8]:1", ""),
            (public_only(), "10.0.0.1:443", private),
            (public_only(), "[::ffff:127.0.0.1]:443", loopback),
            (public_only(), "[2606:4700::1111%1]:443", "by public_only: it is in ::/0, an address with a zone"),
            // Allowed: the range, an address, the host.
            (public_only().allow("10.0.0.0/8"), "10.255.0.1:443", ""),
            (public_only().allow("10.0.0.0/8"), "[::ffff:10.255.0.1]:443", ""),
            (public_only().allow("10.0.0.1"), "10.0.0.1:443", ""),
            (public_only().allow("10.0.0.0/32"), "10.0.0.1:443", private),
            (public_only().allow("fe80::/10"), "[fe80::1%2]:443", ""),
            (public_only().allow_host("host.test"), "10.0.0.1:443", ""),
            (public_only().allow_host("*.test"), "10.0.0.1:443", ""),
            (public_only().allow_host("HOST.test."), "10.0.0.1:443", ""),
            (public_only().allow_host("other.test"), "10.0.0.1:443", private),
            (public_only().allow_host("10.0.0.1"), "10.0.0.1:443", private),
            // A range of one family says nothing of the other, but for what is mapped.
            (public_only().allow("::/0"), "10.0.0.1:443", private),
            (public_only().allow("::/0"), "[::ffff:127.0.0.1]:443", loopback),
            (public_only().allow("127.0.0.0/8"), "[::ffff:127.0.0.1]:443", ""),
            (public_only().allow("127.0.0.0/8"), "[64:ff9b::127.0.0.1]:443", loopback),
            (public_only().allow("127.0.0.0/8"), "[::127.0.0.1]:443", loopback),
            (public_only().allow("127.0.0.0/8"), "[2002:7f00:1::]:443", loopback),
            // Denied, whatever is allowed, in whatever form.
            (everything().deny("8.8.8.8"), "8.8.8.8:443", "by deny: it is in 8.8.8.8/32"),
            (everything().deny("8.8.8.8"), "8.8.4.4:443", ""),
            (everything().deny("8.8.8.8").allow("8.8.8.8"), "8.8.8.8:443", "by deny: "),
            (everything().allow("8.8.8.8").deny("8.8.0.0/16"), "8.8.8.8:443", "by deny: "),
            (everything().allow_host("host.test").deny("8.8.0.0/16"), "8.8.8.8:443", "by deny: "),
            (everything().deny("8.8.0.0/16"), "[::ffff:8.8.8.8]:443", "by deny: it is in 8.8.0.0/16"),
            (everything().deny("8.8.0.0/16"), "[64:ff9b::8.8.8.8]:443", "by deny: "),
            (everything().deny("8.8.0.0/16"), "[2002:808:808::1]:443", "by deny: "),
            (everything().deny("8.8.0.0/16"), "[::8.8.8.8]:443", "by deny: "),
            (everything().deny("8.8.0.0/16"), "[::ffff:0:8.8.8.8]:443", "by deny: "),
            (everything().deny("::/0"), "[::ffff:8.8.8.8]:443", "by deny: it is in ::/0"),
            (everything().deny("::/0"), "8.8.8.8:443", ""),
            (everything().deny("::ffff:8.8.8.8"), "8.8.8.8:443", "by deny: "),
            (everything().deny("fe80::1"), "[fe80::1%7]:443", "by deny: "),
            // Ports hold for what is allowed too.
            (everything().allow_port(443), "8.8.8.8:443", ""),
            (everything().allow_port(443), "8.8.8.8:80", "by allow_port: the port is not among"),
            (everything().allow_port(443).allow_port(80), "8.8.8.8:80", ""),
            (public_only().allow_port(443), "10.0.0.1:443", private),
            (public_only().allow_port(443).allow("10.0.0.1"), "10.0.0.1:22", "by allow_port: "),
            (public_only().allow_port(443).allow_host("host.test"), "10.0.0.1:22", "by allow_port: "),
            (everything().allow_port(443).deny("8.8.8.8"), "8.8.8.8:22", "by deny: "),
        ];
        for (guard, address, expected) in rows {
            assert!(guard.clone().whole().is_ok());
            let found = word(guard, "host.test", &[address], Asker::Caller);
            assert_eq!(
                found.is_empty(),
                expected.is_empty(),
                "{guard:?} {address} {found}"
            );
            assert!(found.starts_with(expected), "{guard:?} {address} {found}");
        }
    }

    #[test]
    fn a_redirect_leads_no_nearer_than_it_comes_from() {
        let everything = AddressGuard::default;
        let public = "after a redirect from a public address, 8.8.8.8: it is in ";
        let farther = "after a redirect from 10.0.0.9, which is farther away: it is in ";
        let unseen =
            "after a redirect from a host behind a proxy, which counts as public: it is in ";
        #[rustfmt::skip]
        let rows: &[(AddressGuard, Asker, &str, &str)] = &[
            (everything(), STRANGER, "1.1.1.1:443", ""),
            (everything(), STRANGER, "10.0.0.1:443", public),
            (everything(), STRANGER, "127.0.0.1:443", public),
            (everything(), STRANGER, "169.254.169.254:443", public),
            (everything(), STRANGER, "[::1]:443", public),
            (everything(), STRANGER, "[fd00:ec2::254]:443", public),
            (everything(), STRANGER, "[2606:4700::1111%1]:443", public),
            (everything(), Asker::Unseen, "1.1.1.1:443", ""),
            (everything(), Asker::Unseen, "10.0.0.1:443", unseen),
            (everything(), NEIGHBOUR, "1.1.1.1:443", ""),
            (everything(), NEIGHBOUR, "192.168.0.1:443", ""),
            (everything(), NEIGHBOUR, "127.0.0.1:443", farther),
            (everything(), NEIGHBOUR, "169.254.169.254:443", farther),
            (everything(), OURSELVES, "127.0.0.2:443", ""),
            (everything(), OURSELVES, "[::1]:443", ""),
            (everything(), OURSELVES, "10.0.0.1:443", ""),
            (everything(), Asker::Host("::ffff:10.0.0.9".parse().unwrap()), "10.0.0.1:443", ""),
            (everything(), Asker::Host("::ffff:8.8.8.8".parse().unwrap()), "10.0.0.1:443",
                "after a redirect from a public address, ::ffff:8.8.8.8: it is in "),
            // What is allowed is allowed to everybody.
            (everything().allow("10.0.0.0/8"), STRANGER, "10.0.0.1:443", ""),
            (everything().allow_host("host.test"), STRANGER, "10.0.0.1:443", ""),
            (everything().allow("10.0.0.0/8"), STRANGER, "127.0.0.1:443", public),
            (AddressGuard::public_only(), OURSELVES, "127.0.0.1:443", "by public_only: it is in "),
            (AddressGuard::public_only(), STRANGER, "1.1.1.1:443", ""),
            (AddressGuard::public_only(), Asker::Unseen, "1.1.1.1:443", ""),
        ];
        for (guard, asker, address, expected) in rows {
            let found = word(guard, "host.test", &[address], *asker);
            assert_eq!(
                found.is_empty(),
                expected.is_empty(),
                "{asker:?} {address} {found}"
            );
            assert!(found.starts_with(expected), "{asker:?} {address} {found}");
        }
    }

    #[test]
    fn one_refused_address_refuses_the_name() {
        let guard = AddressGuard::public_only();
        for answers in [
            ["8.8.8.8:443", "10.0.0.1:443", "1.1.1.1:443"],
            ["10.0.0.1:443", "8.8.8.8:443", "1.1.1.1:443"],
            ["8.8.8.8:443", "1.1.1.1:443", "10.0.0.1:443"],
        ] {
            let answers = answers.map(|answer| answer.parse().unwrap());
            let refused = guard.admit("host.test", &answers, Asker::Caller);
            assert_eq!(
                refused.unwrap_err().to_string(),
                "dialling 10.0.0.1:443, one of 3 addresses of \"host.test\", is refused by \
                 public_only: it is in 10.0.0.0/8, private use (RFC 1918)"
            );
        }
        let mixed = ["8.8.8.8:443", "1.1.1.1:444"];
        let port = AddressGuard::default().allow_port(443);
        assert_ne!(word(&port, "host.test", &mixed, Asker::Caller), "");
    }

    #[test]
    fn what_a_proxy_resolves_is_judged_by_what_is_known() {
        let public_only = AddressGuard::public_only;
        let everything = AddressGuard::default;
        let (hidden, denying) = (
            "by public_only: the proxy resolves",
            "by deny: the proxy resolves",
        );
        #[rustfmt::skip]
        let rows: &[(AddressGuard, &str, Asker, &str)] = &[
            (everything(), "host.test", Asker::Caller, ""),
            (everything(), "host.test", Asker::Unseen, ""),
            (everything(), "10.0.0.1", Asker::Caller, ""),
            (everything(), "10.0.0.1", Asker::Unseen, "after a redirect from a host behind a proxy"),
            (everything(), "10.0.0.1", STRANGER, "after a redirect from a public address, 8.8.8.8"),
            (everything(), "localhost", Asker::Caller, ""),
            (everything(), "localhost", Asker::Unseen, "after a redirect from a host behind a proxy"),
            (everything(), "A.LocalHost.", Asker::Unseen, "after a redirect from a host behind"),
            (everything(), "notlocalhost", Asker::Unseen, ""),
            (everything(), "localhost.test", Asker::Unseen, ""),
            (everything().deny("10.0.0.0/8"), "host.test", Asker::Caller, denying),
            (everything().deny("10.0.0.0/8"), "8.8.8.8", Asker::Caller, ""),
            (everything().deny("10.0.0.0/8"), "10.0.0.1", Asker::Caller, "by deny: it is in 10.0.0.0/8"),
            (everything().deny("10.0.0.0/8").proxy_guards(), "host.test", Asker::Caller, ""),
            (everything().deny("10.0.0.0/8").proxy_guards(), "10.0.0.1", Asker::Caller, "by deny: "),
            (everything().allow_port(443), "host.test", Asker::Caller, ""),
            (everything().allow_port(80), "host.test", Asker::Caller, "by allow_port: "),
            (everything().allow_port(80).proxy_guards(), "host.test", Asker::Caller, "by allow_port: "),
            (public_only(), "host.test", Asker::Caller, hidden),
            (public_only(), "host.test", Asker::Unseen, hidden),
            (public_only(), "8.8.8.8", Asker::Caller, ""),
            (public_only(), "2606:4700::1111", Asker::Unseen, ""),
            (public_only(), "10.0.0.1", Asker::Caller, "by public_only: it is in 10.0.0.0/8"),
            (public_only(), "localhost", Asker::Caller, "by public_only: it is in 127.0.0.0/8"),
            (public_only().proxy_guards(), "host.test", Asker::Caller, ""),
            (public_only().proxy_guards(), "host.test", Asker::Unseen, ""),
            (public_only().proxy_guards(), "10.0.0.1", Asker::Caller, "by public_only: it is in "),
            (public_only().proxy_guards(), "localhost", Asker::Caller, "by public_only: it is in "),
            (public_only().allow_host("host.test"), "host.test", Asker::Caller, ""),
            (public_only().allow_host("host.test"), "other.test", Asker::Caller, hidden),
            (public_only().allow_host("localhost"), "localhost", Asker::Caller, ""),
            // Which of its two addresses the proxy takes nobody here sees either.
            (public_only().allow("127.0.0.0/8").allow("::1"), "localhost", Asker::Caller, ""),
            (public_only().allow("127.0.0.0/8"), "localhost", Asker::Caller, "by public_only: it is in ::1/128"),
            (everything().allow("127.0.0.0/8"), "localhost", Asker::Unseen, "after a redirect from a host behind a proxy"),
            (everything().deny("::1"), "localhost", Asker::Caller, "by deny: it is in ::1/128"),
            (everything().deny("::1").proxy_guards(), "a.localhost", Asker::Caller, "by deny: it is in ::1/128"),
            (public_only().allow("10.0.0.0/8"), "host.test", Asker::Caller, hidden),
            (public_only().allow_host("host.test").deny("10.0.0.1"), "host.test", Asker::Caller, denying),
        ];
        for (guard, host, asker, expected) in rows {
            let found = said(guard.admit_unseen(host, 443, *asker));
            assert_eq!(
                found.is_empty(),
                expected.is_empty(),
                "{guard:?} {host} {found}"
            );
            assert!(found.starts_with(expected), "{guard:?} {host} {found}");
        }
        for host in ["[::1]", "[::ffff:127.0.0.1]", "127.0.0.1."] {
            let refused = public_only()
                .proxy_guards()
                .admit_unseen(host, 443, Asker::Caller);
            assert_ne!(said(refused), "", "{host}");
        }
        let refused = public_only().admit_unseen("host.test", 443, Asker::Caller);
        let error = Error::from(refused.unwrap_err());
        assert_eq!(error.kind(), ErrorKind::AddressRefused);
        assert_eq!(
            error.to_string(),
            "asking a proxy for \"host.test\", port 443, is refused by public_only: the proxy \
             resolves the name, and nobody here sees the address\n\
             hint: if the proxy refuses such addresses itself, say so by \
             AddressGuard::proxy_guards"
        );
    }

    #[test]
    fn the_first_text_that_cannot_be_read_is_the_error() {
        for (guard, says) in [
            (
                AddressGuard::default().allow("10.0.0.1/8").deny("x"),
                "\"10.0.0.1/8\" in an address guard is neither",
            ),
            (
                AddressGuard::default().deny("\u{1b}[2J"),
                "\"\\u{1b}[2J\" in an address guard is neither",
            ),
            (
                AddressGuard::default().allow_host("a/b").allow("10/8"),
                "the host pattern \"a/b\" is neither",
            ),
        ] {
            let error = guard.whole().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Config);
            assert!(error.to_string().starts_with(says), "{error}");
        }
        let long = AddressGuard::default().allow("1".repeat(10_000));
        assert!(long.whole().unwrap_err().to_string().len() < 500);
        // Twice is once.
        let twice = AddressGuard::public_only().allow("::1").allow("::1");
        let twice = twice.allow_host("a.test").allow_host("A.test");
        assert!(twice.whole().is_ok());
    }

    #[test]
    fn a_literal_is_named_once_and_a_host_is_shown_as_it_is_fit_to_be() {
        let guard = AddressGuard::public_only();
        for (host, address, says) in [
            (
                "10.0.0.1",
                "10.0.0.1:443",
                "dialling 10.0.0.1:443 is refused by",
            ),
            ("::1", "[::1]:443", "dialling [::1]:443 is refused by"),
            (
                "a\u{1b}\"b",
                "10.0.0.1:443",
                "dialling 10.0.0.1:443 for \"a\\u{1b}\\u{22}b\" is refused by",
            ),
        ] {
            let refused = guard.admit(host, &[address.parse().unwrap()], Asker::Caller);
            let refused = refused.unwrap_err();
            assert!(refused.to_string().starts_with(says), "{refused}");
        }
    }
}
