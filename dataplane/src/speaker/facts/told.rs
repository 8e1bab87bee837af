//! What the events, the log and the metrics say already, so that only changes are said.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use k8s_openapi::api::core::v1::ObjectReference;
use metallb_core::names::ServiceKey;
use metallb_core::plan::{Plan, World};
use metallb_core::refusal::{AnnouncementRefusal, Refusal};
use metallb_core::table::Table;
use metallb_process::events::{Happening, Severity};

use super::{Outcome, Row};

type Verdict = Result<(), AnnouncementRefusal>;

/// The verdict on every service and address, as last said.
#[derive(Debug, Default)]
pub struct Told(BTreeMap<(ServiceKey, IpAddr), Verdict>);

impl Told {
    /// Says what is different in `plan`, and remembers it.
    pub fn tell(
        &mut self,
        world: &World,
        services: &Table<ServiceKey, Row>,
        plan: &Plan,
        outcome: &mut Outcome,
    ) {
        let mut now: BTreeMap<(ServiceKey, IpAddr), Verdict> = BTreeMap::new();
        for (address, plan) in plan {
            for (service, verdict) in &plan.services {
                now.insert((service.clone(), *address), verdict.clone());
            }
        }
        let announced_by =
            |verdicts: &BTreeMap<(ServiceKey, IpAddr), Verdict>| -> BTreeSet<(ServiceKey, IpAddr)> {
                verdicts.iter().filter(|(_, verdict)| verdict.is_ok()).map(|(key, _)| key.clone()).collect()
            };
        let (before, after) = (announced_by(&self.0), announced_by(&now));
        outcome.withdrawn = before.difference(&after).cloned().collect();
        outcome.announced = after.difference(&before).cloned().collect();

        let served_before: BTreeSet<_> = before.iter().map(|(service, _)| service).collect();
        let mut newly_served = BTreeSet::new();
        for (service, address) in &outcome.announced {
            tracing::info!(event = "serviceAnnounced", %service, ip = %address, protocol = "layer2", "from this node");
            if !served_before.contains(service) && newly_served.insert(service) {
                outcome.happenings.extend(reference(services, service).map(|regarding| Happening {
                    regarding,
                    severity: Severity::Normal,
                    reason: "nodeAssigned",
                    message: format!("announcing from node \"{}\" with protocol \"layer2\"", world.node()),
                }));
            }
        }
        for ((service, address), verdict) in &now {
            let key = (service.clone(), *address);
            if self.0.get(&key) == Some(verdict) {
                continue;
            }
            let Err(refusal) = verdict else { continue };
            let (reason, text) = (refusal.code(), refusal.explain());
            if before.contains(&key) {
                tracing::info!(event = "serviceWithdrawn", %service, ip = %address, protocol = "layer2", reason, text, "");
            } else {
                tracing::debug!(event = "notAnnounced", %service, ip = %address, reason, text, "");
            }
            if let AnnouncementRefusal::NoSuchInterface { .. } = refusal {
                outcome.happenings.extend(reference(services, service).map(|regarding| Happening {
                    regarding,
                    severity: Severity::Warning,
                    reason: "announceFailed",
                    message: format!(
                        "the interfaces specified by LB IP \"{address}\" doesn't exist in assigned node \"{}\" with protocol \"layer2\"",
                        world.node()
                    ),
                }));
            }
        }
        for (service, address) in outcome.withdrawn.iter().filter(|key| !now.contains_key(*key)) {
            tracing::info!(event = "serviceWithdrawn", %service, ip = %address, protocol = "layer2", reason = "gone", "");
        }
        self.0 = now;
    }
}

fn reference(services: &Table<ServiceKey, Row>, service: &ServiceKey) -> Option<ObjectReference> {
    services.get(service).map(|row| row.reference.clone())
}
