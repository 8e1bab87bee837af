//! The ConfigMap `bgpextras`: raw configuration for FRR, which upstream appends to its own.

use k8s_openapi::api::core::v1::ConfigMap;
use metallb_core::refusal::FrrRefusal;

/// Its name, in MetalLB's namespace.
pub const NAME: &str = "bgpextras";
const KEY: &str = "extras";

/// Why it has no effect; `None` for another ConfigMap, and for one that asks for nothing.
pub fn refusal(object: &ConfigMap) -> Option<FrrRefusal> {
    if object.metadata.name.as_deref() != Some(NAME) {
        return None;
    }
    let text = object.data.as_ref()?.get(KEY)?;
    (!text.trim().is_empty()).then_some(FrrRefusal::RawConfiguration)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn of(name: &str, data: &serde_json::Value) -> Option<FrrRefusal> {
        refusal(&serde_json::from_value(json!({ "metadata": { "name": name }, "data": data })).unwrap())
    }

    #[test]
    fn only_that_config_map_and_only_with_something_in_it_is_refused() {
        let something = json!({ "extras": "router bgp 64512" });
        assert_eq!(of("bgpextras", &something), Some(FrrRefusal::RawConfiguration));
        assert_eq!(of("others", &something), None);
        for nothing in [json!(null), json!({ "extras": "" }), json!({ "extras": " \n" }), json!({ "x": "y" })]
        {
            assert_eq!(of("bgpextras", &nothing), None, "{nothing}");
        }
    }
}
