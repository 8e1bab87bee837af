//! What catalogs ask of a bundle.

use std::collections::BTreeSet;

use metallb_crds::schema;
use serde_json::Value;

use super::csv::cluster_service_version;
use super::{Release, package};
use crate::generate::Images;

fn csv() -> Value {
    cluster_service_version(&Release::default()).unwrap()
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
fn every_version_of_every_kind_has_one_example_and_fields_that_say_what_they_are() {
    let csv = csv();
    let examples = csv["metadata"]["annotations"]["alm-examples"].as_str().unwrap();
    let examples: Vec<Value> = serde_json::from_str(examples).unwrap();
    let kinds: Vec<(&str, &str)> = examples
        .iter()
        .map(|it| (it["kind"].as_str().unwrap(), it["apiVersion"].as_str().unwrap()))
        .collect();
    let owned = csv["spec"]["customresourcedefinitions"]["owned"].as_array().unwrap();
    for owned in owned {
        let (kind, version) = (owned["kind"].as_str().unwrap(), owned["version"].as_str().unwrap());
        let version = format!("metallb.io/{version}");
        assert_eq!(kinds.iter().filter(|it| **it == (kind, &version)).count(), 1, "{kind} {version}");
        let parts = ["specDescriptors", "statusDescriptors"].map(|part| owned[part].as_array());
        let fields: Vec<_> = parts.into_iter().flatten().flatten().collect();
        assert!(!fields.is_empty(), "{kind}");
        assert!(fields.iter().all(|field| field["description"].as_str() != Some("")), "{kind}");
    }
    assert_eq!(examples.len(), owned.len());
    let unknown: Vec<_> = examples.iter().flat_map(schema::unknown_fields).collect();
    assert!(unknown.is_empty(), "{unknown:?}");
}

#[test]
fn every_image_is_related_and_none_is_of_another_release() {
    let images = Images { operator: "registry/o@sha256:0".into(), dataplane: "registry/d@sha256:1".into() };
    let release = Release {
        version: "1.2.3".into(),
        replaces: Some("1.2.2".into()),
        images,
        bundle: "registry/b@sha256:2".into(),
    };
    let csv = cluster_service_version(&release).unwrap();
    let related = csv["spec"]["relatedImages"].as_array().unwrap();
    let related: BTreeSet<_> = related.iter().map(|it| it["image"].as_str().unwrap()).collect();
    assert_eq!(related, ["registry/d@sha256:1", "registry/o@sha256:0"].into());
    assert_eq!(csv["metadata"]["name"], "metallb-operator.v1.2.3");
    assert_eq!(csv["spec"]["replaces"], "metallb-operator.v1.2.2");
    assert_eq!(csv["metadata"]["annotations"]["olm.skipRange"], ">=0.0.1 <1.2.3");
    for file in package(&release).unwrap() {
        assert!(!file.content.contains("localhost/"), "{}", file.path.display());
    }
}

#[test]
fn the_first_release_replaces_nothing() {
    let release = Release { replaces: None, ..Release::default() };
    let files = package(&release).unwrap();
    for file in files.iter().filter(|file| !file.path.ends_with("catalog.yaml")) {
        assert!(
            !file.content.contains("replaces:") && !file.content.contains("skipRange"),
            "{}",
            file.path.display()
        );
    }
    let catalog = files.iter().find(|file| file.path.ends_with("catalog.yaml")).unwrap();
    let blobs = serde_saphyr::from_multiple::<Value>(&catalog.content).unwrap();
    let channel = blobs.iter().find(|blob| blob["schema"] == "olm.channel").unwrap();
    assert_eq!(channel["entries"], serde_json::json!([{ "name": release.name() }]));
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
