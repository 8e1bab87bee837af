//! Which objects there are, under which circumstances.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use metallb_crds::MetalLBSpec;

use super::scene::Scene;
use super::security_context_constraints::security_context_constraints;
use super::{
    Object, Platform, Served, controller, excluded_interfaces, in_force, monitors, network_policy,
    prometheus_rule, speaker,
};
use crate::environment::{Environment, Monitors, NetworkPolicies};
use crate::wanted::Wanted;

/// How pods of the controller are replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ControllerUpdate {
    /// The new one is ready before the old one ends.
    Rolling,
    /// The old one has ended before the new one starts.
    Recreate,
}

/// How pods of the speakers are replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SpeakerUpdate {
    /// By the DaemonSet, as the `MetalLB` says.
    Rolling,
    /// By whoever deletes the old ones.
    OnDelete,
}

/// What the cluster is like, apart from what is wanted of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Circumstances {
    /// Does the API server know ServiceMonitors?
    pub service_monitors: Served,
    /// Does the API server know PrometheusRules?
    pub prometheus_rules: Served,
    /// What the cluster has of OpenShift.
    pub platform: Platform,
    /// How pods of the controller are to be replaced now.
    pub controller: ControllerUpdate,
    /// How pods of the speakers are to be replaced now.
    pub speaker: SpeakerUpdate,
}

/// Every object that `spec`, which is `wanted` once checked, comes to, in the order in which to apply them. All that are
/// in the namespace belong to `owner`.
pub fn render(
    spec: &MetalLBSpec,
    wanted: &Wanted,
    environment: &Environment,
    owner: &OwnerReference,
    circumstances: Circumstances,
) -> Vec<Object> {
    let Circumstances {
        service_monitors,
        prometheus_rules,
        platform,
        controller: controller_update,
        speaker: speaker_update,
    } = circumstances;
    let scene = Scene { environment, owner, platform };
    let mut objects = vec![
        Object::ConfigMap(Box::new(in_force::config_map(&scene, spec))),
        Object::ConfigMap(Box::new(excluded_interfaces::config_map(&scene, wanted))),
        Object::DaemonSet(Box::new(speaker::daemon_set(&scene, wanted, speaker_update))),
        Object::Deployment(Box::new(controller::deployment(&scene, wanted, controller_update))),
    ];
    match platform.security_context_constraints {
        Served::Yes => {
            let constraints = security_context_constraints();
            objects.push(Object::SecurityContextConstraints(Box::new(constraints)));
        }
        Served::No => {}
    }
    match environment.network_policies {
        NetworkPolicies::Install => {
            objects.push(Object::NetworkPolicy(Box::new(network_policy::network_policy(&scene, wanted))));
        }
        NetworkPolicies::Omit => {}
    }
    match environment.monitors {
        Monitors::None | Monitors::Pod => {}
        Monitors::Service => {
            for target in monitors::targets(environment) {
                objects.push(Object::Service(Box::new(monitors::service(&scene, &target))));
                if service_monitors == Served::Yes {
                    let monitor = monitors::service_monitor(&scene, &target);
                    objects.push(Object::ServiceMonitor(Box::new(monitor)));
                }
            }
            if prometheus_rules == Served::Yes {
                objects.push(Object::PrometheusRule(Box::new(prometheus_rule::prometheus_rule(&scene))));
            }
        }
    }
    objects.sort_by_key(Object::id);
    objects
}
