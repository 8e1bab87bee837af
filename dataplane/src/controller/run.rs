//! Start-up of the controller, and what runs beside the brain.

use anyhow::Context as _;
use metallb_process::events::Recorder;
use metallb_process::serve::access::Gate;
use metallb_process::serve::http::On;
use metallb_process::serve::tls::CertificateSource;
use metallb_process::serve::{guarded, http};
use metallb_process::shutdown::Shutdown;
use metallb_process::{cluster, lease};
use prometheus::Registry;
use serde_json::json;

use super::args::{Args, WebhookMode};
use super::brain::{Context, work};
use super::memberlist_secret;
use super::metrics::Metrics;
use metallb_crds::cluster::service::LoadBalancerClass;

/// The Lease that the replicas of the controller share.
const LEASE: &str = "metallb-controller";
/// `reportingComponent` of events.
const COMPONENT: &str = "metallb-controller";

/// Runs until `shutdown`. An error is one that a restart may cure.
pub async fn run(args: Args, shutdown: Shutdown) -> anyhow::Result<()> {
    let tls = args.tls.options()?;
    let namespace = cluster::namespace(&args.namespace)?;
    let client = cluster::client(args.kubeconfig.as_deref()).await?;
    anyhow::ensure!(!args.pod_name.is_empty(), "which pod is this? Set --pod-name or METALLB_POD_NAME");
    tracing::info!(event = "startup", version = env!("CARGO_PKG_VERSION"), namespace, "controller");

    let registry = Registry::new();
    let metrics = Metrics::register(&registry)?;
    http::serve(On::Everything(args.health_probe_port), http::probes(), shutdown.clone())?;
    let mut questions = guarded::serve(
        On::Everything(args.port),
        registry,
        Gate::new(client.clone()),
        CertificateSource::from_flag(&args.metrics_cert_dir),
        &tls,
        shutdown.clone(),
    )?;
    warn_of_what_is_elsewhere(&args);
    if args.webhook_mode == WebhookMode::OnlyWebhook {
        shutdown.requested().await;
        return Ok(());
    }
    if !args.ml_secret_name.is_empty() {
        memberlist_secret::ensure(client.clone(), &namespace, &args.ml_secret_name, &args.deployment)
            .await
            .context("speakers cannot start without their Secret")?;
    }

    // The lease goes last: whatever was sent in its name must have arrived before another may have it.
    let (stop_lease, lease_shutdown) = Shutdown::by_hand();
    let (lease, released) =
        lease::keep(client.clone(), &namespace, LEASE, args.pod_name.clone(), lease_shutdown);
    let context = Context {
        recorder: Recorder::start(client.clone(), COMPONENT, args.pod_name.clone()),
        pod: args.pod_name,
        client,
        namespace,
        class: LoadBalancerClass::from_flag(&args.lb_class),
        metrics,
    };
    loop {
        tokio::select! {
            () = shutdown.requested() => break,
            () = lease.held() => work(&context, &lease, &shutdown, &mut questions).await,
            Some(question) = questions.recv() => {
                let _ = question.send(json!({ "role": "standby" })); // who asked is gone: nobody to tell
            }
        }
    }
    drop(stop_lease);
    released.await;
    Ok(())
}

/// Flags of upstream's controller that ask for what is not in this process.
fn warn_of_what_is_elsewhere(args: &Args) {
    match args.webhook_mode {
        WebhookMode::OnlyWebhook => tracing::warn!(
            event = "idle",
            "--webhook-mode=onlywebhook: webhooks are served by the operator, so this process does nothing; take its \
             Deployment away"
        ),
        WebhookMode::Enabled => tracing::info!(
            event = "noWebhooks",
            "--webhook-mode=enabled: webhooks are served by the operator; this process gives out addresses"
        ),
        WebhookMode::Disabled => {}
    }
    if !args.pprof_bind_address.is_empty() {
        let address = &args.pprof_bind_address;
        tracing::warn!(
            event = "noProfiler",
            address,
            "--pprof-bind-address: there is no Go profiler in this process; /debug/state says what it thinks"
        );
    }
}
