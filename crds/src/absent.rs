//! Objects without a `spec`.
//!
//! `kind: L2Advertisement` with nothing but a name is the most common advertisement there is: the schema does not ask
//! for a `spec`, and leaving it out means the default. kube-derive's root type, however, insists on the field. The
//! macro below teaches a spec type to read "not there" (and `spec:` with nothing behind it) as its default.

/// For a spec type that derives serde's traits with `#[serde(remote = "Self")]`: implements them so that an absent or
/// null spec is `Default::default()`. With `remote`, the derived code is an inherent method that the impls here call.
macro_rules! spec_may_be_absent {
    ($spec:ty) => {
        impl<'de> ::serde::Deserialize<'de> for $spec {
            fn deserialize<D: ::serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Present($spec);
                impl<'de> ::serde::Deserialize<'de> for Present {
                    fn deserialize<D: ::serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                        <$spec>::deserialize(deserializer).map(Present)
                    }
                }
                Ok(Option::<Present>::deserialize(deserializer)?.map_or_else(Self::default, |spec| spec.0))
            }
        }

        impl ::serde::Serialize for $spec {
            fn serialize<S: ::serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                <$spec>::serialize(self, serializer)
            }
        }
    };
}
