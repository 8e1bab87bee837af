//! The same tables for `MetalLB`, with the types of Kubernetes that it is made of.

use super::kinds::{compare, is};
use super::outline;

#[test]
fn a_metallb_is_as_documented() {
    is(
        "metallbs",
        r"
        metallbs metallb Namespaced
        v1beta1 stored
        | Available | .status.conditions[?(@.type=='Available')].status | string
        | Degraded | .status.conditions[?(@.type=='Degraded')].status | string
        | Progressing | .status.conditions[?(@.type=='Progressing')].status | string
        | Age | .metadata.creationTimestamp | date
        spec object
        spec.bgpBackend string
        spec.bgpListenPort int32 0..65535
        spec.controllerConfig object
        spec.controllerConfig.affinity affinity
        spec.controllerConfig.annotations {string}
        spec.controllerConfig.env {string}
        spec.controllerConfig.extraArgs [string]
        spec.controllerConfig.priorityClassName string
        spec.controllerConfig.resources resources
        spec.controllerConfig.runtimeClassName string
        spec.controllerNodeSelector {string}
        spec.controllerReplicas int32 1..10
        spec.controllerTolerations [toleration]
        spec.frrk8sConfig object
        spec.frrk8sConfig.alwaysBlock [string]
        spec.frrk8sConfig.namespace string
        spec.frrk8sConfig.secretPassthrough boolean
        spec.ignoreExcludeLB boolean
        spec.image string
        spec.imagePullSecrets [object]
        spec.imagePullSecrets[].name* string
        spec.layer2 object
        spec.layer2.conflictPolicy string Announce|ProbeFirst
        spec.layer2.excludedInterfaces [string]
        spec.layer2.ownership string Hash|Sticky
        spec.layer2.refreshSeconds int32 0..3600
        spec.layer2.restartGraceSeconds int32 0..600
        spec.loadBalancerClass string ~^([a-z0-9A-Z]([\w.\-]*[a-z0-9A-Z])?/)?[a-z0-9A-Z]([\w.\-]*[a-z0-9A-Z])?$
        spec.logLevel string all|debug|info|warn|error|none
        spec.networkPolicy object
        spec.networkPolicy.apiServerPorts [int32]
        spec.nodeLeaving object
        spec.nodeLeaving.annotation string
        spec.nodeLeaving.announceSeconds int32 0..600
        spec.nodeLeaving.flowSeconds int32 0..600
        spec.nodeLeaving.taint string
        spec.nodeSelector {string}
        spec.speakerConfig object
        spec.speakerConfig.affinity affinity
        spec.speakerConfig.annotations {string}
        spec.speakerConfig.env {string}
        spec.speakerConfig.extraArgs [string]
        spec.speakerConfig.priorityClassName string
        spec.speakerConfig.resources resources
        spec.speakerConfig.runtimeClassName string
        spec.speakerTolerations [toleration]
        spec.speakerUpdateStrategy object
        spec.speakerUpdateStrategy.rollingUpdate object
        spec.speakerUpdateStrategy.rollingUpdate.maxUnavailable int32 1..1000
        spec.speakerUpdateStrategy.type string RollingUpdate|OnDelete
        status object
        status.bgpBackend string
        status.components [object] map by name
        status.components[].desired* int32
        status.components[].image string
        status.components[].kind* string
        status.components[].message string
        status.components[].name* string
        status.components[].ready* int32
        status.components[].updated* int32
        status.conditions [condition]
        status.configuration object
        status.configuration.more int32
        status.configuration.problems [string]
        status.configuration.result* string Valid|Invalid|Unknown
        status.observedGeneration int64
        status.operatorVersion string
        ",
    );
}

