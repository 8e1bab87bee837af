//! What MetalLB promises on layer 2, on a whole cluster: real kubelets, real packets. What happens when something goes wrong is in
//! `faults`.
//!
//! On a cluster of the lab, or on the one of kind that `run-on-kind` makes. One serves all of them, one after the other.

#![allow(clippy::unwrap_used)] // a scenario ends where it fails

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::Duration;

use k8s_openapi::api::core::v1::Service;
use kube::api::{DeleteParams, ListParams};
use kube::{Api, ResourceExt};
use metallb_lab::{Cluster, eventually, load_balancer};
use metallb_scenarios::installation::{Installation, first_address, options};
use metallb_scenarios::kind::{Access, Kind};
use metallb_scenarios::layer2;
use metallb_scenarios::outage::ask;
use metallb_scenarios::place::{Machine as _, Place};
use serde_json::json;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn metallb_on_a_whole_cluster() {
    match Access::given().unwrap() {
        Some(access) => told_on(&Kind::open(access).await.unwrap()).await,
        None => told_on(&Cluster::up(options("e2e").unwrap()).await.unwrap()).await,
    }
}

async fn told_on(place: &impl Place) {
    let metallb = Installation::prepare(place).await.unwrap();
    metallb.install_operator().await.unwrap();
    metallb.apply_metallb(&json!({ "logLevel": "debug" })).await.unwrap();
    let addresses = place.addresses();
    metallb.pool("lab", &[&addresses.v4s(200, 250), &addresses.more.to_string()]).await.unwrap();
    metallb.run_hello().await.unwrap();

    let scenario = Scenario { place, metallb: &metallb };
    scenario.two_hundred_services_get_distinct_addresses_and_answer_through_our_arp().await;
    scenario.killing_the_controller_in_the_middle_of_allocating_changes_no_address().await;
    scenario.a_service_is_announced_by_one_node_and_says_by_which().await;
    scenario.a_dual_stack_service_answers_on_both_of_its_addresses().await;
    scenario.deleting_metallb_removes_it_and_applying_it_again_restores_the_same_addresses().await;
}

struct Scenario<'a, P> {
    place: &'a P,
    metallb: &'a Installation,
}

