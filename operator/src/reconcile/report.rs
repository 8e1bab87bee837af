//! What the status of a `MetalLB` says, and which event goes with it. Pure.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use k8s_openapi::jiff::Timestamp;
use metallb_core::refusal::Refusal as _;
use metallb_process::events::Severity;
use metallb_process::watch::ObjectKey;

use super::METALLB;
use super::apply::Failure;
use super::rollout::Rollout;
use crate::tls_profile::profile::BadProfile;
use crate::wanted::SpecRefusal;

/// The reason on a `MetalLB` of another name than [`METALLB`].
pub const WRONG_NAME: &str = "IncorrectMetalLBResourceName";
/// The reason on a `MetalLB` in another namespace than the operator's.
pub const WRONG_NAMESPACE: &str = "IncorrectMetalLBResourceNamespace";

/// The API server refuses longer ones.
const LONGEST_MESSAGE: usize = 32768;

const AVAILABLE: &str = "Available";
const UPGRADEABLE: &str = "Upgradeable";
const PROGRESSING: &str = "Progressing";
const DEGRADED: &str = "Degraded";
/// The conditions that every `MetalLB` has.
pub const CONDITIONS: [&str; 4] = [AVAILABLE, UPGRADEABLE, PROGRESSING, DEGRADED];

/// What is in force beside a spec that cannot be acted on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keeps {
    /// The one before it.
    LastGood,
    /// None is known.
    Nothing,
}

/// Something has to be done, and not for the pods' sake: they work, or will.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flaw {
    /// One word, as machines compare it.
    pub reason: &'static str,
    /// What is wrong, and what to do.
    pub message: String,
}

/// How an installation is doing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Controller and speakers are rolled out.
    Available {
        /// How many there are.
        message: String,
        /// What is wrong all the same.
        flaw: Option<Flaw>,
    },
    /// They will be.
    Progressing {
        /// What is missing.
        message: String,
        /// What is wrong besides.
        flaw: Option<Flaw>,
    },
    /// Something has to be done about it.
    Degraded {
        /// One word, as machines compare it.
        reason: &'static str,
        /// What is wrong, and what to do.
        message: String,
    },
}

impl Standing {
    /// Of an object that has another name than it may have.
    pub fn misnamed(namespace: &str, name: &str) -> Self {
        let message = format!(
            "a MetalLB named {name} has no effect: the operator acts only on the one named {METALLB} in namespace \
             {namespace}; rename it, or delete it"
        );
        Self::Degraded { reason: WRONG_NAME, message }
    }

    /// Of an object in another namespace than the operator's.
    pub fn misplaced(namespace: &str, own_namespace: &str) -> Self {
        let message = format!(
            "a MetalLB in namespace {own_namespace} has no effect: the operator acts only on the one named {METALLB} \
             in namespace {namespace}; create it there, and delete this one"
        );
        Self::Degraded { reason: WRONG_NAMESPACE, message }
    }

    /// Of an object that cannot be acted on. `keeps`: something was asked for before that can be.
    pub fn invalid(refusals: &[SpecRefusal], keeps: Keeps) -> Self {
        let texts: Vec<String> = refusals.iter().map(SpecRefusal::explain).collect();
        let rest = match keeps {
            Keeps::LastGood => "What was installed before stays in force.",
            Keeps::Nothing => "Nothing is installed or changed until it is mended.",
        };
        let message = format!("{}. {rest}", texts.join(". "));
        Self::Degraded { reason: "InvalidSpec", message }
    }

    /// After writes failed.
    pub fn failed(failures: &[Failure]) -> Self {
        let reason = failures.first().map_or("ReconcileFailed", Failure::reason);
        let texts: Vec<String> = failures.iter().map(ToString::to_string).collect();
        Self::Degraded { reason, message: format!("{}. It is tried again.", texts.join(". ")) }
    }

    /// Of an installation beside upstream's frr-k8s, which has these FRRConfigurations of others to serve.
    pub fn frr_in_use(namespace: &str, configurations: &[ObjectKey]) -> Self {
        let message = format!(
            "frr-k8s in namespace {namespace} serves {}, which no speaker wrote, so it is left as it is, and speakers of \
             ours would need the sessions that it has; set spec.bgpBackend to frr-k8s-external and \
             spec.frrk8sConfig.namespace to {namespace} to go on with it, or delete what is not needed",
            enumerated(configurations)
        );
        Self::Degraded { reason: "FRRConfigurationsInUse", message }
    }

