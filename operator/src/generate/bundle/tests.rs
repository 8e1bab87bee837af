//! What catalogs ask of a bundle.

use std::collections::BTreeSet;

use metallb_crds::schema;
use serde_json::Value;

use super::csv::cluster_service_version;
use crate::generate::Images;

fn csv() -> Value {
    cluster_service_version(&Images::default()).unwrap()
}

#[test]
fn every_version_of_every_kind_is_owned_and_described() {
    let csv = csv();
    let owned = csv["spec"]["customresourcedefinitions"]["owned"].as_array().unwrap();
    let text = |owned: &Value, field: &str| owned[field].as_str().unwrap().to_owned();
    let listed: BTreeSet<_> =
        owned.iter().map(|owned| (text(owned, "name"), text(owned, "version"))).collect();
    let mut defined = BTreeSet::new();
    for definition in schema::all() {
        let name = definition.metadata.name.clone().unwrap();
        defined.extend(definition.spec.versions.iter().map(|version| (name.clone(), version.name.clone())));
    }
    assert_eq!(listed, defined);
    assert_eq!(listed.len(), owned.len(), "one is listed twice");
    assert!(owned.iter().all(|owned| !text(owned, "description").is_empty()));
}

#[test]
fn every_example_is_of_an_owned_kind() {
    let csv = csv();
    let examples = csv["metadata"]["annotations"]["alm-examples"].as_str().unwrap();
    let examples: Vec<Value> = serde_json::from_str(examples).unwrap();
    let owned = csv["spec"]["customresourcedefinitions"]["owned"].as_array().unwrap();
    for example in &examples {
        let version = example["apiVersion"].as_str().unwrap().strip_prefix("metallb.io/").unwrap();
        assert!(
            owned.iter().any(|owned| owned["kind"] == example["kind"] && owned["version"] == version),
            "{example}"
        );
    }
    assert_eq!(examples.len(), 7);
}

#[test]
fn every_account_that_something_runs_under_has_its_rights() {
    let csv = csv();
    let install = &csv["spec"]["install"]["spec"];
    for field in ["clusterPermissions", "permissions"] {
        let accounts: BTreeSet<_> = install[field]
            .as_array()
            .unwrap()
            .iter()
            .map(|granted| granted["serviceAccountName"].as_str().unwrap())
            .collect();
        assert_eq!(accounts, ["controller", "manager-account", "speaker"].into(), "{field}");
    }
    let deployment = &install["deployments"][0]["spec"]["template"]["spec"];
    assert_eq!(deployment["serviceAccountName"], "manager-account");
    let requests = &deployment["containers"][0]["resources"]["requests"];
    assert!(requests["cpu"].is_string() && requests["memory"].is_string());
}

#[test]
fn webhooks_are_defined_and_their_certificates_left_to_olm() {
    let csv = csv();
    let install = &csv["spec"]["install"]["spec"];
    let deployment = &install["deployments"][0];
    let args = deployment["spec"]["template"]["spec"]["containers"][0]["args"].as_array().unwrap();
    assert!(args.contains(&"--disable-cert-rotation=true".into()));
    assert!(
        !install.to_string().contains("customresourcedefinitions"),
        "catalogs warn of who may write them"
    );
    assert!(!install["permissions"].to_string().contains("metallb-webhook-cert"));
    let definitions = csv["spec"]["webhookdefinitions"].as_array().unwrap();
    assert!(
        definitions.iter().all(|it| it["deploymentName"] == deployment["name"] && it["targetPort"] == 9443)
    );
    let paths: BTreeSet<_> = definitions.iter().map(|it| it["webhookPath"].as_str().unwrap()).collect();
    assert_eq!(paths.len(), 9, "six kinds, MetalLB, deletions, conversion");
    let conversion = definitions.iter().find(|it| it["type"] == "ConversionWebhook").unwrap();
    assert_eq!(conversion["conversionCRDs"][0], "bgppeers.metallb.io");
}
