//! What the status of a `MetalLB` says, and which event goes with it. Pure.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use k8s_openapi::jiff::Timestamp;
use metallb_core::refusal::Refusal as _;
use metallb_process::events::Severity;

use super::METALLB;
use super::apply::Failure;
use super::rollout::Rollout;
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

/// How an installation is doing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Controller and speakers are rolled out.
    Available {
        /// How many there are.
        message: String,
    },
    /// They will be.
    Progressing {
        /// What is missing.
        message: String,
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

    /// Of an object that cannot be acted on.
    pub fn invalid(refusals: &[SpecRefusal]) -> Self {
        let texts: Vec<String> = refusals.iter().map(SpecRefusal::explain).collect();
        let message = format!("{}. What was installed before stays in force.", texts.join(". "));
        Self::Degraded { reason: "InvalidSpec", message }
    }

    /// After writes failed.
    pub fn failed(failures: &[Failure]) -> Self {
        let reason = failures.first().map_or("ReconcileFailed", Failure::reason);
        let texts: Vec<String> = failures.iter().map(ToString::to_string).collect();
        Self::Degraded { reason, message: format!("{}. It is tried again.", texts.join(". ")) }
    }

    /// After everything was applied.
    pub fn of(controller: &Rollout, speaker: &Rollout) -> Self {
        if speaker.is_nothing() {
            let message = "no node matches: DaemonSet speaker has no pods, so no address is announced; label a node, \
                           or change spec.nodeSelector or spec.speakerConfig.affinity";
            return Self::Degraded { reason: "NoNodeMatches", message: message.into() };
        }
        if controller.is_nothing() {
            let message =
                "Deployment controller is scaled to 0 pods, so no service gets an address; scale it to 1";
            return Self::Degraded { reason: "ControllerScaledToZero", message: message.into() };
        }
        let workloads = [("Deployment controller", controller), ("DaemonSet speaker", speaker)];
        let sentences = |which: &dyn Fn(&Rollout) -> bool| {
            let texts = workloads.iter().filter(|(_, rollout)| which(rollout));
            texts
                .map(|(name, rollout)| format!("{name}: {}", rollout.sentence()))
                .collect::<Vec<_>>()
                .join("; ")
        };
        if controller.is_complete() && speaker.is_complete() {
            Self::Available { message: sentences(&|_| true) }
        } else {
            Self::Progressing { message: sentences(&|rollout| !rollout.is_complete()) }
        }
    }

    /// The four conditions. Times are those of `before` where nothing changed.
    pub fn conditions(&self, generation: i64, before: &[Condition], now: Timestamp) -> Vec<Condition> {
        let own = self.own_type();
        let message = self.message();
        let is_available = own == AVAILABLE;
        let in_short = match self {
            Self::Available { message } | Self::Progressing { message } => message.clone(),
            Self::Degraded { reason, .. } => format!("see Degraded: {reason}"),
        };
        let rows = [
            (AVAILABLE, is_available, AVAILABLE, in_short.as_str()),
            (UPGRADEABLE, is_available, UPGRADEABLE, in_short.as_str()),
            (PROGRESSING, own == PROGRESSING, PROGRESSING, if own == PROGRESSING { message } else { "" }),
            (DEGRADED, own == DEGRADED, self.degraded_reason(), if own == DEGRADED { message } else { "" }),
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

    /// The event that tells of the change from `before`, if it is one worth telling.
    pub fn event(&self, before: &[Condition]) -> Option<(Severity, &'static str, String)> {
        let was = true_one(before);
        let is_new = match self {
            Self::Available { .. } | Self::Progressing { .. } => {
                was.is_none_or(|condition| condition.type_ != self.own_type())
            }
            Self::Degraded { reason, message } => was.is_none_or(|condition| {
                condition.type_ != DEGRADED || condition.reason != *reason || condition.message != *message
            }),
        };
        let (severity, reason) = match self {
            Self::Available { .. } => (Severity::Normal, AVAILABLE),
            Self::Progressing { .. } => (Severity::Normal, PROGRESSING),
            Self::Degraded { reason, .. } => (Severity::Warning, *reason),
        };
        is_new.then(|| (severity, reason, self.message().to_owned()))
    }

    fn own_type(&self) -> &'static str {
        match self {
            Self::Available { .. } => AVAILABLE,
            Self::Progressing { .. } => PROGRESSING,
            Self::Degraded { .. } => DEGRADED,
        }
    }

    fn degraded_reason(&self) -> &'static str {
        match self {
            Self::Available { .. } | Self::Progressing { .. } => DEGRADED,
            Self::Degraded { reason, .. } => reason,
        }
    }

    /// In words.
    pub fn message(&self) -> &str {
        match self {
            Self::Available { message } | Self::Progressing { message } | Self::Degraded { message, .. } => {
                message
            }
        }
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

/// The one of Available, Progressing and Degraded that is true.
fn true_one(conditions: &[Condition]) -> Option<&Condition> {
    let one_of = [AVAILABLE, PROGRESSING, DEGRADED];
    conditions
        .iter()
        .find(|condition| condition.status == "True" && one_of.contains(&condition.type_.as_str()))
}

/// As Kubernetes writes times: what is read back is what was written.
fn whole_seconds(time: Timestamp) -> Time {
    Time(Timestamp::from_second(time.as_second()).unwrap_or(time))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON: i64 = 1_700_000_000;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::new(NOON + seconds, 500_000_000).unwrap()
    }

    fn complete(pods: i32) -> Rollout {
        Rollout { observed: true, desired: pods, total: pods, updated: pods, ready: pods, trouble: None }
    }

    fn available() -> Standing {
        Standing::of(&complete(1), &complete(3))
    }

    fn progressing() -> Standing {
        Standing::of(&complete(1), &Rollout { ready: 2, ..complete(3) })
    }

    fn degraded() -> Standing {
        Standing::misnamed("metallb-system", "other")
    }

    fn table(conditions: &[Condition]) -> Vec<(&str, &str, &str)> {
        conditions.iter().map(|it| (&*it.type_, &*it.status, &*it.reason)).collect()
    }

    #[test]
    fn the_four_conditions_stand_in_upstreams_order_with_its_reasons() {
        let of = |standing: &Standing| standing.conditions(7, &[], at(0));
        let conditions = of(&available());
        let expected = [
            ("Available", "True", "Available"),
            ("Upgradeable", "True", "Upgradeable"),
            ("Progressing", "False", "Progressing"),
            ("Degraded", "False", "Degraded"),
        ];
        assert_eq!(table(&conditions), expected);
        assert!(conditions.iter().all(|condition| condition.observed_generation == Some(7)));

        let expected = [
            ("Available", "False", "Available"),
            ("Upgradeable", "False", "Upgradeable"),
            ("Progressing", "True", "Progressing"),
            ("Degraded", "False", "Degraded"),
        ];
        assert_eq!(table(&of(&progressing())), expected);

        let expected = [
            ("Available", "False", "Available"),
            ("Upgradeable", "False", "Upgradeable"),
            ("Progressing", "False", "Progressing"),
            ("Degraded", "True", "IncorrectMetalLBResourceName"),
        ];
        let conditions = of(&degraded());
        assert_eq!(table(&conditions), expected);
        let messages: Vec<&str> = conditions.iter().map(|condition| &*condition.message).collect();
        let short = "see Degraded: IncorrectMetalLBResourceName";
        assert_eq!(messages, [short, short, "", degraded().message()]);
    }

    #[test]
    fn only_rolled_out_pods_on_both_sides_are_available() {
        let half = Rollout { ready: 0, ..complete(1) };
        let unknown = Rollout { desired: 1, ..Rollout::default() };
        for (controller, speaker, own) in [
            (&complete(1), &complete(1), "Available"),
            (&unknown, &complete(1), "Progressing"),
            (&complete(1), &unknown, "Progressing"),
            (&half, &complete(1), "Progressing"),
            (&complete(1), &half, "Progressing"),
        ] {
            assert_eq!(Standing::of(controller, speaker).own_type(), own);
        }
    }

    #[test]
    fn messages_say_what_is_there_and_what_is_missing() {
        assert_eq!(
            available().message(),
            "Deployment controller: 1 of 1 pods ready; DaemonSet speaker: 3 of 3 pods ready"
        );
        assert_eq!(progressing().message(), "DaemonSet speaker: 2 of 3 pods ready");
        assert!(degraded().message().contains("named metallb in namespace metallb-system"));
    }

    #[test]
    fn no_pods_at_all_is_degraded_and_says_why() {
        let Standing::Degraded { reason, message } = Standing::of(&complete(1), &complete(0)) else {
            panic!("not degraded")
        };
        assert_eq!(reason, "NoNodeMatches");
        assert!(message.contains("no node matches") && message.contains("spec.nodeSelector"), "{message}");
        let Standing::Degraded { reason, .. } = Standing::of(&complete(0), &complete(1)) else {
            panic!("not degraded")
        };
        assert_eq!(reason, "ControllerScaledToZero");
    }

    #[test]
    fn a_time_changes_with_the_value_and_not_with_the_message() {
        let first = progressing().conditions(1, &[], at(0));
        let other_message = Standing::Progressing { message: "something else".into() };
        let second = other_message.conditions(2, &first, at(10));
        let third = available().conditions(2, &second, at(20));
        let seconds = |conditions: &[Condition]| -> Vec<i64> {
            conditions.iter().map(|condition| condition.last_transition_time.0.as_second() - NOON).collect()
        };
        assert_eq!(seconds(&first), [0, 0, 0, 0]);
        assert_eq!(seconds(&second), [0, 0, 0, 0]);
        assert_eq!(seconds(&third), [20, 20, 20, 0]);
        assert_eq!(available().conditions(2, &third, at(30)), third, "nothing new, nothing to write");
        assert_eq!(first[0].last_transition_time.0.subsec_nanosecond(), 0, "as it will be read back");
    }

    #[test]
    fn an_event_tells_of_a_change_and_of_nothing_else() {
        let before = progressing().conditions(1, &[], at(0));
        assert_eq!(Standing::Progressing { message: "on its way".into() }.event(&before), None);
        let (severity, reason, _) = available().event(&before).unwrap();
        assert_eq!((severity, reason), (Severity::Normal, "Available"));

        let (severity, reason, message) = degraded().event(&before).unwrap();
        assert_eq!((severity, reason), (Severity::Warning, "IncorrectMetalLBResourceName"));
        assert_eq!(message, degraded().message());
        let before = degraded().conditions(1, &before, at(0));
        assert_eq!(degraded().event(&before), None);
        let other = Standing::Degraded { reason: WRONG_NAME, message: "for another reason".into() };
        assert!(other.event(&before).is_some());
    }

    #[test]
    fn the_status_of_a_misplaced_object_is_written_by_one_operator_only() {
        let misplaced = Standing::misplaced("metallb-system", "default");
        assert!(!is_spoken_for(&[], 1), "nobody has said anything");
        assert!(is_spoken_for(&misplaced.conditions(1, &[], at(0)), 1), "one like us has");
        assert!(!is_spoken_for(&misplaced.conditions(1, &[], at(0)), 2), "about an older object");
        for looked_after in [available(), progressing(), degraded()] {
            assert!(is_spoken_for(&looked_after.conditions(1, &[], at(0)), 2));
        }
    }

    #[test]
    fn everything_invalid_is_told_with_what_to_do() {
        let refusals = [
            SpecRefusal::UnknownBackend { value: "bird".into() },
            SpecRefusal::NotAPrefix { field: "spec.frrk8sConfig.alwaysBlock[0]".into(), value: "x".into() },
        ];
        assert_eq!(
            Standing::invalid(&refusals).message(),
            "spec.bgpBackend is \"bird\", which is no backend; choose native, frr, frr-k8s or frr-k8s-external. \
             spec.frrk8sConfig.alwaysBlock[0] is \"x\", which is no prefix; write it in CIDR notation, such as \
             192.0.2.0/24 or 2001:db8::/32. What was installed before stays in force."
        );
    }

    #[test]
    fn a_failed_write_is_told_in_the_words_of_the_api_server() {
        let status =
            kube::core::Status { message: "denied by policy".into(), ..kube::core::Status::default() };
        let failure = Failure::Refused {
            what: "apply DaemonSet speaker".into(),
            source: kube::Error::Api(status.boxed()),
        };
        let standing = Standing::failed(&[failure]);
        let expected = Standing::Degraded {
            reason: "ApplyFailed",
            message: "cannot apply DaemonSet speaker: denied by policy. It is tried again.".into(),
        };
        assert_eq!(standing, expected);
        let silent = Standing::failed(&[Failure::NoAnswer { what: "apply DaemonSet speaker".into() }]);
        assert_eq!(silent.degraded_reason(), "ReconcileFailed");
    }
}
