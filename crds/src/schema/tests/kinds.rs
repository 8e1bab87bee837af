//! Every kind of MetalLB 0.16 and its operator, and our own, as a table: names, versions, columns, fields, bounds, defaults, rules.
//! See `outline` for the notation; what we have beyond the tables is listed in `beyond`.
//!
//! What is not compared, because it means nothing to an object:
//! * descriptions, and the annotation of the tool that wrote the definition;
//! * how a rule is put: that of `connectTime` compares durations where upstream counts seconds;
//! * the stanza for conversion, which belongs to whoever runs the webhook.

use super::outline;

#[track_caller]
pub(super) fn is(plural: &str, table: &str) {
    compare(&outline::definition(&super::upstream(plural)), table);
}

#[track_caller]
pub(super) fn compare(found: &str, table: &str) {
    let wanted: Vec<&str> = table.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let found: Vec<&str> = found.lines().collect();
    for (found, wanted) in found.iter().zip(&wanted) {
        assert_eq!(found, wanted);
    }
    assert_eq!(found.len(), wanted.len(), "more or less than in the table");
}

#[test]
fn an_ip_address_pool_is_as_documented() {
    is(
        "ipaddresspools",
        "
        ipaddresspools ipaddresspool Namespaced
        v1beta1 stored
        | Auto Assign | .spec.autoAssign | boolean
        | Avoid Buggy IPs | .spec.avoidBuggyIPs | boolean
        | Addresses | .spec.addresses | string
        spec* object
        spec.addresses* [string]
        spec.autoAssign boolean = true
        spec.avoidBuggyIPs boolean = false
        spec.serviceAllocation object
        spec.serviceAllocation.namespaceSelectors [selector]
        spec.serviceAllocation.namespaces [string]
        spec.serviceAllocation.priority integer
        spec.serviceAllocation.serviceSelectors [selector]
        status object
        status.assignedIPv4* int64
        status.assignedIPv6* int64
        status.availableIPv4* int64
        status.availableIPv6* int64
        ",
    );
}

#[test]
fn an_l2_advertisement_is_as_documented() {
    is(
        "l2advertisements",
        "
        l2advertisements l2advertisement Namespaced
        v1beta1 stored
        | IPAddressPools | .spec.ipAddressPools | string
        | IPAddressPool Selectors | .spec.ipAddressPoolSelectors | string
        | Interfaces | .spec.interfaces | string
        | Node Selectors | .spec.nodeSelectors | string | 10
        spec object
        spec.interfaces [string]
        spec.ipAddressPoolSelectors [selector]
        spec.ipAddressPools [string]
        spec.nodeSelectors [selector]
        spec.preferredNodeSelectors [object]
        spec.preferredNodeSelectors[].preference* selector
        spec.preferredNodeSelectors[].weight* int32 1..100
        spec.serviceSelectors [selector]
        status object
        ",
    );
}

#[test]
fn a_bgp_advertisement_is_as_documented() {
    is(
        "bgpadvertisements",
        "
        bgpadvertisements bgpadvertisement Namespaced
        v1beta1 stored
        | IPAddressPools | .spec.ipAddressPools | string
        | IPAddressPool Selectors | .spec.ipAddressPoolSelectors | string
        | Peers | .spec.peers | string
        | Node Selectors | .spec.nodeSelectors | string | 10
        spec object rule(!has(self.serviceSelectors) || size(self.serviceSelectors) == 0 || \
            ((!has(self.aggregationLength) || self.aggregationLength == 32) && \
            (!has(self.aggregationLengthV6) || self.aggregationLengthV6 == 128)))
        spec.aggregationLength int32 1.. = 32
        spec.aggregationLengthV6 int32 = 128
        spec.communities [string]
        spec.ipAddressPoolSelectors [selector]
        spec.ipAddressPools [string]
        spec.localPref int32
        spec.nodeSelectors [selector]
        spec.peers [string]
        spec.serviceSelectors [selector]
        status object
        ",
    );
}

#[test]
fn a_bgp_peer_is_as_documented_in_both_versions() {
    is(
        "bgppeers",
        "
        bgppeers bgppeer Namespaced
        v1beta1 deprecated
        | Address | .spec.peerAddress | string
        | ASN | .spec.peerASN | string
        | BFD Profile | .spec.bfdProfile | string
        | Multi Hops | .spec.ebgpMultiHop | string
        spec object
        spec.bfdProfile string
        spec.ebgpMultiHop boolean
        spec.holdTime string
        spec.keepaliveTime string
        spec.myASN* int64 0..4294967295
        spec.nodeSelectors [object]
        spec.nodeSelectors[].matchExpressions [object]
        spec.nodeSelectors[].matchExpressions[].key* string
        spec.nodeSelectors[].matchExpressions[].operator* string
        spec.nodeSelectors[].matchExpressions[].values* [string] items 1..
        spec.nodeSelectors[].matchLabels {string}
        spec.password string
        spec.peerASN* int64 0..4294967295
        spec.peerAddress* string
        spec.peerPort integer 0..16384
        spec.routerID string
        spec.sourceAddress string
        status object
        v1beta2 stored
        | Address | .spec.peerAddress | string
        | ASN | .spec.peerASN | string
        | BFD Profile | .spec.bfdProfile | string
        | Multi Hops | .spec.ebgpMultiHop | string
        spec object
        spec.bfdProfile string
        spec.connectTime string rule(duration(self) >= duration('1s') && duration(self) <= duration('65535s')) \
            rule(duration(self).getMilliseconds() % 1000 == 0)
        spec.disableMP boolean = false
        spec.dualStackAddressFamily boolean = false
        spec.dynamicASN string internal|external
        spec.ebgpMultiHop boolean
        spec.enableGracefulRestart boolean rule(self == oldSelf)
        spec.holdTime string
        spec.interface string
        spec.keepaliveTime string
        spec.localASN int64 1..4294967295
        spec.myASN* int64 0..4294967295
        spec.nodeSelectors [selector]
        spec.password string
        spec.passwordSecret object atomic
        spec.passwordSecret.name string
        spec.passwordSecret.namespace string
        spec.peerASN int64 0..4294967295
        spec.peerAddress string
        spec.peerPort integer 1..16384 = 179
        spec.routerID string
        spec.sourceAddress string
        spec.vrf string
        status object
        ",
    );
}

