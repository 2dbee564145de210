//! A test in a network namespace of its own, where any address can be ours, and packets to any
//! other can vanish.
//!
//! It needs Linux, `unshare` and `ip` (util-linux and iproute2), and either unprivileged user
//! namespaces or root. Tests that use it are to be marked
//! `#[ignore = "needs network namespaces: .ci/run runs it"]`: where there are no namespaces, who
//! asks for them sees them fail.

use std::env;
use std::fs;
use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::process::{self, Command};
use std::thread;
use std::time::Duration;

/// Runs `body`, the whole of the test with this name, in a process and a network namespace of its
/// own. The name has its modules before it, as `--exact` wants it.
///
/// `setup` is for `sh`, which can use, besides `ip`:
///
/// - `address 93.184.216.34`, of either family: the address is this machine's, and answers as
///   loopback does: it refuses where nobody listens.
/// - `black_hole 192.0.2.0/24`, of either family: what is sent there vanishes.
///
/// Loopback is up, and nothing else can be reached. There is one thread, a tokio runtime, and of
/// the environment only `PATH`.
pub(crate) fn inside<F>(test: &str, setup: &str, body: impl FnOnce() -> F)
where
    F: Future<Output = ()>,
{
    if env::var_os(IS_INSIDE).is_some() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        // A thread, for a test may hang by blocking the runtime's.
        thread::spawn(|| {
            thread::sleep(NET);
            eprintln!("the test hangs");
            process::abort();
        });
        return runtime.block_on(body());
    }
    let output = unshare(way(), &format!("{setup}\nexec \"$@\""))
        .arg(env::current_exe().unwrap())
        .args([test, "--exact", "--nocapture", "--include-ignored"])
        .env(IS_INSIDE, "1")
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stdout);
    // With a name that is not a test's nothing runs, successfully.
    assert!(
        output.status.success() && told.contains("1 passed"),
        "{test}: {}\n{told}\n{}",
        output.status,
        String::from_utf8_lossy(&output.stderr),
    );
}

/// Where to this namespace's TCP sockets have sent a SYN, if they still wait for the answer.
pub(crate) fn syn_sent() -> Vec<SocketAddr> {
    let mut remote = Vec::new();
    for table in ["/proc/net/tcp", "/proc/net/tcp6"] {
        let table = fs::read_to_string(table).unwrap();
        for line in table.lines().skip(1) {
            // sl local_address rem_address st ..
            let mut fields = line.split_whitespace().skip(2);
            if let (Some(address), Some(SYN_SENT)) = (fields.next(), fields.next()) {
                remote.push(kernels(address));
            }
        }
    }
    remote
}

/// An address as the kernel shows it: the number that each four bytes of it are in memory, in
/// hexadecimal, and the port.
fn kernels(shown: &str) -> SocketAddr {
    let (address, port) = shown.split_once(':').unwrap();
    let mut bytes = Vec::new();
    for word in address.as_bytes().chunks(8) {
        let word = u32::from_str_radix(std::str::from_utf8(word).unwrap(), 16).unwrap();
        bytes.extend(word.to_ne_bytes());
    }
    let ip = match <[u8; 4]>::try_from(bytes.as_slice()) {
        Ok(v4) => IpAddr::from(v4),
        Err(_) => IpAddr::from(<[u8; 16]>::try_from(bytes.as_slice()).unwrap()),
    };
    SocketAddr::new(ip, u16::from_str_radix(port, 16).unwrap())
}

/// A command in a new namespace that is set up by `script`, made in one of two ways.
fn unshare(way: &[&str], script: &str) -> Command {
    let mut command = Command::new("unshare");
    // Where Debian has ip, which is not in everybody's PATH.
    let path = env::var("PATH").unwrap_or_default() + ":/usr/sbin:/sbin";
    command.env_clear().env("PATH", path);
    command.args(way).args(["--", "sh", "-c"]);
    command.arg(format!("{FUNCTIONS}\n{script}")).arg("sh");
    command
}

/// The way that works here: without root where users may have namespaces, else as root.
fn way() -> &'static [&'static str] {
    let mut said = String::new();
    for way in [&["--user", "--map-root-user", "--net"][..], &["--net"]] {
        match unshare(way, "").output() {
            Ok(output) if output.status.success() => return way,
            Ok(output) => said += &String::from_utf8_lossy(&output.stderr),
            Err(error) => said += &format!("unshare: {error}\n"),
        }
    }
    panic!("network namespaces cannot be had here:\n{said}");
}

const IS_INSIDE: &str = "URLFETCH_TEST_IS_IN_NETNS";

/// The state's number in /proc/net/tcp.
const SYN_SENT: &str = "02";

/// Far beyond what a test takes: it turns one that hangs into one that fails.
const NET: Duration = Duration::from_secs(30);

/// A route to loopback takes packets of IPv4 that nobody is there to get; IPv6 calls that
/// unreachable, so there they go to a neighbour that does not exist, whose link address needs no
/// asking, over a pair of interfaces. `nodad`: an address can be used at once.
const FUNCTIONS: &str = "
set -e
address() {
    case $1 in
        *:*) ip -6 address add \"$1/128\" dev lo nodad;;
        *) ip address add \"$1/32\" dev lo;;
    esac
}
black_hole() {
    case $1 in
        *:*) ip -6 route add \"$1\" via fe80::bad dev hole src 2001:db8::1;;
        *) ip route add \"$1\" dev lo;;
    esac
}
ip link set lo up
ip link add hole type veth peer name void
ip link set hole up
ip link set void up
ip -6 neighbour add fe80::bad lladdr 02:00:00:00:0b:ad dev hole nud permanent
address 2001:db8::1
";
