//! Label selectors as users write them, into ones that can be evaluated.

use std::collections::BTreeSet;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, LabelSelectorRequirement};
use metallb_core::labels::{Requirement, Selector};
use metallb_core::refusal::{AnyRefusal, BadSelector};

/// Reads the list in `field`. Refused: unknown operators, values where none belong, and anything that stands twice, as
/// upstream refuses it.
pub(super) fn list(field: &'static str, selectors: &[LabelSelector]) -> Result<Vec<Selector>, AnyRefusal> {
    let refused = |cause| AnyRefusal::Selector { field, cause };
    let parsed: Vec<_> = selectors.iter().map(one).collect::<Result<_, _>>().map_err(refused)?;
    if parsed.iter().collect::<BTreeSet<_>>().len() < parsed.len() {
        return Err(refused(BadSelector::RepeatedSelector));
    }
    Ok(parsed)
}

/// Reads one selector.
pub(super) fn one(selector: &LabelSelector) -> Result<Selector, BadSelector> {
    let labels = selector.match_labels.iter().flatten();
    let labels = labels.map(|(key, value)| Requirement::In(key.clone(), [value.clone()].into()));
    let mut expressions = BTreeSet::new();
    for expression in selector.match_expressions.iter().flatten() {
        if !expressions.insert(requirement(expression)?) {
            return Err(BadSelector::RepeatedExpression(expression.key.clone()));
        }
    }
    Ok(labels.chain(expressions).collect())
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