#[test]
fn the_types_of_kubernetes_merge_as_in_kubernetes() {
    let crd = super::upstream("metallbs");
    let root = &crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"];
    let component = &root["spec"]["properties"]["speakerConfig"]["properties"];
    compare(
        &outline::schema(&component["affinity"]["properties"]["nodeAffinity"]),
        "
        preferredDuringSchedulingIgnoredDuringExecution [object] atomic
        preferredDuringSchedulingIgnoredDuringExecution[].preference* object atomic
        preferredDuringSchedulingIgnoredDuringExecution[].preference.matchExpressions [object] atomic
        preferredDuringSchedulingIgnoredDuringExecution[].preference.matchExpressions[].key* string
        preferredDuringSchedulingIgnoredDuringExecution[].preference.matchExpressions[].operator* string
        preferredDuringSchedulingIgnoredDuringExecution[].preference.matchExpressions[].values [string] atomic
        preferredDuringSchedulingIgnoredDuringExecution[].preference.matchFields [object] atomic
        preferredDuringSchedulingIgnoredDuringExecution[].preference.matchFields[].key* string
        preferredDuringSchedulingIgnoredDuringExecution[].preference.matchFields[].operator* string
        preferredDuringSchedulingIgnoredDuringExecution[].preference.matchFields[].values [string] atomic
        preferredDuringSchedulingIgnoredDuringExecution[].weight* int32
        requiredDuringSchedulingIgnoredDuringExecution object atomic
        requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms* [object] atomic
        requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms[] atomic
        requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms[].matchExpressions [object] atomic
        requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms[].matchExpressions[].key* string
        requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms[].matchExpressions[].operator* string
        requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms[].matchExpressions[].values [string] atomic
        requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms[].matchFields [object] atomic
        requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms[].matchFields[].key* string
        requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms[].matchFields[].operator* string
        requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms[].matchFields[].values [string] atomic
        ",
    );
    for peers in ["podAffinity", "podAntiAffinity"] {
        compare(
            &outline::schema(&component["affinity"]["properties"][peers]),
            "
            preferredDuringSchedulingIgnoredDuringExecution [object] atomic
            preferredDuringSchedulingIgnoredDuringExecution[].podAffinityTerm* object
            preferredDuringSchedulingIgnoredDuringExecution[].podAffinityTerm.labelSelector selector
            preferredDuringSchedulingIgnoredDuringExecution[].podAffinityTerm.matchLabelKeys [string] atomic
            preferredDuringSchedulingIgnoredDuringExecution[].podAffinityTerm.mismatchLabelKeys [string] atomic
            preferredDuringSchedulingIgnoredDuringExecution[].podAffinityTerm.namespaceSelector selector
            preferredDuringSchedulingIgnoredDuringExecution[].podAffinityTerm.namespaces [string] atomic
            preferredDuringSchedulingIgnoredDuringExecution[].podAffinityTerm.topologyKey* string
            preferredDuringSchedulingIgnoredDuringExecution[].weight* int32
            requiredDuringSchedulingIgnoredDuringExecution [object] atomic
            requiredDuringSchedulingIgnoredDuringExecution[].labelSelector selector
            requiredDuringSchedulingIgnoredDuringExecution[].matchLabelKeys [string] atomic
            requiredDuringSchedulingIgnoredDuringExecution[].mismatchLabelKeys [string] atomic
            requiredDuringSchedulingIgnoredDuringExecution[].namespaceSelector selector
            requiredDuringSchedulingIgnoredDuringExecution[].namespaces [string] atomic
            requiredDuringSchedulingIgnoredDuringExecution[].topologyKey* string
            ",
        );
    }
    compare(
        &outline::schema(&component["resources"]),
        "
        claims [object] map by name
        claims[].name* string
        claims[].request string
        limits {quantity}
        requests {quantity}
        ",
    );
    compare(
        &outline::schema(&root["spec"]["properties"]["speakerTolerations"]["items"]),
        "
        effect string
        key string
        operator string
        tolerationSeconds int64
        value string
        ",
    );
    compare(
        &outline::schema(&root["status"]["properties"]["conditions"]["items"]),
        r"
        lastTransitionTime* date-time
        message* string length ..32768
        observedGeneration int64 0..
        reason* string length 1..1024 ~^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$
        status* string True|False|Unknown
        type* string length ..316 ~^([a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*/)?(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])$
        ",
    );
}
