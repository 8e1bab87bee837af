//! What a client notices when something goes wrong with the node that announces an address on layer 2.
//!
//! One cluster is struck again and again: of the lab, or with those faults that take neither power nor cables the one of kind that
//! `run-on-kind` makes. What it takes in time is measured by `bench-faults`; here machines may be busy.

#![allow(clippy::unwrap_used)] // a scenario ends where it fails

use std::time::Duration;

use metallb_lab::Cluster;
use metallb_scenarios::fault::Fault;
use metallb_scenarios::installation::{Installation, options};
use metallb_scenarios::kind::{Access, Kind};
use metallb_scenarios::outage::Load;
use metallb_scenarios::place::Place;
use metallb_scenarios::second_lan::SecondLan;
use metallb_scenarios::trial::{Trial, Trials};

/// The promise is half a second. Five times that is for a machine that does other work too.
const OUTAGE: Duration = Duration::from_millis(2500);
/// A kubelet starts a container anew in a second or two, and in more where machines are busy.
const GRACE: u16 = 30;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_happens_to_the_announcing_node_its_addresses_are_served() {
    match Access::given().unwrap() {
        Some(access) => told_on(&Kind::open(access).await.unwrap()).await,
        None => told_on(&Cluster::up(options("e2e-faults").unwrap()).await.unwrap()).await,
    }
}

async fn told_on(place: &impl Place) {
    let metallb = Installation::prepare(place).await.unwrap();
    let mut trials = Trials::prepare(place, &metallb, GRACE).await.unwrap();
    let can_happen = |fault: &Fault| place.lab().is_some() || !fault.takes_the_network();
    let load = Load { long_lived: 3, ..Load::default() };
    // IPv4 and IPv6 take turns: with both, each fault has met each family twice in a while.
    let turn = std::process::id() as usize;
    for (n, fault) in Fault::ALL.into_iter().filter(can_happen).enumerate() {
        let address = trials.addresses[(n + turn) % 2];
        let trial = trials.run(fault, address, load).await.unwrap();
        println!("{}", told(&trial));
        judge(&trial);
    }
    // It goes before other faults come: by it, a node without its first network would still be seen to live.
    if let Some(cluster) = place.lab() {
        let [cut, mended] = SecondLan::lay(cluster, &metallb).await.unwrap().strike(load).await.unwrap();
        println!("dead cable in a second network: {cut:?}, mended: {mended:?}");
        assert!(cut.longest_gap < OUTAGE && mended.longest_gap < OUTAGE, "{cut:?} {mended:?}");
    }
    trials.keep_owners().await.unwrap();
    let faults = [Fault::Kill, Fault::HeartbeatsCut, Fault::Partition, Fault::PowerOff];
    for (n, fault) in faults.into_iter().filter(can_happen).enumerate() {
        let address = trials.addresses[(n + turn) % 2];
        let before = trials.epoch().await;
        let trial = trials.run(fault, address, load).await.unwrap();
        println!("sticky: {}", told(&trial));
        judge(&trial);
        assert_eq!(trial.healed.broken, 0, "a node that comes back takes nothing: {}", told(&trial));
        if address == trials.addresses[0] {
            let moves = i64::from(fault.takes_the_network());
            assert_eq!(trials.epoch().await, before + moves, "{}", told(&trial));
        }
    }
}

fn told(trial: &Trial) -> String {
    let Trial { fault, address, struck, unanswered, healed } = trial;
    format!(
        "{} ({address}): no answer for {:?} (on the LAN for {unanswered:?}), {} failed of {} {:?}, {} of {} open connections broke, {} failed when put right",
        fault.name(),
        struck.longest_gap,
        struck.failed,
        struck.failed + struck.answered,
        struck.reasons,
        struck.broken,
        struck.broken + struck.kept,
        healed.failed
    )
}

fn judge(trial: &Trial) {
    let told = told(trial);
    // One in a hundred may be late for want of processors.
    let late = trial.struck.answered / 100;
    assert!(trial.unanswered < OUTAGE, "{told}");
    match trial.fault {
        Fault::PowerOff | Fault::PowerOffWithoutApiServer | Fault::CarrierLoss | Fault::Partition => {
            assert!(trial.struck.longest_gap < OUTAGE, "{told}");
        }
        Fault::Nothing | Fault::Kill | Fault::Rollout | Fault::Stop | Fault::HeartbeatsCut => {
            assert_eq!(trial.struck.broken, 0, "{told}");
            assert!(trial.struck.failed <= late, "{told}");
        }
        // An address moves between two living nodes, there and back, when no request is under way. What is open goes on at a node that does
        // not know it.
        Fault::Exclude | Fault::Leave => {
            assert!(trial.struck.failed <= late, "{told}");
            assert!(trial.healed.failed <= trial.healed.answered / 100, "{told}");
        }
    }
    assert!(trial.healed.longest_gap < OUTAGE, "{told}");
    // Before addresses waited for the kube-proxy of a node that is back, it was one in five.
    assert!(trial.healed.failed <= trial.healed.answered / 20, "{told}");
}
