//! The rules about single objects that the API server checks by itself (CEL), beyond those that upstream has.
//!
//! In this room: every such rule as a row of [`RULES`], and how it gets into a definition. Upstream's own rules stand
//! at their fields. Which refusal is told by whom is in [`super::coverage`].
//!
//! * A rule refuses only what the configuration parser refuses too; a test holds the two together.
//! * It costs little enough without bounds on lists and texts that upstream lacks. That leaves out whatever looks into
//!   the items of a list.
//! * It never fails to be evaluated: the API server holds such a failure against an object even where nothing changed.
//!   So what is no duration, or one whose number may not fit, is not asked for its length; nor is what is no address
//!   for its family.
//! * What was stored before the rule existed can still be edited elsewhere. The API server sees to that for the value
//!   of one field (ratcheting); rules about several fields compare with [what was before](Before).

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, JSONSchemaProps, JSONSchemaPropsOrArray, ValidationRule,
};

/// One rule.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rule {
    /// The refusal that it tells early.
    pub(super) code: &'static str,
    /// The kind, by its plural.
    pub(super) plural: &'static str,
    /// The versions that have the rule.
    pub(super) versions: &'static [&'static str],
    /// The field, with dots, and `[]` for every item of a list; empty for the whole object.
    pub(super) field: &'static str,
    /// What must hold; `self` is the field.
    pub(super) holds: &'static str,
    /// What is said if it does not. Begins as the sentence of the refusal does, whose first words are upstream's: there
    /// are tools that look for them, and the API server speaks before any webhook.
    pub(super) message: &'static str,
    before: Before,
}

/// What lets an object pass that has been breaking the rule all along.
#[derive(Clone, Copy, Debug)]
enum Before {
    /// The API server itself: it skips rules about a field whose value stays.
    SameValue,
    /// It was broken before.
    Broken,
    /// These fields stay. For rules that cost too much to be asked of what was before as well.
    SameFields(&'static [&'static str]),
}

const BOTH: &[&str] = &["v1beta1", "v1beta2"];
const V1BETA1: &[&str] = &["v1beta1"];
/// Not in v1beta1: there, what is missing may travel along in an annotation.
const V1BETA2: &[&str] = &["v1beta2"];

/// `isIP` refuses IPv4 addresses in IPv6 notation and spaces around, which are read all the same.
const ADDRESS: &str = "self == '' || isIP(self.trim()) || self.lowerAscii().contains('ffff:')";
/// As durations are written.
const DURATION: &str = "self.matches('^[+]?(0|(([0-9]+[.]?[0-9]*|[.][0-9]+)([nuµμm]?s|m|h))+)$')";

