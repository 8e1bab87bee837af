//! One fault, from the first request before it to the last after everything is as it was.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use kube::Api;
use kube::api::ListParams;
use metallb_crds::{Ownership, ServiceL2Status};
use metallb_lab::{eventually, load_balancer};
use serde_json::json;

use crate::asker::Asker;
use crate::fault::{Fault, LEAVING};
use crate::installation::Installation;
use crate::layer2;
use crate::outage::{Load, Noticed, Watch, ask};
use crate::place::{Machine as _, Place};

/// Requests before and after what happens: long enough for addresses to be given up by who had them.
const STEADY: usize = 200;

/// So many times that is longer than the time that a silent speaker has to come back.
const GRACE_OVER: usize = 6;
/// So many times that is about as long as speakers take to be replaced.
const QUIET: usize = 15;

/// The service that has the addresses.
const SERVICE: &str = "struck";

/// A cluster whose speakers are struck, and an address of each family.
pub struct Trials<'c, P: Place> {
    place: &'c P,
    metallb: &'c Installation,
    client: P::Machine,
    grace: u16,
    ownership: Ownership,
    /// An IPv4 and an IPv6 address, each served on every node by an endpoint there.
    pub addresses: [IpAddr; 2],
}

/// What a client noticed of one.
#[derive(Clone, Debug)]
pub struct Trial {
    /// What was struck.
    pub fault: Fault,
    /// What was asked.
    pub address: IpAddr,
    /// From before the fault until the address was served as long as it takes.
    pub struck: Noticed,
    /// From before the fault until then, the longest time for which who asked on the LAN where the address is had no answer.
    pub unanswered: Duration,
    /// While it was put right, until the address was where it should be: with its node again, or where it had gone.
    pub healed: Noticed,
}

impl<'c, P: Place> Trials<'c, P> {
    /// Installs what is struck. A silent speaker has `grace` seconds to come back.
    pub async fn prepare(place: &'c P, metallb: &'c Installation, grace: u16) -> anyhow::Result<Self> {
        metallb.install_operator().await?;
        metallb.apply_metallb(&spec(grace, Ownership::Hash)).await?;
        let addresses = place.addresses();
        metallb.pool("lab", &[&addresses.v4s(200, 250), &addresses.v6s(0x200, 0x250)]).await?;
        metallb.run_hello().await?;
        let service = load_balancer(SERVICE).for_app("hello").port(80).dual_stack();
        let service = metallb.user.create_service(service.external_traffic_policy_local()).await?;
        let addresses = eventually(Duration::from_secs(30), "it has two addresses", async || {
            let given = metallb.user.ingress_ips(&service).await.ok()?;
            <[IpAddr; 2]>::try_from(given).ok()
        })
        .await;
        let trials =
            Self { place, metallb, client: place.client(), grace, ownership: Ownership::Hash, addresses };
        for address in addresses {
            trials.answers(address).await;
        }
        Ok(trials)
    }

    /// From now on addresses stay with the node that has them.
    pub async fn keep_owners(&mut self) -> anyhow::Result<()> {
        self.ownership = Ownership::Sticky;
        self.metallb.apply_metallb(&spec(self.grace, self.ownership)).await
    }

