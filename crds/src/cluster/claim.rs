//! A Service, read as what it claims: all of its spec that decides its address.

use std::net::IpAddr;

use k8s_openapi::api::core::v1::{Service, ServicePort, ServiceSpec};
use metallb_core::address::{Family, parse_address};
use metallb_core::ipam::{Claim, FamilyDemand, Port, Protocol, SharingTerms, Vips};
use metallb_core::refusal::AllocationRefusal;

use super::annotations::Annotation;
use super::service::{LoadBalancerClass, ingress_addresses, is_load_balancer, recorded_pool};

/// What `service` claims; `None` when it is none of our business: no load balancer of ours, and nothing of ours left
/// on it.
pub fn of(service: &Service, class: &LoadBalancerClass) -> Option<Claim> {
    let annotations = service.metadata.annotations.as_ref();
    let is_ours = class.owns(service);
    let was_ours = recorded_pool(service).is_some() && !is_load_balancer(service);
    // A load balancer of another class is another controller's, also when that one is a MetalLB too.
    if !is_ours && !was_ours {
        return None;
    }
    let empty = ServiceSpec::default();
    let spec = service.spec.as_ref().unwrap_or(&empty);
    let created = service.metadata.creation_timestamp.as_ref().map_or(0, |time| time.0.as_second());
    Some(Claim {
        created,
        is_load_balancer: is_ours,
        is_marked: recorded_pool(service).is_some(),
        labels: service.metadata.labels.clone().unwrap_or_default(),
        held: ingress_addresses(service),
        families: families(spec),
        requested: requested(service, spec),
        requested_pool: Annotation::AddressPool
            .of(annotations)
            .filter(|pool| !pool.is_empty())
            .map(Into::into),
        sharing: sharing(service, spec),
        ports: spec.ports.iter().flatten().filter_map(port).collect(),
    })
}

fn families(spec: &ServiceSpec) -> Result<FamilyDemand, AllocationRefusal> {
    let texts: Vec<&str> = match spec.cluster_ips.as_deref() {
        Some(texts) if !texts.is_empty() => texts.iter().map(String::as_str).collect(),
        Some(_) | None => spec.cluster_ip.as_deref().into_iter().collect(),
    };
    let texts: Vec<&str> = texts.into_iter().filter(|text| !text.is_empty() && *text != "None").collect();
    let mut addresses = Vec::new();
    for text in texts {
        let bad = || AllocationRefusal::BadClusterIps { problem: format!("{text:?} is not an IP address") };
        addresses.push(parse_address(text).ok_or_else(bad)?);
    }
    let policy = spec.ip_family_policy.as_deref().unwrap_or("SingleStack");
    match (addresses.as_slice(), policy) {
        ([], _) => Err(AllocationRefusal::NoClusterIp),
        ([_], "RequireDualStack") => Err(AllocationRefusal::NotDualStack),
        ([one], _) => Ok(FamilyDemand::Only(Family::of(*one))),
        ([one, other], _) if Family::of(*one) == Family::of(*other) => {
            let problem = format!("{one} and {other} are of one family");
            Err(AllocationRefusal::BadClusterIps { problem })
        }
        ([primary, _], "PreferDualStack") => Ok(FamilyDemand::Prefer(Family::of(*primary))),
        ([_, _], _) => Ok(FamilyDemand::Both),
        (more, _) => Err(AllocationRefusal::BadClusterIps {
            problem: format!("{} addresses, where two are the most", more.len()),
        }),
    }
}

/// The addresses asked for, by annotation or by `spec.loadBalancerIP`, but not by both.
fn requested(service: &Service, spec: &ServiceSpec) -> Result<Option<Vips>, String> {
    let annotation = Annotation::LoadBalancerIps.of(service.metadata.annotations.as_ref());
    let annotation = annotation.filter(|text| !text.is_empty());
    let field = spec.load_balancer_ip.as_deref().filter(|text| !text.is_empty());
    let (source, text) = match (annotation, field) {
        (None, None) => return Ok(None),
        (Some(_), Some(_)) => {
            return Err(
                "both the annotation metallb.io/loadBalancerIPs and spec.loadBalancerIP are set".to_owned()
            );
        }
        (Some(text), None) => ("the annotation metallb.io/loadBalancerIPs", text),
        (None, Some(text)) => ("spec.loadBalancerIP", text),
    };
    let mut addresses: Vec<IpAddr> = Vec::new();
    for part in text.split(',').map(str::trim) {
        addresses
            .push(parse_address(part).ok_or_else(|| format!("{source}: {part:?} is not an IP address"))?);
    }
    if field.is_some() && addresses.len() > 1 {
        return Err(format!("{source}: {text:?} is more than one address"));
    }
    Vips::try_from(addresses.as_slice()).map(Some).map_err(|bad| format!("{source}: {bad}"))
}

