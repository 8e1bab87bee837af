//! What upstream leaves behind that bites, and belongs to no `MetalLB`: found by its name *and* its shape, so that nothing
//! of somebody else's by the same name is taken for it. What another object controls is not touched: it would come back.
//!
//! Not here: what the `MetalLB` controls ([`steps`](super::super::steps) finds that), and frr-k8s' pods.

use k8s_openapi::api::admissionregistration::v1::ValidatingWebhookConfiguration;
use serde_json::{Value, json};

use super::super::gather::{Live, World};
use super::super::steps::Superfluous;
use crate::render::{CONTROLLER, Kind, ObjectId};
use crate::webhooks::paths;

/// Refuses every FRRConfiguration of the cluster when nobody answers it any more.
pub const FRR_WEBHOOK: &str = "frr-k8s-validating-webhook-configuration";
/// Where that is answered.
const FRR_WEBHOOK_SERVICE: &str = "frr-k8s-webhook-service";
/// Validates and converts upstream's way, and renews the certificate in the Secret, and the caBundles, that are ours.
const WEBHOOK_SERVER: &str = "metallb-operator-webhook-server";
const WEBHOOK_SERVER_COMPONENT: &str = "webhook-server";
/// The containers of the Deployments that clean up after frr-k8s, and answer its webhook.
const FRR_HELPERS: [&str; 2] = ["frr-k8s-statuscleaner", "frr-k8s-webhook-server"];

/// What works against us from the start: the operator serves the webhooks by now.
pub fn rivals(world: &World) -> Vec<Superfluous> {
    find(world, |id, live| {
        let selector = "/spec/selector/matchLabels/component";
        id.kind == Kind::Deployment
            && id.name == WEBHOOK_SERVER
            && live.text(selector) == Some(WEBHOOK_SERVER_COMPONENT)
    })
}

/// The Service of the webhooks, if it still looks for upstream's server as well: whoever applies our manifest over what
/// somebody else made adds a label to its selector, and takes none away. No pod has both, so nobody would answer. With it
/// the JSON patch after which it finds us.
pub fn misled_service(world: &World) -> Option<(ObjectId, Value)> {
    let id = ObjectId::new(Kind::Service, paths::SERVICE);
    let selector = world.installed(&id)?.object.pointer("/spec/selector")?;
    let is_ours = selector.get("control-plane").is_some_and(|it| it == "controller-manager");
    // metallb-operator's, and that of manifests, where the controller serves webhooks.
    let servers = [WEBHOOK_SERVER_COMPONENT, CONTROLLER];
    let theirs =
        selector.get("component").filter(|it| it.as_str().is_some_and(|it| servers.contains(&it)))?;
    let label = "/spec/selector/component";
    let patch = json!([
        { "op": "test", "path": label, "value": theirs },
        { "op": "remove", "path": label },
    ]);
    is_ours.then_some((id, patch))
}

/// What is of no use any more when everything of ours is up, and frr-k8s is gone.
pub fn remains(world: &World) -> Vec<Superfluous> {
    let policies = policies(world);
    let mut remains = find(world, |id, live| match id.kind {
        Kind::Deployment => {
            let container = live.text("/spec/template/spec/containers/0/name");
            container.is_some_and(|name| FRR_HELPERS.contains(&name))
        }
        Kind::Service => id.name == FRR_WEBHOOK_SERVICE,
        Kind::NetworkPolicy
        | Kind::ConfigMap
        | Kind::DaemonSet
        | Kind::ServiceMonitor
        | Kind::PrometheusRule
        | Kind::SecurityContextConstraints => false,
    });
    remains.extend(policies);
    remains
}

/// Is that webhook the one that upstream's frr-k8s in `namespace` answers? There is one name for all of them.
pub fn is_answered_in(configuration: &ValidatingWebhookConfiguration, namespace: &str) -> bool {
    let webhooks = configuration.webhooks.as_deref().unwrap_or_default();
    !webhooks.is_empty()
        && webhooks.iter().all(|webhook| {
            let service = webhook.client_config.service.as_ref();
            service.is_some_and(|it| it.namespace == namespace && it.name == FRR_WEBHOOK_SERVICE)
        })
}

