//! The operator's environment: where it runs, which images it installs, and on which ports.
//!
//! Variables of upstream that configure what is not here are not looked at, so deployments that set them keep
//! working: those of the FRR containers (`FRR_IMAGE`, mandatory upstream, `FRRK8S_IMAGE`, `FRR_METRICS_PORT`,
//! `FRRK8S_*METRICS_PORT`), as the speaker speaks BGP itself; those of OpenShift's network operator
//! (`DEPLOY_FRRK8S_FROM_CNO`, `CNO_MIN_FRRK8S_VERSION`); and the historical ones (`METALLB_BGP_TYPE`,
//! `HTTPS_METRICS_PORT`, `FRR_HTTPS_METRICS_PORT`, `KUBE_RBAC_PROXY_IMAGE`, `DEPLOY_KUBE_RBAC_PROXIES`,
//! `ENABLE_OPERATOR_WEBHOOK`, `ENABLE_WEBHOOK`, `WATCH_NAMESPACE`).

use metallb_process::serve::tls::TlsFlags;

use crate::render::RUNBOOKS;

/// What the operator is told by its deployment.
#[derive(Clone, Debug)]
pub struct Environment {
    /// `OPERATOR_NAMESPACE`: where the operator runs, and where it installs MetalLB.
    pub namespace: String,
    /// `POD_NAME`, else `HOSTNAME`, which is the same in a pod: tells replicas apart.
    pub pod_name: Option<String>,
    /// `CONTROLLER_IMAGE`, as it is.
    pub controller_image: String,
    /// `SPEAKER_IMAGE`, as it is.
    pub speaker_image: String,
    /// The ports of the workloads.
    pub ports: Ports,
    /// `DEPLOY_SERVICEMONITORS` and `DEPLOY_PODMONITORS`.
    pub monitors: Monitors,
    /// The port of the operator's own metrics, if others can reach it: the flag `--metrics-addr`.
    pub own_metrics: Option<u16>,
    /// `RUNBOOK_URL`: the page with the runbooks of the alerts.
    pub runbooks: String,
    /// `DISABLE_NETWORK_POLICIES`.
    pub network_policies: NetworkPolicies,
    /// `FRRK8S_EXTERNAL_NAMESPACE`: the namespace of an frr-k8s run by someone else, unless the `MetalLB` names one.
    pub external_frrk8s_namespace: Option<String>,
    /// `TLS_MIN_VERSION`, `TLS_CIPHER_SUITES` and `TLS_CURVE_PREFERENCES`, for the servers of the workloads, and for the
    /// webhook server.
    pub tls: TlsFlags,
}

/// What the webhooks are told by their deployment: they need no image.
#[derive(Clone, Debug)]
pub struct WebhookEnvironment {
    /// `OPERATOR_NAMESPACE`: the namespace of MetalLB.
    pub namespace: String,
    /// `FRRK8S_EXTERNAL_NAMESPACE`.
    pub external_frrk8s_namespace: Option<String>,
    /// `TLS_MIN_VERSION`, `TLS_CIPHER_SUITES` and `TLS_CURVE_PREFERENCES`, for the webhook server.
    pub tls: TlsFlags,
}

/// The ports of the workloads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ports {
    /// `MEMBER_LIST_BIND_PORT`: speakers to each other.
    pub memberlist: u16,
    /// `METRICS_PORT`: metrics of controller and speaker.
    pub metrics: u16,
    /// `OPERAND_LIVENESS_PORT`: probes of controller and speaker.
    pub probes: u16,
}

/// How Prometheus is told where the metrics are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Monitors {
    /// Not at all.
    None,
    /// By ServiceMonitors and the Services they select.
    Service,
    /// By PodMonitors, which has never worked upstream and is not offered here.
    Pod,
}

/// Whether traffic of the controller is restricted by a NetworkPolicy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NetworkPolicies {
    /// It is.
    Install,
    /// It is not.
    Omit,
}

