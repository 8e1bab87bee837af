//! The one task that owns the world: what the watches report goes into the [`Facts`], and what follows goes to the
//! lane, the events, the statuses and the metrics.

use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::{Node, Pod, Service};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::Client;
use kube::runtime::watcher;
use metallb_core::names::ServiceKey;
use metallb_core::refusal::Refusal as _;
use metallb_process::events::Recorder;
use metallb_process::serve::debug::Question;
use metallb_process::shutdown::Shutdown;
use metallb_process::watch;
use tokio::sync::{mpsc, watch as latest};
use tokio::task::JoinSet;

use super::announced;
use super::facts::{Facts, Heard, Input, News, Peer, Row};
use super::lane::Lane;
use super::metrics::Metrics;
use super::outlet::Outlet;
use super::{reporting, stopping};
use crate::kube::caveats;
use crate::kube::configuration::Configuration;
use crate::kube::configuration_state::{Verdict, publish};
use crate::kube::service_l2_status::Announced;
use crate::net::heap;
use crate::net::links::Links;
use metallb_crds::cluster::node::LeavingSigns;
use metallb_crds::cluster::service::{LoadBalancerClass, key};
use metallb_crds::cluster::{endpoints, node, service};

/// Changes that wait for the brain. When it is full the watches wait, and the API server keeps the changes.
const INPUTS: usize = 256;
/// Changes taken in before the next plan: what arrives together is planned together.
const BATCH: usize = 1024;
/// After much has come or gone, and most of what follows from that is done, memory is put in order.
const PACK_AFTER: Duration = Duration::from_secs(10);

/// What the brain needs besides its world.
pub struct Context {
    /// To watch with.
    pub client: Client,
    /// MetalLB's namespace.
    pub namespace: String,
    /// The name of the own Pod.
    pub pod: String,
    /// What stands for leaving on a Node.
    pub signs: LeavingSigns,
    /// Which services are ours.
    pub class: LoadBalancerClass,
    /// The labels of the speakers' pods; `None` without heartbeats.
    pub speaker_labels: Option<String>,
    /// Where events go.
    pub recorder: Recorder,
    /// What is counted.
    pub metrics: Metrics,
    /// Where statuses go, once they are known.
    pub statuses: latest::Sender<Option<Announced>>,
    /// Where it goes to which peers services are announced, once that is known.
    pub heard: latest::Sender<Option<Heard>>,
    /// Where it goes what is to be said about the configuration.
    pub verdicts: latest::Sender<Option<Verdict>>,
    /// Where it goes whether all is announced.
    pub announced: latest::Sender<announced::Answer>,
    /// What others found that is not in force.
    pub caveats: latest::Receiver<caveats::All>,
}

/// Why the brain stopped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// A lane ended, which it does only when something is badly wrong.
    LaneEnded {
        /// What its thread does.
        lane: &'static str,
    },
    /// The speaker was told to stop; another takes its place at once.
    Restart,
    /// The node goes, and has said so to all routers.
    Left {
        /// Why, in words.
        why: String,
    },
}

/// Works until the speaker is told to stop, or a lane ends. Dropping the future stops it.
pub async fn work(
    context: &Context,
    mut facts: Facts,
    lane: &Lane,
    outlet: &Outlet,
    mut links: latest::Receiver<Links>,
    mut questions: mpsc::Receiver<Question>,
    shutdown: &Shutdown,
) -> End {
    let (sender, mut inputs) = mpsc::channel(INPUTS);
    let mut watches = JoinSet::new(); // aborted when dropped
    start_watches(context, &facts, sender, &mut watches);
    let mut membership = lane.membership.clone();
    facts.set_membership(Instant::now(), membership.borrow_and_update().clone());
    facts.set_links(Instant::now(), links.borrow_and_update().clone());
    let mut contested = lane.contested.clone();
    let mut sockets = lane.sockets.clone();
    let mut stopping = false;
    let mut start = announced::Progress::default();
    let mut pack_at: Option<Instant> = None;
    let mut seen = outlet.seen();
    let mut caveats = context.caveats.clone();
    let mut sessions_told = reporting::Told::default();
    let mut watching_ended = pin!(outlet.watching_ended());
    loop {
        let now = Instant::now();
        // The wire first; what is said and written about it can wait. Routes before layer 2, as they are decided faster.
        outlet.pass_on(facts.decide_routes(now), &facts);
        if let Some(tables) = facts.decide(now) {
            lane.publish(tables);
        }
        tell(context, &mut facts);
        if !start.is_done() {
            let needed = facts.needed_sockets(&sockets.borrow());
            let (waits_for, peers) = (facts.waits_for(), outlet.sessions_of(&facts));
            let is_announced = start.look(now, &waits_for, peers, &seen.borrow(), &needed);
            context.announced.send_if_modified(|told| {
                let is_news = *told != is_announced;
                if is_news && let announced::Answer::NotYet(why) = &is_announced {
                    tracing::info!(event = "notYetAnnounced", why, "a roll-out waits for it");
                }
                *told = is_announced;
                is_news
            });
            if start.is_done() {
                facts.take_routes_back();
                pack_at = Some(now);
                continue; // the lane is to say so
            }
        } else if facts.is_loose() {
            pack_at = pack_at.or(Some(now + PACK_AFTER));
        }
        if pack_at.is_some_and(|due| due <= now) && !stopping {
            pack_at = None;
            facts.pack();
            context.metrics.pack();
            heap::give_back();
        }
        if stopping {
            match facts.leaving() {
                None => return End::Restart,
                Some(why) if facts.has_left(now) => return End::Left { why: why.sentence() },
                Some(_) => {}
            }
        }
        tokio::select! {
            () = shutdown.requested(), if !stopping => {
                stopping = true;
                stopping::look(context, &mut facts).await;
            }
            () = until(facts.poll_timeout().into_iter().chain(start.poll_timeout(now)).chain(pack_at.filter(|_| !stopping)).min()) => {}
            Some(input) = inputs.recv() => {
                let more = std::iter::from_fn(|| inputs.try_recv().ok()).take(BATCH);
                for input in std::iter::once(input).chain(more) {
                    context.metrics.client.updates.inc();
                    facts.apply(input);
                }
            }
            changed = membership.changed() => match changed {
                Ok(()) => facts.set_membership(Instant::now(), membership.borrow_and_update().clone()),
                Err(_) => return End::LaneEnded { lane: "layer 2" },
            },
            changed = seen.changed() => match changed {
                Ok(()) => {
                    let seen = seen.borrow_and_update().clone();
                    let happenings = sessions_told.tell(facts.node(), &seen, |peer| facts.peer_reference(peer));
                    for happening in happenings {
                        context.recorder.record(happening);
                    }
                }
                Err(_) => return End::LaneEnded { lane: "BGP" },
            },
            () = &mut watching_ended => return End::LaneEnded { lane: "BFD" },
            Ok(()) = contested.changed() => {
                let contested = contested.borrow_and_update().clone();
                context.metrics.contested.set(contested.keys());
                facts.set_contested(contested);
            }
            Ok(()) = sockets.changed() => sockets.mark_unchanged(), // a roll-out waits for them
            Some(question) = questions.recv() => {
                let state = facts.state(&seen.borrow(), &sockets.borrow());
                drop(question.send(state)); // whoever asked may be gone
            }
            Ok(()) = caveats.changed() => caveats.mark_unchanged(), // told with the verdict
            Ok(()) = links.changed() => facts.set_links(Instant::now(), links.borrow_and_update().clone()),
        }
    }
}

