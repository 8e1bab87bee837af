//! ConfigMap `metallb-excludel2`: interfaces that no speaker announces on, as they are the cluster's own.

use k8s_openapi::api::core::v1::ConfigMap;
use serde_json::json;

use super::scene::{Scene, map};
use crate::wanted::Wanted;

/// Name of the ConfigMap, and of the volume it becomes.
pub(super) const NAME: &str = "metallb-excludel2";

const EXCLUDED: [&str; 14] = [
    "^docker.*",
    "^cbr.*",
    "^dummy.*",
    "^virbr.*",
    "^lxcbr.*",
    "^veth.*",
    "^lo$",
    "^cali.*",
    "^tunl.*",
    "^flannel.*",
    "^kube-ipvs.*",
    "^cni.*",
    "^nodelocaldns.*",
    "^lxc.*",
];

pub(super) fn config_map(scene: &Scene<'_>, wanted: &Wanted) -> ConfigMap {
    let items: Vec<String> = match &wanted.excluded_interfaces {
        None => EXCLUDED.map(|expression| format!("- {expression}\n")).into(),
        // A text of JSON is one of YAML, whatever is in it.
        Some(own) => own.iter().map(|expression| format!("- {}\n", json!(expression))).collect(),
    };
    let items = if items.is_empty() { " []\n".to_owned() } else { format!("\n{}", items.concat()) };
    let file = format!("announcedInterfacesToExclude:{items}");
    ConfigMap {
        metadata: scene.metadata(NAME, &[]),
        data: Some(map([("excludel2.yaml", file.as_str())])),
        ..ConfigMap::default()
    }
}
