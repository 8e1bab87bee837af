//! What is read of a Secret: its type and which keys it has, never a value.

use k8s_openapi::api::core::v1;

use crate::config::Secret;

/// Type and keys.
pub fn read(secret: &v1::Secret) -> Secret {
    Secret {
        kind: secret.type_.clone().unwrap_or_default(),
        keys: secret.data.iter().flat_map(|data| data.keys().cloned()).collect(),
    }
}
