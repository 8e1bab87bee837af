//! One watch for each kind, and what is asked before kinds that a cluster may not have are watched.

use std::time::Duration;

use k8s_openapi::api::apps::v1::{DaemonSet, Deployment};
use k8s_openapi::api::core::v1::{ConfigMap, Pod, Service};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use kube::runtime::watcher;
use kube::{Client, Resource};
use metallb_core::table::Event;
use metallb_crds::{ConfigurationState, MetalLB};
use metallb_process::watch::{self, ObjectKey, Read};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::neighbours::{self, Daemon, FRRConfiguration, Judgement, POD_LABELS, PodRow};
use super::{Input, Installed, Live, Row};
use crate::environment::Monitors;
use crate::render::{PrometheusRule, Served, ServiceMonitor};

/// How long until the API server is asked again whether it knows a kind.
const ASK_AGAIN: Duration = Duration::from_secs(30);
/// The same after it did not answer.
const RETRY: Duration = Duration::from_secs(1);

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
    let (another_client, same) = (client.clone(), namespace.clone());
    watches.spawn(watch_if_served::<ServiceMonitor>(another_client, same, monitors, sender.clone()));
    watches.spawn(watch_if_served::<PrometheusRule>(client, namespace, monitors, sender.clone()));
}

fn by_name<V>(event: Event<ObjectKey, V>) -> Event<String, V> {
    event.map_keys(|(_, name)| name)
}

async fn watch_installed<K: Installed>(client: Client, namespace: String, sender: mpsc::Sender<Input>) {
    let api = watch::Source::<K>::within(client, &namespace);
    let read = |read: Read<K>| Live::of(read.ok()?);
    let wrap = |event: Event<ObjectKey, Live>| Input::Installed(K::KIND, by_name(event));
    watch::watch(api, watcher::Config::default(), sender, read, wrap).await;
}

/// The Prometheus operator may be installed later than we are. When no monitors are wanted one look is enough: there
/// may be some from before that are to go.
async fn watch_if_served<K: Installed>(
    client: Client,
    namespace: String,
    monitors: Monitors,
    sender: mpsc::Sender<Input>,
) {
    while !is_served::<K>(&client).await {
        if sender.send(Input::Served(K::KIND, Served::No)).await.is_err() {
            return;
        }
        if monitors != Monitors::Service {
            return;
        }
        tokio::time::sleep(ASK_AGAIN).await;
    }
    if sender.send(Input::Served(K::KIND, Served::Yes)).await.is_ok() {
        watch_installed::<K>(client, namespace, sender).await;
    }
}

/// FRRConfigurations, and who may be there to read them. frr-k8s may be installed later than we are.
async fn watch_frr_configurations(client: Client, sender: mpsc::Sender<Input>) {
    while !is_served::<FRRConfiguration>(&client).await {
        if sender.send(Input::NoFrrConfigurations).await.is_err() {
            return;
        }
        tokio::time::sleep(ASK_AGAIN).await;
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

/// Does the API server know kind `K`? Asks until it answers.
async fn is_served<K: Resource<DynamicType = ()>>(client: &Client) -> bool {
    let version = K::api_version(&());
    loop {
        match client.list_api_group_resources(&version).await {
            Ok(list) => return list.resources.iter().any(|resource| resource.kind == K::kind(&())),
            Err(kube::Error::Api(status)) if status.code == 404 => return false,
            Err(error) => {
                tracing::warn!(
                    event = "discoveryFailed",
                    error = &error as &dyn std::error::Error,
                    "will retry"
                );
            }
        }
        tokio::time::sleep(RETRY).await;
    }
}
