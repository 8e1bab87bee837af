//! Three network namespaces and the links between them. What is made here ends with the value.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use nix::sched::{CloneFlags, setns};
use nix::unistd::{User, chown};
use tempfile::TempDir;

/// The interface of the node and of the far system, and of the router towards the node.
pub const LINK: &str = "v0";

static SITES: AtomicU32 = AtomicU32::new(0);

pub struct Site {
    name: String,
    directory: TempDir,
}

impl Site {
    pub fn new() -> Self {
        let number = SITES.fetch_add(1, Ordering::Relaxed);
        let directory = tempfile::tempdir().unwrap();
        // FRR's programs become this user.
        let user = User::from_name("frr").unwrap();
        let user = user.expect("FRR is installed: apt-get install frr (and let its service not run)");
        chown(directory.path(), Some(user.uid), Some(user.gid)).unwrap();
        let site = Self { name: format!("bfd-{}-{number}", std::process::id()), directory };
        for host in ["node", "router", "far"] {
            run("ip", &["netns", "add", &site.namespace(host)]);
            site.ip(host, &["link", "set", "lo", "up"]);
        }
        site.connect_node();
        site.link("far", "router", "v1");
        site.address("router", "v1", "198.51.100.1/24");
        site.address("far", LINK, "198.51.100.2/24");
        site.ip("node", &["route", "add", "198.51.100.0/24", "via", "192.0.2.2"]);
        site.ip("far", &["route", "add", "192.0.2.0/24", "via", "198.51.100.1"]);
        site.forward(Forwarding::On);
        site
    }

    /// The node's link is taken away, and another one of the same name and addresses takes its place.
    pub fn replace_link(&self) {
        self.ip("node", &["link", "delete", LINK]);
        self.connect_node();
    }

    pub fn namespace(&self, host: &str) -> String {
        format!("{}-{host}", self.name)
    }

    /// A directory that FRR's programs may write to.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// Does something in the network of a host, on a thread of its own; threads that it starts are there too.
    pub fn inside<T: Send>(&self, host: &str, work: impl FnOnce() -> T + Send) -> T {
        let namespace = fs::File::open(format!("/run/netns/{}", self.namespace(host))).unwrap();
        std::thread::scope(|scope| {
            let entered = scope.spawn(move || {
                setns(namespace, CloneFlags::CLONE_NEWNET).unwrap();
                work()
            });
            entered.join().unwrap()
        })
    }

    /// Whether the router forwards IPv4.
    pub fn forward(&self, forwarding: Forwarding) {
        let value = match forwarding {
            Forwarding::On => "1",
            Forwarding::Off => "0",
        };
        self.inside("router", || fs::write("/proc/sys/net/ipv4/ip_forward", value).unwrap());
    }

    /// What the far system sends arrives at the node with this TTL, as if more routers were between them.
    pub fn lower_ttl(&self, ttl: u8) {
        let table = format!(
            "table ip far {{ chain forwarded {{ type filter hook forward priority 0; ip saddr 198.51.100.2 ip ttl set {ttl}\n}}\n}}"
        );
        run("ip", &["netns", "exec", &self.namespace("router"), "nft", &table]);
    }

    fn ip(&self, host: &str, words: &[&str]) {
        run("ip", &[&["-n", &self.namespace(host)], words].concat());
    }

    fn connect_node(&self) {
        self.link("node", "router", LINK);
        for address in ["192.0.2.1/24", "2001:db8::1/64", "fe80::1/64"] {
            self.address("node", LINK, address);
        }
        for address in ["192.0.2.2/24", "2001:db8::2/64", "fe80::2/64"] {
            self.address("router", LINK, address);
        }
    }

    fn address(&self, host: &str, interface: &str, address: &str) {
        let more: &[&str] = if address.contains(':') { &["nodad"] } else { &[] };
        self.ip(host, &[&["address", "add", address, "dev", interface], more].concat());
    }

    fn link(&self, host: &str, router: &str, at_router: &str) {
        let peer = self.namespace(router);
        self.ip(host, &["link", "add", LINK, "type", "veth", "peer", "name", at_router, "netns", &peer]);
        self.ip(host, &["link", "set", LINK, "up"]);
        self.ip(router, &["link", "set", at_router, "up"]);
    }
}

#[derive(Clone, Copy)]
pub enum Forwarding {
    On,
    Off,
}

impl Drop for Site {
    fn drop(&mut self) {
        for host in ["node", "router", "far"] {
            // One that was never made is gone already.
            let _ = Command::new("ip").args(["netns", "delete", &self.namespace(host)]).output();
        }
    }
}

fn run(program: &str, words: &[&str]) {
    let output = Command::new(program).args(words).output().unwrap();
    assert!(output.status.success(), "{program} {words:?}: {}", String::from_utf8_lossy(&output.stderr));
}