/// With policy Local the same pods must be behind every service on an address, so the selector is part of the terms.
fn sharing(service: &Service, spec: &ServiceSpec) -> SharingTerms {
    let key =
        Annotation::AllowSharedIp.of(service.metadata.annotations.as_ref()).unwrap_or_default().to_owned();
    let backend = if spec.external_traffic_policy.as_deref() == Some("Local") {
        let selector = spec.selector.iter().flatten().map(|(key, value)| format!("{key}={value}"));
        selector.collect::<Vec<_>>().join(",")
    } else {
        String::new()
    };
    SharingTerms { key, backend }
}

fn port(port: &ServicePort) -> Option<Port> {
    let protocol = match port.protocol.as_deref().unwrap_or("TCP") {
        "TCP" => Protocol::Tcp,
        "UDP" => Protocol::Udp,
        "SCTP" => Protocol::Sctp,
        _ => return None, // the API server knows no other
    };
    Some(Port { protocol, number: u16::try_from(port.port).ok()? })
}

#[cfg(test)]
mod tests {
    use metallb_core::refusal::Refusal;
    use serde_json::{Value, json};

    use super::*;

    fn read(mut service: Value, class: &str) -> Option<Claim> {
        for (field, value) in [("name", "web"), ("namespace", "default"), ("resourceVersion", "7")] {
            service["metadata"][field] = value.into();
        }
        of(&serde_json::from_value(service).unwrap(), &LoadBalancerClass::from_flag(class))
    }

    fn claim(spec: &Value, annotations: &Value) -> Claim {
        let mut service = json!({ "metadata": { "annotations": annotations }, "spec": spec });
        service["spec"]["type"] = "LoadBalancer".into();
        read(service, "").unwrap()
    }

    #[test]
    fn cluster_ips_and_policy_say_which_families_are_wanted() {
        use FamilyDemand::{Both, Only, Prefer};
        for (cluster_ips, policy, expected) in [
            (json!(["10.96.0.1"]), "SingleStack", Ok(Only(Family::V4))),
            (json!(["fd00::1"]), "SingleStack", Ok(Only(Family::V6))),
            (json!(["10.96.0.1"]), "PreferDualStack", Ok(Only(Family::V4))),
            (json!(["fd00::1", "10.96.0.1"]), "PreferDualStack", Ok(Prefer(Family::V6))),
            (json!(["10.96.0.1", "fd00::1"]), "RequireDualStack", Ok(Both)),
            (json!(["10.96.0.1"]), "RequireDualStack", Err("not-dual-stack")),
            (json!([]), "SingleStack", Err("no-cluster-ip")),
            (json!(["None"]), "SingleStack", Err("no-cluster-ip")),
            (json!(["10.96.0.1", "10.96.0.2"]), "PreferDualStack", Err("bad-cluster-ips")),
            (json!(["nonsense"]), "SingleStack", Err("bad-cluster-ips")),
        ] {
            let claim = claim(&json!({ "clusterIPs": cluster_ips, "ipFamilyPolicy": policy }), &json!({}));
            assert_eq!(claim.families.map_err(|refusal| refusal.code()), expected, "{cluster_ips} {policy}");
        }
    }

    #[test]
    fn a_service_without_the_list_is_read_by_its_one_cluster_ip() {
        let claim = claim(&json!({ "clusterIP": "10.96.0.1" }), &json!({}));
        assert_eq!(claim.families, Ok(FamilyDemand::Only(Family::V4)));
    }

