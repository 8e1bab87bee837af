//! The task that keeps the certificate, in every replica.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Context as _;
use futures::stream::{BoxStream, SelectAll, select_all};
use futures::{FutureExt as _, StreamExt as _};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::admissionregistration::v1::ValidatingWebhookConfiguration;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{Api, PostParams};
use kube::runtime::WatchStreamExt as _;
use kube::runtime::watcher::{self, watch_object};
use kube::{Client, ResourceExt as _};
use metallb_process::serve::tls::HeldCertificate;
use metallb_process::shutdown::Shutdown;
use tokio::sync::watch;
use tokio::time::Instant;

use super::issue::Issued;
use super::material::{Material, Names};
use super::plan::{Published, Step, Timing, next};
use super::publish;

/// After a write that failed.
const RETRY: Duration = Duration::from_secs(5);

/// Which certificate is kept, and who is told of its authorities.
#[derive(Clone, Debug)]
pub struct Certificates {
    /// The namespace of the Secret.
    pub namespace: String,
    /// The Secret.
    pub secret: String,
    /// The names (or addresses) under which the API server calls us.
    pub names: Vec<String>,
    /// ValidatingWebhookConfigurations. Those that are not installed are told when they are.
    pub configurations: Vec<String>,
    /// The CustomResourceDefinition with a conversion.
    pub definition: String,
    /// How long things are valid.
    pub timing: Timing,
}

/// An object that is watched, as it is now.
#[derive(Clone, Debug)]
enum Watched<K> {
    /// Nobody has looked yet.
    Unknown,
    Absent,
    There(Box<K>),
}

/// What a watch says.
#[derive(Debug)]
enum Seen {
    Secret(Watched<Secret>),
    Configuration(String, Watched<ValidatingWebhookConfiguration>),
    Definition(Watched<CustomResourceDefinition>),
}

/// Keeps the certificate until `shutdown`, and `held` in line with it. `trusted` becomes true when it is for all our names and the
/// API server knows by whom it is signed, for the first time.
pub async fn keep(
    client: Client,
    certificates: Certificates,
    held: HeldCertificate,
    trusted: watch::Sender<bool>,
    shutdown: Shutdown,
) {
    let mut seen = watches(&client, &certificates);
    let mut keeper = Keeper::new(client, certificates, held);
    let mut wake = None;
    loop {
        tokio::select! {
            () = shutdown.requested() => return,
            Some(first) = seen.next() => {
                keeper.take_in(first);
                // What has arrived with it is one change.
                while let Some(Some(more)) = seen.next().now_or_never() {
                    keeper.take_in(more);
                }
            }
            () = until(wake) => {}
        }
        let acted = keeper.act().await;
        if keeper.is_trusted {
            trusted.send_replace(true);
        }
        wake = Some(match acted {
            Ok(wait) => Instant::now() + wait,
            Err(error) => {
                tracing::warn!(event = "certificateNotKept", error = format!("{error:#}"), "will retry");
                Instant::now() + RETRY
            }
        });
    }
}

async fn until(wake: Option<Instant>) {
    match wake {
        Some(wake) => tokio::time::sleep_until(wake).await,
        None => std::future::pending().await, // nothing is known yet
    }
}

fn watches(client: &Client, certificates: &Certificates) -> SelectAll<BoxStream<'static, Seen>> {
    let secrets = Api::namespaced(client.clone(), &certificates.namespace);
    let mut all = vec![one(secrets, &certificates.secret, Seen::Secret)];
    for name in &certificates.configurations {
        let of = name.clone();
        all.push(one(Api::all(client.clone()), name, move |it| Seen::Configuration(of.clone(), it)));
    }
    all.push(one(Api::all(client.clone()), &certificates.definition, Seen::Definition));
    select_all(all)
}

fn one<K>(
    api: Api<K>,
    name: &str,
    wrap: impl Fn(Watched<K>) -> Seen + Send + 'static,
) -> BoxStream<'static, Seen>
where
    K: kube::Resource + Clone + std::fmt::Debug + serde::de::DeserializeOwned + Send + 'static,
{
    let named = name.to_owned();
    let read = move |it: Result<Option<K>, watcher::Error>| match it {
        Ok(Some(object)) => Some(wrap(Watched::There(Box::new(object)))),
        Ok(None) => Some(wrap(Watched::Absent)),
        Err(error) => {
            let error = &error as &dyn std::error::Error;
            tracing::warn!(event = "watchInterrupted", name = named, error, "will retry");
            None
        }
    };
    watch_object(api, name).default_backoff().filter_map(move |it| std::future::ready(read(it))).boxed()
}