/// The rules.
pub(super) const RULES: &[Rule] = &[
    // IPAddressPool
    Rule {
        code: "pool-empty",
        plural: "ipaddresspools",
        versions: V1BETA1,
        field: "spec.addresses",
        holds: "self.size() > 0",
        message: "spec.addresses is empty: add a CIDR such as 192.0.2.0/28, or a range such as 192.0.2.10-192.0.2.20",
        before: Before::SameValue,
    },
    // BGPAdvertisement
    Rule {
        code: "out-of-range",
        plural: "bgpadvertisements",
        versions: V1BETA1,
        field: "spec.aggregationLength",
        holds: "self <= 32",
        message: "spec.aggregationLength must be 1 to 32: 32 announces each address by itself",
        before: Before::SameValue,
    },
    Rule {
        code: "out-of-range",
        plural: "bgpadvertisements",
        versions: V1BETA1,
        field: "spec.aggregationLengthV6",
        holds: "self >= 0 && self <= 128",
        message: "spec.aggregationLengthV6 must be 0 to 128: 128 announces each address by itself",
        before: Before::SameValue,
    },
    Rule {
        code: "unreadable",
        plural: "bgpadvertisements",
        versions: V1BETA1,
        field: "spec.localPref",
        holds: "self >= 0",
        message: "spec.localPref must not be negative: choose 0 or more; the highest value wins",
        before: Before::SameValue,
    },
    // BGPPeer
    Rule {
        code: "unreadable",
        plural: "bgppeers",
        versions: BOTH,
        field: "",
        holds: "has(self.spec)",
        message: "spec is missing: a peer needs at least spec.myASN",
        before: Before::Broken,
    },
    Rule {
        code: "peer-without-own-asn",
        plural: "bgppeers",
        versions: BOTH,
        field: "spec.myASN",
        holds: "self != 0",
        message: "spec.myASN is 0, which is no autonomous system: set it to the number of your own",
        before: Before::SameValue,
    },
    Rule {
        code: "peer-without-asn",
        plural: "bgppeers",
        versions: V1BETA2,
        field: "spec",
        holds: "(has(self.peerASN) && self.peerASN != 0) || has(self.dynamicASN)",
        message: "neither spec.peerASN nor spec.dynamicASN is set: set one of the two",
        before: Before::Broken,
    },
    Rule {
        code: "peer-with-two-asns",
        plural: "bgppeers",
        versions: V1BETA2,
        field: "spec",
        holds: "!has(self.peerASN) || self.peerASN == 0 || !has(self.dynamicASN)",
        message: "both spec.peerASN and spec.dynamicASN are set: remove one of the two",
        before: Before::Broken,
    },
    Rule {
        code: "peer-internal-multihop",
        plural: "bgppeers",
        versions: BOTH,
        field: "spec",
        holds: "!has(self.ebgpMultiHop) || !self.ebgpMultiHop || !has(self.peerASN) || self.peerASN != self.myASN",
        message: "spec.ebgpMultiHop is set, but spec.myASN and spec.peerASN are the same: remove ebgpMultiHop, which is not needed inside one system",
        before: Before::Broken,
    },
    Rule {
        code: "peer-without-address",
        plural: "bgppeers",
        versions: V1BETA2,
        field: "spec",
        holds: "(has(self.peerAddress) && self.peerAddress != '') || (has(self.interface) && self.interface != '')",
        message: "neither spec.peerAddress nor spec.interface is set: set peerAddress, or interface for a router found by its advertisements",
        before: Before::Broken,
    },
    Rule {
        code: "peer-with-two-addresses",
        plural: "bgppeers",
        versions: V1BETA2,
        field: "spec",
        holds: "!has(self.peerAddress) || self.peerAddress == '' || !has(self.interface) || self.interface == ''",
        message: "both spec.peerAddress and spec.interface are set: remove one of the two",
        before: Before::Broken,
    },
    Rule {
        code: "peer-bad-address",
        plural: "bgppeers",
        versions: BOTH,
        field: "spec.peerAddress",
        holds: ADDRESS,
        message: "invalid BGPPeer address in spec.peerAddress: write one such as 192.0.2.1 or 2001:db8::1",
        before: Before::SameValue,
    },
    Rule {
        code: "peer-bad-source-address",
        plural: "bgppeers",
        versions: BOTH,
        field: "spec.sourceAddress",
        holds: ADDRESS,
        message: "invalid source address in spec.sourceAddress: write one such as 192.0.2.1 or 2001:db8::1",
        before: Before::SameValue,
    },
    Rule {
        code: "peer-source-family",
        plural: "bgppeers",
        versions: BOTH,
        field: "spec",
        holds: "!has(self.sourceAddress) || !has(self.peerAddress) || !isIP(self.sourceAddress) || !isIP(self.peerAddress) || ip(self.sourceAddress).family() == ip(self.peerAddress).family()",
        message: "spec.sourceAddress and spec.peerAddress are of different families: choose a source of the family of the peer",
        before: Before::SameFields(&["sourceAddress", "peerAddress"]),
    },
    Rule {
        code: "peer-bad-router-id",
        plural: "bgppeers",
        versions: BOTH,
        field: "spec.routerID",
        holds: "self == '' || (isIP(self.trim()) && ip(self.trim()).family() == 4 && !ip(self.trim()).isUnspecified())",
        message: "invalid router ID in spec.routerID: write four octets such as 192.0.2.1, or leave it out: the node's address is taken",
        before: Before::SameValue,
    },
    Rule {
        code: "peer-bad-duration",
        plural: "bgppeers",
        versions: BOTH,
        field: "spec.holdTime",
        holds: DURATION,
        message: "invalid duration in spec.holdTime: write a number and a unit, such as 90s or 1m30s",
        before: Before::SameValue,
    },
    Rule {
        code: "peer-bad-duration",
        plural: "bgppeers",
        versions: BOTH,
        field: "spec.keepaliveTime",
        holds: DURATION,
        message: "invalid duration in spec.keepaliveTime: write a number and a unit, such as 30s",
        before: Before::SameValue,
    },
    Rule {
        code: "peer-bad-timers",
        plural: "bgppeers",
        versions: BOTH,
        field: "spec.holdTime",
        holds: "!self.matches('^([0-9]{1,5}(ms|s|m|h)){1,3}$') || duration(self) == duration('0s') || (duration(self) >= duration('3s') && duration(self) < duration('65536s'))",
        message: "spec.holdTime must be 0s, or 3s to 65535s: choose 3s or more, or 0s for none",
        before: Before::SameValue,
    },
    Rule {
        code: "peer-bad-timers",
        plural: "bgppeers",
        versions: BOTH,
        field: "spec.keepaliveTime",
        holds: "!self.matches('^([0-9]{1,5}(ms|s|m|h)){1,3}$') || duration(self) == duration('0s') || duration(self) >= duration('1s')",
        message: "spec.keepaliveTime must be 0s, or 1s and more: the protocol counts in seconds",
        before: Before::SameValue,
    },
    Rule {
        code: "peer-bad-timers",
        plural: "bgppeers",
        versions: BOTH,
        field: "spec",
        holds: "!has(self.keepaliveTime) || !has(self.holdTime) || !self.keepaliveTime.matches('^([0-9]{1,5}(ms|s|m|h)){1,3}$') || !self.holdTime.matches('^([0-9]{1,5}(ms|s|m|h)){1,3}$') || duration(self.keepaliveTime) <= duration(self.holdTime)",
        message: "spec.keepaliveTime must not exceed spec.holdTime: choose a third of it",
        before: Before::SameFields(&["keepaliveTime", "holdTime"]),
    },
    Rule {
        code: "peer-with-two-passwords",
        plural: "bgppeers",
        versions: V1BETA2,
        field: "spec",
        holds: "!has(self.password) || self.password == '' || !has(self.passwordSecret) || !has(self.passwordSecret.name) || self.passwordSecret.name == ''",
        message: "both spec.password and spec.passwordSecret are set: remove one of the two",
        before: Before::Broken,
    },
    // MetalLB
    Rule {
        code: "unknown-bgp-backend",
        plural: "metallbs",
        versions: V1BETA1,
        field: "spec.bgpBackend",
        holds: "self in ['', 'native', 'frr', 'frr-k8s', 'frr-k8s-external']",
        message: "spec.bgpBackend is no backend: choose native, frr, frr-k8s or frr-k8s-external",
        before: Before::SameValue,
    },
    toleration("spec.controllerTolerations[]"),
    toleration("spec.speakerTolerations[]"),
    weight(
        "spec.controllerConfig.affinity.nodeAffinity.preferredDuringSchedulingIgnoredDuringExecution[].weight",
    ),
    weight(
        "spec.controllerConfig.affinity.podAffinity.preferredDuringSchedulingIgnoredDuringExecution[].weight",
    ),
    weight(
        "spec.controllerConfig.affinity.podAntiAffinity.preferredDuringSchedulingIgnoredDuringExecution[].weight",
    ),
    weight(
        "spec.speakerConfig.affinity.nodeAffinity.preferredDuringSchedulingIgnoredDuringExecution[].weight",
    ),
    weight(
        "spec.speakerConfig.affinity.podAffinity.preferredDuringSchedulingIgnoredDuringExecution[].weight",
    ),
    weight(
        "spec.speakerConfig.affinity.podAntiAffinity.preferredDuringSchedulingIgnoredDuringExecution[].weight",
    ),
];

