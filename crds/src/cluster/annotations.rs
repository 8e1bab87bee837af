//! The annotations of Services, under both prefixes.

use std::collections::BTreeMap;

/// Annotations of a Service, without their prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Annotation {
    /// Addresses asked for.
    LoadBalancerIps,
    /// The pool asked for.
    AddressPool,
    /// The sharing key.
    AllowSharedIp,
    /// The pool that the address came from. Written by the controller.
    IpAllocatedFromPool,
}

const PREFIX: &str = "metallb.io/";
const DEPRECATED_PREFIX: &str = "metallb.universe.tf/";

impl Annotation {
    const fn name(self) -> &'static str {
        match self {
            Self::LoadBalancerIps => "loadBalancerIPs",
            Self::AddressPool => "address-pool",
            Self::AllowSharedIp => "allow-shared-ip",
            Self::IpAllocatedFromPool => "ip-allocated-from-pool",
        }
    }

    /// The key to write.
    pub fn key(self) -> String {
        format!("{PREFIX}{}", self.name())
    }

    /// Its value in `annotations`: the current key's when it is there, even if empty, else the deprecated key's.
    pub fn of(self, annotations: Option<&BTreeMap<String, String>>) -> Option<&str> {
        let annotations = annotations?;
        let current = annotations.get(&self.key());
        current
            .or_else(|| annotations.get(&format!("{DEPRECATED_PREFIX}{}", self.name())))
            .map(String::as_str)
    }
}

/// The keys among `annotations` that carry the deprecated prefix.
pub fn deprecated(annotations: Option<&BTreeMap<String, String>>) -> Vec<String> {
    let keys = annotations.into_iter().flat_map(BTreeMap::keys);
    keys.filter(|key| key.starts_with(DEPRECATED_PREFIX.trim_end_matches('/'))).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn annotations(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect()
    }

    #[test]
    fn the_current_prefix_wins_even_when_it_says_nothing() {
        let both =
            annotations(&[("metallb.io/address-pool", ""), ("metallb.universe.tf/address-pool", "old")]);
        let old = annotations(&[("metallb.universe.tf/address-pool", "old")]);
        assert_eq!(Annotation::AddressPool.of(Some(&both)), Some(""));
        assert_eq!(Annotation::AddressPool.of(Some(&old)), Some("old"));
        assert_eq!(Annotation::AddressPool.of(None), None);
    }

    #[test]
    fn deprecated_keys_are_found_whatever_their_name() {
        let keys = annotations(&[
            ("metallb.universe.tf/x", ""),
            ("metallb.io/y", ""),
            ("other/metallb.universe.tf", ""),
        ]);
        assert_eq!(deprecated(Some(&keys)), ["metallb.universe.tf/x"]);
    }
}