/// Upstream's operator brings three policies: nobody may talk to anybody, except its own two Deployments, on one port.
/// The first goes first: it is known to be upstream's by the other two.
fn policies(world: &World) -> Vec<Superfluous> {
    let own = |name: &str, key: &str, value: &str| {
        find(world, |id, live| {
            let labels = live.object.pointer("/spec/podSelector/matchLabels");
            id.kind == Kind::NetworkPolicy && id.name == name && labels == Some(&json!({ key: value }))
        })
    };
    let exceptions = [
        own("operator", "control-plane", "controller-manager"),
        own("webhook-service", "component", "webhook-server"),
    ]
    .concat();
    if exceptions.is_empty() {
        return Vec::new();
    }
    let mut policies = find(world, |id, live| {
        let rules = ["/spec/ingress", "/spec/egress"].map(|it| live.object.pointer(it));
        let everybody = live.object.pointer("/spec/podSelector").is_none_or(is_empty);
        let is_named = id.kind == Kind::NetworkPolicy && id.name == "default-deny";
        is_named && everybody && rules.iter().all(|rules| rules.is_none_or(is_empty))
    });
    policies.extend(exceptions);
    policies
}

fn is_empty(value: &Value) -> bool {
    value.as_object().is_some_and(serde_json::Map::is_empty) || value.as_array().is_some_and(Vec::is_empty)
}

fn find(world: &World, is_it: impl Fn(&ObjectId, &Live) -> bool) -> Vec<Superfluous> {
    let free = world
        .all_installed()
        .filter(|(_, live)| live.owner.is_none() && !live.is_anothers && !live.is_deleting());
    free.filter(|(id, live)| is_it(id, live))
        .map(|(id, live)| Superfluous { id, uid: live.uid.clone() })
        .collect()
}

#[cfg(test)]
mod tests {
    use metallb_core::table::Event;

    use super::super::super::gather::Input;
    use super::*;

    fn world(objects: &[(Kind, &str, Value)]) -> World {
        let mut world = World::default();
        for (kind, name, object) in objects {
            let object = object.clone();
            let live = Live { uid: "1".to_owned(), owner: None, is_anothers: false, object, rollout: None };
            world.apply(Input::Installed(*kind, Event::Applied((*name).to_owned(), live)));
        }
        world
    }

    fn names(found: &[Superfluous]) -> Vec<String> {
        found.iter().map(|it| it.id.to_string()).collect()
    }

    fn selecting(labels: &Value) -> Value {
        json!({ "spec": { "selector": { "matchLabels": labels } } })
    }

    fn policy(labels: &Value) -> Value {
        json!({ "spec": { "podSelector": { "matchLabels": labels } } })
    }

    #[test]
    fn upstreams_webhook_server_is_a_rival_and_another_deployment_by_that_name_is_not() {
        let upstreams = selecting(&json!({ "app": "metallb", "component": "webhook-server" }));
        let other = selecting(&json!({ "app": "mine" }));
        let found = |object: Value| names(&rivals(&world(&[(Kind::Deployment, WEBHOOK_SERVER, object)])));
        assert_eq!(found(upstreams.clone()), ["Deployment metallb-operator-webhook-server"]);
        assert_eq!(found(other), [""; 0]);
        let mut olms = world(&[]);
        let live = Live { uid: "1".into(), owner: None, is_anothers: true, object: upstreams, rollout: None };
        olms.apply(Input::Installed(Kind::Deployment, Event::Applied(WEBHOOK_SERVER.into(), live)));
        assert_eq!(rivals(&olms), [], "OLM would make it anew");
    }

