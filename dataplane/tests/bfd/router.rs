//! FRR's bfdd on a host of the site. It ends with the value, and with this process.

use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use metallb_lab::eventually;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use super::site::Site;

pub struct Router {
    /// The last one first: bfdd leans on zebra.
    processes: Vec<Child>,
    directory: PathBuf,
}

impl Router {
    /// Runs zebra and bfdd there. `peers` is the inside of FRR's `bfd` section.
    pub async fn start(site: &Site, host: &str, peers: &str) -> Self {
        let directory = site.directory().join(host);
        fs::create_dir(&directory).unwrap();
        let owner = nix::unistd::User::from_name("frr").unwrap().unwrap();
        nix::unistd::chown(&directory, Some(owner.uid), Some(owner.gid)).unwrap();
        nix::unistd::chown(site.directory(), Some(owner.uid), Some(owner.gid)).unwrap();
        fs::write(directory.join("zebra.conf"), "").unwrap();
        fs::write(directory.join("bfdd.conf"), format!("bfd\n{peers}\n!\n")).unwrap();
        let mut router = Self { processes: Vec::new(), directory };
        router.run(site, host, "zebra");
        router.wait_for("zserv.api").await;
        router.run(site, host, "bfdd");
        router.wait_for("bfdd.vty").await;
        router
    }

    fn run(&mut self, site: &Site, host: &str, daemon: &str) {
        let file = |name: &str| self.directory.join(name).to_str().unwrap().to_owned();
        let log = fs::File::create(file(&format!("{daemon}.log"))).unwrap();
        let mut command = Command::new("ip");
        command
            .args(["netns", "exec", &site.namespace(host), "setpriv", "--pdeathsig=KILL", "--"])
            .arg(format!("/usr/lib/frr/{daemon}"))
            .args(["-f", &file(&format!("{daemon}.conf")), "-i", &file(&format!("{daemon}.pid"))])
            .args(["-z", &file("zserv.api"), "--vty_socket", self.directory.to_str().unwrap(), "-P", "0"])
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log);
        if daemon == "bfdd" {
            command.args(["--bfdctl", &file("bfdctl.sock")]);
        }
        self.processes.insert(0, command.spawn().unwrap());
    }

    async fn wait_for(&self, socket: &str) {
        let path = self.directory.join(socket);
        eventually(Duration::from_secs(10), socket, async || path.exists()).await;
    }

    /// What it says of its only peer.
    pub fn peer(&self) -> Option<Value> {
        let said = Command::new("vtysh")
            .args(["--vty_socket", self.directory.to_str().unwrap(), "-d", "bfdd"])
            .args(["-c", "show bfd peers json"])
            .output()
            .unwrap();
        let peers: Value = serde_json::from_slice(&said.stdout).ok()?;
        peers.as_array()?.first().cloned()
    }

    /// Waits until it says so of its peer.
    pub async fn says(&self, field: &str, value: impl Into<Value>) {
        let value = value.into();
        let what = format!("the router says {field} {value}");
        eventually(Duration::from_secs(20), &what, async || {
            let peer = self.peer().ok_or("no peer".to_owned())?;
            if peer.get(field) == Some(&value) { Ok(()) } else { Err(peer.to_string()) }
        })
        .await;
    }

    /// Its BFD stands still, as when its machine has died.
    pub fn freeze(&self) {
        self.signal(Signal::SIGSTOP);
    }

    /// Its BFD goes on.
    pub fn thaw(&self) {
        self.signal(Signal::SIGCONT);
    }

    fn signal(&self, signal: Signal) {
        let bfdd = &self.processes[0];
        kill(Pid::from_raw(i32::try_from(bfdd.id()).unwrap()), signal).unwrap();
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
