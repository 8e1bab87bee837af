//! Upstream's cases of one service: what it says, and what becomes of its status, whatever was before.

use metallb_process::events::Severity;

use super::*;

/// A service in the making: a LoadBalancer with one IPv4 cluster IP.
struct Case {
    what: &'static str,
    object: Value,
    /// Its addresses afterwards.
    expected: &'static [&'static str],
    /// Is there a warning about it?
    warning: bool,
}

fn case(what: &'static str, expected: &'static [&'static str]) -> Case {
    let object = json!({
        "metadata": { "name": "web", "namespace": "default", "uid": "web" },
        "spec": { "type": "LoadBalancer", "clusterIPs": ["10.96.0.1"], "ports": [{ "port": 80 }] },
    });
    Case { what, object, expected, warning: false }
}

impl Case {
    fn spec(mut self, field: &str, value: impl Into<Value>) -> Self {
        self.object["spec"][field] = value.into();
        self
    }

    fn annotation(mut self, key: &str, value: &str) -> Self {
        self.object["metadata"]["annotations"][format!("metallb.io/{key}")] = value.into();
        self
    }

    fn label(mut self, key: &str, value: &str) -> Self {
        self.object["metadata"]["labels"][key] = value.into();
        self
    }

    /// Its status before.
    fn holding(mut self, ingress: Value) -> Self {
        self.object["status"]["loadBalancer"]["ingress"] = ingress;
        self
    }

    fn families(self, policy: &str, cluster_ips: Value) -> Self {
        self.spec("ipFamilyPolicy", policy).spec("clusterIPs", cluster_ips)
    }

    fn warned(mut self) -> Self {
        self.warning = true;
        self
    }

    fn service(&self) -> Service {
        serde_json::from_value(self.object.clone()).unwrap()
    }
}

fn cases() -> Vec<Case> {
    let dual = || json!(["10.96.0.1", "fd00::1"]);
    let six_first = || json!(["fd00::1", "10.96.0.1"]);
    let one = |ip: &str| json!([{ "ip": ip }]);
    let (prefer, require) = ("PreferDualStack", "RequireDualStack");
    vec![
        case("no load balancer", &[]).spec("type", "ClusterIP"),
        case("nothing in particular", &["1.2.3.0"]),
        case("the field", &["1.2.3.3"]).spec("loadBalancerIP", "1.2.3.3"),
        case("the annotation", &["1.2.3.3"]).annotation("loadBalancerIPs", "1.2.3.3"),
        case("field and annotation", &[])
            .spec("loadBalancerIP", "1.2.3.3")
            .annotation("loadBalancerIPs", "1.2.3.3")
            .warned(),
        case("garbage in the field", &[]).spec("loadBalancerIP", "hello").warned(),
        case("garbage in the annotation", &[]).annotation("loadBalancerIPs", "hello").warned(),
        case("an address of another pool", &[])
            .spec("loadBalancerIP", "1.2.3.3")
            .annotation("address-pool", "asked")
            .warned(),
        case("two of one family", &[]).annotation("loadBalancerIPs", "1.2.3.2,1.2.3.3").warned(),
        case("out of reach, while it holds one", &[])
            .spec("loadBalancerIP", "9.9.9.9")
            .holding(one("1.2.3.3"))
            .warned(),
        case("a pool by name", &["3.4.5.6"]).annotation("address-pool", "asked"),
        case("another pool than it holds", &["3.4.5.6"])
            .annotation("address-pool", "asked")
            .holding(one("1.2.3.3")),
        case("a pool that is not there", &[]).annotation("address-pool", "nowhere").warned(),
        case("an address that is nobody's", &["1.2.3.0"]).holding(one("9.9.9.9")),
        case("a host name and an address that is nobody's", &["1.2.3.0"])
            .holding(json!([{ "hostname": "lb.example" }, { "ip": "9.9.9.9" }])),
        case("no load balancer any more", &[])
            .spec("type", "NodePort")
            .annotation("ip-allocated-from-pool", "lab")
            .holding(one("1.2.3.0")),
        case("an address of a pool that must be asked for", &["3.4.5.6"]).spec("loadBalancerIP", "3.4.5.6"),
        case("the same with policy Local", &["3.4.5.6"])
            .spec("loadBalancerIP", "3.4.5.6")
            .spec("externalTrafficPolicy", "Local"),
        case("IPv6 asked for, IPv4 in the cluster", &[]).spec("loadBalancerIP", "1000::1").warned(),
        case("the same by annotation", &[]).annotation("loadBalancerIPs", "1000::1").warned(),
        case("IPv4 asked for, IPv6 in the cluster", &[])
            .spec("loadBalancerIP", "1.2.3.3")
            .families("SingleStack", json!(["fd00::1"]))
            .warned(),
        case("IPv6 held, IPv4 in the cluster", &["1.2.3.0"]).holding(one("1000::1")),
        case("IPv4 held, IPv6 in the cluster", &["1000::"])
            .families("SingleStack", json!(["fd00::1"]))
            .holding(one("1.2.3.3")),
        case("both required, not to be had unasked", &[]).families(require, dual()).warned(),
        case("both required from a pool by name", &["5.5.5.0", "2000::"])
            .families(require, dual())
            .annotation("address-pool", "dual"),
        case("both preferred from a pool by name", &["5.5.5.0", "2000::"])
            .families(prefer, six_first())
            .annotation("address-pool", "dual"),
        case("both preferred, the first family is there", &["1.2.3.0"]).families(prefer, dual()),
        case("both preferred, IPv6 first", &["1000::"]).families(prefer, six_first()),
        case("both preferred, IPv6 alone in the cluster", &["1000::"]).families(prefer, json!(["fd00::1"])),
        case("both preferred, IPv4 alone in the cluster", &["5.5.5.0"])
            .families(prefer, json!(["10.96.0.1"]))
            .annotation("address-pool", "dual"),
        case("both required, one cluster IP", &[]).families(require, json!(["10.96.0.1"])).warned(),
        case("both required, one asked for", &[])
            .families(require, dual())
            .spec("loadBalancerIP", "5.5.5.1")
            .warned(),
        case("both required, one asked for by annotation", &[])
            .families(require, dual())
            .annotation("loadBalancerIPs", "2000::1")
            .warned(),
        case("both asked for", &["5.5.5.1", "2000::1"])
            .families(require, dual())
            .annotation("loadBalancerIPs", "2000::1, 5.5.5.1"),
        case("both asked for, one cluster IP", &[]).annotation("loadBalancerIPs", "5.5.5.1,2000::1").warned(),
        case("a host name and IPv6 held, both required", &["5.5.5.0", "2000::"])
            .families(require, six_first())
            .annotation("address-pool", "dual")
            .holding(json!([{ "hostname": "lb.example" }, { "ip": "2000::1" }])),
        case("pinned by label, the best rank", &["7.7.7.1"]).label("team", "a"),
        case("three addresses held", &["1.2.3.0"])
            .holding(json!([{ "ip": "1.2.3.0" }, { "ip": "1.2.3.1" }, { "ip": "1.2.3.2" }]))
            .warned(),
    ]
}

fn pools() -> Change {
    let pinned = |priority: i64| json!({ "priority": priority, "serviceSelectors": [{ "matchLabels": { "team": "a" } }] });
    let pools = [
        ("asked", json!({ "addresses": ["3.4.5.6/32"], "autoAssign": false })),
        ("dual", json!({ "addresses": ["5.5.5.0/31", "2000::/127"], "autoAssign": false })),
        ("lab", json!({ "addresses": ["1.2.3.0/30"] })),
        ("pinned-a", json!({ "addresses": ["7.7.7.0/32"], "serviceAllocation": pinned(0) })),
        ("pinned-b", json!({ "addresses": ["7.7.7.1/32"], "serviceAllocation": pinned(3) })),
        ("six", json!({ "addresses": ["1000::/127"] })),
    ];
    let listed = pools.map(|(name, spec)| {
        let pool = json!({ "metadata": { "name": name, "namespace": "metallb-system" }, "spec": spec });
        let pool = metallb_crds::config::Stored::Readable(serde_json::from_value(pool).unwrap());
        (("metallb-system".to_owned(), name.to_owned()), pool)
    });
    Change::Pool(Event::Listed(listed.into()))
}

fn world() -> World {
    let mut world = World::new("192.0.2.0/24");
    world.ledger.apply(Input::Configuration(pools()));
    world
}

#[test]
fn every_case_ends_as_it_should_and_warns_when_it_should() {
    for case in cases() {
        let mut world = world();
        world.put("web", case.service());
        world.settle();
        let expected: Vec<IpAddr> = case.expected.iter().map(|ip| ip.parse().unwrap()).collect();
        assert_eq!(world.status("web"), expected, "{}", case.what);
        let warnings: Vec<_> =
            world.happened.iter().filter(|it| it.severity == Severity::Warning).map(|it| it.reason).collect();
        assert_eq!(!warnings.is_empty(), case.warning, "{}: {warnings:?}", case.what);
    }
}

#[test]
fn what_becomes_of_a_service_does_not_depend_on_what_it_was_before() {
    let (cases, mut world) = (cases(), world());
    for before in &cases {
        for case in &cases {
            for next in [before, case] {
                world.put("web", next.service());
                world.settle();
            }
            let expected: Vec<IpAddr> = case.expected.iter().map(|ip| ip.parse().unwrap()).collect();
            assert_eq!(world.status("web"), expected, "{} after {}", case.what, before.what);
        }
    }
}

#[test]
fn every_reason_of_an_event_is_the_word_that_upstream_has_for_it() {
    let reasons = |case: Case| {
        let mut world = world();
        world.put("web", case.service());
        world.settle();
        world.reasons()
    };
    for (case, expected) in [
        (case("given", &[]), &["IPAllocated"][..]),
        (case("refused", &[]).annotation("address-pool", "nowhere"), &["AllocationFailed"]),
        (case("lost", &[]).holding(json!([{ "ip": "9.9.9.9" }])), &["ClearAssignment", "IPAllocated"]),
        (
            case("half", &[]).families("PreferDualStack", json!(["10.96.0.1", "fd00::1"])),
            &["IPAllocated", "AdditionalAssignFailed"],
        ),
        (case("request", &[]).spec("loadBalancerIP", "hello"), &["LoadBalancerFailed"]),
        (
            case("status", &[]).holding(json!([{ "ip": "1.2.3.1" }, { "ip": "1.2.3.2" }])),
            &["nolbIPsIPFamily", "IPAllocated"],
        ),
        (
            case("cluster IPs", &[]).families("PreferDualStack", json!(["10.96.0.1", "10.96.0.2"])),
            &["noclusterIPsIPFamily"],
        ),
        (case("too few", &[]).families("RequireDualStack", json!(["10.96.0.1"])), &["not enough clusterips"]),
    ] {
        let what = case.what;
        assert_eq!(reasons(case), expected, "{what}");
    }
}
