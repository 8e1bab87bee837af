//! The ConfigMap `bgpextras`: raw configuration for an FRR that MetalLB does not run any more. It is not applied, and
//! whoever has one is told.

use k8s_openapi::api::core::v1::ConfigMap;
use kube::Client;
use kube::runtime::watcher;
use metallb_core::refusal::FrrRefusal;
use metallb_core::table::Table;
use metallb_crds::cluster::bgp_extras;
use metallb_process::watch;
use tokio::sync::mpsc;

use super::caveats::{Caveats, Source};

/// Changes that wait. When it is full the watch waits.
const INPUTS: usize = 4;

/// Says of the ConfigMap in `namespace` whether it asks for something. Ends with the runtime.
pub async fn follow(client: Client, namespace: String, caveats: Caveats) {
    let (sender, mut inputs) = mpsc::channel(INPUTS);
    let watch = watch::watch(
        watch::Source::<ConfigMap>::within(client, &namespace),
        // All of them is what a speaker may not see.
        watcher::Config::default().fields(&format!("metadata.name={}", bgp_extras::NAME)),
        sender,
        |read| bgp_extras::refusal(&read.ok()?),
        |event| event,
    );
    let mut found: Table<watch::ObjectKey, FrrRefusal> = Table::default();
    let work = async {
        while let Some(event) = inputs.recv().await {
            found.reduce(event);
            caveats.say(Source::BgpExtras, found.rows().values().cloned());
        }
    };
    tokio::select! {
        () = work => {}
        () = watch => {}
    }
}
