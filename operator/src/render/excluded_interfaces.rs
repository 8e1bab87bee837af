//! ConfigMap `metallb-excludel2`: interfaces that no speaker announces on, as they are the cluster's own.

use k8s_openapi::api::core::v1::ConfigMap;

use super::scene::{Scene, map};

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

pub(super) fn config_map(scene: &Scene<'_>) -> ConfigMap {
    let mut file = "announcedInterfacesToExclude:\n".to_owned();
    for expression in EXCLUDED {
        file.push_str("- ");
        file.push_str(expression);
        file.push('\n');
    }
    ConfigMap {
        metadata: scene.metadata(NAME, &[]),
        data: Some(map([("excludel2.yaml", file.as_str())])),
        ..ConfigMap::default()
    }
}
