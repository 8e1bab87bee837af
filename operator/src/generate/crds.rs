//! `crds/`: one `CustomResourceDefinition` per file. `kubectl apply -f crds/` installs them all.

use std::path::PathBuf;

use metallb_crds::schema;

use super::{Artifact, Error, yaml};

pub(super) fn artifacts() -> Result<Vec<Artifact>, Error> {
    schema::all()
        .iter()
        .map(|definition| {
            let names = &definition.spec.names;
            let path = PathBuf::from(format!("crds/{}_{}.yaml", definition.spec.group, names.plural));
            match yaml::document(definition) {
                Ok(content) => Ok(Artifact { path, content }),
                Err(source) => Err(Error::Yaml { path, source }),
            }
        })
        .collect()
}
