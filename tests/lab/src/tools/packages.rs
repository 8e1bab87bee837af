//! What the full-size cluster wants from the distribution: which programs are missing, and the packages that bring
//! them.
//!
//! Programs are looked for, not packages: it does not matter how they came onto the machine.

use std::collections::BTreeSet;
use std::env;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

/// A program and the Debian package that has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Needed {
    /// Its name, or its path where no `PATH` is searched.
    pub program: &'static str,
    /// The Debian and Ubuntu package.
    pub package: &'static str,
}

const NEEDED: &[Needed] = &[
    Needed { program: "containerd", package: "containerd" },
    Needed { program: "ctr", package: "containerd" },
    Needed { program: "runc", package: "runc" },
    Needed { program: "/usr/lib/cni/ptp", package: "containernetworking-plugins" },
    Needed { program: "/usr/lib/cni/host-local", package: "containernetworking-plugins" },
    Needed { program: "/usr/lib/cni/portmap", package: "containernetworking-plugins" },
    Needed { program: "ip", package: "iproute2" },
    Needed { program: "iptables", package: "iptables" },
    Needed { program: "nft", package: "nftables" },
    Needed { program: "nsenter", package: "util-linux" },
    Needed { program: "setpriv", package: "util-linux" },
    Needed { program: "setsid", package: "util-linux" },
    Needed { program: "unshare", package: "util-linux" },
    Needed { program: "mount", package: "mount" },
    // Not for the cluster itself: scenarios look at the network with them.
    Needed { program: "curl", package: "curl" },
    Needed { program: "arping", package: "iputils-arping" },
    Needed { program: "ping", package: "iputils-ping" },
    Needed { program: "ndisc6", package: "ndisc6" },
    Needed { program: "tcpdump", package: "tcpdump" },
    // Routers, for the tests of BGP, BFD and router discovery.
    Needed { program: "/usr/lib/frr/bfdd", package: "frr" },
    Needed { program: "/usr/lib/frr/bgpd", package: "frr" },
    Needed { program: "vtysh", package: "frr" },
    Needed { program: "bird", package: "bird2" },
    Needed { program: "birdc", package: "bird2" },
    Needed { program: "gobgp", package: "gobgpd" },
    Needed { program: "gobgpd", package: "gobgpd" },
    // For the tests of the alerts: promtool is in the package of the server.
    Needed { program: "promtool", package: "prometheus" },
];

/// Packages that would start a service on this machine, and that service. The lab runs its program in namespaces only.
const SERVICES: &[(&str, &str)] = &[
    ("bird2", "bird.service"),
    ("frr", "frr.service"),
    ("gobgpd", "gobgpd.service"),
    ("prometheus", "prometheus.service"),
];

/// The programs this machine lacks.
pub fn missing() -> Vec<Needed> {
    NEEDED.iter().copied().filter(|needed| !present(needed.program)).collect()
}

/// The command that installs them, or `None` when nothing is missing.
pub fn install_command(missing: &[Needed]) -> Option<Vec<String>> {
    if missing.is_empty() {
        return None;
    }
    let packages: BTreeSet<&str> = missing.iter().map(|needed| needed.package).collect();
    let mut command = as_root();
    command.extend(["apt-get", "install", "--yes", "--no-install-recommends"].map(String::from));
    command.extend(packages.into_iter().map(String::from));
    Some(command)
}

fn as_root() -> Vec<String> {
    if nix::unistd::geteuid().is_root() { Vec::new() } else { vec!["sudo".into()] }
}

/// The command that keeps the services of what is missing from being started by its installation. A machine that has
/// such a program already is left as it is.
fn mask_command(missing: &[Needed]) -> Option<Vec<String>> {
    let named = |package: &str| missing.iter().any(|needed| needed.package == package);
    let units: Vec<_> =
        SERVICES.iter().filter(|(package, _)| named(package)).map(|(_, unit)| (*unit).to_owned()).collect();
    if units.is_empty() {
        return None;
    }
    let mut command = as_root();
    command.extend(["systemctl", "mask"].map(String::from));
    command.extend(units);
    Some(command)
}

/// Installs what is missing with apt-get, as root or through sudo.
pub fn install() -> Result<()> {
    let missing = missing();
    let Some(command) = install_command(&missing) else { return Ok(()) };
    if !present("apt-get") {
        bail!("only apt-get is known here; install the counterparts of: {}", command.join(" "));
    }
    if let Some(mask) = mask_command(&missing).filter(|_| present("systemctl")) {
        let status = Command::new(&mask[0]).args(&mask[1..]).status();
        let status = status.with_context(|| format!("run {}", mask[0]))?;
        if !status.success() {
            bail!("{status}: {} (or its service would start with the installation)", mask.join(" "));
        }
    }
    let status = Command::new(&command[0])
        .args(&command[1..])
        .env("DEBIAN_FRONTEND", "noninteractive")
        .status()
        .with_context(|| format!("run {}", command[0]))?;
    if !status.success() {
        bail!("{status}: {} (a stale package list? `apt-get update` first)", command.join(" "));
    }
    Ok(())
}

/// An error naming what is missing among the programs the full-size cluster cannot start without.
pub(crate) fn require() -> Result<()> {
    let missing: Vec<Needed> =
        missing().into_iter().filter(|needed| !ONLY_SCENARIOS.contains(&needed.program)).collect();
    let Some(command) = install_command(&missing) else { return Ok(()) };
    let names: Vec<&str> = missing.iter().map(|needed| needed.program).collect();
    bail!(
        "not on this machine: {}; run `lab tools --install`, that is: {}",
        names.join(", "),
        command.join(" ")
    )
}

const ONLY_SCENARIOS: &[&str] = &[
    "curl",
    "arping",
    "ping",
    "ndisc6",
    "tcpdump",
    "/usr/lib/frr/bfdd",
    "/usr/lib/frr/bgpd",
    "vtysh",
    "bird",
    "birdc",
    "gobgp",
    "gobgpd",
    "promtool",
];

fn present(program: &str) -> bool {
    if program.starts_with('/') {
        return Path::new(program).exists();
    }
    let path = env::var_os("PATH").unwrap_or_default();
    // An ordinary user's PATH often lacks the last two.
    env::split_paths(&path)
        .chain(["/usr/sbin".into(), "/sbin".into()])
        .any(|directory| directory.join(program).is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_missing_needs_no_command() {
        assert_eq!(install_command(&[]), None);
    }

    #[test]
    fn a_package_is_named_once() {
        let missing = [
            Needed { program: "ctr", package: "containerd" },
            Needed { program: "containerd", package: "containerd" },
            Needed { program: "runc", package: "runc" },
        ];
        let command = install_command(&missing).unwrap();
        assert!(command.ends_with(&["containerd".to_owned(), "runc".to_owned()]), "{command:?}");
    }

    #[test]
    fn a_router_does_not_start_by_being_installed() {
        let command = mask_command(&[Needed { program: "vtysh", package: "frr" }]).unwrap();
        assert!(command.ends_with(&["mask".to_owned(), "frr.service".to_owned()]), "{command:?}");
        assert_eq!(mask_command(&[Needed { program: "ctr", package: "containerd" }]), None);
    }

    #[test]
    fn a_program_is_found_by_path_or_by_name() {
        assert!(present("/bin/sh"));
        assert!(present("sh"));
        assert!(!present("no-such-program"));
    }
}
