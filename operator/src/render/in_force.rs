//! ConfigMap `metallb-spec-in-force`: the spec that everything else was rendered from.
//!
//! The operator keeps no memory of its own, and a spec that cannot be acted on replaces the good one before it. So that
//! what is installed is kept in order all the same, also by an operator that has just started, the good one is installed
//! with the rest: owned, watched and put right like everything else, and gone with the `MetalLB`.

use k8s_openapi::api::core::v1::ConfigMap;
use metallb_crds::{MetalLB, MetalLBSpec};
use serde_json::{Value, json};

use super::scene::{Scene, map};

/// Its name.
pub const IN_FORCE: &str = "metallb-spec-in-force";
const KEY: &str = "spec.json";

pub(super) fn config_map(scene: &Scene<'_>, spec: &MetalLBSpec) -> ConfigMap {
    let text = serde_json::to_string(spec).unwrap_or_default();
    ConfigMap {
        metadata: scene.metadata(IN_FORCE, &[]),
        data: Some(map([(KEY, text.as_str())])),
        ..ConfigMap::default()
    }
}

/// What it holds. Nothing if somebody has spoiled it.
pub fn spec_in_force(config_map: &Value) -> Option<MetalLBSpec> {
    let text = config_map.get("data")?.get(KEY)?.as_str()?;
    let spec: Value = serde_json::from_str(text).ok()?;
    metallb_crds::read::<MetalLB>(&json!({ "metadata": {}, "spec": spec })).ok().map(|object| object.spec)
}
