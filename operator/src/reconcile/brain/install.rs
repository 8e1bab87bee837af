//! Check, build, apply, prune: for the one `MetalLB` that is acted on.

use metallb_core::table::Event;
use metallb_crds::MetalLBSpec;
use metallb_process::events::{Happening, Severity};
use metallb_process::watch::ObjectKey;

use super::super::METALLB;
use super::super::apply::{Failure, apply, delete_frr_webhook, delete_pod, let_go};
use super::super::gather::{Input, Row};
use super::super::report::{Keeps, Standing};
use super::super::steps::{Settled, Steps, Superfluous, is_replaced, steps};
use super::super::summary;
use super::super::takeover::frr_k8s::{self, Move};
use super::super::takeover::{allocators, leftovers};
use super::Brain;
use super::report::Outlook;
use crate::environment::Environment;
use crate::render::{
    CONTROLLER, Circumstances, IN_FORCE, Kind, Object, ObjectId, SPEAKER, render, spec_in_force, tls_in_force,
};
use crate::tls_profile::ClusterTls;
use crate::wanted::{SpecRefusal, Wanted};

/// A spec that can be acted on, and what it asks for.
struct Asked {
    spec: MetalLBSpec,
    wanted: Wanted,
}

/// What has been done.
#[derive(Default)]
struct Done {
    failures: Vec<Failure>,
    /// What is still to be done, and waits.
    notes: Vec<String>,
}

/// What applying an object has changed of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Change {
    /// Nothing: what others had done to it is theirs.
    None,
    /// It is another than it was.
    Made,
}