/// Why the environment cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum BadEnvironment {
    /// A variable that has no default is not set.
    #[error("{0} is not set")]
    Missing(&'static str),
    /// A port that is none.
    #[error("{variable} is {value:?}, which is no port (1 to 65535)")]
    BadPort {
        /// Which variable.
        variable: &'static str,
        /// What it holds.
        value: String,
    },
    /// Prometheus would scrape everything twice.
    #[error("DEPLOY_SERVICEMONITORS and DEPLOY_PODMONITORS are both true: choose one")]
    BothMonitors,
    /// Settings that the servers of the workloads would refuse.
    #[error("TLS_MIN_VERSION, TLS_CIPHER_SUITES or TLS_CURVE_PREFERENCES cannot be used")]
    Tls(#[source] anyhow::Error),
}

impl Environment {
    /// Reads what `lookup` knows of each variable. Empty is the same as not set.
    pub fn read(lookup: impl Fn(&str) -> Option<String>) -> Result<Self, BadEnvironment> {
        let given = |variable: &str| lookup(variable).filter(|value| !value.is_empty());
        let mandatory = |variable: &'static str| given(variable).ok_or(BadEnvironment::Missing(variable));
        let is_true = |variable: &str| given(variable).as_deref() == Some("true");
        let port = |variable: &'static str, default: u16| match given(variable) {
            None => Ok(default),
            Some(value) => match value.parse() {
                Ok(port) if port > 0 => Ok(port),
                _ => Err(BadEnvironment::BadPort { variable, value }),
            },
        };
        let monitors = match (is_true("DEPLOY_SERVICEMONITORS"), is_true("DEPLOY_PODMONITORS")) {
            (false, false) => Monitors::None,
            (true, false) => Monitors::Service,
            (false, true) => Monitors::Pod,
            (true, true) => return Err(BadEnvironment::BothMonitors),
        };
        let omit_policies = is_true("DISABLE_NETWORK_POLICIES");
        Ok(Self {
            namespace: mandatory("OPERATOR_NAMESPACE")?,
            pod_name: given("POD_NAME").or_else(|| given("HOSTNAME")),
            controller_image: mandatory("CONTROLLER_IMAGE")?,
            speaker_image: mandatory("SPEAKER_IMAGE")?,
            ports: Ports {
                memberlist: port("MEMBER_LIST_BIND_PORT", 7946)?,
                metrics: port("METRICS_PORT", 9120)?,
                probes: port("OPERAND_LIVENESS_PORT", 17472)?,
            },
            monitors,
            own_metrics: None,
            runbooks: given("RUNBOOK_URL").unwrap_or_else(|| RUNBOOKS.to_owned()),
            network_policies: if omit_policies { NetworkPolicies::Omit } else { NetworkPolicies::Install },
            external_frrk8s_namespace: given("FRRK8S_EXTERNAL_NAMESPACE"),
            tls: read_tls(&lookup)?,
        })
    }

    /// As far as the webhooks need it.
    pub fn for_webhooks(&self) -> WebhookEnvironment {
        WebhookEnvironment {
            namespace: self.namespace.clone(),
            external_frrk8s_namespace: self.external_frrk8s_namespace.clone(),
            tls: self.tls.clone(),
        }
    }
}

impl WebhookEnvironment {
    /// Reads what `lookup` knows of each variable. Empty is the same as not set.
    pub fn read(lookup: impl Fn(&str) -> Option<String>) -> Result<Self, BadEnvironment> {
        let given = |variable: &str| lookup(variable).filter(|value| !value.is_empty());
        Ok(Self {
            namespace: given("OPERATOR_NAMESPACE").ok_or(BadEnvironment::Missing("OPERATOR_NAMESPACE"))?,
            external_frrk8s_namespace: given("FRRK8S_EXTERNAL_NAMESPACE"),
            tls: read_tls(&lookup)?,
        })
    }
}

fn read_tls(lookup: impl Fn(&str) -> Option<String>) -> Result<TlsFlags, BadEnvironment> {
    let given = |variable: &str| lookup(variable).unwrap_or_default();
    tls(given("TLS_MIN_VERSION"), given("TLS_CIPHER_SUITES"), given("TLS_CURVE_PREFERENCES"))
}

