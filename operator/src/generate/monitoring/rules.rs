//! `config/prometheus/rules.yaml`: the [alerts](crate::render::alerts), as Prometheus reads them from a file; and where
//! the dashboard is written to.

use std::path::PathBuf;

use metallb_process::serve::tls::TlsFlags;

use super::dashboard;
use crate::environment::{Environment, Monitors, NetworkPolicies, Ports};
use crate::generate::manifest::{METRICS, NAMESPACE};
use crate::generate::{Artifact, Error, yaml};
use crate::render::{PrometheusRuleSpec, RUNBOOKS};

pub(in crate::generate) fn artifacts() -> Result<Vec<Artifact>, Error> {
    let path = PathBuf::from("config/prometheus/rules.yaml");
    let content = yaml::document(&PrometheusRuleSpec::of(&environment()));
    let content = content.map_err(|source| Error::Yaml { path: path.clone(), source })?;
    let rules = Artifact { path, content };
    // JSON has no comments, so nothing in it says where it comes from.
    let path = PathBuf::from("config/grafana/metallb.json");
    let content = serde_json::to_string_pretty(&dashboard()).map_err(yaml::Error::from);
    let content = content.map_err(|source| Error::Yaml { path: path.clone(), source })? + "\n";
    Ok(vec![rules, Artifact { path, content }])
}

/// As the manifest installs it.
fn environment() -> Environment {
    Environment {
        namespace: NAMESPACE.to_owned(),
        pod_name: None,
        controller_image: String::new(),
        speaker_image: String::new(),
        ports: Ports { memberlist: 7946, metrics: 9120, probes: 17472 },
        monitors: Monitors::Service,
        own_metrics: Some(METRICS),
        runbooks: RUNBOOKS.to_owned(),
        network_policies: NetworkPolicies::Install,
        external_frrk8s_namespace: None,
        tls: TlsFlags::default(),
    }
}