const fn toleration(field: &'static str) -> Rule {
    Rule {
        code: "toleration-seconds-without-no-execute",
        plural: "metallbs",
        versions: V1BETA1,
        field,
        holds: "!has(self.tolerationSeconds) || (has(self.effect) && self.effect == 'NoExecute')",
        message: "tolerationSeconds needs effect NoExecute, the only one that knows a time limit: set that, or drop tolerationSeconds",
        before: Before::SameValue,
    }
}

const fn weight(field: &'static str) -> Rule {
    Rule {
        code: "weight-out-of-range",
        plural: "metallbs",
        versions: V1BETA1,
        field,
        holds: "self >= 1 && self <= 100",
        message: "weight must be 1 to 100: 100 is preferred most",
        before: Before::SameValue,
    }
}

impl Rule {
    fn published(&self) -> ValidationRule {
        let before = match self.before {
            Before::SameValue => None,
            Before::Broken => Some(format!("!({})", of_old(self.holds))),
            Before::SameFields(fields) => {
                let same = fields.iter().map(|field| same(field));
                Some(same.collect::<Vec<_>>().join(" && "))
            }
        };
        ValidationRule {
            rule: match &before {
                None => self.holds.to_owned(),
                Some(before) => format!("({}) || (oldSelf.hasValue() && {before})", self.holds),
            },
            message: Some(self.message.to_owned()),
            optional_old_self: before.is_some().then_some(true),
            ..ValidationRule::default()
        }
    }
}

/// The same expression about what was before.
fn of_old(holds: &str) -> String {
    holds.replace("self.", "oldSelf.value().")
}

/// A field is as it was: absent both times, or with one value.
fn same(field: &str) -> String {
    let old = format!("oldSelf.value().{field}");
    format!("has(self.{field}) == has({old}) && (!has(self.{field}) || self.{field} == {old})")
}

/// Adds to `definition` the rules of its kind.
pub(super) fn add(definition: &mut CustomResourceDefinition) {
    let plural = definition.spec.names.plural.as_str();
    for version in &mut definition.spec.versions {
        let root = version.schema.as_mut().and_then(|schema| schema.open_api_v3_schema.as_mut());
        let Some(root) = root else { continue };
        for rule in RULES {
            if rule.plural == plural
                && rule.versions.contains(&version.name.as_str())
                && let Some(field) = field(root, rule.field)
            {
                field.x_kubernetes_validations.get_or_insert_default().push(rule.published());
            }
        }
    }
}

/// The schema of the field at that path; a test counts the rules, so that none is lost for a field that is not there.
fn field<'s>(root: &'s mut JSONSchemaProps, path: &str) -> Option<&'s mut JSONSchemaProps> {
    let mut steps = path.split('.').filter(|step| !step.is_empty());
    steps.try_fold(root, |schema, step| {
        let property = schema.properties.as_mut()?.get_mut(step.trim_end_matches("[]"))?;
        if step.ends_with("[]") { items(property) } else { Some(property) }
    })
}

fn items(list: &mut JSONSchemaProps) -> Option<&mut JSONSchemaProps> {
    match list.items.as_mut()? {
        JSONSchemaPropsOrArray::Schema(item) => Some(item),
        JSONSchemaPropsOrArray::Schemas(_) => None,
    }
}
