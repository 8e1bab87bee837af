//! Scenarios on a cluster of kind, as far as that can be seen without Docker: the cluster of the lab stands in for its nodes, and a
//! docker that knows six commands for Docker. And what `run-on-kind` does, by what it asks of the programs it calls.

#![allow(clippy::unwrap_used)] // a scenario ends where it fails

use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use metallb_lab::Cluster;
use metallb_lab::tools::Tools;
use metallb_scenarios::fault::Fault;
use metallb_scenarios::installation::{Installation, options};
use metallb_scenarios::kind::{Access, Kind};
use metallb_scenarios::outage::Load;
use metallb_scenarios::place::Place;
use metallb_scenarios::trial::Trials;
use serde_json::Value;
use tempfile::TempDir;

/// A kubelet starts a container anew in a second or two, and in more where machines are busy.
const GRACE: u16 = 30;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_that_is_reached_by_docker_and_a_kubeconfig_is_a_place_for_scenarios() {
    let cluster = Cluster::up(options("as-kind").unwrap().nodes(2)).await.unwrap();
    let standing_in = docker_for(&cluster).await;
    let access = Access {
        cluster: "lab".to_owned(),
        network: "kind".to_owned(),
        kubeconfig: cluster.kubeconfig().unwrap(),
        kubectl: Tools::ensure().unwrap().program("kubectl").unwrap(),
        docker: standing_in.path().join("docker"),
    };
    let kind = Kind::open(access).await.unwrap();
    assert_eq!(kind.nodes(), cluster.nodes());
    assert_eq!(kind.addresses().v4s(200, 250), "10.77.255.200-10.77.255.250");
    let metallb = Installation::prepare(&kind).await.unwrap();
    let trials = Trials::prepare(&kind, &metallb, GRACE).await.unwrap();
    // One of each family, one by a command on the node, and one by the API server.
    for (fault, address) in [Fault::Kill, Fault::Exclude].into_iter().zip(trials.addresses) {
        let trial = trials.run(fault, address, Load::default()).await.unwrap();
        println!("{trial:?}");
        assert!(trial.struck.failed <= trial.struck.answered / 5, "{trial:?}");
    }
    let refused = Fault::PowerOff.strike(&kind, &metallb, "n1").await.unwrap_err().to_string();
    assert!(refused.contains("only in the lab"), "{refused}");
    drop(kind);
    let asked = fs::read_to_string(standing_in.path().join("asked")).unwrap();
    assert!(asked.ends_with("rm --force --volumes lab-client\n"), "the client goes with its value: {asked}");
}

/// A docker whose containers are the nodes of the lab, and whose `run` gives the lab's client.
async fn docker_for(cluster: &Cluster) -> TempDir {
    let place = tempfile::tempdir().unwrap();
    let client = cluster.host("client");
    // The lab's network is small, and Docker's is not: more of it is on the client's link, as in Docker's.
    client
        .exec(["ip", "route", "replace", "10.77.255.0/24", "dev", "eth0"])
        .await
        .unwrap()
        .success()
        .unwrap();
    let sleeper = client.spawn("sleep", ["sleep", "infinity"]).await.unwrap();
    let subnets = r#"[{"IPAM": {"Config": [{"Subnet": "fd77::/64"}, {"Subnet": "10.77.0.0/16"}]}}]"#;
    let mut script = format!(
        "echo \"$*\" >>{asked}\ncase \"$*\" in\n\
         'network inspect kind') echo '{subnets}' ;;\n\
         'inspect --format {{{{.Config.Image}}}} n1') echo kindest/node:stand-in ;;\n\
         'rm --force --volumes lab-client') ;;\n\
         'run --detach --name lab-client --network kind --entrypoint sleep kindest/node:stand-in infinity') ;;\n\
         'inspect --format {{{{.State.Pid}}}} lab-client') echo {pid} ;;\n",
        asked = place.path().join("asked").display(),
        pid = sleeper.pid,
    );
    for node in cluster.nodes() {
        // nsenter -t PID …
        let words = cluster.host(&node).command_line(["true"]).unwrap();
        let words: Vec<_> = words.iter().map(|word| word.to_str().unwrap()).collect();
        let (pid, prefix) = (words[2], words[..words.len() - 1].join(" "));
        write!(
            script,
            "'inspect --format {{{{.State.Pid}}}} {node}') echo {pid} ;;\n\
             'exec {node} '*) shift 2; exec {prefix} \"$@\" ;;\n"
        )
        .unwrap();
    }
    script.push_str("*) echo \"this docker knows no $*\" >&2; exit 1 ;;\nesac\n");
    program(place.path(), "docker", &script);
    place
}

#[test]
fn run_on_kind_makes_the_cluster_brings_three_images_and_takes_it_away_whatever_a_scenario_says() {
    for (verdict, status) in [("exit 0", 0), ("exit 101", 1)] {
        let machine = Machine::with(&[], verdict);
        let said = machine.run_on_kind(&["layer2"], &[]);
        assert_eq!(said.status.code().map(|code| code.min(1)), Some(status), "{said:?}");
        let asked = machine.asked();
        let at = |what: &str| {
            let found = asked.iter().position(|line| line.contains(what));
            found.ok_or_else(|| format!("{what} is missing: {asked:#?}")).unwrap()
        };
        let created = at("kind create cluster --name metallb --config tests/kind/kind.yaml");
        let loads = ["operator.tar", "dataplane.tar", "hello.tar"].map(|archive| at(&format!("/{archive}")));
        let emptied = at("kubectl delete --filename config/manifests/metallb-operator.yaml");
        let told = at("cargo test --quiet --package metallb-scenarios --test layer2 -- --nocapture");
        let deleted = at("kind delete cluster --name metallb");
        assert!(loads.iter().all(|load| created < *load && *load < emptied), "{asked:#?}");
        assert!(emptied < told && told < deleted, "{asked:#?}");
        assert!(asked[told].starts_with("METALLB_KIND=metallb "), "{asked:#?}");
        assert_eq!(deleted, asked.len() - 1, "{asked:#?}");
    }
}

