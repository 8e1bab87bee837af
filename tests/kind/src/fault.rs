//! What can go wrong with the node that announces an address, and how it is put right again.

use std::time::Duration;

use anyhow::Context as _;
use k8s_openapi::api::core::v1::Node;
use kube::Api;
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};

use crate::installation::Installation;
use crate::place::{Machine as _, Place};

/// The port of heartbeats.
const HEARTBEATS: &str = "7946";
const EXCLUDED: &str = "node.kubernetes.io/exclude-from-external-load-balancers";
/// The annotation that stands for leaving, in a MetalLB that is made for these faults.
pub const LEAVING: &str = "example.org/leaving";
/// How long a speaker that stands still does so.
const STILL: Duration = Duration::from_secs(3);

/// Something that happens to the announcing node, its speaker, or what both depend on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Nothing at all: what a client misses then is no speaker's doing.
    Nothing,
    /// The node loses its power.
    PowerOff,
    /// The same, while the API server stands still.
    PowerOffWithoutApiServer,
    /// Its cable is dead, and it sees that.
    CarrierLoss,
    /// Nothing it sends arrives, and it does not see that: a switch that died, or half a network.
    Partition,
    /// Its speaker is killed.
    Kill,
    /// Its speaker stands still for three seconds.
    Stop,
    /// Speakers do not hear each other, and everything else goes on.
    HeartbeatsCut,
    /// All speakers are replaced, one after the other.
    Rollout,
    /// The node is labelled: no load balancer is to use it.
    Exclude,
    /// The node says that it is about to go.
    Leave,
}

impl Fault {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::Nothing,
        Self::Kill,
        Self::Stop,
        Self::HeartbeatsCut,
        Self::Rollout,
        Self::Exclude,
        Self::Leave,
        Self::PowerOff,
        Self::PowerOffWithoutApiServer,
        Self::CarrierLoss,
        Self::Partition,
    ];

    /// As reports call it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Nothing => "nothing",
            Self::PowerOff => "power-off",
            Self::PowerOffWithoutApiServer => "power-off, API server away",
            Self::CarrierLoss => "carrier loss",
            Self::Partition => "partition",
            Self::Kill => "kill -9 of the speaker",
            Self::Stop => "speaker stands still for 3 s",
            Self::HeartbeatsCut => "heartbeats cut, LAN intact",
            Self::Rollout => "rollout of all speakers",
            Self::Exclude => "node excluded",
            Self::Leave => "node leaves",
        }
    }

    /// Is the network of the node gone, so that what was open through it ends?
    pub const fn takes_the_network(self) -> bool {
        match self {
            Self::PowerOff | Self::PowerOffWithoutApiServer | Self::CarrierLoss | Self::Partition => true,
            Self::Nothing
            | Self::Kill
            | Self::Stop
            | Self::HeartbeatsCut
            | Self::Rollout
            | Self::Exclude
            | Self::Leave => false,
        }
    }

    /// Is it something that an administrator does on purpose, and may do at any time?
    pub const fn is_planned(self) -> bool {
        match self {
            Self::Rollout | Self::Exclude | Self::Leave => true,
            Self::Nothing
            | Self::PowerOff
            | Self::PowerOffWithoutApiServer
            | Self::CarrierLoss
            | Self::Partition
            | Self::Kill
            | Self::Stop
            | Self::HeartbeatsCut => false,
        }
    }

    /// Makes it happen to `node`. Where it ends by itself, returns then.
    pub async fn strike(self, place: &impl Place, metallb: &Installation, node: &str) -> anyhow::Result<()> {
        match self {
            Self::Nothing => {}
            Self::PowerOff => place.demand_lab()?.power_off(node).await?,
            Self::PowerOffWithoutApiServer => {
                place.demand_lab()?.freeze("kube-apiserver", true)?;
                place.demand_lab()?.power_off(node).await?;
            }
            Self::CarrierLoss => place.demand_lab()?.lose_carrier(node).await?,
            Self::Partition => place.demand_lab()?.unplug(node).await?,
            Self::Kill => signal(place, node, "KILL").await?,
            Self::Stop => {
                let still = STILL.as_secs();
                // Looking for it takes its time, which is none that it stands still.
                let script = format!(
                    "pid=$(pgrep -f ^/speaker) && kill -STOP $pid && sleep {still} && kill -CONT $pid"
                );
                place.node(node).run(&["sh", "-c", &script]).await?.success()?;
            }
            Self::HeartbeatsCut => cut(place, node, true).await?,
            Self::Rollout => metallb.roll_speakers_out().await?,
            Self::Exclude => patch(metallb, node, "labels", EXCLUDED, json!("")).await?,
            Self::Leave => patch(metallb, node, "annotations", LEAVING, json!("")).await?,
        }
        Ok(())
    }

    /// Puts it right.
    pub async fn heal(self, place: &impl Place, metallb: &Installation, node: &str) -> anyhow::Result<()> {
        match self {
            Self::PowerOff => place.demand_lab()?.power_on(node).await,
            Self::PowerOffWithoutApiServer => {
                place.demand_lab()?.freeze("kube-apiserver", false)?;
                place.demand_lab()?.power_on(node).await
            }
            Self::CarrierLoss => place.demand_lab()?.regain_carrier(node).await,
            Self::Partition => place.demand_lab()?.plug(node).await,
            Self::Nothing | Self::Kill | Self::Stop | Self::Rollout => Ok(()),
            Self::HeartbeatsCut => cut(place, node, false).await,
            Self::Exclude => patch(metallb, node, "labels", EXCLUDED, Value::Null).await,
            Self::Leave => patch(metallb, node, "annotations", LEAVING, Value::Null).await,
        }
    }
}

async fn signal(place: &impl Place, node: &str, signal: &str) -> anyhow::Result<()> {
    let command = ["pkill", "--signal", signal, "--full", "^/speaker"];
    place.node(node).run(&command).await?.success().with_context(|| format!("SIG{signal} on {node}"))?;
    Ok(())
}

async fn cut(place: &impl Place, node: &str, cut: bool) -> anyhow::Result<()> {
    let table = "add table inet heartbeats_cut;\
        add chain inet heartbeats_cut in { type filter hook input priority 0; };\
        add chain inet heartbeats_cut out { type filter hook output priority 0; };";
    let rules = format!(
        "{table} add rule inet heartbeats_cut in udp dport {HEARTBEATS} drop;\
         add rule inet heartbeats_cut out udp dport {HEARTBEATS} drop"
    );
    let text = if cut { rules } else { "delete table inet heartbeats_cut".to_owned() };
    place.node(node).run(&["nft", &text]).await?.success()?;
    Ok(())
}

async fn patch(
    metallb: &Installation,
    node: &str,
    what: &str,
    key: &str,
    value: Value,
) -> anyhow::Result<()> {
    let nodes: Api<Node> = Api::all(metallb.admin.client());
    let patch = Patch::Merge(json!({ "metadata": { what: { key: value } } }));
    nodes.patch(node, &PatchParams::default(), &patch).await?;
    Ok(())
}