async fn until(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due.into()).await,
        None => std::future::pending().await,
    }
}

fn tell(context: &Context, facts: &mut Facts) {
    let (news, statuses) = facts.tell();
    pass_on(context, news);
    let (news, heard) = facts.tell_routes();
    pass_on(context, news);
    let metrics = &context.metrics;
    if facts.is_ready() {
        metrics.client.config_loaded.set(1);
    }
    if let Some(verdict) = facts.verdict() {
        let verdict = verdict.and(context.caveats.borrow().values().flatten());
        metrics.client.config_stale.set(i64::from(!verdict.is_valid()));
        publish(&context.verdicts, verdict);
    }
    if let Some(statuses) = statuses {
        context.statuses.send_replace(Some(statuses));
    }
    if let Some(heard) = heard {
        context.heard.send_replace(Some(heard));
    }
}

fn pass_on(context: &Context, news: News) {
    let News { protocol, happenings, announced, withdrawn } = news;
    for happening in happenings {
        context.recorder.record(happening);
    }
    context.metrics.announced.remove(protocol, withdrawn);
    context.metrics.announced.add(protocol, announced);
}

fn start_watches(context: &Context, facts: &Facts, sender: mpsc::Sender<Input>, watches: &mut JoinSet<()>) {
    let client = &context.client;
    let wrap = |change| Input::Configuration(Box::new(change));
    Configuration::watch(&facts.scope(), client, &context.namespace, &sender, wrap, watches);
    let class = context.class.clone();
    watches.spawn(watch::watch(
        watch::Source::<Service>::everywhere(client.clone()),
        watcher::Config::default(),
        sender.clone(),
        move |read| read_service(&read.ok()?, &class),
        |event| Input::Service(event.map_keys(|(namespace, name)| ServiceKey::new(namespace, name))),
    ));
    watches.spawn(watch::watch(
        watch::Source::<EndpointSlice>::everywhere(client.clone()),
        watcher::Config::default(),
        sender.clone(),
        |read| endpoints::read(&read.ok()?),
        Input::Slice,
    ));
    let signs = context.signs.clone();
    watches.spawn(watch::watch(
        watch::Source::<Node>::everywhere(client.clone()),
        watcher::Config::default(),
        sender.clone(),
        move |read| Some(node::read(&read.ok()?, &signs)),
        |event| Input::Node(event.map_keys(|(_, name)| name.into())),
    ));
    if let Some(labels) = &context.speaker_labels {
        watches.spawn(watch::watch(
            watch::Source::<Pod>::within(client.clone(), &context.namespace).read_as(),
            watcher::Config::default().labels(labels),
            sender,
            |read| Peer::of(&read.ok()?),
            Input::Pod,
        ));
    }
}

/// What matters of a Service; `None` for one that is no load balancer of ours.
fn read_service(object: &Service, class: &LoadBalancerClass) -> Option<Row> {
    let service = service::announced(object, class)?
        .inspect_err(|problem| {
            tracing::warn!(event = "invalidIP", service = %key(object), problem, "not announced");
        })
        .ok()?;
    Some(Row { service: Arc::new(service), uid: object.metadata.uid.as_deref().map(Box::from) })
}
