//! May a `MetalLB` object be as it is asked for?

use metallb_core::refusal::Refusal as _;
use metallb_crds::MetalLB;
use metallb_crds::admission::Decision;
use serde_json::Value;

use crate::reconcile::METALLB;
use crate::wanted::{SpecRefusal, Wanted};

/// Where the one `MetalLB` is, and what its spec is checked against.
#[derive(Clone, Debug)]
pub struct Rules {
    /// The operator's namespace.
    pub namespace: String,
    /// The operator's default for `frrk8sConfig.namespace`.
    pub external_frrk8s_namespace: Option<String>,
}

impl Rules {
    /// Denied for what `new` has against it and `old` had not. A name or namespace in which it has no effect is only
    /// warned of, as upstream lets it pass.
    pub fn review(&self, old: Option<&Value>, new: &Value) -> Decision {
        let known = old.map(|old| self.refusals(old)).unwrap_or_default();
        let mut decision = Decision::default();
        for refusal in self.refusals(new) {
            let text = format!("{}; {}", refusal.sentence(), refusal.fix());
            if known.contains(&refusal) { decision.warnings.push(text) } else { decision.denials.push(text) }
        }
        let text = |key: &str| new["metadata"][key].as_str().unwrap_or_default().to_owned();
        let (name, namespace) = (text("name"), text("namespace"));
        if name != METALLB || namespace != self.namespace {
            decision.warnings.push(format!(
                "MetalLB {namespace}/{name} has no effect; the operator acts on {METALLB} in namespace {}",
                self.namespace
            ));
        }
        decision
    }

    fn refusals(&self, object: &Value) -> Vec<SpecRefusal> {
        match metallb_crds::read::<MetalLB>(object) {
            Ok(object) => Wanted::check(&object.spec, self.external_frrk8s_namespace.as_deref())
                .err()
                .unwrap_or_default(),
            Err(malformed) => vec![SpecRefusal::Unreadable { error: malformed.to_string() }],
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn rules() -> Rules {
        Rules { namespace: "metallb-system".into(), external_frrk8s_namespace: None }
    }

    fn metallb(spec: &Value) -> Value {
        json!({ "metadata": { "name": "metallb", "namespace": "metallb-system" }, "spec": spec })
    }

    #[test]
    fn a_sound_one_passes_without_a_word() {
        assert_eq!(rules().review(None, &metallb(&json!({}))), Decision::default());
    }

    #[test]
    fn everything_that_is_wrong_is_said_at_once() {
        let spec = json!({
            "bgpBackend": "bird", "frrk8sConfig": { "alwaysBlock": ["x"] },
            "speakerTolerations": [{ "effect": "NoSchedule", "tolerationSeconds": 5 }],
        });
        assert_eq!(rules().review(None, &metallb(&spec)).denials.len(), 3);
    }

    #[test]
    fn what_was_wrong_before_is_in_nobodys_way() {
        let (old, worse) =
            (json!({ "bgpBackend": "bird" }), json!({ "bgpBackend": "bird", "logLevel": "loud" }));
        let decision = rules().review(Some(&metallb(&old)), &metallb(&old));
        assert_eq!((decision.denials.len(), decision.warnings.len()), (0, 1));
        assert_eq!(rules().review(Some(&metallb(&old)), &metallb(&worse)).denials.len(), 1);
    }

    #[test]
    fn one_that_has_no_effect_passes_with_a_warning() {
        for (name, namespace) in [("other", "metallb-system"), ("metallb", "default")] {
            let object = json!({ "metadata": { "name": name, "namespace": namespace } });
            let decision = rules().review(None, &object);
            assert_eq!(decision.denials, [""; 0]);
            assert!(decision.warnings[0].contains("has no effect"), "{decision:?}");
        }
    }
}
