//! Label selectors as users write them, into ones that can be evaluated.

use std::collections::BTreeSet;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, LabelSelectorRequirement};
use metallb_core::labels::{Requirement, Selector};
use metallb_core::refusal::{AnyRefusal, BadSelector};

/// Reads the list in `field`. Refused: unknown operators, values where none belong, and anything that stands twice, as
/// upstream refuses it.
pub(super) fn list(field: &'static str, selectors: &[LabelSelector]) -> Result<Vec<Selector>, AnyRefusal> {
    let refused = |cause| AnyRefusal::Selector { field, cause };
    let mut parsed = Vec::with_capacity(selectors.len());
    for selector in selectors {
        let selector = one(selector).map_err(refused)?;
        if parsed.contains(&selector) {
            return Err(refused(BadSelector::RepeatedSelector));
        }
        parsed.push(selector);
    }
    Ok(parsed)
}

/// Reads one selector.
pub(super) fn one(selector: &LabelSelector) -> Result<Selector, BadSelector> {
    let labels = selector.match_labels.iter().flatten();
    let mut requirements: Vec<_> =
        labels.map(|(key, value)| Requirement::In(key.clone(), [value.clone()].into())).collect();
    let mut expressions = Vec::new();
    for expression in selector.match_expressions.iter().flatten() {
        let requirement = requirement(expression)?;
        if expressions.contains(&requirement) {
            return Err(BadSelector::RepeatedExpression(expression.key.clone()));
        }
        expressions.push(requirement);
    }
    requirements.append(&mut expressions);
    Ok(requirements.into_iter().collect())
}

fn requirement(expression: &LabelSelectorRequirement) -> Result<Requirement, BadSelector> {
    let key = expression.key.clone();
    let mut values = BTreeSet::new();
    for value in expression.values.iter().flatten() {
        if !values.insert(value.clone()) {
            return Err(BadSelector::RepeatedValue(value.clone()));
        }
    }
    match (expression.operator.as_str(), values.is_empty()) {
        ("In", false) => Ok(Requirement::In(key, values)),
        ("NotIn", false) => Ok(Requirement::NotIn(key, values)),
        ("In" | "NotIn", true) => Err(BadSelector::NeedsValues(key)),
        ("Exists", true) => Ok(Requirement::Exists(key)),
        ("DoesNotExist", true) => Ok(Requirement::DoesNotExist(key)),
        ("Exists" | "DoesNotExist", false) => Err(BadSelector::TakesNoValues(key)),
        (other, _) => Err(BadSelector::UnknownOperator(other.to_owned())),
    }
}
