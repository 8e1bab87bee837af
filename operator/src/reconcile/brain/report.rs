//! Telling how a `MetalLB` is doing: its status, and an event when things have changed.

use k8s_openapi::jiff::Timestamp;
use kube::api::{Patch, PatchParams};
use kube::{Api, Resource as _};
use metallb_crds::{ComponentStatus, ConfigurationSummary, MetalLB, MetalLBStatus};
use metallb_process::events::Happening;
use metallb_process::watch::ObjectKey;
use serde_json::json;

use super::super::FIELD_MANAGER;
use super::super::apply::{Failure, request};
use super::super::gather::Row;
use super::super::report::Standing;
use super::{Brain, Written};

/// What there is to say about a `MetalLB`.
pub(super) struct Outlook {
    pub(super) standing: Standing,
    pub(super) bgp_backend: Option<String>,
    pub(super) components: Vec<ComponentStatus>,
    pub(super) configuration: Option<ConfigurationSummary>,
}

/// Of one for which nothing is installed.
impl From<Standing> for Outlook {
    fn from(standing: Standing) -> Self {
        Self { standing, bgp_backend: None, components: Vec::new(), configuration: None }
    }
}

/// What metrics call it.
fn told_as((namespace, name): &ObjectKey) -> String {
    format!("{namespace}/{name}")
}

impl Brain<'_> {
    /// Metrics tell no more of those that are gone.
    pub(super) fn forget_all_but<'k>(&mut self, keys: impl Iterator<Item = &'k ObjectKey>) {
        let there = keys.map(told_as).collect();
        for gone in self.memory.told.difference(&there) {
            self.context.metrics.forget(gone);
        }
        self.memory.told.retain(|name| there.contains(name));
    }

    /// Writes the status, unless it says so already, and an event when things have changed.
    pub(super) async fn report(
        &mut self,
        key: &ObjectKey,
        row: &Row,
        outlook: Outlook,
    ) -> Result<(), Failure> {
        let Outlook { standing, bgp_backend, components, configuration } = outlook;
        let context = self.context;
        let new = || Written { latest: row.status.clone(), earlier: Vec::new() };
        let written = self.memory.written.entry(row.uid.clone()).or_insert_with(new);
        if written.latest == row.status {
            written.earlier.clear();
        }
        let status = MetalLBStatus {
            conditions: standing.conditions(row.generation, &written.latest.conditions, Timestamp::now()),
            observed_generation: Some(row.generation),
            operator_version: Some(env!("CARGO_PKG_VERSION").to_owned()),
            bgp_backend,
            components,
            configuration,
        };
        let name = told_as(key);
        context.metrics.tell(&name, &status.conditions, &status.components);
        self.memory.told.insert(name);
        let is_on_its_way = written.latest == status && written.earlier.contains(&row.status);
        if row.status == status || is_on_its_way {
            return Ok(());
        }
        let events = standing.events(&written.latest.conditions);
        self.ensure_mandate()?;
        let (namespace, name) = key;
        let patch = json!({
            "apiVersion": MetalLB::api_version(&()),
            "kind": MetalLB::kind(&()),
            "metadata": { "name": name, "namespace": namespace },
            "status": status,
        });
        let metallbs: Api<MetalLB> = Api::namespaced(context.client.clone(), namespace);
        let params = PatchParams::apply(FIELD_MANAGER).force();
        let patch = Patch::Apply(patch);
        let what = format!("write the status of MetalLB {namespace}/{name}");
        match request(what, metallbs.patch_status(name, &params, &patch)).await {
            Ok(_) => {}
            // Deleted in the meantime: the watch will tell.
            Err(Failure::Refused { source: kube::Error::Api(status), .. }) if status.code == 404 => {
                return Ok(());
            }
            Err(failure) => return Err(failure),
        }
        context.metrics.statuses.inc();
        if let Some(written) = self.memory.written.get_mut(&row.uid) {
            let earlier = std::mem::replace(&mut written.latest, status);
            written.earlier.push(earlier);
        }
        for (severity, reason, message) in events {
            tracing::info!(event = "statusChanged", metallb = format!("{namespace}/{name}"), reason, message);
            context.recorder.record(Happening { regarding: row.reference(key), severity, reason, message });
        }
        Ok(())
    }
}
