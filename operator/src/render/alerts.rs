//! What an operator on call must know: each alert, when it fires, and what it says. Pure text.
//!
//! Names, expressions and severities of upstream's Helm chart are kept where it has them; its pool alerts are told apart
//! by address family here, for a pool whose IPv4 half is used up is used up however many IPv6 addresses it has left. Each
//! alert has a section of its name in the [runbooks](RUNBOOKS).
//!
//! Not here: how they reach Prometheus ([`super::prometheus_rule`]).

use super::monitors::service_name;
use super::{CONTROLLER, OPERATOR, SPEAKER};
use crate::environment::Environment;

/// The page with a section for each alert, in our repository.
pub const RUNBOOKS: &str = "docs/troubleshooting.md";

/// How urgent an alert is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// Somebody is to look at once: traffic is lost, or about to be.
    Critical,
    /// Somebody is to look today.
    Warning,
}

impl Severity {
    /// The value of the label `severity`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Critical => "critical",
            Self::Warning => "warning",
        }
    }
}

/// Something that somebody is told of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alert {
    /// What it is called.
    pub name: &'static str,
    /// The address family it is about, where there is one alert for each.
    pub family: Option<&'static str>,
    /// In `PromQL`.
    pub expression: String,
    /// For how long it must hold.
    pub hold: &'static str,
    /// How urgent it is.
    pub severity: Severity,
    /// What is the matter, in a line.
    pub summary: String,
    /// What follows from that.
    pub description: String,
}

impl Alert {
    fn new(
        name: &'static str,
        hold: &'static str,
        severity: Severity,
        expression: impl Into<String>,
    ) -> Self {
        Self {
            name,
            family: None,
            expression: expression.into(),
            hold,
            severity,
            summary: String::new(),
            description: String::new(),
        }
    }

    fn saying(self, summary: impl Into<String>, description: impl Into<String>) -> Self {
        Self { summary: summary.into(), description: description.into(), ..self }
    }

    /// The heading of its section in the runbooks, as an anchor.
    pub fn anchor(&self) -> String {
        self.name.to_lowercase()
    }
}

/// All there are.
pub fn alerts(environment: &Environment) -> Vec<Alert> {
    let jobs = Jobs { namespace: &environment.namespace };
    let operator = environment.own_metrics.map(|_| operator_down(&jobs));
    let mut alerts = configuration(&jobs).to_vec();
    alerts.extend(pools());
    alerts.extend(announcements());
    alerts.extend(sessions());
    alerts.extend(workloads(&jobs));
    alerts.extend(operator);
    alerts
}

/// How series of a component are told apart: by what the monitors make the job.
struct Jobs<'e> {
    namespace: &'e str,
}

impl Jobs<'_> {
    fn of(&self, component: &str) -> String {
        format!("job=\"{}\",namespace=\"{}\"", service_name(component), self.namespace)
    }
}

fn configuration(jobs: &Jobs<'_>) -> [Alert; 3] {
    const LOADED: &str = "metallb_k8s_client_config_loaded_bool";
    let controller = service_name(CONTROLLER);
    let namespace = jobs.namespace;
    [
        Alert::new(
            "MetalLBStaleConfig",
            "1m",
            Severity::Warning,
            "metallb_k8s_client_config_stale_bool == 1",
        )
        .saying(
            "{{ $labels.pod }} sets an object of the configuration aside",
            "A pool, a peer or an advertisement is not in force as it is stored; everything else is. \
             `kubectl -n metallb-system get configurationstates` names it, and what to do.",
        ),
        // A controller that stands by loads nothing.
        Alert::new(
            "MetalLBConfigNotLoaded",
            "1m",
            Severity::Warning,
            format!(
                "{LOADED}{{job!=\"{controller}\"}} == 0 or max by (namespace, job) ({LOADED}{{job=\"{controller}\",\
                 namespace=\"{namespace}\"}}) == 0"
            ),
        )
        .saying(
            "no configuration is in force in {{ $labels.job }} {{ $labels.pod }}",
            "The process runs, and does not know yet what it is to do: it cannot read everything that it needs from the \
             API server.",
        ),
        Alert::new(
            "MetalLBWritesRefused",
            "10m",
            Severity::Warning,
            "increase(metallb_k8s_client_update_errors_total[10m]) > 0",
        )
        .saying(
            "the API server refuses writes of {{ $labels.pod }}",
            "Addresses that are given out, or what is told of announcements, do not reach the API server. The log says \
             why.",
        ),
    ]
}