#[test]
fn a_bfd_profile_is_as_documented() {
    is(
        "bfdprofiles",
        "
        bfdprofiles bfdprofile Namespaced
        v1beta1 stored
        | Passive Mode | .spec.passiveMode | boolean
        | Transmit Interval | .spec.transmitInterval | integer
        | Receive Interval | .spec.receiveInterval | integer
        | Multiplier | .spec.detectMultiplier | integer
        spec object
        spec.detectMultiplier int32 2..255
        spec.echoInterval int32 10..60000
        spec.echoMode boolean
        spec.minimumTtl int32 1..254
        spec.passiveMode boolean
        spec.receiveInterval int32 10..60000
        spec.transmitInterval int32 10..60000
        status object
        ",
    );
}

#[test]
fn a_community_is_as_documented() {
    is(
        "communities",
        "
        communities community Namespaced
        v1beta1 stored
        spec object
        spec.communities [object]
        spec.communities[].name string
        spec.communities[].value string
        status object
        ",
    );
}

#[test]
fn a_service_l2_status_is_as_documented() {
    is(
        "servicel2statuses",
        "
        servicel2statuses servicel2status Namespaced
        v1beta1 stored
        | Allocated Node | .status.node | string
        | Service Name | .status.serviceName | string
        | Service Namespace | .status.serviceNamespace | string
        spec object
        status object
        status.addresses [string]
        status.conflicts [object]
        status.conflicts[].address* string
        status.conflicts[].hardwareAddress* string
        status.conflicts[].interface string
        status.epoch int64
        status.interfaces [object]
        status.interfaces[].name string
        status.node string rule(self == oldSelf)
        status.serviceName string rule(self == oldSelf)
        status.serviceNamespace string rule(self == oldSelf)
        ",
    );
}

#[test]
fn a_service_bgp_status_is_as_documented() {
    is(
        "servicebgpstatuses",
        "
        servicebgpstatuses servicebgpstatus Namespaced
        v1beta1 stored
        | Node | .status.node | string
        | Service Name | .status.serviceName | string
        | Service Namespace | .status.serviceNamespace | string
        spec object
        status object
        status.node string rule(self == oldSelf)
        status.peers [string]
        status.serviceName string rule(self == oldSelf)
        status.serviceNamespace string rule(self == oldSelf)
        ",
    );
}

#[test]
fn a_bgp_node_status_is_as_documented() {
    compare(
        &outline::definition(&super::definition("bgpnodestatuses")),
        "
        bgpnodestatuses bgpnodestatus Namespaced
        v1beta1 stored
        | Node | .status.node | string
        | Sessions | .status.established | string
        | Age | .metadata.creationTimestamp | date
        status object
        status.established string
        status.node string
        status.sessions [object] atomic
        status.sessions[].address string
        status.sessions[].bfd object
        status.sessions[].bfd.lastDown string
        status.sessions[].bfd.profile* string
        status.sessions[].bfd.since* date-time
        status.sessions[].bfd.state* string AdminDown|Down|Init|Up
        status.sessions[].families [string] atomic
        status.sessions[].families[] ipv4|ipv6
        status.sessions[].flaps integer
        status.sessions[].gracefulRestart boolean
        status.sessions[].interface string
        status.sessions[].lastError object
        status.sessions[].lastError.code* string
        status.sessions[].lastError.message string
        status.sessions[].lastError.time* date-time
        status.sessions[].localASN* integer
        status.sessions[].peer* string
        status.sessions[].port* integer
        status.sessions[].prefixes* object
        status.sessions[].prefixes.announced* integer
        status.sessions[].prefixes.pending integer
        status.sessions[].prefixes.unsendable integer
        status.sessions[].remoteASN integer
        status.sessions[].routerID string
        status.sessions[].since* date-time
        status.sessions[].state* string Idle|Connect|Active|OpenSent|OpenConfirm|Established
        status.sessions[].vrf string
        ",
    );
}

#[test]
fn a_configuration_state_is_as_documented() {
    is(
        "configurationstates",
        "
        configurationstates configurationstate Namespaced
        v1beta1 stored
        | Result | .status.result | string
        | ErrorSummary | .status.errorSummary | string
        | Age | .metadata.creationTimestamp | date
        status object
        status.conditions [condition] map by type
        status.errorSummary string
        status.result string Valid|Invalid|Unknown
        ",
    );
}

#[test]
fn a_label_selector_is_replaced_as_a_whole() {
    let crd = super::definition("l2advertisements");
    let spec = &crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"];
    let selector = &spec["properties"]["nodeSelectors"]["items"];
    assert_eq!(selector["x-kubernetes-map-type"], "atomic");
    compare(
        &outline::schema(selector),
        "
        matchExpressions [object] atomic
        matchExpressions[].key* string
        matchExpressions[].operator* string
        matchExpressions[].values [string] atomic
        matchLabels {string}
        ",
    );
}
