//! What is asked of heartbeats and is not in force: proof without a key, and settings of upstream's memberlist that mean
//! nothing here.

use super::Refusal;

/// Why heartbeats are not as somebody wants them.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive] // callers print refusals; only this file matches on them
pub enum HeartbeatRefusal {
    /// Speakers share no Secret.
    NoKey,
    /// The ConfigMap `metallb-memberlist-config` sets what has no meaning here.
    Settings {
        /// Their names in the file.
        names: Vec<String>,
    },
}

impl HeartbeatRefusal {
    /// Does all work as it would without what was asked for?
    pub const fn is_harmless(&self) -> bool {
        match self {
            Self::NoKey => false,
            Self::Settings { .. } => true,
        }
    }
}

impl Refusal for HeartbeatRefusal {
    fn code(&self) -> &'static str {
        match self {
            Self::NoKey => "heartbeats-without-key",
            Self::Settings { .. } => "memberlist-settings",
        }
    }

    fn sentence(&self) -> String {
        match self {
            Self::NoKey => "heartbeats are off, as the speakers share no key that would prove them: a dead node is \
                 replaced when the API server says that its speaker is not ready, which takes most of a minute"
                .into(),
            Self::Settings { names } => format!(
                "ConfigMap metallb-memberlist-config: {} {} no effect: heartbeats are not memberlist's",
                names.join(", "),
                if names.len() == 1 { "has" } else { "have" },
            ),
        }
    }

    fn fix(&self) -> String {
        match self {
            Self::NoKey => {
                "give METALLB_ML_SECRET_KEY_PATH the directory in which a Secret with the entry secretkey is \
                 mounted; turn heartbeats off with an empty METALLB_ML_BIND_ADDR if that is meant"
                    .into()
            }
            Self::Settings { .. } => {
                "leave them as memberlist has them by itself; ProbeInterval, ProbeTimeout and \
                 SuspicionMult say how soon a node is taken for dead"
                    .into()
            }
        }
    }
}
