//! A second LAN, beside the one by which nodes talk to each other: where a node's cable is dead there, the others can be told.

use std::collections::BTreeMap;
use std::net::IpAddr;

use anyhow::Context as _;
use k8s_openapi::api::core::v1::Service;
use metallb_lab::network::{Bridge, Host, Link, Network};
use metallb_lab::{Cluster, eventually, load_balancer};

use crate::installation::{Installation, ROLLED_OUT};
use crate::outage::{Load, Noticed, Watch, ask};

/// The interface of nodes and client there.
const INTERFACE: &str = "eth1";
/// Requests before and after.
const STEADY: usize = 200;

/// The LAN, and a service with an address there.
pub struct SecondLan<'c> {
    cluster: &'c Cluster,
    metallb: &'c Installation,
    cables: BTreeMap<String, Link>,
    service: Service,
    address: IpAddr,
    _bridge: Bridge,
    _network: Network,
}

impl<'c> SecondLan<'c> {
    /// Lays cables to all nodes and the client. Needs the pods of `hello`.
    pub async fn lay(cluster: &'c Cluster, metallb: &'c Installation) -> anyhow::Result<Self> {
        let network = Network::new()?;
        let bridge = network.bridge("second")?;
        let mut cables = BTreeMap::new();
        let hosts = cluster.nodes().into_iter().chain(["client".to_owned()]);
        for (name, last) in hosts.zip(1_u8..) {
            let host = Host::of_namespace(&format!("{}-{name}", cluster.name()));
            let cable = bridge.join(&host, INTERFACE)?;
            host.addresses(INTERFACE, &[&format!("10.88.0.{last}/24")])?;
            cables.insert(name, cable);
        }
        metallb.pool("second", &["10.88.0.200-10.88.0.210"]).await?;
        let service = load_balancer("second").for_app("hello").port(80).from_pool("second");
        let service = metallb.user.create_service(service.external_traffic_policy_local()).await?;
        let address = metallb.address(&service).await;
        let client = cluster.host("client");
        eventually(ROLLED_OUT, "it is reached by the second network", async || {
            client.inside(|| ask(address)).unwrap_or_else(Err)
        })
        .await;
        Ok(Self { cluster, metallb, cables, service, address, _bridge: bridge, _network: network })
    }

    /// The cable of the node that announces the address dies, and is mended: what a client noticed until another node announced it,
    /// and until that one had it back.
    pub async fn strike(&self, load: Load) -> anyhow::Result<[Noticed; 2]> {
        let node = self.metallb.announcer(&self.service).await;
        let cable = self.cables.get(&node).with_context(|| format!("{node} has no cable"))?;
        let watch = self.watch(load).await;
        cable.cut()?;
        self.is_at("another node announces it", |announcer| announcer != node).await;
        watch.goes_on(STEADY).await;
        let cut = watch.finish()?;
        let watch = self.watch(Load { long_lived: 0, ..load }).await;
        cable.mend()?;
        self.is_at("its node announces it again", |announcer| announcer == node).await;
        watch.goes_on(STEADY).await;
        Ok([cut, watch.finish()?])
    }

    async fn watch(&self, load: Load) -> Watch {
        let watch = Watch::with(&self.cluster.host("client"), self.address, load);
        watch.goes_on(STEADY).await;
        watch
    }

    async fn is_at(&self, what: &str, wanted: impl Fn(&str) -> bool) {
        eventually(ROLLED_OUT, what, async || {
            let announcer = self.metallb.announcer(&self.service).await;
            if wanted(&announcer) { Ok(()) } else { Err(format!("{announcer} does")) }
        })
        .await;
    }
}
