//! Start-up of the speaker, and what runs beside the brain.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, bail};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::Client;
use metallb_core::names::NodeName;
use metallb_process::cluster;
use metallb_process::events::Recorder;
use metallb_process::serve::access::Gate;
use metallb_process::serve::http::On;
use metallb_process::serve::tls::CertificateSource;
use metallb_process::serve::{guarded, http};
use metallb_process::shutdown::Shutdown;
use prometheus::Registry;
use rand::TryRngCore as _;
use rand::rngs::OsRng;
use tokio::sync::watch;

use super::args::{Args, BgpType};
use super::bgp::wanted::Profile;
use super::brain::{Context, End, work};
use super::departure::Pace;
use super::facts::{Facts, Heard};
use super::lane::{Heartbeats, Lane};
use super::metrics::Metrics;
use super::reports::Reports;
use super::{bfd, bgp, excluded, reporting};
use crate::kube::configuration_state::{self, Component, Verdict};
use crate::kube::service_l2_status::{self, Announced};
use crate::kube::{bgp_node_status, bgp_session_state, service_bgp_status};
use crate::net::links;
use metallb_crds::cluster::node::LeavingSigns;
use metallb_crds::cluster::service::LoadBalancerClass;

/// `source.component` of events.
const COMPONENT: &str = "metallb-speaker";

/// Runs until `shutdown`. An error is one that a restart may cure.
pub async fn run(args: Args, shutdown: Shutdown) -> anyhow::Result<()> {
    let tls = args.tls.options()?;
    let namespace = cluster::namespace(&args.namespace)?;
    let heartbeats = heartbeats(&args)?;
    let excluded = excluded::read(Path::new(excluded::FILE))?;
    let client = cluster::client(args.kubeconfig.as_deref()).await?;
    let pod = cluster::own_pod(client.clone(), &namespace, &args.pod_name).await?;
    let node = NodeName::from(args.node_name.as_str());
    tracing::info!(event = "startup", version = env!("CARGO_PKG_VERSION"), namespace, %node, "speaker");
    if heartbeats.is_none() {
        tracing::info!(event = "heartbeatsOff", "every node counts as having a speaker");
    }

    let registry = Registry::new();
    let metrics = Metrics::register(&registry)?;
    let bfd_metrics = bfd::metrics::Metrics::register(&registry)?;
    let bgp_metrics = bgp::metrics::Metrics::register(&registry)?;
    http::serve(On::Loopback(args.health_probe_port), http::probes(), shutdown.clone())?;
    let questions = guarded::serve(
        On::Everything(args.port),
        registry,
        Gate::new(client.clone()),
        CertificateSource::from_flag(&args.metrics_cert_dir),
        &tls,
        shutdown.clone(),
    )?;

    let links = links::follow(excluded).await?;
    let profile = match args.bgp_type {
        BgpType::Native => Profile::Native,
        BgpType::Frr | BgpType::FrrK8s | BgpType::FrrK8sExternal => Profile::Frr,
    };
    let pace = Pace {
        announcing: Duration::from_secs(args.leave_announce_seconds.into()),
        flows: Duration::from_secs(args.leave_flow_seconds.into()),
    };
    let facts = Facts::new(node.clone(), args.ignore_exclude_lb, heartbeats.is_some(), profile, pace);
    let speaker_labels = heartbeats.is_some().then(|| args.ml_labels.clone());
    let lane = Lane::start(node.clone(), heartbeats, metrics.clone())?;
    let bfd = bfd::Lane::start(bfd_metrics)?;
    let bgp = bgp::Lane::start(bgp::Beside {
        bfd: bfd.publisher.clone(),
        bfd_seen: bfd.seen.clone(),
        listen: Some(args.bgp_listen_port).filter(|port| *port != 0),
        metrics: bgp_metrics,
    })?;
    let owner = cluster::owned_by(&pod)?;
    let Told { statuses, heard, verdicts } =
        report(&client, &namespace, &node, &owner, &args.pod_name, &bgp)?;
    let context = Context {
        recorder: Recorder::start(client.clone(), COMPONENT, args.node_name),
        client,
        namespace,
        pod: args.pod_name,
        signs: LeavingSigns {
            taint: Some(args.leave_taint).filter(|key| !key.is_empty()),
            annotation: Some(args.leave_annotation).filter(|key| !key.is_empty()),
        },
        class: LoadBalancerClass::from_flag(&args.lb_class),
        speaker_labels,
        metrics,
        statuses,
        heard,
        verdicts,
    };
    let end = work(&context, facts, &lane, &bgp, links, questions, &shutdown).await;
    tracing::info!(event = "stopping", ?end, "");
    // BGP first, while BFD still speaks: a router that keeps our routes over a restart would drop them when BFD goes down
    // under a session that is up.
    let (bgp_ending, bfd_ending) = match end {
        End::LaneEnded => bail!("the layer 2 thread ended: see the error before this one"),
        End::Restart => (bgp::Ending::Restarting, bfd::Ending::Silence),
        End::Left { why } => (bgp::Ending::Leaving { text: why }, bfd::Ending::AdminDown),
    };
    bgp.leave(bgp_ending);
    lane.leave();
    bfd.leave(bfd_ending);
    Ok(())
}