impl Brain<'_> {
    /// Check, build, apply; and what to say about it.
    pub(super) async fn install(&mut self, key: &ObjectKey, row: &Row) -> (Outlook, Vec<Failure>) {
        let (asked, refusals) = self.in_force(row);
        let Some(asked) = asked else {
            return (Standing::invalid(&refusals, Keeps::Nothing).into(), Vec::new());
        };
        let namespace = &self.context.environment.namespace;
        let frr = frr_k8s::standing(&self.world, namespace, &row.uid, &asked.wanted.bgp);
        let Done { failures, notes } = self.bring_about(key, row, &asked, &frr).await;
        let standing = if !refusals.is_empty() {
            Standing::invalid(&refusals, Keeps::LastGood)
        } else if !failures.is_empty() {
            Standing::failed(&failures)
        } else if let frr_k8s::Standing::InUse(configurations) = &frr {
            Standing::frr_in_use(namespace, configurations)
        } else {
            let [controller, speaker] = self.rollouts();
            let standing = Standing::of(&controller, &speaker, &notes);
            let unserved = frr_k8s::unserved(&self.world);
            match standing {
                Standing::Available { .. } | Standing::Progressing { .. } if !unserved.is_empty() => {
                    Standing::frr_unserved(&unserved)
                }
                Standing::Available { .. } | Standing::Progressing { .. } | Standing::Degraded { .. } => {
                    standing
                }
            }
        };
        let standing = match &self.tls {
            ClusterTls::Bad { error, .. } => standing.with_bad_profile(error),
            ClusterTls::Unknown | ClusterTls::Nothing | ClusterTls::Profile(_) => standing,
        };
        let outlook = Outlook {
            standing,
            bgp_backend: Some(asked.wanted.bgp.name().to_owned()),
            components: summary::components(&self.world),
            configuration: Some(summary::configuration(&self.world)),
        };
        (outlook, failures)
    }

    /// What is to be acted on: the spec, or the last good one beside the reasons why the spec is not. That is
    /// remembered, and after a restart it is what was [installed](crate::render::IN_FORCE) with the rest.
    fn in_force(&mut self, row: &Row) -> (Option<Asked>, Vec<SpecRefusal>) {
        let default = self.context.environment.external_frrk8s_namespace.as_deref();
        let checked = match &row.spec {
            Ok(spec) => Wanted::check(spec, default).map(|wanted| Asked { spec: (**spec).clone(), wanted }),
            Err(error) => Err(vec![SpecRefusal::Unreadable { error: error.clone() }]),
        };
        let refusals = match checked {
            Ok(asked) => {
                self.memory.last_good = Some((row.uid.clone(), asked.spec.clone()));
                return (Some(asked), Vec::new());
            }
            Err(refusals) => refusals,
        };
        let remembered = self.memory.last_good.as_ref().filter(|(uid, _)| *uid == row.uid);
        let spec = remembered.map(|(_, spec)| spec.clone()).or_else(|| {
            let live = self.world.installed(&ObjectId::new(Kind::ConfigMap, IN_FORCE))?;
            let is_its = live.owner.as_deref() == Some(row.uid.as_str());
            is_its.then(|| spec_in_force(&live.object)).flatten()
        });
        let asked = spec.and_then(|spec| {
            let wanted = Wanted::check(&spec, default).ok()?;
            Some(Asked { spec, wanted })
        });
        (asked, refusals)
    }

    /// Applies what is asked for. One object that fails does not keep the others from being applied, except that
    /// speakers wait for their constraints, and nothing is deleted after it.
    async fn bring_about(
        &mut self,
        key: &ObjectKey,
        row: &Row,
        asked: &Asked,
        frr: &frr_k8s::Standing,
    ) -> Done {
        let controller = self.world.installed(&ObjectId::new(Kind::Deployment, CONTROLLER));
        let circumstances = Circumstances {
            service_monitors: self.world.served(Kind::ServiceMonitor),
            prometheus_rules: self.world.served(Kind::PrometheusRule),
            platform: self.world.platform(),
            controller: allocators::update(controller),
            speaker: frr.speaker_update(),
        };
        let owner = row.owner_reference(METALLB);
        let objects = render(&asked.spec, &asked.wanted, &self.environment(), &owner, circumstances);
        let planned = steps(&objects, self.world.all_installed(), &self.memory.settled, &row.uid);
        let Steps { apply, spoiled, superfluous } = match planned {
            Ok(steps) => steps,
            Err(error) => {
                let source = kube::Error::SerdeError(error);
                let failure = Failure::Refused { what: "write the objects down".into(), source };
                return Done { failures: vec![failure], notes: Vec::new() };
            }
        };
        let speakers = ObjectId::new(Kind::DaemonSet, SPEAKER);
        let mut holds_speakers = frr.holds_speakers(&self.world);
        let mut done = Done::default();
        for object in &apply {
            let id = object.id();
            if holds_speakers && id == speakers {
                continue;
            }
            let is_spoiled = spoiled.contains(&id);
            match self.apply(object).await {
                Ok(Change::Made) if is_spoiled => self.tell_repaired(key, row, &id),
                Ok(Change::Made | Change::None) => {}
                Err(failure) => {
                    // Their pods require these: none would be admitted, and working ones would be ended for them.
                    holds_speakers |= id.kind == Kind::SecurityContextConstraints;
                    done.failures.push(failure);
                }
            }
        }
        if done.failures.is_empty() {
            self.clear_away(row, frr, superfluous, &mut done).await;
        }
        done
    }

    /// The operator's, with the TLS that the cluster asks for. What was in force before a profile that cannot be
    /// followed is what the speakers were told, if this process has never seen a good one.
    fn environment(&self) -> Environment {
        let own = &self.context.environment;
        let tls = match &self.tls {
            ClusterTls::Unknown | ClusterTls::Nothing => None,
            ClusterTls::Profile(flags) | ClusterTls::Bad { last_good: Some(flags), .. } => {
                Some(flags.clone())
            }
            ClusterTls::Bad { last_good: None, .. } => {
                let speaker = self.world.installed(&ObjectId::new(Kind::DaemonSet, SPEAKER));
                speaker.and_then(|live| tls_in_force(&live.object))
            }
        };
        Environment { tls: tls.unwrap_or_else(|| own.tls.clone()), ..own.clone() }
    }

    fn tell_repaired(&self, key: &ObjectKey, row: &Row, id: &ObjectId) {
        self.context.metrics.repaired.with_label_values(&[&id.kind.to_string()]).inc();
        let message = format!("{id} was edited or deleted, and is again as this resource asks for");
        tracing::info!(event = "repaired", object = %id, "somebody else had edited or deleted it");
        self.context.recorder.record(Happening {
            regarding: row.reference(key),
            severity: Severity::Normal,
            reason: "Repaired",
            message,
        });
    }

    async fn apply(&mut self, object: &Object) -> Result<Change, Failure> {
        self.ensure_mandate()?;
        let context = self.context;
        let live = apply(context.client.clone(), &context.environment.namespace, object).await?;
        context.metrics.applied.inc();
        let id = object.id();
        if let Ok(sent) = object.to_value() {
            let became = live.object.clone();
            self.memory.settled.insert(id.clone(), Settled { sent, became });
        }
        let before = self.world.installed(&id).map(|before| &before.object);
        let change = if before == Some(&live.object) { Change::None } else { Change::Made };
        self.world.apply(Input::Installed(id.kind, Event::Applied(id.name, live)));
        Ok(change)
    }

    /// Deletes what is not asked for any more, when what replaces it is up.
    async fn clear_away(
        &mut self,
        row: &Row,
        frr: &frr_k8s::Standing,
        mut superfluous: Vec<Superfluous>,
        done: &mut Done,
    ) {
        let [controller, speaker] = self.rollouts();
        let is_replaced = is_replaced(&[&controller, &speaker]);
        match frr {
            frr_k8s::Standing::InUse(_) => return,
            frr_k8s::Standing::Unknown => {
                done.notes.push("it is not known yet whom frr-k8s serves".to_owned());
                return;
            }
            frr_k8s::Standing::HandOver => return self.hand_over(&row.uid, done).await,
            frr_k8s::Standing::Kept => superfluous.retain(|it| !frr_k8s::is_piece(&it.id)),
            frr_k8s::Standing::Absent if is_replaced => {
                superfluous.extend(leftovers::remains(&self.world));
                done.failures.extend(self.remove_frr_webhook().await.err());
            }
            frr_k8s::Standing::Absent => {}
        }
        if !is_replaced {
            let names: Vec<String> = superfluous.iter().map(|it| it.id.to_string()).collect();
            if !names.is_empty() {
                let which = names.join(", ");
                done.notes.push(format!(
                    "not needed any more, and deleted once all pods are new and ready: {which}"
                ));
            }
            return;
        }
        for it in superfluous {
            if done.failures.is_empty() {
                done.failures.extend(self.delete(&it).await.err());
            }
        }
    }

    /// The next move of the hand-over from frr-k8s.
    async fn hand_over(&mut self, owner: &str, done: &mut Done) {
        let (client, namespace) = (self.context.client.clone(), &self.context.environment.namespace);
        let next = frr_k8s::next_move(&self.world, namespace, owner);
        self.memory.is_rid_of_frr = false;
        let why = match &next {
            Move::Done => return,
            Move::Wait(why) => why.clone(),
            Move::LetGo(daemon) => format!("{} is let go of", daemon.id),
            Move::DeletePod { node, .. } => format!("node {node} is next"),
        };
        done.notes.push(format!("frr-k8s is handed over to speakers node by node: {why}"));
        let outcome = match (self.ensure_mandate(), next) {
            (Err(failure), _) => Err(failure),
            (Ok(()), Move::LetGo(daemon)) => let_go(client, namespace, &daemon).await,
            (Ok(()), Move::DeletePod { name, uid, node }) => {
                tracing::info!(event = "handOver", node, pod = name, "its sessions go to our speaker");
                delete_pod(client, namespace, &name, &uid).await
            }
            (Ok(()), Move::Wait(_) | Move::Done) => Ok(()),
        };
        done.failures.extend(outcome.err());
    }

    /// Once is enough: it is made by what we have deleted.
    async fn remove_frr_webhook(&mut self) -> Result<(), Failure> {
        if self.memory.is_rid_of_frr {
            return Ok(());
        }
        self.ensure_mandate()?;
        let context = self.context;
        delete_frr_webhook(context.client.clone(), &context.environment.namespace).await?;
        self.memory.is_rid_of_frr = true;
        Ok(())
    }

    fn rollouts(&self) -> [super::super::rollout::Rollout; 2] {
        [(Kind::Deployment, CONTROLLER), (Kind::DaemonSet, SPEAKER)]
            .map(|(kind, name)| self.world.rollout(kind, name))
    }
}