/// Addresses in use, in percent, from which on somebody is told.
const USAGES: [(u8, &str, Severity); 3] = [
    (75, "MetalLBAddressPoolUsage75Percent", Severity::Warning),
    (85, "MetalLBAddressPoolUsage85Percent", Severity::Warning),
    (95, "MetalLBAddressPoolUsage95Percent", Severity::Critical),
];

fn pools() -> Vec<Alert> {
    let mut alerts = Vec::new();
    for family in ["ipv4", "ipv6"] {
        let used = format!("metallb_allocator_{family}_addresses_in_use_total");
        let all = format!("metallb_allocator_{family}_addresses_total");
        let about = |alert: Alert| Alert { family: Some(family), ..alert };
        let exhausted = Alert::new(
            "MetalLBAddressPoolExhausted",
            "1m",
            Severity::Critical,
            format!("{used} >= {all} and {all} > 0"),
        );
        alerts.push(about(exhausted.saying(
            format!("pool {{{{ $labels.pool }}}} has no {family} address left"),
            "The next service that wants one of this pool gets none until another gives one back.",
        )));
        for (percent, name, severity) in USAGES {
            let usage =
                Alert::new(name, "1m", severity, format!("{used} / {all} * 100 > {percent} and {all} > 0"));
            alerts.push(about(usage.saying(
                format!("pool {{{{ $labels.pool }}}} has given out more than {percent} % of its {family} addresses"),
                "{{ $value | humanize }} % are in use. When all are, new services get none.",
            )));
        }
    }
    alerts
}

fn announcements() -> [Alert; 6] {
    [
        Alert::new("MetalLBAddressConflict", "30s", Severity::Critical, "metallb_layer2_address_conflict == 1")
            .saying(
                "a station outside the cluster has {{ $labels.ip }} too",
                "Clients reach either the service or that station, as chance has it. Seen by {{ $labels.pod }}.",
            ),
        Alert::new(
            "MetalLBAddressHasTwoOwners",
            "2m",
            Severity::Critical,
            "count by (ip) (count by (ip, node) (metallb_speaker_announced{protocol=\"layer2\"} == 1)) > 1",
        )
        .saying(
            "{{ $value }} nodes answer for {{ $labels.ip }} on layer 2",
            "Speakers do not hear each other, or hold different keys, so each takes the others for lost. Clients whose \
             caches change from one node to the other lose their connections.",
        ),
        Alert::new(
            "MetalLBAddressWithoutOwner",
            "10m",
            Severity::Warning,
            "sum(metallb_allocator_addresses_in_use_total) \
             - (count(count by (ip) (metallb_speaker_announced == 1)) or vector(0)) > 0",
        )
        .saying(
            "{{ $value }} addresses of services are announced by no node",
            "Nobody can reach them: no advertisement applies, no eligible node has a ready endpoint, or no session is \
             there. `kubectl metallb explain service` says which, for each service.",
        ),
        Alert::new(
            "MetalLBSpeakersUnheard",
            "5m",
            Severity::Warning,
            "metallb_speaker_peers_ready - metallb_speaker_peers_heard > 0",
        )
        .saying(
            "{{ $labels.pod }}: {{ $value }} of the other speakers are ready, and dead by their heartbeats",
            "Heartbeats (UDP, port 7946) between these nodes do not arrive, so each takes the other for lost: a dead node is \
             noticed late, and more than one may answer for an address.",
        ),
        Alert::new(
            "MetalLBHeartbeatsUnproven",
            "5m",
            Severity::Warning,
            "increase(metallb_speaker_heartbeats_dropped_total{reason=\"unproven\"}[5m]) > 0",
        )
        .saying(
            "{{ $labels.pod }} hears speakers that hold another key",
            "Speakers that cannot prove their heartbeats to each other count each other as lost, and more than one may \
             answer for an address.",
        ),
        Alert::new(
            "MetalLBHeartbeatsForeign",
            "15m",
            Severity::Warning,
            "increase(metallb_speaker_heartbeats_dropped_total{reason=\"foreign\"}[5m]) > 0",
        )
        .saying(
            "{{ $labels.pod }} hears speakers of upstream",
            "Speakers of upstream's MetalLB still run in this cluster or send to its nodes. While they do, two nodes may \
             answer for one address.",
        ),
    ]
}