/// What the brain tells those who report.
struct Told {
    statuses: watch::Sender<Announced>,
    heard: watch::Sender<Heard>,
    verdicts: watch::Sender<Option<Verdict>>,
}

/// Starts all who report.
fn report(
    client: &Client,
    namespace: &str,
    node: &NodeName,
    owner: &OwnerReference,
    pod: &str,
    bgp: &bgp::Lane,
) -> anyhow::Result<Told> {
    let whose = || (client.clone(), namespace.to_owned(), node.clone(), owner.clone());
    let mut reports = Reports::default();
    let (statuses, to_report) = watch::channel(Announced::new());
    let (client, namespace, node, owner) = whose();
    reports.add(service_l2_status::keep(client, namespace, node, owner, to_report));
    let (heard, to_report) = watch::channel(Heard::new());
    let (client, namespace, node, owner) = whose();
    reports.add(service_bgp_status::keep(client, namespace, node, owner, to_report));
    let (sessions, to_report) = watch::channel(None);
    let (client, namespace, node, owner) = whose();
    reports.add(bgp_session_state::keep(client, namespace, node, owner, to_report.clone()));
    let (client, namespace, node, owner) = whose();
    reports.add(bgp_node_status::keep(client, namespace, node, owner, to_report));
    reports.add(reporting::pass_on(bgp.seen.clone(), sessions));
    let (verdicts, to_report) = watch::channel(None);
    let (client, namespace, node, _) = whose();
    let pod = pod.to_owned();
    reports.add(configuration_state::keep(client, namespace, Component::Speaker(node), pod, to_report));
    reports.start()?;
    Ok(Told { statuses, heard, verdicts })
}

/// Heartbeats are on when both the address and the labels of the speakers are given, as upstream's memberlist.
fn heartbeats(args: &Args) -> anyhow::Result<Option<Heartbeats>> {
    if args.ml_bindaddr.is_empty() || args.ml_labels.is_empty() {
        return Ok(None);
    }
    if !args.ml_secret_key_path.is_empty() {
        // Not used yet: heartbeats carry no proof of who sent them. Its absence is an error as upstream, so that a
        // cluster whose Secret is missing is told now and not by a later version.
        let file = Path::new(&args.ml_secret_key_path).join("secretkey");
        std::fs::read(&file)
            .with_context(|| format!("cannot read the Secret that speakers share: {}", file.display()))?;
    }
    let address = args
        .ml_bindaddr
        .parse()
        .with_context(|| format!("--ml-bindaddr {:?} is not an IP address", args.ml_bindaddr))?;
    let boot_id = OsRng.try_next_u64().context("the system gives no random bytes")?;
    Ok(Some(Heartbeats { address, port: args.ml_bindport, boot_id }))
}
