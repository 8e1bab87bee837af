//! Why a `MetalLB` object cannot be acted on.

use metallb_core::refusal::Refusal;

/// A field of a `MetalLB` that cannot be acted on.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive] // callers print refusals; only this file matches on them
pub enum SpecRefusal {
    /// The object does not have the shape of its kind.
    Unreadable {
        /// What the decoder says.
        error: String,
    },
    /// A time limit on a toleration that never evicts.
    TolerationSeconds {
        /// Where it stands.
        field: String,
        /// The limit.
        seconds: i64,
        /// The effect it stands beside; empty for any.
        effect: String,
    },
    /// A weight outside of 1 to 100.
    Weight {
        /// Where it stands.
        field: String,
        /// The weight.
        weight: i32,
    },
    /// A time that is too long, or less than none.
    Seconds {
        /// Where it stands.
        field: String,
        /// The time.
        value: i32,
        /// The longest.
        most: u16,
    },
    /// A port that is none.
    Port {
        /// Where it stands.
        field: String,
        /// The number.
        value: i32,
        /// The lowest.
        least: u16,
    },
    /// Too few controllers, or too many.
    Replicas {
        /// The number.
        value: i32,
    },
    /// No speaker may be replaced.
    MaxUnavailable {
        /// The number.
        value: i32,
    },
    /// A variable that the operator sets itself.
    OwnVariable {
        /// Where it stands.
        field: String,
        /// Its name.
        name: String,
    },
    /// A flag that is not the user's to set.
    NotOffered {
        /// Where it stands.
        field: String,
        /// Its name.
        name: String,
        /// Those that are.
        offered: Vec<&'static str>,
    },
    /// An argument that is no flag.
    NotAFlag {
        /// Where it stands.
        field: String,
        /// The argument.
        value: String,
    },
    /// A flag for the second time.
    RepeatedFlag {
        /// Where it stands.
        field: String,
        /// Its name.
        name: String,
    },
    /// A regular expression that is none.
    NotAPattern {
        /// Where it stands.
        field: String,
        /// The expression.
        value: String,
    },
    /// `bgpBackend` is a word of no meaning.
    UnknownBackend {
        /// The word.
        value: String,
    },
    /// `frr-k8s-external` without the namespace it is in.
    NoExternalNamespace,
    /// An entry of `alwaysBlock` that is no prefix.
    NotAPrefix {
        /// Where it stands.
        field: String,
        /// The entry.
        value: String,
    },
}

impl Refusal for SpecRefusal {
    fn code(&self) -> &'static str {
        match self {
            Self::Unreadable { .. } => "unreadable",
            Self::TolerationSeconds { .. } => "toleration-seconds-without-no-execute",
            Self::Seconds { .. } => "seconds-out-of-range",
            Self::Weight { .. } => "weight-out-of-range",
            Self::Port { .. } => "port-out-of-range",
            Self::Replicas { .. } => "replicas-out-of-range",
            Self::MaxUnavailable { .. } => "max-unavailable-out-of-range",
            Self::OwnVariable { .. } => "operators-variable",
            Self::NotOffered { .. } => "flag-not-offered",
            Self::NotAFlag { .. } => "not-a-flag",
            Self::RepeatedFlag { .. } => "repeated-flag",
            Self::NotAPattern { .. } => "not-a-regular-expression",
            Self::UnknownBackend { .. } => "unknown-bgp-backend",
            Self::NoExternalNamespace => "no-external-namespace",
            Self::NotAPrefix { .. } => "not-a-prefix",
        }
    }

    fn sentence(&self) -> String {
        match self {
            Self::Unreadable { error } => format!("the object cannot be read: {error}"),
            Self::TolerationSeconds { field, seconds, effect } => {
                let effect =
                    if effect.is_empty() { "no effect".to_owned() } else { format!("effect {effect}") };
                format!("{field} is {seconds} beside {effect}, but only NoExecute knows a time limit")
            }
            Self::Weight { field, weight } => format!("{field} is {weight}, but weights are 1 to 100"),
            Self::Seconds { field, value, most } => {
                format!("{field} is {value}, but it is from 0 to {most} seconds")
            }
            Self::Port { field, value, least } => {
                format!("{field} is {value}, but ports are from {least} to 65535")
            }
            Self::Replicas { value } => {
                format!("spec.controllerReplicas is {value}, but there are from 1 to 10 controllers")
            }
            Self::MaxUnavailable { value } => {
                format!(
                    "spec.speakerUpdateStrategy.rollingUpdate.maxUnavailable is {value}, so no speaker could be replaced"
                )
            }
            Self::OwnVariable { field, name } => {
                format!("{field} sets {name}, which the operator sets itself")
            }
            Self::NotOffered { field, name, .. } => {
                format!("{field} is --{name}, which the operator sets itself or the program does not have")
            }
            Self::NotAFlag { field, value } => format!("{field} is {value:?}, which is no flag"),
            Self::RepeatedFlag { field, name } => {
                format!(
                    "{field} is --{name} once more, and a program that is given a flag twice does not start"
                )
            }
            Self::NotAPattern { field, value } => {
                format!("{field} is {value:?}, which is no regular expression")
            }
            Self::UnknownBackend { value } => format!("spec.bgpBackend is {value:?}, which is no backend"),
            Self::NoExternalNamespace => {
                "spec.bgpBackend is \"frr-k8s-external\", but nothing says in which namespace that frr-k8s is"
                    .into()
            }
            Self::NotAPrefix { field, value } => format!("{field} is {value:?}, which is no prefix"),
        }
    }

    fn fix(&self) -> String {
        match self {
            Self::Unreadable { .. } => {
                "apply the CustomResourceDefinition of this release and correct the object".into()
            }
            Self::TolerationSeconds { .. } => "set effect: NoExecute, or drop tolerationSeconds".into(),
            Self::Weight { .. } => "choose a weight from 1 to 100".into(),
            Self::Seconds { most, .. } => format!("choose a number of seconds from 0 to {most}"),
            Self::Port { least, .. } => format!("choose a port from {least} to 65535"),
            Self::Replicas { .. } => "choose a number from 1 to 10".into(),
            Self::MaxUnavailable { .. } => "choose 1 or more".into(),
            Self::OwnVariable { .. } => "remove it, and use the field for it, if there is one".into(),
            Self::NotOffered { offered, .. } => format!(
                "remove it, and use the field of the MetalLB or the setting of the operator for it; here may be --{}",
                offered.join(", --")
            ),
            Self::NotAFlag { .. } => "write one as --name or --name=value".into(),
            Self::RepeatedFlag { .. } => "remove one of them".into(),
            Self::NotAPattern { .. } => "write one, such as ^br-.* or ^lo$".into(),
            Self::UnknownBackend { .. } => "choose native, frr, frr-k8s or frr-k8s-external".into(),
            Self::NoExternalNamespace => {
                "set spec.frrk8sConfig.namespace, or FRRK8S_EXTERNAL_NAMESPACE in the operator's environment"
                    .into()
            }
            Self::NotAPrefix { .. } => {
                "write it in CIDR notation, such as 192.0.2.0/24 or 2001:db8::/32".into()
            }
        }
    }
}
