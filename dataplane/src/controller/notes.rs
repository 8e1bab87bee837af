//! What happened to a service, as events on it. The reasons are upstream's, letter for letter: scripts compare them.

use std::net::IpAddr;

use k8s_openapi::api::core::v1::ObjectReference;
use metallb_core::ipam::Note;
use metallb_core::refusal::{ObjectRefusal, Refusal};
use metallb_process::events::{Happening, Severity};

/// The event for `note` on the service `regarding`.
pub fn happening(regarding: &ObjectReference, note: &Note) -> Happening {
    let (severity, reason, message) = match note {
        Note::Allocated(addresses) => {
            (Severity::Normal, "IPAllocated", format!("Assigned IP {}", quoted(addresses)))
        }
        Note::AllocationFailed(refusal) => {
            let name = format!(
                "{}/{}",
                regarding.namespace.as_deref().unwrap_or_default(),
                regarding.name.as_deref().unwrap_or_default()
            );
            let message = format!("Failed to allocate IP for {name:?}: {}", refusal.explain());
            (Severity::Warning, "AllocationFailed", message)
        }
        Note::Cleared(refusal) => (Severity::Normal, "ClearAssignment", refusal.explain()),
        Note::AdditionalFailed(refusal) => (Severity::Normal, "AdditionalAssignFailed", refusal.explain()),
        Note::BadRequest(refusal) => (Severity::Warning, "LoadBalancerFailed", refusal.explain()),
        Note::BadStatus(refusal) => (Severity::Warning, "nolbIPsIPFamily", refusal.explain()),
        Note::BadClusterIps(refusal) => (Severity::Warning, "noclusterIPsIPFamily", refusal.explain()),
        Note::NotDualStack(refusal) => (Severity::Warning, "not enough clusterips", refusal.explain()),
        Note::Held(refusal) => (Severity::Warning, "AddressHeld", refusal.explain()),
    };
    Happening { regarding: regarding.clone(), severity, reason, message }
}

/// The event for an annotation with the deprecated prefix.
pub fn deprecated_annotation(regarding: &ObjectReference, key: &str) -> Happening {
    let message = format!(
        "The annotation {key} has a deprecated prefix; use metallb.io/ instead of metallb.universe.tf/"
    );
    Happening {
        regarding: regarding.clone(),
        severity: Severity::Warning,
        reason: "deprecatedAnnotation",
        message,
    }
}

/// The event for an object of the configuration that was set aside.
pub fn set_aside(regarding: ObjectReference, refusal: &ObjectRefusal) -> Happening {
    let message =
        format!("Set aside, the rest of the configuration stays in force: {}", refusal.refusal.explain());
    Happening { regarding, severity: Severity::Warning, reason: "ConfigurationError", message }
}

/// The event for an annotation of a pool that cannot be read.
pub fn bad_annotation(regarding: ObjectReference, problem: &str) -> Happening {
    Happening {
        regarding,
        severity: Severity::Warning,
        reason: "InvalidAnnotation",
        message: problem.to_owned(),
    }
}

fn quoted(addresses: &[IpAddr]) -> String {
    let quoted = addresses.iter().map(|address| format!("\"{address}\""));
    format!("[{}]", quoted.collect::<Vec<_>>().join(" "))
}