#[test]
fn run_on_kind_leaves_a_cluster_that_was_there_and_one_that_is_to_stay() {
    for (there, environment) in [(&["metallb"][..], &[][..]), (&[], &[("KEEP", "1")])] {
        let machine = Machine::with(there, "exit 0");
        let said = machine.run_on_kind(&[], environment);
        assert!(said.status.success(), "{said:?}");
        let asked = machine.asked();
        assert!(!asked.iter().any(|line| line.contains("kind delete")), "{asked:#?}");
        assert_eq!(asked.iter().any(|line| line.contains("kind create")), there.is_empty(), "{asked:#?}");
        let told = asked.iter().filter(|line| line.contains("cargo test"));
        assert_eq!(told.count(), 3, "layer2, admission, faults: {asked:#?}");
    }
}

#[test]
fn run_on_kind_says_what_is_missing_before_it_makes_anything() {
    let machine = Machine::with(&[], "exit 0");
    let refused = |said: Output, why: &str| {
        let complaint = String::from_utf8_lossy(&said.stderr).into_owned();
        assert!(!said.status.success() && complaint.contains(why), "{said:?}");
    };
    refused(machine.run_on_kind(&["bgp"], &[]), "no scenario bgp for a cluster of kind");
    refused(machine.run_on_kind(&[], &[("METALLB_IMAGES", "/nowhere")]), "no image /nowhere/operator.tar");
    fs::remove_file(machine.0.path().join("ndisc6")).unwrap();
    refused(machine.run_on_kind(&[], &[]), "there is no ndisc6 here");
    assert_eq!(machine.asked(), ["docker info"], "nothing but a question");
}

#[test]
fn the_cluster_of_kind_is_dual_stack_and_has_a_node_to_move_to_while_another_is_away() {
    let text = fs::read_to_string(tree().join("tests/kind/kind.yaml")).unwrap();
    let cluster: Value = serde_saphyr::from_str(&text).unwrap();
    assert_eq!(
        (&cluster["kind"], &cluster["apiVersion"]),
        (&"Cluster".into(), &"kind.x-k8s.io/v1alpha4".into())
    );
    assert_eq!(cluster["networking"]["ipFamily"], "dual");
    let roles: Vec<_> = cluster["nodes"].as_array().unwrap().iter().map(|node| &node["role"]).collect();
    assert_eq!(roles, ["control-plane", "worker", "worker", "worker"]);
}

/// A machine whose programs write down what is asked of them, and do no more than the script needs.
struct Machine(TempDir);

impl Machine {
    /// These clusters are there, and `cargo` ends like that.
    fn with(clusters: &[&str], cargo: &str) -> Self {
        let place = tempfile::tempdir().unwrap();
        let note = format!("echo \"$(basename \"$0\") $*\" >>{}\n", place.path().join("asked").display());
        let there =
            format!("{note}case \"$*\" in 'get clusters') printf '%s\\n' {} ;; esac\n", clusters.join(" "));
        program(place.path(), "kind", &there);
        program(place.path(), "docker", &note);
        program(
            place.path(),
            "kubectl",
            &format!("{note}case \"$*\" in *version*) echo '{{\"minor\": \"33\"}}' ;; esac\n"),
        );
        let asked = place.path().join("asked");
        let told = format!("echo \"METALLB_KIND=$METALLB_KIND cargo $*\" >>{}\n{cargo}\n", asked.display());
        program(place.path(), "cargo", &told);
        program(place.path(), "go", "case $1 in env) echo amd64 ;; build) shift 5; : >\"$2\" ;; esac\n");
        program(place.path(), "sudo", "shift; exec \"$@\"\n");
        for name in ["arping", "ndisc6", "ip", "nsenter"] {
            program(place.path(), name, "");
        }
        for archive in ["operator.tar", "dataplane.tar"] {
            fs::write(place.path().join(archive), "").unwrap();
        }
        // What any machine has, and nothing else: or a program that is missing here would be found.
        for name in [
            "basename",
            "cat",
            "cp",
            "cut",
            "dirname",
            "env",
            "grep",
            "id",
            "mkdir",
            "mktemp",
            "rm",
            "sed",
            "sh",
            "sha256sum",
            "tar",
        ] {
            let path = std::env::var("PATH").unwrap();
            let found =
                path.split(':').map(|directory| Path::new(directory).join(name)).find(|it| it.exists());
            std::os::unix::fs::symlink(found.unwrap(), place.path().join(name)).unwrap();
        }
        Self(place)
    }

    fn run_on_kind(&self, arguments: &[&str], environment: &[(&str, &str)]) -> Output {
        Command::new(tree().join("tests/kind/run-on-kind"))
            .args(arguments)
            .env_clear()
            .env("PATH", self.0.path())
            .env("METALLB_IMAGES", self.0.path())
            .envs(environment.iter().copied())
            .output()
            .unwrap()
    }

    fn asked(&self) -> Vec<String> {
        let asked = fs::read_to_string(self.0.path().join("asked")).unwrap_or_default();
        asked.lines().map(str::to_owned).collect()
    }
}

fn program(place: &Path, name: &str, script: &str) {
    let path = place.join(name);
    fs::write(&path, format!("#!/bin/sh\n{script}")).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
}

fn tree() -> PathBuf {
    fs::canonicalize(concat!(env!("CARGO_MANIFEST_DIR"), "/../..")).unwrap()
}