/// Were the configurations written for the second time?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Settled {
    Yes,
    /// Look again after that time, or when something changes.
    After(SignedDuration),
}

struct Keeper {
    client: Client,
    certificates: Certificates,
    held: HeldCertificate,
    /// What `held` serves.
    serving: Option<Issued>,
    /// What is served is for all names: upstream's is not.
    serves_all_names: bool,
    /// What the Secret held when it last served us: to be written again if somebody deletes it.
    last_good: Material,
    secret: Watched<Secret>,
    configurations: BTreeMap<String, Watched<ValidatingWebhookConfiguration>>,
    definition: Watched<CustomResourceDefinition>,
    /// The authorities that are known everywhere, in which generations of the configurations, and since when.
    published: Option<(String, Vec<Option<i64>>, Instant)>,
    /// The authorities with which the configurations were last written for the second time, and when.
    settling: Option<(String, Instant)>,
    /// They are those of what is served, for all names, and the API server goes by them.
    is_trusted: bool,
}

impl Keeper {
    fn new(client: Client, certificates: Certificates, held: HeldCertificate) -> Self {
        Self {
            client,
            certificates,
            held,
            serving: None,
            serves_all_names: false,
            last_good: Material::default(),
            secret: Watched::Unknown,
            configurations: BTreeMap::new(),
            definition: Watched::Unknown,
            published: None,
            settling: None,
            is_trusted: false,
        }
    }

    fn take_in(&mut self, seen: Seen) {
        match seen {
            Seen::Secret(object) => self.secret = object,
            Seen::Configuration(name, object) => drop(self.configurations.insert(name, object)),
            Seen::Definition(object) => self.definition = object,
        }
    }

    /// Serves, publishes, and takes the next step. Says when to look again.
    async fn act(&mut self) -> anyhow::Result<Duration> {
        let timing = self.certificates.timing;
        self.is_trusted = false;
        let secret = match self.secret.clone() {
            Watched::Unknown => return Ok(positive(timing.look)),
            Watched::Absent => None,
            Watched::There(secret) => Some(*secret),
        };
        let now = Timestamp::now();
        let material = match &secret {
            Some(secret) => Material::read(secret.data.as_ref()),
            None => self.last_good.clone(),
        };
        let worth = material.worth(&self.certificates.names, now);
        if secret.is_none() && worth.server.is_some() {
            return self.write(None, &material).await;
        }
        if let Some(server) = worth.server {
            self.serve(&material)?;
            self.serves_all_names = server.names == Names::All;
        }
        let published = self.publish(&material).await?;
        let settled = match published {
            Published::No => None,
            Published::For(time) => Some(self.settle(time, &material).await),
        };
        self.is_trusted = settled == Some(Settled::Yes) && self.serves_all_names;
        let step = next(&worth, published, now, &timing);
        if let Step::Wait(time) = step {
            return Ok(positive(match settled {
                Some(Settled::After(second_write)) => time.min(second_write),
                Some(Settled::Yes) | None => time,
            }));
        }
        tracing::info!(event = "certificate", ?step, ?worth, secret = self.certificates.secret, "renewing");
        let material =
            step.take(&material, &self.certificates.names, now, &timing).context("cannot issue")?;
        self.write(secret, &material).await
    }

    fn serve(&mut self, material: &Material) -> anyhow::Result<()> {
        self.last_good = material.clone();
        if self.serving == material.server {
            return Ok(());
        }
        if let Some(server) = &material.server {
            self.held.replace(server.certificate.as_bytes(), server.key.as_bytes())?;
            tracing::info!(event = "certificateInUse", secret = self.certificates.secret, "serving");
        }
        self.serving.clone_from(&material.server);
        Ok(())
    }

    /// The configurations that there are.
    fn installed(&self) -> impl Iterator<Item = &ValidatingWebhookConfiguration> {
        self.configurations.values().filter_map(|seen| match seen {
            Watched::There(object) => Some(&**object),
            Watched::Unknown | Watched::Absent => None,
        })
    }

