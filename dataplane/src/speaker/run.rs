//! Start-up of the speaker, and what runs beside the brain.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, bail};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::Client;
use metallb_core::names::NodeName;
use metallb_core::refusal::HeartbeatRefusal;
use metallb_process::cluster;
use metallb_process::events::Recorder;
use metallb_process::serve::access::Gate;
use metallb_process::serve::http::On;
use metallb_process::serve::tls::CertificateSource;
use metallb_process::serve::{guarded, http};
use metallb_process::shutdown::Shutdown;
use metallb_protocols::jitter::Jitter;
use metallb_protocols::liveness::Timing;
use prometheus::Registry;
use rand::TryRngCore as _;
use rand::rngs::OsRng;
use tokio::sync::watch;

use super::announced;
use super::args::{Args, BgpType, ConflictPolicy, Ownership};
use super::bgp::wanted::Profile;
use super::brain::{Context, End, work};
use super::departure::Pace;
use super::facts::{Facts, Heard};
use super::lane::{Heartbeats, Lane, Refresh};
use super::memberlist::{self, Settings};
use super::metrics::Metrics;
use super::outlet::Outlet;
use super::reports::Reports;
use super::secret::Secret;
use super::{bfd, bgp, excluded, lane, reporting};
use crate::kube::caveats::{Caveats, Source};
use crate::kube::configuration_state::{self, Component};
use crate::kube::{
    bgp_extras, bgp_node_status, bgp_session_state, frr_configuration, service_bgp_status, service_l2_status,
};
use crate::net::links;
use metallb_crds::cluster::node::LeavingSigns;
use metallb_crds::cluster::service::LoadBalancerClass;

/// `source.component` of events.
const COMPONENT: &str = "metallb-speaker";

/// Before a restart, others get so long to hear that they are to announce this node's routes, and to tell routers.
const HANDING_OVER: Duration = Duration::from_millis(500);
/// And for each of the routes so much longer: a router takes in some ten thousand in a second.
const HANDING_OVER_EACH: Duration = Duration::from_micros(100);
/// For all of them no longer than that: the Pod is killed soon.
const HANDING_OVER_ALL: Duration = Duration::from_secs(2);

/// Runs until `shutdown`. An error is one that a restart may cure.
pub async fn run(args: Args, shutdown: Shutdown) -> anyhow::Result<()> {
    let tls = args.tls.options()?;
    let namespace = cluster::namespace(&args.namespace)?;
    let Settings { timing, refusal: ignored } =
        memberlist::read(Path::new(memberlist::FILE), args.ml_wan_config)?;
    let heartbeats = heartbeats(&args, timing)?;
    let excluded = excluded::read(Path::new(excluded::FILE))?;
    let client = cluster::client(args.kubeconfig.as_deref()).await?;
    let owner = cluster::owned_by(&cluster::own_pod(client.clone(), &namespace, &args.pod_name).await?)?;
    let node = NodeName::from(args.node_name.as_str());
    tracing::info!(event = "startup", version = env!("CARGO_PKG_VERSION"), namespace, %node, "speaker");
    if heartbeats.is_none() {
        tracing::info!(event = "heartbeatsOff", "every node counts as having a speaker");
    }

    let registry = Registry::new();
    let metrics = Metrics::register(&registry, node.clone())?;
    let bfd_metrics = bfd::metrics::Metrics::register(&registry)?;
    let bgp_metrics = bgp::metrics::Metrics::register(&registry)?;
    let (all_announced, to_answer) =
        watch::channel(announced::Answer::NotYet("the speaker starts".to_owned()));
    let gate = http::gate("/announced", move || match &*to_answer.borrow() {
        announced::Answer::Yes => Ok(()),
        announced::Answer::NotYet(why) => Err(why.clone()),
    });
    http::serve(On::Loopback(args.health_probe_port), http::probes().merge(gate), shutdown.clone())?;
    let questions = guarded::serve(
        On::Everything(args.port),
        registry,
        Gate::new(client.clone()),
        CertificateSource::from_flag(&args.metrics_cert_dir),
        &tls,
        shutdown.clone(),
    )?;

    let links = links::follow(excluded)?;
    let mut facts = facts(&args, &node, heartbeats.is_some());
    let speaker_labels = heartbeats.is_some().then(|| args.ml_labels.clone());
    let lane = Lane::start(node.clone(), heartbeats, moving(&args)?, metrics.clone())?;
    let (caveats, to_tell) = Caveats::new();
    if speaker_labels.is_some() {
        caveats.say(Source::HeartbeatSettings, ignored);
        let secret = Secret::read(&args.ml_secret_key_path)?;
        prove(secret, lane.keys.clone(), caveats.clone());
    }
    tokio::spawn(bgp_extras::follow(client.clone(), namespace.clone(), caveats.clone()));
    let outlet = match args.bgp_type {
        BgpType::Native | BgpType::Frr | BgpType::FrrK8s => sessions(&args, bgp_metrics, bfd_metrics)?,
        BgpType::FrrK8sExternal => {
            if args.frrk8s_secret_passthrough {
                facts.leave_secrets_alone();
            }
            frr_k8s(&args, &client, &node, &namespace, caveats)
        }
    };
    let mut reports = Reports::default();
    let (statuses, heard) = report_services(&mut reports, &client, &namespace, &node, &owner);
    if let Outlet::Sessions { bgp, .. } = &outlet {
        report_sessions(&mut reports, &client, &namespace, &node, owner, bgp.seen.clone());
    }
    let (verdicts, verdict) = watch::channel(None);
    reports.add(configuration_state::keep(
        client.clone(),
        namespace.clone(),
        Component::Speaker(node.clone()),
        args.pod_name.clone(),
        verdict,
    ));
    reports.start()?;
    let signs = signs(&args);
    let context = Context {
        recorder: Recorder::start(client.clone(), COMPONENT, args.node_name),
        client,
        namespace,
        pod: args.pod_name,
        signs,
        class: LoadBalancerClass::from_flag(&args.lb_class),
        speaker_labels,
        metrics,
        statuses,
        heard,
        verdicts,
        announced: all_announced,
        caveats: to_tell,
    };
    let end = work(&context, facts, &lane, &outlet, links, questions, &shutdown).await;
    tracing::info!(event = "stopping", ?end, "");
    hand_over(&end, args.restart_grace_seconds, &lane, &outlet).await;
    // BGP first, while BFD still speaks: a router that keeps our routes over a restart would drop them when BFD goes down
    // under a session that is up.
    let (bgp_ending, bfd_ending) = match end {
        End::LaneEnded { lane } => bail!("the {lane} thread ended: see the error before this one"),
        End::Restart => (bgp::Ending::Restarting, bfd::Ending::Silence),
        End::Left { why } => (bgp::Ending::Leaving { text: why }, bfd::Ending::AdminDown),
    };
    let bfd = outlet.leave(bgp_ending);
    lane.leave();
    if let Some(bfd) = bfd {
        bfd.leave(bfd_ending);
    }
    Ok(())
}

