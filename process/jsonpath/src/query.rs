//! Going from the root of a value to what a path names.

use serde_json::Value;

/// The path is none that is understood here.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{path:?} is no path of names and indices: not understood from {rest:?} on")]
pub struct NotUnderstood {
    path: String,
    rest: String,
}

/// What can be asked by a path.
pub trait JsonPath {
    /// What is there: one value, or none.
    fn query(&self, path: &str) -> Result<Vec<&Value>, NotUnderstood>;
}

impl JsonPath for Value {
    fn query(&self, path: &str) -> Result<Vec<&Value>, NotUnderstood> {
        let not_understood = |rest: &str| NotUnderstood { path: path.to_owned(), rest: rest.to_owned() };
        let mut rest = path.strip_prefix('$').ok_or_else(|| not_understood(path))?;
        let mut found = Some(self);
        while !rest.is_empty() {
            let (step, after) = step(rest).ok_or_else(|| not_understood(rest))?;
            found = found.and_then(|value| match step {
                Step::Name(name) => value.get(name),
                Step::Index(index) => value.get(index),
            });
            rest = after;
        }
        Ok(found.into_iter().collect())
    }
}

enum Step<'p> {
    Name(&'p str),
    Index(usize),
}

/// The first step, and what follows it.
fn step(path: &str) -> Option<(Step<'_>, &str)> {
    if let Some(path) = path.strip_prefix('.') {
        let end = path.find(['.', '[']).unwrap_or(path.len());
        let (name, rest) = path.split_at_checked(end)?;
        let is_name = !name.is_empty() && name.chars().all(|one| one.is_alphanumeric() || "_-".contains(one));
        return is_name.then_some((Step::Name(name), rest));
    }
    let (selector, rest) = path.strip_prefix('[')?.split_once(']')?;
    let quoted = |quote| selector.strip_prefix(quote)?.strip_suffix(quote);
    match quoted('\'').or_else(|| quoted('"')) {
        Some(name) => Some((Step::Name(name), rest)),
        None => Some((Step::Index(selector.parse().ok()?), rest)),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn names_and_indices_lead_from_the_root_to_a_value() {
        let printed = json!({ "credential": { "access_token": "t", "expiry.at": ["never", "now"] } });
        for (path, value) in [
            ("$.credential.access_token", Some(json!("t"))),
            ("$['credential'].access_token", Some(json!("t"))),
            (r#"$.credential["expiry.at"][1]"#, Some(json!("now"))),
            ("$.credential.id_token", None),
            ("$.credential.access_token.more", None),
            ("$", Some(printed.clone())),
        ] {
            assert_eq!(printed.query(path), Ok(value.iter().collect()), "{path}");
        }
    }

    #[test]
    fn what_is_not_understood_is_an_error_and_not_a_value_that_is_missing() {
        for path in
            ["credential", "$..token", "$.*", "$.a[*]", "$.a[?(@.b)]", "$.a[0:2]", "$.", "$[", "$.a b"]
        {
            assert!(json!({}).query(path).is_err(), "{path}");
        }
    }
}