    /// Of an installation in a cluster with FRRConfigurations that nobody reads.
    pub fn frr_unserved(configurations: &[ObjectKey]) -> Self {
        let message = format!(
            "{} has no effect: no speaker wrote it, and no frr-k8s runs that would read it (speakers speak BGP by \
             themselves); install frr-k8s and set spec.bgpBackend to frr-k8s-external, or delete it",
            enumerated(configurations)
        );
        Self::Degraded { reason: "FRRConfigurationsUnserved", message }
    }

    /// The same in a cluster whose TLS profile cannot be followed. Pods work with what was in force before, and whatever
    /// is worse is told first.
    #[must_use]
    pub fn with_bad_profile(self, error: &BadProfile) -> Self {
        let text = format!(
            "spec.tlsSecurityProfile of APIServer cluster (config.openshift.io/v1): {error}. What was in force before stays"
        );
        let flaw = Flaw { reason: "TLSProfileUnusable", message: text };
        match self {
            Self::Available { message, flaw: _ } => Self::Available { message, flaw: Some(flaw) },
            Self::Progressing { message, flaw: _ } => Self::Progressing { message, flaw: Some(flaw) },
            Self::Degraded { reason, message } => {
                let message = format!("{}. {}", message.trim_end_matches('.'), flaw.message);
                Self::Degraded { reason, message }
            }
        }
    }

    /// After everything was applied. `notes` tell what else is still to be done.
    pub fn of(controller: &Rollout, speaker: &Rollout, notes: &[String]) -> Self {
        let degraded = |reason: &'static str, message: &str| {
            let message = [&[message.to_owned()], notes].concat().join("; ");
            Self::Degraded { reason, message }
        };
        if speaker.is_nothing() {
            let message = "no node matches: DaemonSet speaker has no pods, so no address is announced; label a node, \
                           or change spec.nodeSelector or spec.speakerConfig.affinity";
            return degraded("NoNodeMatches", message);
        }
        if controller.is_nothing() {
            let message =
                "Deployment controller is scaled to 0 pods, so no service gets an address; scale it to 1";
            return degraded("ControllerScaledToZero", message);
        }
        let workloads = [("Deployment controller", controller), ("DaemonSet speaker", speaker)];
        let sentences = |which: &dyn Fn(&Rollout) -> bool| {
            let texts = workloads.iter().filter(|(_, rollout)| which(rollout));
            let texts = texts.map(|(name, rollout)| format!("{name}: {}", rollout.sentence()));
            texts.chain(notes.iter().cloned()).collect::<Vec<_>>().join("; ")
        };
        if controller.is_complete() && speaker.is_complete() && notes.is_empty() {
            Self::Available { message: sentences(&|_| true), flaw: None }
        } else {
            Self::Progressing { message: sentences(&|rollout| !rollout.is_complete()), flaw: None }
        }
    }

    /// The four conditions. Times are those of `before` where nothing changed.
    pub fn conditions(&self, generation: i64, before: &[Condition], now: Timestamp) -> Vec<Condition> {
        let own = self.own_type();
        let message = self.message();
        let is_available = own == AVAILABLE;
        let in_short = match self {
            Self::Available { message, .. } | Self::Progressing { message, .. } => message.clone(),
            Self::Degraded { reason, .. } => format!("see Degraded: {reason}"),
        };
        let trouble = self.trouble();
        let (degraded_reason, degraded_message) = trouble.unwrap_or((DEGRADED, ""));
        let rows = [
            (AVAILABLE, is_available, AVAILABLE, in_short.as_str()),
            (UPGRADEABLE, is_available, UPGRADEABLE, in_short.as_str()),
            (PROGRESSING, own == PROGRESSING, PROGRESSING, if own == PROGRESSING { message } else { "" }),
            (DEGRADED, trouble.is_some(), degraded_reason, degraded_message),
        ];
        rows.map(|(type_, is_true, reason, message)| {
            let status = if is_true { "True" } else { "False" };
            let earlier =
                before.iter().find(|condition| condition.type_ == type_ && condition.status == status);
            Condition {
                type_: type_.to_owned(),
                status: status.to_owned(),
                reason: reason.to_owned(),
                message: message[..message.floor_char_boundary(LONGEST_MESSAGE)].to_owned(),
                observed_generation: Some(generation),
                last_transition_time: earlier
                    .map_or_else(|| whole_seconds(now), |condition| condition.last_transition_time.clone()),
            }
        })
        .into()
    }

    /// The events that tell of the change from `before`, as far as it is worth telling.
    pub fn events(&self, before: &[Condition]) -> Vec<(Severity, &'static str, String)> {
        let was_degraded = is_true(before, DEGRADED);
        let is_mended = was_degraded.is_some() && self.trouble().is_none();
        let becomes_so = is_mended || true_one(before).is_none_or(|was| was.type_ != self.own_type());
        let pods = match self {
            Self::Available { message, .. } => Some((AVAILABLE, message)),
            Self::Progressing { message, .. } => Some((PROGRESSING, message)),
            Self::Degraded { .. } => None,
        };
        let pods = pods.filter(|_| becomes_so);
        let pods = pods.map(|(reason, message)| (Severity::Normal, reason, message.clone()));
        let is_news = |(reason, message): &(&str, &str)| {
            was_degraded.is_none_or(|was| was.reason != *reason || was.message != *message)
        };
        let trouble = self.trouble().filter(is_news);
        let trouble = trouble.map(|(reason, message)| (Severity::Warning, reason, message.to_owned()));
        pods.into_iter().chain(trouble).collect()
    }

    fn own_type(&self) -> &'static str {
        match self {
            Self::Available { .. } => AVAILABLE,
            Self::Progressing { .. } => PROGRESSING,
            Self::Degraded { .. } => DEGRADED,
        }
    }

    /// What somebody has to do something about: the reason, and the message.
    fn trouble(&self) -> Option<(&'static str, &str)> {
        match self {
            Self::Available { flaw, .. } | Self::Progressing { flaw, .. } => {
                flaw.as_ref().map(|Flaw { reason, message }| (*reason, message.as_str()))
            }
            Self::Degraded { reason, message } => Some((reason, message)),
        }
    }

    /// In words, but for what is wrong with one that works.
    pub fn message(&self) -> &str {
        match self {
            Self::Available { message, .. }
            | Self::Progressing { message, .. }
            | Self::Degraded { message, .. } => message,
        }
    }
}