/// Where this is a restart, has others announce the routes of this node meanwhile, if that spares routers a change; not if nobody
/// would wait for it.
async fn hand_over(end: &End, restart_grace: u32, lane: &Lane, outlet: &Outlet) {
    let is_possible = *end == End::Restart && restart_grace > 0 && lane.membership.borrow().is_on;
    let Some(routes) = outlet.routes_to_hand_over().filter(|_| is_possible) else { return };
    lane.hand_routes_over();
    let each = HANDING_OVER_EACH.saturating_mul(u32::try_from(routes).unwrap_or(u32::MAX));
    tokio::time::sleep(HANDING_OVER + each.min(HANDING_OVER_ALL)).await;
}

fn facts(args: &Args, node: &NodeName, heartbeats: bool) -> Facts {
    let profile = profile(args.bgp_type);
    let mut facts = Facts::new(node.clone(), args.ignore_exclude_lb, heartbeats, profile, pace(args));
    match args.ownership {
        Ownership::Hash => {}
        Ownership::Sticky => facts.set_sticky(),
    }
    facts
}

fn pace(args: &Args) -> Pace {
    Pace {
        announcing: Duration::from_secs(args.leave_announce_seconds.into()),
        flows: Duration::from_secs(args.leave_flow_seconds.into()),
    }
}

fn signs(args: &Args) -> LeavingSigns {
    let given = |key: &str| Some(key.to_owned()).filter(|key| !key.is_empty());
    LeavingSigns { taint: given(&args.leave_taint), annotation: given(&args.leave_annotation) }
}

const fn profile(backend: BgpType) -> Profile {
    match backend {
        BgpType::Native => Profile::Native,
        BgpType::Frr | BgpType::FrrK8s | BgpType::FrrK8sExternal => Profile::Frr,
    }
}

/// The lanes that talk to routers and watch them.
fn sessions(
    args: &Args,
    bgp_metrics: bgp::metrics::Metrics,
    bfd_metrics: bfd::metrics::Metrics,
) -> anyhow::Result<Outlet> {
    let bfd = bfd::Lane::start(bfd_metrics)?;
    let bgp = bgp::Lane::start(bgp::Beside {
        bfd: bfd.publisher.clone(),
        bfd_seen: bfd.seen.clone(),
        listen: Some(args.bgp_listen_port).filter(|port| *port != 0),
        metrics: bgp_metrics,
    })?;
    Ok(Outlet::Sessions { bgp, bfd })
}