    /// Makes the authorities known where they are not, and says how far they are.
    async fn publish(&mut self, material: &Material) -> anyhow::Result<Published> {
        let bundle = material.bundle();
        let all_seen = self.configurations.len() == self.certificates.configurations.len()
            && !matches!(self.definition, Watched::Unknown);
        if bundle.is_empty() || !all_seen {
            return Ok(Published::No);
        }
        let mut complete = true;
        for object in self.installed() {
            if let Some(patch) = publish::to_configuration(object, &bundle) {
                complete = false; // it is when we see it
                let name = object.name_any();
                publish::apply::<ValidatingWebhookConfiguration>(&self.client, &name, &patch)
                    .await
                    .with_context(|| {
                        format!("cannot write caBundle of ValidatingWebhookConfiguration {name}")
                    })?;
                tracing::info!(event = "caBundleWritten", configuration = name, "published");
            }
        }
        if let Watched::There(object) = &self.definition
            && let Some(patch) = publish::to_definition(object, &bundle)
        {
            complete = false;
            let name = object.name_any();
            publish::apply::<CustomResourceDefinition>(&self.client, &name, &patch)
                .await
                .with_context(|| format!("cannot write caBundle of CustomResourceDefinition {name}"))?;
            tracing::info!(event = "caBundleWritten", definition = name, "published");
        }
        if !complete {
            self.published = None;
            return Ok(Published::No);
        }
        let generations = self.installed().map(|object| object.metadata.generation).collect::<Vec<_>>();
        let since = match &self.published {
            Some((known, in_these, since)) if *known == bundle && *in_these == generations => *since,
            Some(_) | None => {
                let now = Instant::now();
                self.published = Some((bundle, generations, now));
                now
            }
        };
        Ok(Published::For(passed_since(since)))
    }

    /// Writes the configurations for the second time, once the authorities have been known in them for long enough. Whoever takes
    /// that away again is not fought: it is tried again after a while. Nothing else waits for it.
    async fn settle(&mut self, known_for: SignedDuration, material: &Material) -> Settled {
        let Timing { second_write, settle, .. } = self.certificates.timing;
        let bundle = material.bundle();
        let patch = |object: &ValidatingWebhookConfiguration| {
            Some((object.name_any(), publish::to_settle(object, &bundle)?))
        };
        let patches: Vec<_> = self.installed().filter_map(patch).collect();
        if patches.is_empty() {
            return Settled::Yes;
        }
        if known_for < second_write {
            return Settled::After(second_write - known_for);
        }
        if let Some((_, tried)) = self.settling.as_ref().filter(|(tried, _)| *tried == bundle) {
            let since = passed_since(*tried);
            if since < settle {
                return Settled::After(settle - since);
            }
        }
        for (name, patch) in patches {
            if let Err(error) =
                publish::apply::<ValidatingWebhookConfiguration>(&self.client, &name, &patch).await
            {
                let error = &error as &dyn std::error::Error;
                tracing::warn!(event = "notAnnotated", configuration = name, error, "will retry");
            }
        }
        self.settling = Some((bundle, Instant::now()));
        Settled::After(settle) // or when we see it
    }

    /// Writes the Secret, unless somebody else did since we read it; then theirs counts.
    async fn write(&mut self, secret: Option<Secret>, material: &Material) -> anyhow::Result<Duration> {
        let Certificates { namespace, secret: name, .. } = &self.certificates;
        let api: Api<Secret> = Api::namespaced(self.client.clone(), namespace);
        let exists = secret.is_some();
        let mut secret = secret.unwrap_or_default();
        secret.metadata.name = Some(name.clone());
        secret.metadata.managed_fields = None;
        secret.data = Some(material.data());
        let written = if exists {
            api.replace(name, &PostParams::default(), &secret).await
        } else {
            api.create(&PostParams::default(), &secret).await
        };
        match written {
            // What the watch has not brought yet must not be published in place of it.
            Ok(secret) => {
                self.secret = Watched::There(Box::new(secret));
                Ok(Duration::ZERO)
            }
            Err(kube::Error::Api(status)) if status.code == 409 => {
                tracing::debug!(event = "certificateConflict", "another replica was faster");
                Ok(RETRY)
            }
            Err(error) => Err(error).with_context(|| format!("cannot write Secret {namespace}/{name}")),
        }
    }
}

fn passed_since(since: Instant) -> SignedDuration {
    SignedDuration::try_from(since.elapsed()).unwrap_or(SignedDuration::MAX)
}

fn positive(time: SignedDuration) -> Duration {
    Duration::try_from(time).unwrap_or_default()
}
