//! What the lane tells of its sockets: where neighbours are answered, and why not elsewhere.

use std::collections::{BTreeMap, BTreeSet};

use metallb_core::names::InterfaceName;

use super::tables::{Protocol, Tables};

/// Of every interface that answers, by its index, and of every protocol by which it does. One that is not in it was not tried yet.
pub type Sockets = BTreeMap<(u32, Protocol), Socket>;

/// How one stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Socket {
    /// Who asks is heard.
    Open,
    /// It could not be opened, or broke, for this reason. That is tried again and again.
    Failed(String),
}

/// The sockets without which neighbours do not find what this node announces.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Needed {
    /// Those that are open.
    pub open: usize,
    /// The interfaces of the others, and why they are not.
    pub missing: BTreeSet<(InterfaceName, String)>,
}

impl Needed {
    /// What is announced by `tables`, where `sockets` stand like this. An interface without an address to announce needs none.
    pub fn of(tables: &Tables, sockets: &Sockets) -> Self {
        let mut needed = Self::default();
        for (place, interface) in tables.announcing() {
            match sockets.get(&place) {
                Some(Socket::Open) => needed.open += 1,
                Some(Socket::Failed(why)) => drop(needed.missing.insert((interface.clone(), why.clone()))),
                None => drop(needed.missing.insert((interface.clone(), "not opened yet".to_owned()))),
            }
        }
        needed
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use metallb_core::config::Interfaces;
    use metallb_protocols::ethernet::Mac;

    use super::super::tables::Station;
    use super::*;

    const MAC: Option<Mac> = Some(Mac([2; 6]));

    /// Two interfaces, of which eth1 has no IPv6, and one that is down.
    fn announcing(addresses: &[(&str, &[&str])]) -> Tables {
        let station = |name: &str, arp, ndp| Station { name: name.into(), arp, ndp };
        let stations = [
            (2, station("eth0", MAC, MAC)),
            (3, station("eth1", MAC, None)),
            (4, station("eth2", None, None)),
        ];
        let on = |names: &[&str]| match names {
            [] => Interfaces::All,
            names => Interfaces::Only(names.iter().map(|name| (*name).into()).collect()),
        };
        Tables {
            stations: Arc::new(stations.into()),
            announced: addresses.iter().map(|(address, on_)| (address.parse().unwrap(), on(on_))).collect(),
            ..Tables::default()
        }
    }

    #[test]
    fn a_socket_is_needed_where_an_address_is_announced_that_is_asked_for_by_it() {
        use Protocol::{Arp, Ndp};
        for (addresses, expected) in [
            (&[][..], &[][..]),
            (&[("192.0.2.1", &[][..])], &[(2, Arp), (3, Arp)]),
            (&[("192.0.2.1", &["eth1"]), ("192.0.2.2", &["eth1"])], &[(3, Arp)]),
            (&[("2001:db8::1", &[])], &[(2, Ndp)]),
            (&[("192.0.2.1", &["eth1"]), ("2001:db8::1", &[])], &[(2, Ndp), (3, Arp)]),
            (&[("192.0.2.1", &["eth2", "gone"])], &[]),
        ] {
            let tables = announcing(addresses);
            let needed: Vec<_> = tables.announcing().map(|(place, _)| place).collect();
            assert_eq!(needed, expected, "{addresses:?}");
        }
    }

    #[test]
    fn what_is_not_open_is_named_with_its_interface_and_the_reason_and_once() {
        let tables = announcing(&[("192.0.2.1", &[]), ("2001:db8::1", &[])]);
        let failed = || Socket::Failed("no".to_owned());
        let missing = |sockets: &[((u32, Protocol), Socket)]| {
            let Needed { open, missing } = Needed::of(&tables, &sockets.iter().cloned().collect());
            let missing = missing.into_iter().map(|(interface, why)| format!("{interface}: {why}"));
            (open, missing.collect::<Vec<_>>())
        };
        let all = tables.announcing().map(|(place, _)| (place, Socket::Open)).collect::<Vec<_>>();
        assert_eq!(missing(&all), (3, vec![]));
        let no_eth0 = [((2, Protocol::Arp), failed()), ((2, Protocol::Ndp), failed()), all[2].clone()];
        assert_eq!(missing(&no_eth0), (1, vec!["eth0: no".to_owned()]));
        assert_eq!(missing(&all[..2]), (2, vec!["eth1: not opened yet".to_owned()]));
        let elsewhere = [((7, Protocol::Arp), failed())];
        assert_eq!(missing(&[&all[..], &elsewhere].concat()), (3, vec![]), "nothing is announced there");
    }
}
