//! Deployment `controller`: gives addresses to services.

use std::collections::BTreeMap;

use k8s_openapi::api::apps::v1::{Deployment, DeploymentSpec, DeploymentStrategy};
use k8s_openapi::api::core::v1::{Container, PodSecurityContext, PodSpec};

use super::pod::{
    bgp_type, confined, field, first_args, label_selector, liveness, metrics_certificate, port, pull_secrets,
    readiness, seccomp, template, tls_args, variable,
};
use super::scene::{Scene, selector};
use super::{CONTROLLER, ControllerUpdate, MEMBERLIST_SECRET, Served};
use crate::wanted::Wanted;

/// Who runs as nobody in particular.
const NOBODY: i64 = 65534;

pub(super) fn deployment(scene: &Scene<'_>, wanted: &Wanted, update: ControllerUpdate) -> Deployment {
    let environment = scene.environment;
    let mut args = first_args(wanted, environment);
    args.push("--webhook-mode=disabled".to_owned());
    args.extend(tls_args(environment));
    let (mut volumes, mut mounts) = (None, None);
    if let Some((volume, mount, flag)) = metrics_certificate(CONTROLLER, scene) {
        (volumes, mounts) = (Some(vec![volume]), Some(vec![mount]));
        args.push(flag);
    }
    let mut env = vec![
        field("METALLB_POD_NAME", "metadata.name"),
        variable("METALLB_ML_SECRET_NAME", MEMBERLIST_SECRET),
        variable("METALLB_DEPLOYMENT", CONTROLLER),
    ];
    env.extend(bgp_type(&wanted.bgp));
    let container = Container {
        name: CONTROLLER.to_owned(),
        image: Some(environment.controller_image.clone()),
        command: Some(vec!["/controller".to_owned()]),
        args: Some(args),
        env: Some(env),
        ports: Some(vec![port("metricshttps", environment.ports.metrics, "TCP")]),
        liveness_probe: Some(liveness(environment, None)),
        readiness_probe: Some(readiness("/readyz", environment, None)),
        volume_mounts: mounts,
        security_context: Some(confined(&[])),
        ..Container::default()
    };
    // On OpenShift every namespace has users of its own, and a pod that asks for another is refused.
    let nobody = match scene.platform.security_context_constraints {
        Served::Yes => None,
        Served::No => Some(NOBODY),
    };
    let pod = PodSpec {
        image_pull_secrets: pull_secrets(wanted),
        termination_grace_period_seconds: Some(0),
        volumes,
        security_context: Some(PodSecurityContext {
            run_as_non_root: Some(true),
            run_as_user: nobody,
            fs_group: nobody,
            seccomp_profile: Some(seccomp()),
            ..PodSecurityContext::default()
        }),
        ..PodSpec::default()
    };
    let strategy = match update {
        ControllerUpdate::Rolling => "RollingUpdate",
        ControllerUpdate::Recreate => "Recreate",
    };
    let strategy = DeploymentStrategy { type_: Some(strategy.to_owned()), rolling_update: None };
    Deployment {
        metadata: scene.metadata(CONTROLLER, &[("component", CONTROLLER)]),
        spec: Some(DeploymentSpec {
            replicas: wanted.controller_replicas,
            strategy: Some(strategy),
            selector: label_selector(selector(CONTROLLER)),
            template: template(CONTROLLER, &wanted.controller, Vec::new(), BTreeMap::new(), container, pod),
            ..DeploymentSpec::default()
        }),
        status: None,
    }
}
