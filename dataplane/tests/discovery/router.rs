//! FRR's zebra and bgpd on a host of the site. They end with the value, and with this process.

use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use metallb_lab::eventually;
use serde_json::Value;

use super::site::Site;

pub struct Router {
    /// The last one first: bgpd leans on zebra.
    processes: Vec<Child>,
    directory: PathBuf,
}

impl Router {
    /// Runs zebra there, and bgpd if it is configured.
    pub async fn start(site: &Site, host: &str, zebra: &str, bgpd: Option<&str>) -> Self {
        let directory = site.directory().join(host);
        fs::create_dir(&directory).unwrap();
        let owner = nix::unistd::User::from_name("frr").unwrap().unwrap();
        nix::unistd::chown(&directory, Some(owner.uid), Some(owner.gid)).unwrap();
        let mut router = Self { processes: Vec::new(), directory };
        router.run(site, host, "zebra", zebra, &[]).await;
        if let Some(bgpd) = bgpd {
            // It connects; it need not be connected to.
            router.run(site, host, "bgpd", bgpd, &["-p", "0"]).await;
        }
        router
    }

    async fn run(&mut self, site: &Site, host: &str, daemon: &str, configuration: &str, more: &[&str]) {
        let file = |name: &str| self.directory.join(name).to_str().unwrap().to_owned();
        let log = fs::File::create(file(&format!("{daemon}.log"))).unwrap();
        let configured = file(&format!("{daemon}.conf"));
        fs::write(&configured, configuration).unwrap();
        let mut command = Command::new("ip");
        command
            .args(["netns", "exec", &site.namespace(host), "setpriv", "--pdeathsig=KILL", "--"])
            .arg(format!("/usr/lib/frr/{daemon}"))
            .args(["-f", &configured, "-i", &file(&format!("{daemon}.pid"))])
            .args(["-z", &file("zserv.api"), "--vty_socket", self.directory.to_str().unwrap(), "-P", "0"])
            .args(more)
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log);
        self.processes.insert(0, command.spawn().unwrap());
        let socket = self.directory.join(format!("{daemon}.vty"));
        eventually(Duration::from_secs(10), daemon, async || socket.exists()).await;
    }

    /// What bgpd says of its neighbour behind that interface.
    pub fn bgp_neighbour(&self, interface: &str) -> Option<Value> {
        let said = Command::new("vtysh")
            .args(["--vty_socket", self.directory.to_str().unwrap(), "-d", "bgpd"])
            .args(["-c", &format!("show bgp neighbors {interface} json")])
            .output()
            .unwrap();
        let neighbours: Value = serde_json::from_slice(&said.stdout).ok()?;
        neighbours.get(interface).cloned()
    }
}

impl Drop for Router {
    fn drop(&mut self) {
        for process in &mut self.processes {
            // One that has ended by itself needs neither.
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}
