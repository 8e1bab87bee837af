//! How the API server reaches the webhooks: Services, webhook configurations, and the conversion in the definition of
//! BGPPeer.
//!
//! None holds a caBundle: that is the operator's to write, and whoever applies the manifest again leaves it alone.

use k8s_openapi::api::admissionregistration::v1::{
    RuleWithOperations, ServiceReference, ValidatingWebhook, ValidatingWebhookConfiguration,
    WebhookClientConfig,
};
use k8s_openapi::api::core::v1::{Service, ServicePort, ServiceSpec};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1 as extensions;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use metallb_core::refusal::Kind;
use serde_json::{Value, json};

use super::file::{NAMESPACE, named};
use super::operator;
use crate::webhooks::paths::{self, VALIDATED};

/// Where the operator's pods listen.
pub(super) const PORT: i32 = 9443;
const SERVICE_PORT: i32 = 443;
/// Versions of ConversionReview, the one to use first. (Upstream lists versions of BGPPeer.)
const REVIEWS: [&str; 2] = ["v1", "v1beta1"];
/// The API server's own default.
const TIMEOUT: i32 = 10;
/// Nobody waits long for a warning.
const WARNING_TIMEOUT: i32 = 3;

/// Upstream's two Services. Both lead to the same pods.
pub(super) fn services() -> [Service; 2] {
    [paths::SERVICE, paths::OPERATOR_SERVICE].map(|name| Service {
        metadata: named(name),
        spec: Some(ServiceSpec {
            selector: Some(operator::labels()),
            ports: Some(vec![ServicePort {
                port: SERVICE_PORT,
                target_port: Some(IntOrString::Int(PORT)),
                ..ServicePort::default()
            }]),
            ..ServiceSpec::default()
        }),
        status: None,
    })
}

/// The three configurations: edits of the configuration, edits of the `MetalLB` object, and deletions.
pub(super) fn configurations() -> [ValidatingWebhookConfiguration; 3] {
    let validating = VALIDATED.iter().map(|it| {
        let rules = vec![rule(it.operations, it.version, &[it.resource])];
        webhook(it.webhook, paths::SERVICE, it.path, rules)
    });
    let metallb = vec![rule(&["CREATE", "UPDATE"], "v1beta1", &["metallbs"])];
    let metallb = webhook(paths::METALLB_WEBHOOK, paths::OPERATOR_SERVICE, paths::METALLB, metallb);
    // Whether a BFDProfile may go is decided above.
    let others = |version: &str| -> Vec<&str> {
        let others = VALIDATED.iter().filter(|it| it.kind != Kind::BfdProfile && it.version == version);
        others.map(|it| it.resource).collect()
    };
    let deletions = ["v1beta1", "v1beta2"].map(|version| rule(&["DELETE"], version, &others(version)));
    let deletions = ValidatingWebhook {
        // A warning that cannot be had is in nobody's way.
        failure_policy: Some("Ignore".to_owned()),
        timeout_seconds: Some(WARNING_TIMEOUT),
        ..webhook(paths::DELETION_WEBHOOK, paths::SERVICE, paths::DELETION, deletions.into())
    };
    [
        configuration(paths::CONFIGURATION, validating.collect()),
        configuration(paths::OPERATOR_CONFIGURATION, vec![metallb]),
        configuration(paths::DELETION_CONFIGURATION, vec![deletions]),
    ]
}

/// The same for OLM, which makes Services, configurations and certificates of its own.
pub(in crate::generate) fn definitions(deployment: &str) -> Vec<Value> {
    let validating = configurations().into_iter().flat_map(|it| it.webhooks.unwrap_or_default());
    let mut definitions: Vec<Value> = validating
        .map(|webhook| {
            json!({
                "type": "ValidatingAdmissionWebhook",
                "generateName": webhook.name,
                "deploymentName": deployment,
                "containerPort": SERVICE_PORT,
                "targetPort": PORT,
                "webhookPath": webhook.client_config.service.and_then(|service| service.path),
                "rules": webhook.rules,
                "failurePolicy": webhook.failure_policy,
                "sideEffects": webhook.side_effects,
                "timeoutSeconds": webhook.timeout_seconds,
                "admissionReviewVersions": webhook.admission_review_versions,
            })
        })
        .collect();
    definitions.push(json!({
        "type": "ConversionWebhook",
        "generateName": "cbgppeers.kb.io",
        "deploymentName": deployment,
        "containerPort": SERVICE_PORT,
        "targetPort": PORT,
        "webhookPath": paths::CONVERSION,
        "conversionCRDs": [paths::CONVERTED],
        "sideEffects": "None",
        "admissionReviewVersions": REVIEWS,
    }));
    definitions
}

fn configuration(name: &str, webhooks: Vec<ValidatingWebhook>) -> ValidatingWebhookConfiguration {
    ValidatingWebhookConfiguration {
        metadata: ObjectMeta { name: Some(name.to_owned()), ..ObjectMeta::default() },
        webhooks: Some(webhooks),
    }
}

fn webhook(name: &str, service: &str, path: &str, rules: Vec<RuleWithOperations>) -> ValidatingWebhook {
    ValidatingWebhook {
        name: name.to_owned(),
        admission_review_versions: vec!["v1".to_owned()],
        client_config: WebhookClientConfig {
            service: Some(ServiceReference {
                name: service.to_owned(),
                namespace: NAMESPACE.to_owned(),
                path: Some(path.to_owned()),
                port: Some(SERVICE_PORT),
            }),
            ..WebhookClientConfig::default()
        },
        failure_policy: Some("Fail".to_owned()),
        rules: Some(rules),
        side_effects: "None".to_owned(),
        timeout_seconds: Some(TIMEOUT),
        ..ValidatingWebhook::default()
    }
}

fn rule(operations: &[&str], version: &str, resources: &[&str]) -> RuleWithOperations {
    let texts = |texts: &[&str]| Some(texts.iter().map(|text| (*text).to_owned()).collect());
    RuleWithOperations {
        api_groups: texts(&[metallb_crds::GROUP]),
        api_versions: texts(&[version]),
        operations: texts(operations),
        resources: texts(resources),
        scope: Some("Namespaced".to_owned()),
    }
}

/// `definition`, with the conversion if it is that of BGPPeer.
///
/// Until the operator runs there is nobody to convert. That is in the way of v1beta1 only: objects are stored, and
/// read by everything else, as v1beta2.
pub(super) fn with_conversion(
    mut definition: extensions::CustomResourceDefinition,
) -> extensions::CustomResourceDefinition {
    if definition.metadata.name.as_deref() == Some(paths::CONVERTED) {
        let service = extensions::ServiceReference {
            name: paths::SERVICE.to_owned(),
            namespace: NAMESPACE.to_owned(),
            path: Some(paths::CONVERSION.to_owned()),
            port: Some(SERVICE_PORT),
        };
        definition.spec.conversion = Some(extensions::CustomResourceConversion {
            strategy: "Webhook".to_owned(),
            webhook: Some(extensions::WebhookConversion {
                client_config: Some(extensions::WebhookClientConfig {
                    service: Some(service),
                    ..extensions::WebhookClientConfig::default()
                }),
                conversion_review_versions: REVIEWS.map(str::to_owned).into(),
            }),
        });
    }
    definition
}