fn sessions() -> [Alert; 4] {
    [
        Alert::new("MetalLBBGPSessionDown", "1m", Severity::Critical, "metallb_bgp_session_up == 0").saying(
            "the BGP session of {{ $labels.pod }} with {{ $labels.peer }} is down",
            "That router sends no traffic to this node. `kubectl metallb peers` says why the session is missing.",
        ),
        Alert::new(
            "MetalLBBGPSessionFlaps",
            "1m",
            Severity::Warning,
            "increase(metallb_bgp_session_down_events[15m]) > 3",
        )
        .saying(
            "the BGP session of {{ $labels.pod }} with {{ $labels.peer }} comes and goes",
            "It went down more than three times in a quarter of an hour; each time connections through this node move or \
             break.",
        ),
        Alert::new(
            "MetalLBRoutesNotTaken",
            "5m",
            Severity::Warning,
            "metallb_bgp_announced_prefixes_total < metallb_bgp_pending_prefixes_total \
             and on (peer, vrf, instance) metallb_bgp_session_up == 1",
        )
        .saying(
            "{{ $labels.peer }} does not know all routes of {{ $labels.pod }}",
            "The session is up, and routes that the router is to know have not been sent to it.",
        ),
        Alert::new("MetalLBBFDSessionDown", "1m", Severity::Warning, "metallb_bfd_session_up == 0").saying(
            "the BFD session of {{ $labels.pod }} with {{ $labels.peer }} is down",
            "The router is not reachable, or does not speak BFD with this node. A BGP session that relies on it is down \
             too.",
        ),
    ]
}

fn workloads(jobs: &Jobs<'_>) -> [Alert; 8] {
    let [controller, speaker] = [CONTROLLER, SPEAKER].map(|it| jobs.of(it));
    [
        Alert::new(
            "MetalLBControllerAbsent",
            "2m",
            Severity::Critical,
            format!("absent(up{{{controller}}} == 1)"),
        )
        .saying(
            "no controller answers",
            "Services keep their addresses; new ones get none, and pools that change have no effect.",
        ),
        Alert::new("MetalLBSpeakersAbsent", "2m", Severity::Critical, format!("absent(up{{{speaker}}} == 1)"))
            .saying(
                "no speaker answers",
                "Nobody announces, and clients lose their connections; or Prometheus cannot reach the nodes on the \
                 metrics port.",
            ),
        Alert::new("MetalLBSpeakerDown", "5m", Severity::Warning, format!("up{{{speaker}}} == 0")).saying(
            "speaker {{ $labels.pod }} does not answer",
            "Its node announces nothing. What it announced on layer 2, another node has taken over.",
        ),
        Alert::new(
            "MetalLBPodsNotReady",
            "15m",
            Severity::Warning,
            "metallb_operator_pods{state=\"ready\"} < ignoring (state) metallb_operator_pods{state=\"desired\"}",
        )
        .saying(
            "{{ $value }} pods of {{ $labels.component }} are ready, and more should be",
            "A speaker that is not ready does not run, or has not announced all that it should. The status of the MetalLB \
             object says what keeps it.",
        ),
        Alert::new(
            "MetalLBDegraded",
            "2m",
            Severity::Critical,
            "metallb_operator_condition{type=\"Degraded\"} == 1",
        )
        .saying(
            "MetalLB {{ $labels.metallb }} is Degraded",
            "Something that is asked of it is not in force, and will not be by itself. Its condition Degraded says why, \
             and what to do.",
        ),
        Alert::new(
            "MetalLBRolloutStuck",
            "30m",
            Severity::Warning,
            "metallb_operator_condition{type=\"Progressing\"} == 1",
        )
        .saying(
            "MetalLB {{ $labels.metallb }} has been Progressing for half an hour",
            "Not all pods are new and ready. The message of its condition Progressing says what is waited for.",
        ),
        Alert::new(
            "MetalLBWebhookCertificateExpires",
            "1h",
            Severity::Critical,
            "metallb_operator_webhook_certificate_expiry_seconds - time() < 7 * 86400",
        )
        .saying(
            "the certificate of the webhooks in {{ $labels.pod }} expires in {{ $value | humanizeDuration }}",
            "It should have been renewed long before. When it has expired, edits of pools, peers and advertisements are \
             refused.",
        ),
        Alert::new(
            "MetalLBReconcileFails",
            "10m",
            Severity::Warning,
            "increase(controller_runtime_reconcile_total{controller=\"metallb\",result=\"error\"}[10m]) > 0",
        )
        .saying(
            "the operator {{ $labels.pod }} cannot do what it should",
            "The API server refuses a write, or does not answer. It is tried again; the status of the MetalLB object and \
             the operator's log say what was refused.",
        ),
    ]
}

fn operator_down(jobs: &Jobs<'_>) -> Alert {
    let job = jobs.of(OPERATOR);
    Alert::new("MetalLBOperatorAbsent", "5m", Severity::Critical, format!("absent(up{{{job}}} == 1)")).saying(
        "no operator answers",
        "Edits of pools, peers and advertisements are refused, as nobody checks them, and nothing is repaired. What is \
         announced stays so.",
    )
}
