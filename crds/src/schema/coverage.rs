//! Which refusals of the configuration the API server tells by itself, and why not the others.

use super::rules::RULES;

/// How much of a refusal the schema of the kind tells, with or without a webhook.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coverage {
    /// All of it.
    Whole,
    /// All but this.
    Part(&'static str),
    /// Nothing, for this reason.
    Nothing(&'static str),
}

use Coverage::{Nothing, Part, Whole};

const OTHERS: &str = "it depends on other objects, and the schema sees one at a time";
const ITEMS: &str = "it is about the items of a list: without a bound on lists, which would refuse objects that have \
                     always been accepted, the API server finds any such rule too expensive";
const METADATA: &str = "it is an annotation, and of an object's metadata the schema sees only the name";
const WARNING: &str = "it is a warning, and the schema can only refuse";
const SIMPLE: &str = "durations with a fraction, or with more than five digits or three units in a row: the API \
                      server cannot be asked whether it can read them";
const PLAIN: &str = "IPv4 addresses in IPv6 notation, for which the API server has no test";

/// Codes that are told by types, bounds and upstream's own rules, or not at all. The others have a row in [`RULES`].
const WITHOUT_A_RULE_OF_OURS: &[(&str, Coverage)] = &[
    ("bad-selector", Nothing(ITEMS)),
    ("pool-bad-addresses", Nothing(ITEMS)),
    ("pool-unusable-range", Nothing(ITEMS)),
    ("pool-ranges-overlap", Nothing(ITEMS)),
    ("pools-overlap", Nothing(OTHERS)),
    ("duplicate-namespace", Nothing(ITEMS)),
    ("pool-holds-node-address", Nothing(OTHERS)),
    ("pool-not-advertised", Nothing(OTHERS)),
    ("duplicate-pool", Nothing(ITEMS)),
    ("duplicate-peer", Nothing(ITEMS)),
    ("duplicate-community", Nothing(ITEMS)),
    ("bad-weight", Whole),
    ("aggregation-of-selected", Whole),
    ("aggregation-too-wide", Nothing(OTHERS)),
    ("bad-community", Nothing(ITEMS)),
    ("unknown-community", Nothing(OTHERS)),
    ("local-preferences-differ", Nothing(OTHERS)),
    ("echo-with-ipv6", Nothing(OTHERS)),
    ("advertises-unknown-pool", Nothing(OTHERS)),
    ("advertises-to-unknown-peer", Nothing(OTHERS)),
    ("peer-bad-connect-time", Whole),
    ("peer-unknown-secret", Nothing(OTHERS)),
    ("peer-secret-type", Nothing(OTHERS)),
    ("peer-secret-without-password", Nothing(OTHERS)),
    ("peer-unknown-bfd-profile", Nothing(OTHERS)),
    ("peers-of-one-router", Nothing(OTHERS)),
    ("router-ids-differ", Nothing(OTHERS)),
    ("own-asns-differ", Nothing(OTHERS)),
    ("peer-bad-ttl-security", Nothing(METADATA)),
    ("peer-disable-mp", Nothing(WARNING)),
    ("community-bad-value", Nothing(ITEMS)),
    ("community-duplicate-alias", Nothing(OTHERS)),
];

/// Rules that say less than the refusal they are for.
const LESS_THAN_THE_REFUSAL: &[(&str, &str)] = &[
    ("peer-bad-address", PLAIN),
    ("peer-bad-source-address", PLAIN),
    ("peer-source-family", PLAIN),
    ("peer-bad-timers", SIMPLE),
];

/// How much the schema tells of the refusal with that code; `None` for a code that is not of the configuration.
pub fn coverage(code: &str) -> Option<Coverage> {
    if RULES.iter().any(|rule| rule.code == code) {
        let less = LESS_THAN_THE_REFUSAL.iter().find(|(partly, _)| *partly == code);
        return Some(less.map_or(Whole, |(_, but)| Part(but)));
    }
    WITHOUT_A_RULE_OF_OURS.iter().find(|(known, _)| *known == code).map(|(_, coverage)| *coverage)
}
