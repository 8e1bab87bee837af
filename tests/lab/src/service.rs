//! Services of type LoadBalancer, said in one line.

use std::collections::BTreeMap;
use std::net::IpAddr;

use k8s_openapi::api::core::v1::{Service, ServicePort, ServiceSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

/// A Service of type LoadBalancer in the making; see [`load_balancer`].
#[derive(Clone, Debug)]
#[must_use = "hand it to `User::create_service`"]
pub struct LoadBalancer {
    service: Service,
}

/// A LoadBalancer Service that selects the pods labelled `app: NAME`. Without [`port`](LoadBalancer::port) it has
/// TCP port 80 to the pods' 8080, where the lab's `hello` pods listen.
///
/// ```
/// use metallb_lab::load_balancer;
/// let web = load_balancer("web").in_namespace("shop").requesting_ip("192.0.2.7").dual_stack().build();
/// assert_eq!(web.spec.unwrap().type_.as_deref(), Some("LoadBalancer"));
/// ```
pub fn load_balancer(name: impl Into<String>) -> LoadBalancer {
    let name = name.into();
    let spec = ServiceSpec {
        type_: Some("LoadBalancer".into()),
        selector: Some(BTreeMap::from([("app".into(), name.clone())])),
        ..ServiceSpec::default()
    };
    let metadata = ObjectMeta { name: Some(name), ..ObjectMeta::default() };
    LoadBalancer { service: Service { metadata, spec: Some(spec), status: None } }
}

impl LoadBalancer {
    /// In that namespace, not the one its creator works in.
    pub fn in_namespace(mut self, namespace: impl Into<String>) -> Self {
        self.service.metadata.namespace = Some(namespace.into());
        self
    }

    /// Asks for an address with the annotation `metallb.io/loadBalancerIPs`. A second call asks for one more.
    pub fn requesting_ip(mut self, address: impl Into<String>) -> Self {
        let annotations = self.service.metadata.annotations.get_or_insert_default();
        let addresses = annotations.entry("metallb.io/loadBalancerIPs".into()).or_default();
        if !addresses.is_empty() {
            addresses.push(',');
        }
        addresses.push_str(&address.into());
        self
    }

    /// Asks for any address of a pool, with the annotation `metallb.io/address-pool`.
    pub fn from_pool(self, pool: impl Into<String>) -> Self {
        self.annotated("metallb.io/address-pool", pool)
    }

    /// Agrees to share its address with all who show the same key (`metallb.io/allow-shared-ip`).
    pub fn sharing_ip(self, key: impl Into<String>) -> Self {
        self.annotated("metallb.io/allow-shared-ip", key)
    }

    /// With an annotation.
    pub fn annotated(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.service.metadata.annotations.get_or_insert_default().insert(key.into(), value.into());
        self
    }

    /// With a label.
    pub fn labelled(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.service.metadata.labels.get_or_insert_default().insert(key.into(), value.into());
        self
    }

    /// Of that load balancer class, so not of the default implementation.
    pub fn of_class(mut self, class: impl Into<String>) -> Self {
        self.spec().load_balancer_class = Some(class.into());
        self
    }

    /// For the pods labelled `app: NAME` instead of those with its own name.
    pub fn for_app(mut self, app: impl Into<String>) -> Self {
        self.spec().selector = Some(BTreeMap::from([("app".into(), app.into())]));
        self
    }

    /// With one more TCP port; the pods' port is 8080.
    pub fn port(mut self, port: u16) -> Self {
        self.add_port("TCP", port);
        self
    }

    /// With one more UDP port; the pods' port is 8080.
    pub fn udp_port(mut self, port: u16) -> Self {
        self.add_port("UDP", port);
        self
    }

    /// `ipFamilyPolicy: RequireDualStack`.
    pub fn dual_stack(self) -> Self {
        self.ip_family_policy("RequireDualStack")
    }

    /// `ipFamilyPolicy: PreferDualStack`.
    pub fn prefer_dual_stack(self) -> Self {
        self.ip_family_policy("PreferDualStack")
    }

    /// IPv6 only.
    pub fn ipv6(mut self) -> Self {
        self.spec().ip_families = Some(vec!["IPv6".into()]);
        self
    }

    /// `externalTrafficPolicy: Local`.
    pub fn external_traffic_policy_local(mut self) -> Self {
        self.spec().external_traffic_policy = Some("Local".into());
        self
    }

    /// The object as it is sent.
    pub fn build(mut self) -> Service {
        if self.spec().ports.is_none() {
            self.add_port("TCP", 80);
        }
        self.service
    }

    fn ip_family_policy(mut self, policy: &str) -> Self {
        self.spec().ip_family_policy = Some(policy.into());
        self
    }

    fn add_port(&mut self, protocol: &str, port: u16) {
        self.spec().ports.get_or_insert_default().push(ServicePort {
            name: Some(format!("{}-{port}", protocol.to_lowercase())),
            protocol: Some(protocol.into()),
            port: i32::from(port),
            target_port: Some(k8s_openapi::apimachinery::pkg::util::intstr::IntOrString::Int(8080)),
            ..ServicePort::default()
        });
    }

    fn spec(&mut self) -> &mut ServiceSpec {
        self.service.spec.get_or_insert_default()
    }
}

/// The addresses in a Service's status, in its order. What is no address is left out.
pub(crate) fn ingress_ips(service: &Service) -> Vec<IpAddr> {
    let status = service.status.as_ref().and_then(|status| status.load_balancer.as_ref());
    let ingress = status.and_then(|status| status.ingress.as_deref()).unwrap_or_default();
    ingress.iter().filter_map(|ingress| ingress.ip.as_ref()?.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_without_ports_gets_port_80() {
        let ports = load_balancer("web").build().spec.unwrap().ports.unwrap();
        assert_eq!(ports.len(), 1);
        assert_eq!((ports[0].port, ports[0].protocol.as_deref()), (80, Some("TCP")));
    }

    #[test]
    fn two_requested_addresses_stand_in_one_annotation() {
        let web = load_balancer("web").requesting_ip("192.0.2.1").requesting_ip("2001:db8::1").build();
        let annotations = web.metadata.annotations.unwrap();
        assert_eq!(annotations["metallb.io/loadBalancerIPs"], "192.0.2.1,2001:db8::1");
    }
}
