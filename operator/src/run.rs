//! Start-up, and what runs beside the reconciler and the webhooks.

use anyhow::Context as _;
use kube::Client;
use metallb_process::events::Recorder;
use metallb_process::lease;
use metallb_process::serve::http::{self, On};
use metallb_process::serve::metrics as metrics_server;
use metallb_process::shutdown::Shutdown;
use prometheus::Registry;

use crate::args::Args;
use crate::certs::Expiry;
use crate::environment::{Environment, Monitors, WebhookEnvironment};
use crate::metrics::Metrics;
use crate::reconcile::{Context, Mandate, work};
use crate::{tls_profile, webhooks};

/// The Lease that the replicas of the operator share. Upstream's, so that during an upgrade from it one of both works.
const LEASE: &str = "metallb.io.metallboperator";
/// `reportingComponent` of events.
const COMPONENT: &str = "metallb-operator";

/// Installs MetalLB and serves webhooks until `shutdown`. An error is one that a restart may cure.
pub async fn run(
    args: Args,
    mut environment: Environment,
    client: Client,
    shutdown: Shutdown,
) -> anyhow::Result<()> {
    environment.own_metrics = args.metrics_addr.0.and_then(reachable_port);
    tracing::info!(event = "startup", version = env!("CARGO_PKG_VERSION"), ?environment, "operator");
    if environment.monitors == Monitors::Pod {
        tracing::warn!(
            event = "notSupported",
            "DEPLOY_PODMONITORS has no effect; set DEPLOY_SERVICEMONITORS to have the metrics scraped"
        );
    }
    let registry = Registry::new();
    let metrics = Metrics::register(&registry)?;
    let tls = tls_profile::follow(client.clone());
    let webhooks =
        webhooks::start(&args, environment.for_webhooks(), client.clone(), tls.clone(), &shutdown)?;
    registry.register(Box::new(Expiry::of(webhooks.certificate.clone())?))?;
    // Answers as long as webhooks are served: that this is about to end is what it has to say.
    let (stop_probes, probes) = Shutdown::by_hand();
    http::serve(On::Everything(args.port), http::probes_about(webhooks.readiness()), probes)?;
    if let Some(on) = args.metrics_addr.0 {
        // Plain HTTP, for everybody, as upstream.
        http::serve(on, metrics_server::metrics(registry), shutdown.clone())?;
    }

    let identity = environment.pod_name.clone();
    let (mandate, lease) = if args.enable_leader_election {
        let identity = identity.clone().context("which pod is this? Set POD_NAME")?;
        // The lease goes last: what was sent in its name must have arrived before another may have it.
        let (stop, lease_shutdown) = Shutdown::by_hand();
        let (lease, released) =
            lease::keep(client.clone(), &environment.namespace, LEASE, identity, lease_shutdown);
        (Mandate::Lease(lease), Some((stop, released)))
    } else {
        (Mandate::Alone, None)
    };
    let recorder = Recorder::start(client.clone(), COMPONENT, identity.unwrap_or_default());
    let context = Context { client, environment, recorder, metrics, tls };
    loop {
        tokio::select! {
            () = shutdown.requested() => break,
            () = mandate.held() => {
                context.metrics.leader.set(1);
                work(&context, &mandate, &shutdown).await;
                context.metrics.stand_by();
            }
        }
    }
    if let Some((stop, released)) = lease {
        drop(stop);
        released.await;
    }
    webhooks.server.stopped().await;
    drop(stop_probes);
    Ok(())
}

/// The port, where Prometheus can reach it.
fn reachable_port(on: On) -> Option<u16> {
    match on {
        On::Everything(port) => Some(port),
        On::Address(address) => (!address.ip().is_loopback()).then_some(address.port()),
        On::Loopback(_) => None,
    }
}

/// Serves webhooks until `shutdown`, and does nothing else.
pub async fn run_webhooks(
    args: Args,
    environment: WebhookEnvironment,
    client: Client,
    shutdown: Shutdown,
) -> anyhow::Result<()> {
    tracing::info!(event = "startup", version = env!("CARGO_PKG_VERSION"), ?environment, "webhooks");
    let tls = tls_profile::follow(client.clone());
    let webhooks = webhooks::start(&args, environment, client, tls, &shutdown)?;
    let (stop_probes, probes) = Shutdown::by_hand();
    http::serve(On::Everything(args.port), http::probes_about(webhooks.readiness()), probes)?;
    webhooks.server.stopped().await;
    drop(stop_probes);
    Ok(())
}
