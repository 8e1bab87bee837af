//! Kubernetes objects as YAML that people can read.

use serde::Serialize;
use serde_json::Value;
use serde_saphyr::ser_options;

use super::HEADER;

/// Why an object cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It is no JSON to begin with.
    #[error(transparent)]
    Json(#[from] serde_json::Error),
    /// It is no YAML.
    #[error(transparent)]
    Yaml(#[from] serde_saphyr::ser::Error),
    /// A text that was to be an object is none.
    #[error(transparent)]
    Read(#[from] Box<serde_saphyr::Error>),
}

/// One object as one document, header included.
pub(super) fn document(object: &impl Serialize) -> Result<String, Error> {
    documents(&[serde_json::to_value(object)?])
}

/// One object from its text.
pub(super) fn read(text: &str) -> Result<Value, Error> {
    Ok(serde_saphyr::from_str(text).map_err(Box::new)?)
}

/// Several objects as one file, header included.
pub(super) fn documents(objects: &[Value]) -> Result<String, Error> {
    let mut file = HEADER.to_owned();
    for (index, object) in objects.iter().enumerate() {
        if index > 0 {
            file.push_str("---\n");
        }
        let mut value = object.clone();
        whole_numbers(&mut value);
        let body = serde_saphyr::to_string_with_options(&value, ser_options! { folded_wrap_chars: 110 })?;
        for line in body.lines() {
            // Blank lines inside a text arrive with its indentation.
            file.push_str(if line.trim().is_empty() { "" } else { line });
            file.push('\n');
        }
    }
    Ok(file)
}

/// Bounds in schemas are floating point numbers by type; `minimum: 1.0` says no more than `minimum: 1`.
fn whole_numbers(value: &mut Value) {
    match value {
        Value::Number(number) if number.is_f64() => {
            const EXACT: f64 = 9_007_199_254_740_992.0; // 2^53: up to here every whole number is exact
            let whole = |float: &f64| float.fract() == 0.0 && float.abs() <= EXACT;
            if let Some(float) = number.as_f64().filter(whole) {
                #[allow(clippy::cast_possible_truncation)] // whole and in range, as just checked
                let integer = float as i64;
                *number = integer.into();
            }
        }
        Value::Array(items) => items.iter_mut().for_each(whole_numbers),
        Value::Object(fields) => fields.values_mut().for_each(whole_numbers),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}