/// Checked here as the workloads will check it: better this process says what is wrong than all pods of those.
fn tls(minimum: String, ciphers: String, curves: String) -> Result<TlsFlags, BadEnvironment> {
    // Cipher suites are without effect in TLS 1.3, the default. The environment may hold them all the same; the
    // workloads would not start with them.
    let only_tls13 = matches!(minimum.as_str(), "" | "VersionTLS13");
    let flags = TlsFlags {
        tls_cipher_suites: if only_tls13 { String::new() } else { ciphers },
        tls_min_version: minimum,
        tls_curve_preferences: curves,
    };
    flags.options().map_err(BadEnvironment::Tls)?;
    Ok(flags)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    const MANDATORY: [(&str, &str); 3] =
        [("OPERATOR_NAMESPACE", "metallb-system"), ("CONTROLLER_IMAGE", "c:1"), ("SPEAKER_IMAGE", "s:1")];

    fn read(more: &[(&str, &str)]) -> Result<Environment, BadEnvironment> {
        let variables: BTreeMap<&str, &str> = MANDATORY.iter().chain(more).copied().collect();
        Environment::read(|variable| variables.get(variable).map(|value| (*value).to_owned()))
    }

    fn error(more: &[(&str, &str)]) -> String {
        format!("{:#}", anyhow::Error::from(read(more).unwrap_err()))
    }

    #[test]
    fn three_variables_are_enough() {
        let environment = read(&[]).unwrap();
        assert_eq!(environment.namespace, "metallb-system");
        assert_eq!((&*environment.controller_image, &*environment.speaker_image), ("c:1", "s:1"));
        assert_eq!(environment.ports, Ports { memberlist: 7946, metrics: 9120, probes: 17472 });
        assert_eq!(environment.monitors, Monitors::None);
        assert_eq!(environment.runbooks, "docs/troubleshooting.md");
        assert_eq!(environment.network_policies, NetworkPolicies::Install);
        assert_eq!(environment.external_frrk8s_namespace, None);
        assert_eq!(environment.pod_name, None);
    }

    #[test]
    fn webhooks_need_no_image() {
        let namespace =
            |variable: &str| (variable == "OPERATOR_NAMESPACE").then(|| "metallb-system".to_owned());
        assert_eq!(WebhookEnvironment::read(namespace).unwrap().namespace, "metallb-system");
        assert!(matches!(
            WebhookEnvironment::read(|_| None),
            Err(BadEnvironment::Missing("OPERATOR_NAMESPACE"))
        ));
    }

    #[test]
    fn every_one_of_the_three_is_asked_for_by_name() {
        for (name, _) in MANDATORY {
            assert_eq!(error(&[(name, "")]), format!("{name} is not set"));
        }
    }

    #[test]
    fn everything_can_be_set() {
        let environment = read(&[
            ("POD_NAME", "operator-1"),
            ("HOSTNAME", "node-1"),
            ("MEMBER_LIST_BIND_PORT", "1"),
            ("METRICS_PORT", "2"),
            ("OPERAND_LIVENESS_PORT", "65535"),
            ("DEPLOY_SERVICEMONITORS", "true"),
            ("RUNBOOK_URL", "https://wiki.example/metallb"),
            ("DISABLE_NETWORK_POLICIES", "true"),
            ("FRRK8S_EXTERNAL_NAMESPACE", "frr-k8s-system"),
            ("TLS_MIN_VERSION", "VersionTLS12"),
            ("TLS_CIPHER_SUITES", "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384"),
            ("TLS_CURVE_PREFERENCES", "29,23"),
        ])
        .unwrap();
        assert_eq!(environment.pod_name.as_deref(), Some("operator-1"));
        assert_eq!(environment.ports, Ports { memberlist: 1, metrics: 2, probes: 65535 });
        assert_eq!(environment.monitors, Monitors::Service);
        assert_eq!(environment.runbooks, "https://wiki.example/metallb");
        assert_eq!(environment.network_policies, NetworkPolicies::Omit);
        assert_eq!(environment.external_frrk8s_namespace.as_deref(), Some("frr-k8s-system"));
        assert_eq!(environment.tls.tls_cipher_suites, "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384");
    }

    #[test]
    fn only_the_word_true_is_true() {
        for value in ["True", "1", "yes", "false"] {
            assert_eq!(read(&[("DEPLOY_SERVICEMONITORS", value)]).unwrap().monitors, Monitors::None);
        }
    }

    #[test]
    fn both_kinds_of_monitor_at_once_are_refused() {
        let both = [("DEPLOY_SERVICEMONITORS", "true"), ("DEPLOY_PODMONITORS", "true")];
        assert!(matches!(read(&both), Err(BadEnvironment::BothMonitors)));
        assert_eq!(read(&both[1..]).unwrap().monitors, Monitors::Pod);
    }

    #[test]
    fn a_port_that_is_none_is_named_with_its_variable() {
        for value in ["0", "65536", "-1", "http", " 80"] {
            assert_eq!(
                error(&[("METRICS_PORT", value)]),
                format!("METRICS_PORT is {value:?}, which is no port (1 to 65535)")
            );
        }
    }

    #[test]
    fn variables_of_what_is_not_here_are_ignored_whatever_they_hold() {
        for variable in
            ["FRR_METRICS_PORT", "CNO_MIN_FRRK8S_VERSION", "FRRK8S_METRICS_PORT", "METALLB_BGP_TYPE"]
        {
            assert!(read(&[(variable, "nonsense")]).is_ok(), "{variable}");
        }
    }

    #[test]
    fn cipher_suites_are_left_out_where_tls_13_makes_them_void() {
        let ciphers = ("TLS_CIPHER_SUITES", "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384");
        for version in ["", "VersionTLS13"] {
            let environment = read(&[ciphers, ("TLS_MIN_VERSION", version)]).unwrap();
            assert_eq!(environment.tls.tls_cipher_suites, "");
        }
    }

    #[test]
    fn tls_settings_that_no_pod_could_start_with_are_refused_here() {
        assert!(error(&[("TLS_MIN_VERSION", "1.3")]).contains("\"1.3\""));
        assert!(error(&[("TLS_CURVE_PREFERENCES", "29,29")]).contains("twice"));
        let unknown = [("TLS_MIN_VERSION", "VersionTLS12"), ("TLS_CIPHER_SUITES", "RC4")];
        assert!(error(&unknown).contains("\"RC4\""));
    }
}
