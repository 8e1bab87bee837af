//! One watch for each kind, and what is asked before kinds that a cluster may not have are watched.

use std::ops::ControlFlow;

use k8s_openapi::api::apps::v1::{DaemonSet, Deployment};
use k8s_openapi::api::core::v1::{ConfigMap, Pod, Service};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use kube::Client;
use kube::runtime::watcher;
use metallb_core::table::Event;
use metallb_crds::{ConfigurationState, MetalLB};
use metallb_process::watch::{self, ObjectKey, Read};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::neighbours::{self, Daemon, FRRConfiguration, Judgement, POD_LABELS, PodRow};
use super::{Input, Installed, Live, Reach as _, Row};
use crate::discovery::{PATIENCE, Route, until_served};
use crate::environment::Monitors;
use crate::render::{Kind, PrometheusRule, SecurityContextConstraints, Served, ServiceMonitor};

/// Starts the watches; what they report arrives through `sender`.
pub fn start_watches(
    client: &Client,
    namespace: &str,
    monitors: Monitors,
    sender: &mpsc::Sender<Input>,
    watches: &mut JoinSet<()>,
) {
    watches.spawn(watch::watch(
        watch::Source::<MetalLB>::everywhere(client.clone()),
        watcher::Config::default(),
        sender.clone(),
        |read| Some(Row::of(read)),
        Input::MetalLB,
    ));
    watches.spawn(watch::watch(
        watch::Source::<Pod>::within(client.clone(), namespace).read_as::<neighbours::Pod>(),
        watcher::Config::default().labels(POD_LABELS),
        sender.clone(),
        |read| PodRow::of(read.ok()?),
        |event| Input::Pod(by_name(event)),
    ));
    watches.spawn(watch::watch(
        watch::Source::<ConfigurationState>::within(client.clone(), namespace),
        watcher::Config::default(),
        sender.clone(),
        |read| Some(Judgement::of(read.ok()?)),
        |event| Input::Judgement(by_name(event)),
    ));
    let (client, namespace) = (client.clone(), namespace.to_owned());
    watches.spawn(watch_installed::<NetworkPolicy>(client.clone(), namespace.clone(), sender.clone()));
    watches.spawn(watch_installed::<ConfigMap>(client.clone(), namespace.clone(), sender.clone()));
    watches.spawn(watch_installed::<Service>(client.clone(), namespace.clone(), sender.clone()));
    watches.spawn(watch_installed::<DaemonSet>(client.clone(), namespace.clone(), sender.clone()));
    watches.spawn(watch_installed::<Deployment>(client.clone(), namespace.clone(), sender.clone()));
    watches.spawn(watch_frr_configurations(client.clone(), sender.clone()));
    // When no monitors are wanted one look is enough: there may be some from before that are to go.
    let looks = if monitors == Monitors::Service { Looks::Many } else { Looks::One };
    let (same, its) = (client.clone(), namespace.clone());
    watches.spawn(watch_if_served::<ServiceMonitor>(same, its, looks, sender.clone()));
    let (same, its) = (client.clone(), namespace.clone());
    watches.spawn(watch_if_served::<PrometheusRule>(same, its, looks, sender.clone()));
    watches.spawn(tell_of_service_ca(client.clone(), sender.clone()));
    watches.spawn(lose_patience(Kind::SecurityContextConstraints, sender.clone()));
    watches.spawn(watch_if_served::<SecurityContextConstraints>(
        client,
        namespace,
        Looks::Many,
        sender.clone(),
    ));
}

fn by_name<V>(event: Event<ObjectKey, V>) -> Event<String, V> {
    event.map_keys(|(_, name)| name)
}

async fn watch_installed<K: Installed>(client: Client, namespace: String, sender: mpsc::Sender<Input>) {
    let source = K::Scope::source::<K>(client, &namespace);
    let config = watcher::Config::default();
    let config = match K::ONLY {
        None => config,
        // A right that is for one name is for this question only.
        Some(name) => config.fields(&format!("metadata.name={name}")),
    };
    let read = |read: Read<K>| Live::of(read.ok()?);
    let wrap = |event: Event<ObjectKey, Live>| Input::Installed(K::KIND, by_name(event));
    watch::watch(source, config, sender, read, wrap).await;
}

/// After a while nobody waits any longer to hear whether that kind is known. If it is by then, this says nothing.
async fn lose_patience(kind: Kind, sender: mpsc::Sender<Input>) {
    tokio::time::sleep(PATIENCE).await;
    // Nobody is left to be told: all the same.
    let _ = sender.send(Input::Undiscovered(kind)).await;
}

/// How often it is asked whether a kind is known, until it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Looks {
    One,
    Many,
}

/// Whoever brings the kind may be installed later than we are.
async fn watch_if_served<K: Installed>(
    client: Client,
    namespace: String,
    looks: Looks,
    sender: mpsc::Sender<Input>,
) {
    let absent = || async {
        tell(&sender, Input::Served(K::KIND, Served::No)).await?;
        match looks {
            Looks::One => ControlFlow::Break(()),
            Looks::Many => ControlFlow::Continue(()),
        }
    };
    if until_served::<K, _>(&client, absent).await.is_continue()
        && tell(&sender, Input::Served(K::KIND, Served::Yes)).await.is_continue()
    {
        watch_installed::<K>(client, namespace, sender).await;
    }
}

/// OpenShift's signer of certificates has no API to be known by; routes are what upstream knows OpenShift by.
async fn tell_of_service_ca(client: Client, sender: mpsc::Sender<Input>) {
    if until_served::<Route, _>(&client, || tell(&sender, Input::Routes(Served::No))).await.is_continue() {
        // Nobody is left to be told: all the same.
        let _ = sender.send(Input::Routes(Served::Yes)).await;
    }
}

/// Breaks when nobody is left to be told.
async fn tell(sender: &mpsc::Sender<Input>, input: Input) -> ControlFlow<()> {
    match sender.send(input).await {
        Ok(()) => ControlFlow::Continue(()),
        Err(_) => ControlFlow::Break(()),
    }
}

/// FRRConfigurations, and who may be there to read them. frr-k8s may be installed later than we are.
async fn watch_frr_configurations(client: Client, sender: mpsc::Sender<Input>) {
    let absent = || tell(&sender, Input::NoFrrConfigurations);
    if until_served::<FRRConfiguration, _>(&client, absent).await.is_break() {
        return;
    }
    let configurations = watch::watch(
        watch::Source::<FRRConfiguration>::everywhere(client.clone()).read_as::<neighbours::Named>(),
        watcher::Config::default(),
        sender.clone(),
        |_| Some(()),
        Input::FrrConfiguration,
    );
    let daemons = watch::watch(
        watch::Source::<DaemonSet>::everywhere(client).read_as::<neighbours::DaemonSet>(),
        watcher::Config::default(),
        sender,
        |read| Daemon::of(read.ok()?),
        Input::FrrDaemon,
    );
    tokio::join!(configurations, daemons);
}