    #[test]
    fn addresses_are_asked_for_by_field_or_by_annotation_with_either_prefix() {
        let one = Some(Vips::One("10.0.0.9".parse().unwrap()));
        let both = Some(Vips::Both("10.0.0.9".parse().unwrap(), "fd00::9".parse().unwrap()));
        for (field, annotations, expected) in [
            (json!(null), json!({}), Ok(None)),
            (json!("10.0.0.9"), json!({}), Ok(one)),
            (json!(""), json!({ "metallb.io/loadBalancerIPs": " 10.0.0.9 " }), Ok(one)),
            (json!(null), json!({ "metallb.universe.tf/loadBalancerIPs": "fd00::9,10.0.0.9" }), Ok(both)),
            (
                json!("10.0.0.9"),
                json!({ "metallb.io/loadBalancerIPs": "10.0.0.9" }),
                Err("both the annotation"),
            ),
            (json!("10.0.0.9,fd00::9"), json!({}), Err("more than one address")),
            (json!(null), json!({ "metallb.io/loadBalancerIPs": "10.0.0.9,x" }), Err("\"x\"")),
            (json!(null), json!({ "metallb.io/loadBalancerIPs": "10.0.0.9,10.0.0.8" }), Err("both IPv4")),
            (
                json!(null),
                json!({ "metallb.io/loadBalancerIPs": "10.0.0.9,fd00::1,fd00::2" }),
                Err("3 addresses"),
            ),
        ] {
            let claim = claim(&json!({ "loadBalancerIP": field }), &annotations);
            match (&claim.requested, expected) {
                (Ok(found), Ok(expected)) => assert_eq!(*found, expected, "{field} {annotations}"),
                (Err(found), Err(expected)) => assert!(found.contains(expected), "{found}"),
                (found, expected) => panic!("{found:?}, expected {expected:?}"),
            }
        }
    }

    #[test]
    fn terms_of_sharing_hold_the_selector_only_under_policy_local() {
        let annotations = json!({ "metallb.io/allow-shared-ip": "k" });
        let spec =
            |policy: &str| json!({ "externalTrafficPolicy": policy, "selector": { "b": "2", "a": "1" } });
        let terms = |backend: &str| SharingTerms { key: "k".into(), backend: backend.into() };
        assert_eq!(claim(&spec("Cluster"), &annotations).sharing, terms(""));
        assert_eq!(claim(&spec("Local"), &annotations).sharing, terms("a=1,b=2"));
    }

    #[test]
    fn the_same_port_twice_is_one_port() {
        let ports =
            json!([{ "port": 53, "protocol": "UDP" }, { "port": 53, "protocol": "UDP" }, { "port": 53 }]);
        assert_eq!(claim(&json!({ "ports": ports }), &json!({})).ports.len(), 2);
    }

    #[test]
    fn services_of_another_class_are_none_of_our_business() {
        let service = |class: Value| json!({ "metadata": {}, "spec": { "type": "LoadBalancer", "loadBalancerClass": class } });
        for (class, flag, ours) in [
            (json!(null), "", true),
            (json!("other"), "", false),
            (json!(null), "mine", false),
            (json!("mine"), "mine", true),
        ] {
            assert_eq!(
                read(service(class.clone()), flag).is_some(),
                ours,
                "{class} with --lb-class={flag:?}"
            );
            let mut held = service(class.clone());
            held["metadata"]["annotations"] = json!({ "metallb.io/ip-allocated-from-pool": "lab" });
            assert_eq!(
                read(held, flag).is_some(),
                ours,
                "{class} with --lb-class={flag:?}, held by a MetalLB"
            );
        }
    }

    #[test]
    fn what_is_no_load_balancer_matters_only_as_long_as_something_of_ours_is_left_on_it() {
        let plain = json!({ "metadata": {}, "spec": { "type": "ClusterIP" } });
        assert_eq!(read(plain.clone(), ""), None);
        let mut left = plain;
        left["metadata"]["annotations"] = json!({ "metallb.io/ip-allocated-from-pool": "lab" });
        assert!(!read(left, "a-class-that-the-api-server-wiped").unwrap().is_load_balancer);
    }

    #[test]
    fn a_status_that_is_no_address_is_said_to_be_none() {
        let mut service = json!({ "metadata": {}, "spec": { "type": "LoadBalancer" } });
        service["status"] =
            json!({ "loadBalancer": { "ingress": [{ "hostname": "lb.example" }, { "ip": "10.0.0.1" }] } });
        assert_eq!(read(service.clone(), "").unwrap().held, Ok(vec!["10.0.0.1".parse().unwrap()]));
        service["status"]["loadBalancer"]["ingress"][1]["ip"] = "nonsense".into();
        assert!(read(service, "").unwrap().held.unwrap_err().contains("nonsense"));
    }
}