    #[test]
    fn a_service_of_the_webhooks_that_looks_for_both_servers_is_led_back_to_ours() {
        let found = |labels: Value| {
            misled_service(&world(&[(
                Kind::Service,
                paths::SERVICE,
                json!({ "spec": { "selector": labels } }),
            )]))
        };
        let (ours, theirs) = (("control-plane", "controller-manager"), ("component", "webhook-server"));
        for server in [theirs.1, "controller"] {
            let (_, patch) = found(json!({ ours.0: ours.1, theirs.0: server })).unwrap();
            assert_eq!((&patch[0]["value"], &patch[1]["op"]), (&json!(server), &json!("remove")));
        }
        for labels in [json!({ ours.0: ours.1 }), json!({ ours.0: ours.1, theirs.0: "mine" })] {
            assert_eq!(found(labels), None);
        }
        assert_eq!(
            found(json!({ theirs.0: theirs.1 })),
            None,
            "upstream's, as long as our manifest is not applied"
        );
    }

    #[test]
    fn the_denial_of_everything_goes_where_upstreams_own_exceptions_prove_whose_it_is() {
        let deny = json!({ "spec": { "podSelector": {}, "policyTypes": ["Ingress", "Egress"] } });
        let operator = policy(&json!({ "control-plane": "controller-manager" }));
        let webhooks = policy(&json!({ "component": "webhook-server" }));
        let all = world(&[
            (Kind::NetworkPolicy, "default-deny", deny.clone()),
            (Kind::NetworkPolicy, "operator", operator.clone()),
            (Kind::NetworkPolicy, "webhook-service", webhooks),
        ]);
        assert_eq!(
            names(&remains(&all)),
            ["NetworkPolicy default-deny", "NetworkPolicy operator", "NetworkPolicy webhook-service"]
        );
        let somebodys = world(&[(Kind::NetworkPolicy, "default-deny", deny)]);
        assert_eq!(remains(&somebodys), []);
        let allowing = json!({ "spec": { "podSelector": {}, "ingress": [{}] } });
        let mixed = world(&[
            (Kind::NetworkPolicy, "default-deny", allowing),
            (Kind::NetworkPolicy, "operator", operator),
        ]);
        assert_eq!(names(&remains(&mixed)), ["NetworkPolicy operator"]);
    }

    #[test]
    fn helpers_of_frr_k8s_are_known_by_their_container() {
        let with = |container: &str| json!({ "spec": { "template": { "spec": { "containers": [{ "name": container }] } } } });
        let all = world(&[
            (Kind::Deployment, "statuscleaner", with("frr-k8s-statuscleaner")),
            (Kind::Deployment, "frr-k8s-webhook-server", with("frr-k8s-webhook-server")),
            (Kind::Deployment, "statuscleaner-of-mine", with("cleaner")),
            (Kind::Service, FRR_WEBHOOK_SERVICE, json!({})),
            (Kind::Service, "web", json!({})),
        ]);
        assert_eq!(
            names(&remains(&all)),
            [
                "Service frr-k8s-webhook-service",
                "Deployment frr-k8s-webhook-server",
                "Deployment statuscleaner"
            ]
        );
    }

    #[test]
    fn the_webhook_of_an_frr_k8s_elsewhere_is_not_ours_to_delete() {
        let configuration = |namespace: &str| {
            let service = json!({ "namespace": namespace, "name": FRR_WEBHOOK_SERVICE });
            let webhook = json!({
                "name": "frrconfigurationsvalidationwebhook.metallb.io", "sideEffects": "None",
                "admissionReviewVersions": ["v1"], "clientConfig": { "service": service },
            });
            serde_json::from_value(json!({ "metadata": {}, "webhooks": [webhook] })).unwrap()
        };
        assert!(is_answered_in(&configuration("metallb-system"), "metallb-system"));
        assert!(!is_answered_in(&configuration("frr-k8s-system"), "metallb-system"));
        assert!(!is_answered_in(&ValidatingWebhookConfiguration::default(), "metallb-system"));
    }
}