impl<P: Place> Scenario<'_, P> {
    fn services(&self) -> Api<Service> {
        Api::default_namespaced(self.metallb.user.client())
    }

    /// The address of every service that has one, with its name.
    async fn given(&self) -> Vec<(String, IpAddr)> {
        let list = self.services().list(&ListParams::default()).await.unwrap();
        list.iter().filter_map(|service| Some((service.name_any(), first_address(service)?))).collect()
    }

    async fn delete(&self, prefix: &str) {
        for service in self.services().list(&ListParams::default()).await.unwrap() {
            if service.name_any().starts_with(prefix) {
                self.services().delete(&service.name_any(), &DeleteParams::default()).await.unwrap();
            }
        }
    }

    async fn answers(&self, address: IpAddr) {
        let client = self.place.client();
        let what = format!("{address} answers");
        eventually(Duration::from_secs(30), &what, async || client.inside(|| ask(address)).unwrap()).await;
    }

    async fn two_hundred_services_get_distinct_addresses_and_answer_through_our_arp(&self) {
        for n in 0..200 {
            let service = load_balancer(format!("many-{n:03}")).for_app("hello").port(80);
            self.metallb.user.create_service(service).await.unwrap();
        }
        eventually(Duration::from_mins(1), "all have an address", async || self.given().await.len() == 200)
            .await;
        let addresses: BTreeSet<IpAddr> =
            self.given().await.into_iter().map(|(_, address)| address).collect();
        assert_eq!(addresses.len(), 200, "an address was given twice");
        // Some are outside the client's subnet: they must be on the link to be asked for by ARP.
        let client = self.place.client();
        let more = self.place.addresses().more.to_string();
        client.run(&["ip", "route", "replace", &more, "dev", "eth0"]).await.unwrap().success().unwrap();
        self.answers(*addresses.last().unwrap()).await; // kube-proxy has caught up
        layer2::forget(&client).await.unwrap();
        for address in &addresses {
            self.answers(*address).await;
        }
    }

    async fn killing_the_controller_in_the_middle_of_allocating_changes_no_address(&self) {
        let before = self.given().await;
        for round in 0..5 {
            for n in 0..5 {
                let service = load_balancer(format!("killed-{round}-{n}")).for_app("hello").port(80);
                self.metallb.user.create_service(service).await.unwrap();
            }
            let pods = self.metallb.pods("app=metallb,component=controller").await.unwrap();
            let node = pods[0].spec.as_ref().unwrap().node_name.clone().unwrap();
            let _ = self
                .place
                .node(&node)
                .run(&["pkill", "--signal", "KILL", "--full", "^/controller"])
                .await
                .unwrap();
        }
        self.metallb.rollout_restart("controller").await.unwrap();
        eventually(Duration::from_mins(2), "all have an address", async || self.given().await.len() == 225)
            .await;
        let after = self.given().await;
        assert!(before.iter().all(|held| after.contains(held)), "an address changed");
        let distinct: BTreeSet<_> = after.iter().map(|(_, address)| address).collect();
        assert_eq!(distinct.len(), 225, "an address was given twice");
        self.delete("killed-").await;
        self.delete("many-").await;
        eventually(Duration::from_mins(1), "none is left", async || self.given().await.is_empty()).await;
    }

    async fn a_service_is_announced_by_one_node_and_says_by_which(&self) {
        let service = load_balancer("hello").port(80).external_traffic_policy_local();
        let service = self.metallb.user.create_service(service).await.unwrap();
        let address = self.metallb.address(&service).await;
        let answering = layer2::answered_by_one(self.place, address).await.unwrap();
        assert_eq!(self.metallb.announcer(&service).await, answering);
        let events = self.metallb.user.events_of(&service).await.unwrap();
        let expected = format!("announcing from node \"{answering}\" with protocol \"layer2\"");
        assert!(
            events.iter().any(|event| event.reason == "nodeAssigned" && event.message == expected),
            "{events:?}"
        );
    }

    async fn a_dual_stack_service_answers_on_both_of_its_addresses(&self) {
        // After "lab" by name, which has no IPv6: nobody else is given of it.
        let free = self.place.addresses();
        let pool = [free.v4s(100, 109), free.v6s(0x200, 0x209)];
        let pool = pool.each_ref().map(String::as_str);
        self.metallb.pool("two-families", &pool).await.unwrap();
        let service = load_balancer("both").for_app("hello").port(80).dual_stack();
        let service = self.metallb.user.create_service(service).await.unwrap();
        let addresses = eventually(Duration::from_secs(30), "it has two addresses", async || {
            let given = self.metallb.user.ingress_ips(&service).await.ok()?;
            (given.len() == 2).then_some(given)
        })
        .await;
        let client = self.place.client();
        let mut stations = BTreeSet::new();
        for node in self.place.nodes() {
            stations.insert(layer2::mac(&self.place.node(&node)).await.unwrap());
        }
        for address in addresses {
            self.answers(address).await;
            let station = match address {
                IpAddr::V4(_) => layer2::resolve(&client, address).await.unwrap(),
                IpAddr::V6(address) => layer2::resolve_v6(&client, address).await.unwrap(),
            };
            assert!(stations.contains(&station), "{address} is at {station}, which is no node");
        }
        self.delete("both").await;
    }

    async fn deleting_metallb_removes_it_and_applying_it_again_restores_the_same_addresses(&self) {
        let before = self.given().await;
        assert!(!before.is_empty());
        self.metallb.delete_metallb().await.unwrap();
        let client = self.place.client();
        // Their grace period is 0: the pods go from the API server first, then the kubelets end their processes.
        let silence =
            async || layer2::answering(&client, before[0].1).await.is_ok_and(|macs| macs.is_empty());
        eventually(Duration::from_secs(20), "nobody answers any more", silence).await;
        self.metallb.apply_metallb(&json!({})).await.unwrap();
        self.answers(before[0].1).await;
        assert_eq!(self.given().await, before);
    }
}
