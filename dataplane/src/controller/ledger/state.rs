//! What the ledger thinks, for `/debug/state`: pools, what was set aside, services with what they hold, want and wait
//! for, and what is kept back. There are no secrets in it.

use metallb_core::ipam::Vips;
use metallb_core::names::PoolName;
use metallb_core::refusal::Refusal;
use serde_json::{Value, json};

use super::Ledger;

impl Ledger {
    /// Everything, as JSON. Names are those of the API where it has one.
    pub fn state(&self) -> Value {
        json!({
            "role": "working",
            "ready": self.is_ready(),
            "pools": self.pools_state(),
            "setAside": self.set_aside_state(),
            "services": self.services_state(),
            "keptBack": self.kept_back(),
            "counts": {
                "services": self.services.rows().len(),
                "waiting": self.waiting.refusals().count(),
                "toWrite": self.wanted.len(),
                "writing": self.in_flight.len(),
                "settled": self.settled,
            },
        })
    }

    fn pools_state(&self) -> Vec<Value> {
        let text =
            |numbers: (u128, u128)| json!({ "IPv4": numbers.0.to_string(), "IPv6": numbers.1.to_string() });
        let pools = self.pools().iter().map(|pool| {
            let usage = self.books.usage(pool);
            json!({
                "name": pool.name.as_str(),
                "addresses": pool.ranges().iter().map(ToString::to_string).collect::<Vec<_>>(),
                "autoAssign": pool.auto_assign,
                "avoidBuggyIPs": pool.avoid_buggy_ips,
                "pinned": pool.allocation.is_some(),
                "capacity": text(usage.capacity),
                "assigned": text(usage.in_use),
                "keptBack": text(usage.kept_back),
                "available": text(usage.available()),
            })
        });
        pools.collect()
    }

    fn set_aside_state(&self) -> Vec<Value> {
        let refusals = self.configuration.refusals();
        refusals
            .map(|(refusal, object)| {
                json!({ "kind": object.kind, "name": object.name, "refusal": why(&refusal.refusal) })
            })
            .collect()
    }

    fn services_state(&self) -> Vec<Value> {
        let texts = |vips: Option<Vips>| {
            vips.iter().flat_map(|vips| vips.iter()).map(|ip| ip.to_string()).collect::<Vec<_>>()
        };
        let services = self.services.rows().iter().map(|(key, row)| {
            let held = self.books.assignment(key);
            let in_status: Vec<_> = row.claim.held.iter().flatten().map(ToString::to_string).collect();
            json!({
                "namespace": key.namespace.as_str(),
                "name": &*key.name,
                "holds": texts(held.map(|held| held.vips)),
                "pool": held.and_then(|held| held.pool.as_ref()).map(PoolName::as_str),
                "status": in_status,
                "sharingKey": row.claim.sharing.key,
                "ports": row.claim.ports.iter().map(ToString::to_string).collect::<Vec<_>>(),
                "resourceVersion": row.resource_version,
                "toWrite": self.wanted.get(key).map(|wanted| texts(wanted.vips)),
                "writing": self.in_flight.get(key).map(|under_way| texts(under_way.wanted.vips)),
                "writeRefused": self.refused.contains(key),
                "refusal": self.waiting.refusal(key).map(why),
            })
        });
        services.collect()
    }
}

fn why(refusal: &impl Refusal) -> Value {
    json!({ "code": refusal.code(), "sentence": refusal.sentence(), "fix": refusal.fix() })
}
