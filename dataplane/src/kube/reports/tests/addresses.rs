//! Of a service with two addresses each may be on a node of its own: which objects stay beside each other.

use super::*;

const IPV4: &str = "192.0.2.1";
const IPV6: &str = "2001:db8::1";
const BOTH: &[&str] = &[IPV4, IPV6];

/// What a node says that announces these addresses of a service that has both.
fn announcing(addresses: &[&str]) -> OnLayer2 {
    OnLayer2 {
        addresses: addresses.iter().map(|address| address.parse().unwrap()).collect(),
        has_first: addresses.contains(&IPV4),
        ..everywhere()
    }
}

fn row(node: &str, addresses: &[&str]) -> Row<ServiceKey> {
    let rows = objects::<ServiceL2Status>(&[("l2-a", node, "web", announcing(addresses))]);
    rows.into_values().next().unwrap()
}

fn done(found: &Rows<ServiceL2Status>, node: &str, addresses: &[&str]) -> Vec<ActionOf<ServiceL2Status>> {
    let me = Voice { node: node.into(), owner: pod(if node == "n1" { "mine" } else { "another" }) };
    let saying = [(service("web"), announcing(addresses))];
    let saying = saying.into_iter().filter(|(_, said)| !said.addresses.is_empty()).collect();
    actions::<ServiceL2Status>(found, &saying, &me, &Due::Everything)
}

#[test]
fn a_status_names_the_addresses_that_its_node_announces_in_the_order_of_the_service() {
    let status = ServiceL2Status::status(&me().node, &service("web"), &announcing(&[IPV6, IPV4]));
    assert_eq!(status.addresses, [IPV6, IPV4]);
    assert_eq!(ServiceL2Status::addresses(&status).len(), 2);
}

#[test]
fn what_another_node_said_is_deleted_where_it_says_so_of_an_address_that_is_announced_here() {
    for (here, there, is_deleted) in [
        (&[IPV4][..], &[IPV4][..], true),
        (&[IPV6], &[IPV4, IPV6], true),
        (BOTH, &[IPV6], true),
        (&[IPV4], &[IPV6], false),
        (&[IPV6], &[IPV4], false),
        // Upstream's, or of an older version: by the node that announces the first address.
        (&[IPV4], &[], true),
        (BOTH, &[], true),
        (&[IPV6], &[], false),
    ] {
        let found = [("l2-a".to_owned(), row("n2", there))].into();
        let deleted = done(&found, "n1", here).contains(&Action::Delete("l2-a".into()));
        assert_eq!(deleted, is_deleted, "{here:?} here, {there:?} there");
    }
}

#[test]
fn what_another_node_is_about_to_say_is_left_to_it() {
    let created = Row { said: None, addresses: FewSet::new(), ..row("n2", &[IPV6]) };
    let found = [("l2-a".to_owned(), created)].into();
    assert_eq!(done(&found, "n1", &[IPV4]), [Action::Create(service("web"), announcing(&[IPV4]))]);
}

/// Objects, and who announces what from now on.
struct Place {
    objects: Rows<ServiceL2Status>,
    made: usize,
}

impl Place {
    fn with(objects: &[(&str, &[&str])]) -> Self {
        let mut place = Self { objects: Rows::<ServiceL2Status>::new(), made: 0 };
        for (node, addresses) in objects {
            place.put(node, addresses);
        }
        place
    }

    fn put(&mut self, node: &str, addresses: &[&str]) {
        self.made += 1;
        self.objects.insert(format!("l2-{}", self.made), row(node, addresses));
    }

    /// A node does what it has to. Did it have anything to do?
    fn act(&mut self, node: &str, addresses: &[&str]) -> bool {
        let actions = done(&self.objects, node, addresses);
        for action in &actions {
            match action {
                Action::Create(..) => self.put(node, addresses),
                Action::Write(name, ..) => drop(self.objects.insert(name.clone(), row(node, addresses))),
                Action::Own(..) => {}
                Action::Delete(name) => drop(self.objects.remove(name)),
            }
        }
        !actions.is_empty()
    }

    fn told(&self) -> Vec<(String, usize)> {
        let mut told: Vec<_> =
            self.objects.values().map(|row| (row.node.to_string(), row.addresses.len())).collect();
        told.sort();
        told
    }
}

#[test]
fn nodes_that_agree_who_has_what_come_to_rest_whoever_is_first_and_whatever_was_there() {
    let starts: [&[(&str, &[&str])]; 6] = [
        &[],
        &[("n1", BOTH)],                     // an address moves to n2, or comes back
        &[("n2", BOTH)],                     // both change hands in part
        &[("n3", BOTH)],                     // a node that had both is dead
        &[("n1", &[]), ("n2", &[])],         // of an older version
        &[("n1", &[IPV6]), ("n2", &[IPV4])], // they change places
    ];
    for start in starts {
        for order in [["n1", "n2"], ["n2", "n1"]] {
            let mut place = Place::with(start);
            let mut round = || {
                let acted = order.map(|node| place.act(node, if node == "n1" { &[IPV4] } else { &[IPV6] }));
                acted.contains(&true)
            };
            // One may delete what the other has not brought up to date yet; then that one writes it anew.
            round();
            round();
            assert!(!round(), "{start:?}, {order:?}: they go on");
            assert_eq!(place.told(), [("n1".to_owned(), 1), ("n2".to_owned(), 1)], "{start:?}, {order:?}");
        }
    }
}

/// Upstream's speaker has both addresses by its rule, and writes again what is deleted.
#[test]
fn beside_a_speaker_of_upstreams_that_announces_the_first_address_nothing_is_deleted_again_and_again() {
    let mut place = Place::with(&[("upstreams", &[])]);
    assert!(place.act("n1", &[IPV6]));
    assert!(!place.act("n1", &[IPV6]));
    assert_eq!(place.told(), [("n1".to_owned(), 1), ("upstreams".to_owned(), 0)]);
    assert!(place.act("n1", BOTH), "it is gone, and all is announced here");
    assert_eq!(place.told(), [("n1".to_owned(), 2)]);
}
