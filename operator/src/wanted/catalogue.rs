//! An example of every code that a `MetalLB` object can meet, for the document that lists them.

use super::SpecRefusal;
use super::arguments::Program;

/// Why a `MetalLB` object cannot be acted on: every code.
pub fn catalogue() -> Vec<SpecRefusal> {
    let preferred = "preferredDuringSchedulingIgnoredDuringExecution";
    vec![
        SpecRefusal::Unreadable {
            error: "spec.nodeSelector: invalid type: string \"worker\", expected a map".to_owned(),
        },
        SpecRefusal::TolerationSeconds {
            field: "spec.speakerTolerations[0].tolerationSeconds".to_owned(),
            seconds: 60,
            effect: "NoSchedule".to_owned(),
        },
        SpecRefusal::Weight {
            field: format!("spec.controllerConfig.affinity.nodeAffinity.{preferred}[0].weight"),
            weight: 0,
        },
        SpecRefusal::Seconds { field: "spec.layer2.restartGraceSeconds".to_owned(), value: 601, most: 600 },
        SpecRefusal::Port { field: "spec.bgpListenPort".to_owned(), value: 70000, least: 0 },
        SpecRefusal::Replicas { value: 0 },
        SpecRefusal::MaxUnavailable { value: 0 },
        SpecRefusal::OwnVariable {
            field: "spec.speakerConfig.env".to_owned(),
            name: "METALLB_NODE_NAME".to_owned(),
        },
        SpecRefusal::NotOffered {
            field: "spec.speakerConfig.extraArgs[0]".to_owned(),
            name: "log-level".to_owned(),
            offered: Program::Speaker.offers(),
        },
        SpecRefusal::NotAFlag { field: "spec.speakerConfig.extraArgs[1]".to_owned(), value: "50".to_owned() },
        SpecRefusal::RepeatedFlag {
            field: "spec.speakerConfig.extraArgs[1]".to_owned(),
            name: "ml-wan-config".to_owned(),
        },
        SpecRefusal::NotAPattern {
            field: "spec.layer2.excludedInterfaces[0]".to_owned(),
            value: "veth(".to_owned(),
        },
        SpecRefusal::UnknownBackend { value: "bird".to_owned() },
        SpecRefusal::NoExternalNamespace,
        SpecRefusal::NotAPrefix {
            field: "spec.frrk8sConfig.alwaysBlock[0]".to_owned(),
            value: "10.0.0.1".to_owned(),
        },
    ]
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use metallb_core::refusal::Refusal as _;

    use super::*;

    #[test]
    fn every_code_that_a_metallb_can_meet_has_an_example() {
        let (_, after) = include_str!("refusal.rs").split_once("fn code(").unwrap();
        let (body, _) = after.split_once("fn sentence(").unwrap();
        let codes: BTreeSet<_> =
            body.lines().filter_map(|line| line.split_once("=> \"")?.1.split('"').next()).collect();
        let examples: BTreeSet<_> = catalogue().iter().map(SpecRefusal::code).collect();
        assert_eq!(examples, codes);
    }
}