/// The first of them, and how many more there are.
fn enumerated(configurations: &[ObjectKey]) -> String {
    const TOLD: usize = 3;
    let told = configurations.iter().take(TOLD).map(|(namespace, name)| format!("{namespace}/{name}"));
    let told = told.collect::<Vec<_>>().join(", ");
    match configurations.len().saturating_sub(TOLD) {
        0 => format!("FRRConfiguration {told}"),
        more => format!("FRRConfiguration {told} (and {more} more)"),
    }
}

/// Does another operator look after the object with these conditions, or has one like us said already, of this
/// generation, that nobody does? Then its status is not ours to write: two operators would never agree.
pub fn is_spoken_for(conditions: &[Condition], generation: i64) -> bool {
    match true_one(conditions) {
        None => !conditions.is_empty(),
        Some(condition) => {
            condition.reason != WRONG_NAMESPACE || condition.observed_generation == Some(generation)
        }
    }
}

/// The first of Available, Progressing and Degraded that is true. Degraded may be so beside another.
fn true_one(conditions: &[Condition]) -> Option<&Condition> {
    [AVAILABLE, PROGRESSING, DEGRADED].iter().find_map(|type_| is_true(conditions, type_))
}

/// The condition of that type, if it is true.
fn is_true<'c>(conditions: &'c [Condition], type_: &str) -> Option<&'c Condition> {
    conditions.iter().find(|condition| condition.status == "True" && condition.type_ == type_)
}

/// As Kubernetes writes times: what is read back is what was written.
fn whole_seconds(time: Timestamp) -> Time {
    Time(Timestamp::from_second(time.as_second()).unwrap_or(time))
}

#[cfg(test)]
mod tests;
