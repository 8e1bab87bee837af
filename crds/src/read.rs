//! From a stored object to its type.
//!
//! Watches deliver objects untyped, so that one that does not fit its type is a fact about that object and not the end
//! of the watch. [`read()`] is the step from there to a type; its error names the field.

use serde::de::DeserializeOwned;
use serde_json::Value;

/// An object that does not fit its type: which field, and what is wrong with it.
#[derive(Debug, thiserror::Error)]
#[error("{field}: {}", reason)]
pub struct Malformed {
    /// The path of the field inside the object, such as `spec.nodeSelectors[0].matchLabels`; `.` is the object itself.
    pub field: String,
    /// What was found and what was expected there.
    pub reason: serde_json::Error,
}

/// Reads one object. Fields that the type does not know are ignored, as the API server ignores them.
pub fn read<K: DeserializeOwned>(object: &Value) -> Result<K, Malformed> {
    serde_path_to_error::deserialize(object)
        .map_err(|error| Malformed { field: error.path().to_string(), reason: error.into_inner() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{BGPPeer, ConfigurationState, IPAddressPool, L2Advertisement, MetalLB};
    use serde_json::json;

    fn field<K: DeserializeOwned + std::fmt::Debug>(spec: &Value) -> String {
        let object = json!({ "metadata": { "name": "x" }, "spec": spec });
        read::<K>(&object).unwrap_err().field
    }

    #[test]
    fn a_value_that_does_not_fit_is_reported_with_its_field() {
        assert_eq!(field::<IPAddressPool>(&json!({ "addresses": ["10.0.0.0/24", 7] })), "spec.addresses[1]");
        assert_eq!(
            field::<IPAddressPool>(&json!({ "addresses": [], "autoAssign": "yes" })),
            "spec.autoAssign"
        );
        assert_eq!(field::<BGPPeer>(&json!({ "myASN": -1 })), "spec.myASN");
        assert_eq!(field::<BGPPeer>(&json!({ "myASN": 64512, "dynamicASN": "both" })), "spec.dynamicASN");
        assert_eq!(field::<MetalLB>(&json!({ "logLevel": "loud" })), "spec.logLevel");
        let weight = json!({ "preferredNodeSelectors": [{ "weight": "heavy", "preference": {} }] });
        assert_eq!(field::<L2Advertisement>(&weight), "spec.preferredNodeSelectors[0].weight");
    }

    #[test]
    fn a_required_field_that_is_absent_is_named() {
        let error = read::<BGPPeer>(&json!({ "metadata": {}, "spec": {} })).unwrap_err();
        assert!(error.to_string().contains("myASN"), "{error}");
        let error = read::<BGPPeer>(&json!({ "metadata": {} })).unwrap_err();
        assert!(error.to_string().contains("spec"), "{error}");
    }

    #[test]
    fn a_spec_that_may_be_absent_reads_as_its_default() {
        for object in [json!({ "metadata": {} }), json!({ "metadata": {}, "spec": null })] {
            assert_eq!(read::<L2Advertisement>(&object).unwrap().spec, crate::L2AdvertisementSpec::default());
            assert_eq!(read::<MetalLB>(&object).unwrap().spec, crate::MetalLBSpec::default());
        }
    }

    #[test]
    fn a_field_from_a_newer_release_is_no_error() {
        let object = json!({ "metadata": {}, "spec": { "interfaces": ["eth0"], "fromTheFuture": true } });
        assert_eq!(read::<L2Advertisement>(&object).unwrap().spec.interfaces, ["eth0"]);
    }

    #[test]
    fn a_kind_without_spec_reads_its_status() {
        let object = json!({ "metadata": {}, "status": { "result": "Invalid", "errorSummary": "why" } });
        let status = read::<ConfigurationState>(&object).unwrap().status.unwrap();
        assert_eq!(status.result, Some(crate::ConfigurationResult::Invalid));
    }
}