/// Tells which services this node announces: on layer 2, and to which routers.
fn report_services(
    reports: &mut Reports,
    client: &Client,
    namespace: &str,
    node: &NodeName,
    owner: &OwnerReference,
) -> (watch::Sender<Option<service_l2_status::Announced>>, watch::Sender<Option<Heard>>) {
    let (statuses, to_report) = watch::channel(None);
    reports.add(service_l2_status::keep(
        client.clone(),
        namespace.to_owned(),
        node.clone(),
        owner.clone(),
        to_report,
    ));
    let (heard, to_report) = watch::channel(None);
    reports.add(service_bgp_status::keep(
        client.clone(),
        namespace.to_owned(),
        node.clone(),
        owner.clone(),
        to_report,
    ));
    (statuses, heard)
}

/// Tells how sessions of our own stand. An frr-k8s tells of its own itself.
fn report_sessions(
    reports: &mut Reports,
    client: &Client,
    namespace: &str,
    node: &NodeName,
    owner: OwnerReference,
    seen: watch::Receiver<bgp::seen::Seen>,
) {
    let (sessions, to_report) = watch::channel(None);
    let (namespace, node) = (namespace.to_owned(), node.clone());
    reports.add(bgp_session_state::keep(
        client.clone(),
        namespace.clone(),
        node.clone(),
        owner.clone(),
        to_report.clone(),
    ));
    reports.add(bgp_node_status::keep(client.clone(), namespace, node, owner, to_report));
    reports.add(reporting::pass_on(seen, sessions));
}

/// Starts to keep the FRRConfiguration of `node`.
fn frr_k8s(args: &Args, client: &Client, node: &NodeName, own_namespace: &str, caveats: Caveats) -> Outlet {
    let namespace = Some(args.frrk8s_namespace.as_str()).filter(|namespace| !namespace.is_empty());
    let namespace = namespace.unwrap_or(own_namespace);
    let target = frr_configuration::Target {
        node: node.clone(),
        namespace: namespace.to_owned(),
        names_secrets: args.frrk8s_secret_passthrough || namespace == own_namespace,
        pace: Duration::from_millis(args.bgp_debounce_timeout.into()),
    };
    let inbox = frr_configuration::Inbox::default();
    tokio::spawn(frr_configuration::keep(client.clone(), target, inbox.clone(), caveats));
    Outlet::frr_k8s(inbox)
}

/// Heartbeats are on when both the address and the labels of the speakers are given, as upstream's memberlist.
fn heartbeats(args: &Args, timing: Timing) -> anyhow::Result<Option<Heartbeats>> {
    if args.ml_bindaddr.is_empty() || args.ml_labels.is_empty() {
        return Ok(None);
    }
    let address = args
        .ml_bindaddr
        .parse()
        .with_context(|| format!("--ml-bindaddr {:?} is not an IP address", args.ml_bindaddr))?;
    let seed = OsRng.try_next_u64().context("the system gives no random bytes")?;
    let keeps = args.ownership == Ownership::Sticky;
    Ok(Some(Heartbeats { address, port: args.ml_bindport, seed, timing, keeps }))
}

/// Hands the lane the key of the heartbeats, now and whenever it changes. While there is none, that is told.
fn prove(secret: Secret, keys: lane::Keys, caveats: Caveats) {
    let caveat = secret.key().is_none().then_some(HeartbeatRefusal::NoKey);
    caveats.say(Source::HeartbeatKey, caveat);
    if let Some(key) = secret.key() {
        keys.put(key);
    }
    let renew = move |key| {
        keys.put(key);
        caveats.say(Source::HeartbeatKey, None::<HeartbeatRefusal>);
    };
    tokio::spawn(secret.follow(renew));
}

/// How often neighbours are told of an address that is here.
fn moving(args: &Args) -> anyhow::Result<lane::Pace> {
    let restart_grace = Duration::from_secs(args.restart_grace_seconds.into());
    let policy = match args.conflict_policy {
        ConflictPolicy::Announce => lane::Policy::Announce,
        ConflictPolicy::ProbeFirst => lane::Policy::ProbeFirst,
    };
    Ok(lane::Pace { refresh: refresh(args)?, restart_grace, policy })
}

fn refresh(args: &Args) -> anyhow::Result<Option<Refresh>> {
    if args.refresh_seconds == 0 {
        return Ok(None);
    }
    let seed = OsRng.try_next_u64().context("the system gives no random bytes")?;
    let interval = Duration::from_secs(args.refresh_seconds.into());
    Ok(Some(Refresh { interval, jitter: Jitter::new(seed) }))
}
