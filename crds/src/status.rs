//! The status of kinds that report nothing.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Nothing is reported here; the subresource exists for compatibility.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct EmptyStatus {}
