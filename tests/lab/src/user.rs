//! Somebody who can talk to an API server, and the verbs a scenario is told with.
//!
//! In this room: reading and writing objects as one identity.
//! Not here: what makes the server run, and who this identity is ([`ApiServer`](crate::ApiServer) hands users out).

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Error, Result};
use k8s_openapi::api::authentication::v1::{TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::{Event, Namespace, Service, ServiceAccount};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::{Api, DynamicObject, GetParams, ListParams, Patch, PatchParams, PostParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::core::{ApiResource, GroupVersionKind, Status};
use kube::discovery::{ApiCapabilities, Scope, pinned_kind};
use kube::{Client, Config, Resource, ResourceExt as _};
use serde_json::{Value, json};

use crate::command::{Outcome, output};
use crate::control_plane::ADMIN;
use crate::pki::{Pki, Subject};
use crate::service::{self, LoadBalancer};
use crate::wait::until;

/// The field manager of everything a scenario applies.
const FIELD_MANAGER: &str = "lab";

/// One identity at one API server, working in one namespace (`default`, until
/// [`in_namespace`](User::in_namespace)).
///
/// Belongs to the tokio runtime it was made in: with one runtime per test, ask for a new one in each.
#[derive(Clone)]
pub struct User {
    client: Client,
    config: Config,
    kubeconfig: PathBuf,
    kubectl: PathBuf,
}

/// Everybody who can come to one API server.
#[derive(Clone, Debug)]
pub(crate) struct Users {
    pub(crate) pki: Pki,
    /// The way to the server from this process.
    pub(crate) server: String,
    /// What kubeconfigs for this way have behind their names: several processes may have ways of their own.
    pub(crate) suffix: String,
    pub(crate) kubectl: PathBuf,
}

impl Users {
    /// The administrator's kubeconfig.
    pub(crate) fn administrator(&self) -> Result<PathBuf> {
        self.kubeconfig("administrator", "admin", ADMIN)
    }

    pub(crate) async fn admin(&self) -> Result<User> {
        User::connect(&self.administrator()?, self.kubectl.clone()).await
    }

    pub(crate) async fn with_certificate(&self, user: &str, group: Option<&str>) -> Result<User> {
        let file = format!("user-{}-{}", file_name(user), file_name(group.unwrap_or_default()));
        let kubeconfig = self.kubeconfig(&file, &file, Subject { user, group })?;
        User::connect(&kubeconfig, self.kubectl.clone()).await
    }

    pub(crate) async fn service_account(&self, namespace: &str, name: &str) -> Result<User> {
        let token = self.admin().await?.service_account_token(namespace, name).await?;
        let file = format!("account-{namespace}-{name}{}", self.suffix);
        let kubeconfig = self.pki.kubeconfig_for_token(&file, &token, &self.server)?;
        User::connect(&kubeconfig, self.kubectl.clone()).await?.in_namespace(namespace)
    }

    fn kubeconfig(&self, file: &str, certificate: &str, subject: Subject<'_>) -> Result<PathBuf> {
        self.pki.kubeconfig_as(&format!("{file}{}", self.suffix), certificate, subject, &self.server)
    }
}

/// An event, as `kubectl describe` shows it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub struct Happening {
    /// `Normal` or `Warning`.
    pub severity: String,
    /// The machine-readable word: `IPAllocated`.
    pub reason: String,
    /// The sentence.
    pub message: String,
    /// The component that said it.
    pub reporter: String,
}

impl User {
    /// Whoever that kubeconfig says, with this kubectl.
    pub async fn connect(kubeconfig: &Path, kubectl: PathBuf) -> Result<Self> {
        // Fails when a provider is installed already, and then there is one.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let read = Kubeconfig::read_from(kubeconfig)
            .with_context(|| format!("read the kubeconfig {}", kubeconfig.display()))?;
        let mut config = Config::from_custom_kubeconfig(read, &KubeConfigOptions::default()).await?;
        // A test wants to see a refusal, not a patient client.
        config.default_retry = false;
        Self::with_config(config, kubeconfig.to_owned(), kubectl)
    }

    fn with_config(config: Config, kubeconfig: PathBuf, kubectl: PathBuf) -> Result<Self> {
        let client = Client::try_from(config.clone()).context("make a client from the kubeconfig")?;
        Ok(Self { client, config, kubeconfig, kubectl })
    }

    /// A client for everything the verbs below don't cover. Its default namespace is the one worked in.
    pub fn client(&self) -> Client {
        self.client.clone()
    }

    /// The same identity for programs: put it into `KUBECONFIG`.
    pub fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// The namespace worked in.
    pub fn namespace(&self) -> &str {
        self.client.default_namespace()
    }

    /// The same user, working in another namespace.
    pub fn in_namespace(&self, namespace: impl Into<String>) -> Result<Self> {
        let mut config = self.config.clone();
        config.default_namespace = namespace.into();
        Self::with_config(config, self.kubeconfig.clone(), self.kubectl.clone())
    }

    /// Makes a namespace nobody has used before, so that tests can share a server, and gives its name.
    pub async fn create_namespace(&self) -> Result<String> {
        let metadata = ObjectMeta { generate_name: Some("test-".into()), ..ObjectMeta::default() };
        let namespace = Namespace { metadata, ..Namespace::default() };
        let created = Api::all(self.client()).create(&PostParams::default(), &namespace).await;
        Ok(created.context("create a namespace")?.name_any())
    }

    /// The same user, working in a namespace made just now.
    pub async fn in_new_namespace(&self) -> Result<Self> {
        self.in_namespace(self.create_namespace().await?)
    }

    /// Applies every document of a YAML text, as `kubectl apply --server-side --force-conflicts` would: namespaces
    /// and custom resource definitions first, and the latter are served before the rest follows.
    pub async fn apply_yaml(&self, yaml: &str) -> Result<Vec<DynamicObject>> {
        let documents: Vec<Value> = serde_saphyr::from_multiple(yaml).context("this is no YAML")?;
        let mut objects = Vec::new();
        for document in documents {
            flatten(document, &mut objects)?;
        }
        self.apply(objects).await
    }

    /// [`apply_yaml`](User::apply_yaml) with every `*.yaml` of a directory, in the order of their names.
    pub async fn apply_dir(&self, directory: impl AsRef<Path>) -> Result<Vec<DynamicObject>> {
        let directory = directory.as_ref();
        let entries = fs::read_dir(directory).with_context(|| format!("read {}", directory.display()))?;
        let mut files: Vec<PathBuf> = entries.map(|entry| Ok(entry?.path())).collect::<Result<_>>()?;
        files.retain(|file| {
            file.extension().is_some_and(|extension| extension == "yaml" || extension == "yml")
        });
        files.retain(|file| file.file_stem().is_none_or(|stem| stem != "kustomization"));
        files.sort();
        let mut objects = Vec::new();
        for file in &files {
            let text = fs::read_to_string(file).with_context(|| format!("read {}", file.display()))?;
            let documents: Vec<Value> = serde_saphyr::from_multiple(&text)
                .with_context(|| format!("{} is no YAML", file.display()))?;
            for document in documents {
                flatten(document, &mut objects).with_context(|| format!("in {}", file.display()))?;
            }
        }
        self.apply(objects).await
    }

    async fn apply(&self, objects: Vec<DynamicObject>) -> Result<Vec<DynamicObject>> {
        let (first, rest): (Vec<_>, Vec<_>) = objects.into_iter().partition(others_need);
        let mut known = BTreeMap::new();
        let mut applied = Vec::new();
        for object in first {
            applied.push(self.apply_one(&object, &mut known).await?);
        }
        for object in &applied {
            if kind(object) == "CustomResourceDefinition" {
                self.until_served(&object.name_any()).await?;
            }
        }
        for object in rest {
            applied.push(self.apply_one(&object, &mut known).await?);
        }
        Ok(applied)
    }

    async fn apply_one(
        &self,
        object: &DynamicObject,
        known: &mut BTreeMap<(String, String), (ApiResource, ApiCapabilities)>,
    ) -> Result<DynamicObject> {
        let types = object.types.clone().unwrap_or_default();
        let what = format!("{} {} {}", types.api_version, types.kind, object.name_any());
        let key = (types.api_version.clone(), types.kind.clone());
        if !known.contains_key(&key) {
            let gvk = GroupVersionKind::try_from(&types)?;
            // A kind defined a moment ago takes a moment to be listed.
            let served = until(Duration::from_secs(5), "the API server serves this kind", async || {
                pinned_kind(&self.client, &gvk).await
            });
            known.insert(key.clone(), served.await.with_context(|| format!("apply {what}"))?);
        }
        let (resource, capabilities) = &known[&key];
        let api: Api<DynamicObject> = match (&capabilities.scope, &object.metadata.namespace) {
            (Scope::Cluster, _) => Api::all_with(self.client(), resource),
            (Scope::Namespaced, Some(namespace)) => Api::namespaced_with(self.client(), namespace, resource),
            (Scope::Namespaced, None) => Api::default_namespaced_with(self.client(), resource),
        };
        let params = PatchParams::apply(FIELD_MANAGER).force();
        let applied = api.patch(&object.name_any(), &params, &Patch::Apply(object)).await;
        applied.with_context(|| format!("apply {what}"))
    }

    async fn until_served(&self, definition: &str) -> Result<()> {
        let definitions: Api<CustomResourceDefinition> = Api::all(self.client());
        until(Duration::from_secs(10), &format!("{definition} is served"), async || -> Result<()> {
            let CustomResourceDefinition { spec, status, .. } = definitions.get(definition).await?;
            let conditions = status.and_then(|status| status.conditions).unwrap_or_default();
            let established = conditions.iter().any(|it| it.type_ == "Established" && it.status == "True");
            established.then_some(()).with_context(|| format!("{conditions:?}"))?;
            // From then on it is known, and not yet there: its storage takes another moment.
            let version =
                spec.versions.iter().find(|version| version.served).context("no version is served")?;
            let gvk = GroupVersionKind::gvk(&spec.group, &version.name, &spec.names.kind);
            let resource = ApiResource::from_gvk_with_plural(&gvk, &spec.names.plural);
            let objects: Api<DynamicObject> = Api::all_with(self.client(), &resource);
            objects.list_metadata(&ListParams::default().limit(1)).await?;
            Ok(())
        })
        .await
    }

    /// Creates a Service.
    pub async fn create_service(&self, service: LoadBalancer) -> Result<Service> {
        let service = service.build();
        let services = self.services(&service);
        let created = services.create(&PostParams::default(), &service).await;
        created.with_context(|| format!("create the service {}", service.name_any()))
    }

    /// The addresses that stand in the Service's status now.
    pub async fn ingress_ips(&self, service: &Service) -> Result<Vec<IpAddr>> {
        let service = self.services(service).get_status(&service.name_any()).await?;
        Ok(service::ingress_ips(&service))
    }

    /// Puts addresses into the Service's status by hand, as the controller would.
    pub async fn set_ingress_ips(&self, service: &Service, addresses: &[IpAddr]) -> Result<Service> {
        let ingress: Vec<Value> = addresses.iter().map(|address| json!({ "ip": address })).collect();
        let patch = json!({"status": {"loadBalancer": {"ingress": ingress}}});
        let services = self.services(service);
        let patched =
            services.patch_status(&service.name_any(), &PatchParams::default(), &Patch::Merge(patch)).await;
        patched.with_context(|| format!("write the status of the service {}", service.name_any()))
    }

    /// What has been said about an object so far, oldest first: by anybody. On a busy machine kube-apiserver itself
    /// may remark on a Service whose addresses it has just given out, so look for the reporter or the reason you
    /// mean.
    pub async fn events_of<K: Resource<DynamicType = ()>>(&self, object: &K) -> Result<Vec<Happening>> {
        let namespace = object.namespace().unwrap_or_else(|| "default".into());
        let fields =
            format!("involvedObject.kind={},involvedObject.name={}", K::kind(&()), object.name_any());
        let events: Api<Event> = Api::namespaced(self.client(), &namespace);
        let mut events = events.list(&ListParams::default().fields(&fields)).await?.items;
        events.sort_by_key(|event| (event.metadata.creation_timestamp.clone(), event.name_any()));
        let happening = |event: Event| Happening {
            severity: event.type_.unwrap_or_default(),
            reason: event.reason.unwrap_or_default(),
            message: event.message.unwrap_or_default(),
            reporter: event
                .reporting_component
                .filter(|reporter| !reporter.is_empty())
                .or_else(|| event.source.and_then(|source| source.component))
                .unwrap_or_default(),
        };
        Ok(events.into_iter().map(happening).collect())
    }

    /// A fresh token of a service account; it lasts an hour.
    pub async fn service_account_token(&self, namespace: &str, name: &str) -> Result<String> {
        let accounts: Api<ServiceAccount> = Api::namespaced(self.client(), namespace);
        let spec = TokenRequestSpec { expiration_seconds: Some(3600), ..TokenRequestSpec::default() };
        let request = TokenRequest { spec, ..TokenRequest::default() };
        let given = accounts.create_token_request(name, &PostParams::default(), &request).await;
        let given =
            given.with_context(|| format!("get a token of the service account {namespace}/{name}"))?;
        Ok(given.status.context("the API server gave no token")?.token)
    }

    /// Runs kubectl as this user, in the namespace worked in.
    pub async fn kubectl<S: AsRef<str>>(&self, args: impl IntoIterator<Item = S>) -> Result<Outcome> {
        let mut command = tokio::process::Command::new(&self.kubectl);
        command.arg("--kubeconfig").arg(&self.kubeconfig).args(["--namespace", self.namespace()]);
        command.args(args.into_iter().map(|arg| arg.as_ref().to_owned()));
        output(command).await
    }

    /// Whether the API server says it is ready, and why not.
    pub(crate) async fn readyz(&self) -> Result<()> {
        let request = kube::core::Request::new("").get("readyz", &GetParams::default())?;
        self.client.request_text(request).await?;
        Ok(())
    }

    fn services(&self, service: &Service) -> Api<Service> {
        match &service.metadata.namespace {
            Some(namespace) => Api::namespaced(self.client(), namespace),
            None => Api::default_namespaced(self.client()),
        }
    }
}

/// The API server's refusal (a webhook's included) in an error one of the verbs gave, if that is what it is.
pub fn refusal(error: &Error) -> Option<&Status> {
    let causes = error.chain().filter_map(|cause| cause.downcast_ref::<kube::Error>());
    causes.into_iter().find_map(|cause| match cause {
        kube::Error::Api(status) => Some(&**status),
        _ => None,
    })
}

fn kind(object: &DynamicObject) -> &str {
    object.types.as_ref().map_or("", |types| types.kind.as_str())
}

fn others_need(object: &DynamicObject) -> bool {
    matches!(kind(object), "Namespace" | "CustomResourceDefinition")
}

/// A document is an object, a list of objects, or nothing between two separators.
fn flatten(document: Value, objects: &mut Vec<DynamicObject>) -> Result<()> {
    match document {
        Value::Null => {}
        Value::Object(mut fields) if fields.get("kind").is_some_and(|kind| kind == "List") => {
            if let Some(Value::Array(items)) = fields.remove("items") {
                for item in items {
                    flatten(item, objects)?;
                }
            }
        }
        document => {
            let object: DynamicObject =
                serde_json::from_value(document).context("a document is no object")?;
            if object.types.is_none() || object.metadata.name.is_none() {
                anyhow::bail!("a document lacks apiVersion, kind or metadata.name: {:?}", object.types);
            }
            objects.push(object);
        }
    }
    Ok(())
}

/// A user's name may be any string, and two users never get the same file.
fn file_name(user: &str) -> String {
    let mut name = String::new();
    for byte in user.bytes() {
        if byte.is_ascii_alphanumeric() {
            name.push(char::from(byte));
        } else {
            let _ = write!(name, "_{byte:02x}"); // writing to a String cannot fail
        }
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_opened_and_empty_documents_skipped() {
        let text = "---\n---\napiVersion: v1\nkind: List\nitems:\n- {apiVersion: v1, kind: A, metadata: {name: a}}\n\
                    - {apiVersion: v1, kind: B, metadata: {name: b}}\n---\n# nothing\n";
        let mut objects = Vec::new();
        for document in serde_saphyr::from_multiple(text).unwrap() {
            flatten(document, &mut objects).unwrap();
        }
        assert_eq!(objects.iter().map(kind).collect::<Vec<_>>(), ["A", "B"]);
    }
}