    /// Strikes the node that announces `address`, and puts it right again.
    pub async fn run(&self, fault: Fault, address: IpAddr, load: Load) -> anyhow::Result<Trial> {
        if fault == Fault::Kill {
            // Kubelets wait longer and longer before they start what ended before. Not so with pods that are new.
            self.metallb.roll_speakers_out().await?;
        }
        self.metallb.available().await;
        self.answers(address).await;
        let node = self.announcer(address).await?;
        let asker = Asker::start(&self.client, address, self.own(address))?;
        let watch = Watch::with(&self.client, address, load);
        watch.goes_on(STEADY).await;
        fault.strike(self.place, self.metallb, &node).await?;
        if fault.takes_the_network() || matches!(fault, Fault::Exclude | Fault::Leave) {
            self.is_at(address, "another node announces it", |announcer| announcer != node).await;
        }
        self.answers(address).await;
        let longer = match fault {
            Fault::HeartbeatsCut => GRACE_OVER,
            Fault::Nothing => QUIET,
            _ => 1,
        };
        watch.goes_on(longer * STEADY).await;
        let struck = watch.finish()?;
        let unanswered = asker.finish()?;
        let (owner, long_lived) = match self.ownership {
            Ownership::Hash => (node.clone(), 0),
            Ownership::Sticky => (self.announcer(address).await?, load.long_lived),
        };
        let watch = Watch::with(&self.client, address, Load { long_lived, ..load });
        watch.goes_on(STEADY).await;
        fault.heal(self.place, self.metallb, &node).await?;
        if self.ownership == Ownership::Sticky {
            self.metallb.available().await;
            // For a moment both answer who asks. What is open must not be led astray by a question of ours.
            watch.goes_on(STEADY).await;
        }
        self.is_at(address, "the node that should announces it", |announcer| announcer == owner).await;
        watch.goes_on(STEADY).await;
        Ok(Trial { fault, address, struck, unanswered, healed: watch.finish()? })
    }

    /// Since which epoch the first address is with its node, as that one says.
    pub async fn epoch(&self) -> i64 {
        let api: Api<ServiceL2Status> = self.metallb.api();
        eventually(
            Duration::from_secs(30),
            "one node says since which epoch it has the address",
            async || {
                let said = api.list(&ListParams::default()).await.map_err(|error| error.to_string())?.items;
                let statuses = said.iter().filter_map(|it| it.status.as_ref());
                let its = statuses.filter(|status| status.service_name.as_deref() == Some(SERVICE));
                // Each node that has an address of the service writes an object.
                let first = self.addresses[0].to_string();
                let of_first = its.filter(|status| status.addresses.first() == Some(&first));
                let epochs: Vec<_> = of_first.filter_map(|status| status.epoch).collect();
                if let [epoch] = epochs[..] { Ok(epoch) } else { Err(format!("{epochs:?}")) }
            },
        )
        .await
    }

    /// An address on the same network that nobody has.
    fn own(&self, address: IpAddr) -> IpAddr {
        let addresses = self.place.addresses();
        match address {
            IpAddr::V4(_) => addresses.v4(251).into(),
            IpAddr::V6(_) => addresses.v6(0x251).into(),
        }
    }

    async fn answers(&self, address: IpAddr) {
        let what = format!("{address} answers");
        eventually(Duration::from_secs(30), &what, async || {
            self.client.inside(|| ask(address)).unwrap_or_else(Err)
        })
        .await;
    }

    async fn announcer(&self, address: IpAddr) -> anyhow::Result<String> {
        let station = match address {
            IpAddr::V4(_) => return layer2::answered_by_one(self.place, address).await,
            IpAddr::V6(address) => layer2::resolve_v6(&self.client, address).await?,
        };
        for node in self.place.nodes() {
            if layer2::mac(&self.place.node(&node)).await.is_ok_and(|mac| mac == station) {
                return Ok(node);
            }
        }
        anyhow::bail!("{station}, which answers for {address}, is no node")
    }

    async fn is_at(&self, address: IpAddr, what: &str, wanted: impl Fn(&str) -> bool) {
        let what = format!("{address}: {what}");
        let begun = Instant::now();
        eventually(Duration::from_mins(1), &what, async || match self.announcer(address).await {
            Ok(node) if wanted(&node) => Ok(()),
            Ok(node) => Err(format!("{node} does, after {:?}", begun.elapsed())),
            Err(error) => Err(error.to_string()),
        })
        .await;
    }
}

fn spec(grace: u16, ownership: Ownership) -> serde_json::Value {
    // No time to announce that a node goes: there is no router that would hear it.
    let leaving = json!({ "announceSeconds": 0, "flowSeconds": 0, "annotation": LEAVING });
    let layer2 = json!({ "restartGraceSeconds": grace, "ownership": ownership });
    json!({ "logLevel": "debug", "nodeLeaving": leaving, "layer2": layer2 })
}
