//! An object as the text that came: read into its kind one at a time, and only as far as somebody wants to know it.
//!
//! Objects of all kinds go through the watch as this one type. A client for each kind would be a few hundred kilobytes of
//! program each, and would keep a whole list of objects in memory to take a few fields of each.

use std::borrow::Cow;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Resource;
use kube::core::error_boundary::InvalidObject;
use kube::core::{ApiResource, DynamicResourceScope};
use serde::Deserialize;
use serde::de::{DeserializeOwned, Deserializer, Error as _};
use serde_json::value::RawValue;

use super::{ObjectKey, Read};

/// The text of an object, and what the watch itself needs of it.
#[derive(Clone, Debug)]
pub struct Raw {
    /// Name, namespace and version; the rest is in the text only.
    metadata: ObjectMeta,
    text: Box<RawValue>,
}

impl Raw {
    /// Where it is.
    pub fn key(&self) -> ObjectKey {
        let ObjectMeta { namespace, name, .. } = self.metadata.clone();
        (namespace.unwrap_or_default(), name.unwrap_or_default())
    }

    /// The object. What cannot be read has metadata all the same, whose absence would be an error of the watch.
    #[allow(clippy::result_large_err)] // looked at and gone before the next one is read
    pub fn read<K: DeserializeOwned>(&self) -> Read<K> {
        serde_json::from_str(self.text.get()).map_err(|error| InvalidObject {
            error: without_place(&error.to_string()).to_owned(),
            metadata: self.all_metadata(),
        })
    }

    fn all_metadata(&self) -> ObjectMeta {
        #[derive(Deserialize)]
        struct Described {
            metadata: ObjectMeta,
        }
        let described = serde_json::from_str::<Described>(self.text.get());
        described.map_or_else(|_| self.metadata.clone(), |described| described.metadata)
    }
}

/// Where in the text it was says nothing to somebody who sees the object and not the text.
fn without_place(error: &str) -> &str {
    error.rsplit_once(" at line ").map_or(error, |(error, _)| error)
}

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Described {
            #[serde(default)]
            metadata: Named,
        }
        #[derive(Default, Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Named {
            name: Option<String>,
            namespace: Option<String>,
            resource_version: Option<String>,
        }
        let text = Box::<RawValue>::deserialize(deserializer)?;
        let described: Described = serde_json::from_str(text.get()).map_err(D::Error::custom)?;
        let Named { name, namespace, resource_version } = described.metadata;
        let metadata = ObjectMeta { name, namespace, resource_version, ..ObjectMeta::default() };
        Ok(Self { metadata, text })
    }
}

impl Resource for Raw {
    type DynamicType = ApiResource;
    type Scope = DynamicResourceScope;

    fn kind(dt: &ApiResource) -> Cow<'_, str> {
        dt.kind.as_str().into()
    }

    fn group(dt: &ApiResource) -> Cow<'_, str> {
        dt.group.as_str().into()
    }

    fn version(dt: &ApiResource) -> Cow<'_, str> {
        dt.version.as_str().into()
    }

    fn api_version(dt: &ApiResource) -> Cow<'_, str> {
        dt.api_version.as_str().into()
    }

    fn plural(dt: &ApiResource) -> Cow<'_, str> {
        dt.plural.as_str().into()
    }

    fn meta(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.metadata
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::ConfigMap;
    use kube::core::WatchEvent;

    use super::*;

    fn raw(text: &str) -> Raw {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn an_object_is_read_as_its_kind() {
        let raw = raw(
            r#"{"metadata": {"name": "a", "namespace": "n", "resourceVersion": "7"}, "data": {"k": "v"}}"#,
        );
        assert_eq!(raw.key(), ("n".to_owned(), "a".to_owned()));
        assert_eq!(raw.meta().resource_version.as_deref(), Some("7"));
        let read: ConfigMap = raw.read().unwrap();
        assert_eq!(read.data.unwrap()["k"], "v");
        assert_eq!(read.metadata.name.as_deref(), Some("a"));
    }

    #[test]
    fn one_that_is_not_of_its_kind_is_a_fact_about_it_and_has_its_metadata() {
        let raw = raw(r#"{"metadata": {"name": "a", "labels": {"l": "v"}}, "data": 3}"#);
        let unreadable = raw.read::<ConfigMap>().unwrap_err();
        assert_eq!(unreadable.metadata.labels.unwrap()["l"], "v");
        assert_eq!(unreadable.error, "invalid type: integer `3`, expected a map");
    }

    #[test]
    fn it_comes_as_events_come() {
        let event =
            r#"{"type": "MODIFIED", "object": {"kind": "ConfigMap", "metadata": {"name": "a"}, "data": {}}}"#;
        let event: WatchEvent<Raw> = serde_json::from_str(event).unwrap();
        let WatchEvent::Modified(object) = event else { panic!("{event:?}") };
        assert_eq!(object.key().1, "a");
        assert!(object.read::<ConfigMap>().is_ok());
    }
}
