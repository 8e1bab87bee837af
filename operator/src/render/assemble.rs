//! Which objects there are, under which circumstances.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;

use super::scene::Scene;
use super::{
    CONTROLLER, Object, SPEAKER, controller, excluded_interfaces, monitors, network_policy, speaker,
};
use crate::environment::{Environment, Monitors, NetworkPolicies};
use crate::wanted::Wanted;

/// Does the API server know ServiceMonitors?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServiceMonitors {
    /// It does.
    Served,
    /// It does not: the Prometheus operator is not installed.
    Unknown,
}

/// Every object that `wanted` comes to, in the order in which to apply them. All belong to `owner`.
pub fn render(
    wanted: &Wanted,
    environment: &Environment,
    owner: &OwnerReference,
    monitors: ServiceMonitors,
) -> Vec<Object> {
    let scene = Scene { environment, owner };
    let mut objects = vec![
        Object::ConfigMap(Box::new(excluded_interfaces::config_map(&scene))),
        Object::DaemonSet(Box::new(speaker::daemon_set(&scene, wanted))),
        Object::Deployment(Box::new(controller::deployment(&scene, wanted))),
    ];
    match environment.network_policies {
        NetworkPolicies::Install => {
            objects.push(Object::NetworkPolicy(Box::new(network_policy::network_policy(&scene))));
        }
        NetworkPolicies::Omit => {}
    }
    match environment.monitors {
        Monitors::None | Monitors::Pod => {}
        Monitors::Service => {
            for component in [CONTROLLER, SPEAKER] {
                objects.push(Object::Service(Box::new(monitors::service(&scene, component))));
                if monitors == ServiceMonitors::Served {
                    let monitor = monitors::service_monitor(&scene, component);
                    objects.push(Object::ServiceMonitor(Box::new(monitor)));
                }
            }
        }
    }
    objects.sort_by_key(Object::id);
    objects
}
