//! What is done so that objects say what is, by both rules of who may speak.

mod addresses;

use metallb_core::config::Interfaces;
use metallb_core::few::FewSet;
use metallb_core::names::{PeerName, ServiceKey};
use metallb_crds::{ServiceBGPStatus, ServiceL2Status};

use super::*;
use crate::kube::service_l2_status::OnLayer2;

fn familiar<K: Report>() -> Familiar<K> {
    Familiar::new(&me().node, latest::channel(None).1)
}

fn service(name: &str) -> ServiceKey {
    ServiceKey::new("default", name)
}

fn pod(uid: &str) -> OwnerReference {
    OwnerReference { uid: uid.to_owned(), kind: "Pod".to_owned(), ..OwnerReference::default() }
}

fn me() -> Voice {
    Voice { node: "n1".into(), owner: pod("mine") }
}

fn peers(names: &[&str]) -> FewSet<PeerName> {
    names.iter().map(|name| PeerName::from(*name)).collect()
}

/// Objects of n1's speaker, and of others: name, node, service, what it says.
fn objects<K: Report<Subject = ServiceKey>>(rows: &[(&str, &str, &str, K::Said)]) -> Rows<K> {
    let row = |node: &str, name: &str, said: &K::Said| {
        let (node, subject) = (NodeName::from(node), service(name));
        let status = K::status(&node, &subject, said);
        let owners = [pod(if node == me().node { "mine" } else { "another" })].into();
        Row { node, subject, owners, said: Some(Digest::of(&status)), addresses: K::addresses(&status) }
    };
    rows.iter().map(|(name, node, service, said)| ((*name).to_owned(), row(node, service, said))).collect()
}

/// One address, the only one of its service.
fn on(interfaces: Interfaces) -> OnLayer2 {
    let addresses = [[192, 0, 2, 1].into()].into();
    OnLayer2 { addresses, has_first: true, interfaces, conflicts: [].into(), epoch: None }
}

fn everywhere() -> OnLayer2 {
    on(Interfaces::All)
}

fn l2(rows: &[(&str, &str, &str)]) -> Rows<ServiceL2Status> {
    let all = |&(name, node, service)| (name, node, service, everywhere());
    objects::<ServiceL2Status>(&rows.iter().map(all).collect::<Vec<_>>())
}

fn done_on_layer2(found: &Rows<ServiceL2Status>, announced: &[&str]) -> Vec<ActionOf<ServiceL2Status>> {
    let saying = announced.iter().map(|name| (service(name), everywhere())).collect();
    actions::<ServiceL2Status>(found, &saying, &me(), &Due::Everything)
}

#[test]
fn a_service_announced_from_here_has_one_object_which_says_so() {
    assert_eq!(done_on_layer2(&l2(&[]), &["web"]), [Action::Create(service("web"), everywhere())]);
    assert_eq!(done_on_layer2(&l2(&[("l2-a", "n1", "web")]), &["web"]), []);
}

#[test]
fn where_one_node_speaks_it_deletes_what_others_left_behind_and_duplicates() {
    let found =
        l2(&[("l2-a", "n1", "web"), ("l2-b", "n1", "web"), ("l2-c", "n2", "web"), ("l2-d", "n2", "other")]);
    let deleted = [Action::Delete("l2-b".into()), Action::Delete("l2-c".into())];
    assert_eq!(done_on_layer2(&found, &["web"]), deleted);
}

#[test]
fn where_each_node_speaks_for_itself_only_own_duplicates_are_deleted() {
    let said = peers(&["tor"]);
    let found = objects::<ServiceBGPStatus>(&[
        ("bgp-a", "n1", "web", said.clone()),
        ("bgp-b", "n1", "web", said.clone()),
        ("bgp-c", "n2", "web", said.clone()),
    ]);
    let saying = [(service("web"), said)].into();
    assert_eq!(
        actions::<ServiceBGPStatus>(&found, &saying, &me(), &Due::Everything),
        [Action::Delete("bgp-b".into())]
    );
}

#[test]
fn who_announces_no_more_deletes_only_its_own() {
    let found = l2(&[("l2-a", "n1", "web"), ("l2-c", "n2", "web")]);
    assert_eq!(done_on_layer2(&found, &[]), [Action::Delete("l2-a".into())]);
}

#[test]
fn a_service_announced_to_nobody_has_no_object() {
    let found = objects::<ServiceBGPStatus>(&[("bgp-a", "n1", "web", peers(&["tor"]))]);
    let saying = [(service("web"), peers(&[])), (service("other"), peers(&[]))].into();
    assert_eq!(
        actions::<ServiceBGPStatus>(&found, &saying, &me(), &Due::Everything),
        [Action::Delete("bgp-a".into())]
    );
}

#[test]
fn what_changes_is_written_to_the_object_that_is_there() {
    let found = l2(&[("l2-a", "n1", "web")]);
    let eth1 = on(Interfaces::Only(["eth1".into()].into()));
    let written = [Action::Write("l2-a".into(), service("web"), eth1.clone())];
    assert_eq!(
        actions::<ServiceL2Status>(&found, &[(service("web"), eth1)].into(), &me(), &Due::Everything),
        written
    );

    let found = objects::<ServiceBGPStatus>(&[("bgp-a", "n1", "web", peers(&["tor-1"]))]);
    let both = peers(&["tor-2", "tor-1"]);
    let status = ServiceBGPStatus::status(&me().node, &service("web"), &both);
    assert_eq!(status.peers, ["tor-1", "tor-2"], "in alphabetical order");
    let written = [Action::Write("bgp-a".into(), service("web"), both.clone())];
    assert_eq!(
        actions::<ServiceBGPStatus>(&found, &[(service("web"), both)].into(), &me(), &Due::Everything),
        written
    );
}

#[test]
fn only_what_is_due_is_looked_at() {
    let found = l2(&[("l2-a", "n1", "gone"), ("l2-b", "n1", "gone-too"), ("l2-c", "n1", "stays")]);
    let saying = ["new", "new-too", "stays"].map(|name| (service(name), everywhere())).into();
    let about = |due: &Due<ServiceKey>| actions::<ServiceL2Status>(&found, &saying, &me(), due);
    let mut due = Due::default();
    assert_eq!((about(&due), due.is_nothing()), (vec![], true));
    for name in ["gone", "new", "stays", "never-was"] {
        due.add(&service(name));
    }
    let done = [Action::Delete("l2-a".into()), Action::Create(service("new"), everywhere())];
    assert_eq!((about(&due), due.is_nothing()), (done.into(), false));
    assert_eq!(about(&Due::Everything).len(), 4);
}

#[test]
fn an_object_that_changes_is_due_with_what_it_was_about_and_what_it_is_about() {
    let mut objects: Table<_, Row<ServiceKey>> = Table::default();
    let mut due = Due::default();
    let mut happen = |event| {
        take_in::<ServiceL2Status>(event, &mut objects, &mut due);
        std::mem::take(&mut due)
    };
    let these = |names: &[&str]| Due::These(names.iter().map(|name| service(name)).collect());
    let one = |subject| l2(&[("l2-a", "n1", subject)]).remove("l2-a").unwrap();
    assert_eq!(happen(Event::Listed(l2(&[]))), Due::Everything);
    assert_eq!(happen(Event::Applied("l2-a".into(), one("web"))), these(&["web"]));
    assert_eq!(happen(Event::Applied("l2-a".into(), one("dns"))), these(&["web", "dns"]));
    assert_eq!(happen(Event::Deleted("l2-a".into())), these(&["dns"]));
}

#[test]
fn what_an_earlier_speaker_of_the_node_left_is_taken_over_and_not_made_anew() {
    let mut found = l2(&[("l2-a", "n1", "web")]);
    found.get_mut("l2-a").unwrap().owners = [pod("before")].into();
    let owners = vec![pod("before"), pod("mine")];
    assert_eq!(done_on_layer2(&found, &["web"]), [Action::Own("l2-a".into(), owners.clone())]);
    found.get_mut("l2-a").unwrap().owners = owners.into();
    assert_eq!(done_on_layer2(&found, &["web"]), [], "two pods that overlap do not fight over it");
}

#[test]
fn an_object_is_made_with_labels_owner_and_a_name_of_its_kind() {
    let layer2: ServiceL2Status = object(&me(), &service("web"));
    let bgp: ServiceBGPStatus = object(&me(), &service("web"));
    for (metadata, prefix) in [(layer2.metadata, "l2-"), (bgp.metadata, "bgp-")] {
        assert_eq!(metadata.generate_name.as_deref(), Some(prefix));
        let labels = [
            ("metallb.io/node", "n1"),
            ("metallb.io/service-name", "web"),
            ("metallb.io/service-namespace", "default"),
        ];
        let labels = labels.map(|(key, value)| (key.to_owned(), value.to_owned()));
        assert_eq!(metadata.labels, Some(labels.into()));
        assert_eq!(metadata.owner_references, Some(vec![pod("mine")]));
    }
}

#[test]
fn an_object_without_all_labels_is_nobodys() {
    let mut made: ServiceBGPStatus = object(&me(), &service("web"));
    assert!(row(&made, &familiar()).is_some());
    for missing in ["metallb.io/node", "metallb.io/service-name", "metallb.io/service-namespace"] {
        let mut without = made.clone();
        without.labels_mut().remove(missing);
        assert!(row(&without, &familiar()).is_none(), "{missing}");
    }
    made.metadata.labels = None;
    assert!(row(&made, &familiar()).is_none());
}

#[test]
fn what_somebody_deletes_is_not_made_again_at_once() {
    let create = Action::Create(service("web"), peers(&["tor"]));
    let mut created = BTreeMap::new();
    assert_eq!(premature::<ServiceBGPStatus>(&create, &mut created), None);
    assert_eq!(premature::<ServiceBGPStatus>(&create, &mut created), Some(&service("web")));
    assert_eq!(premature::<ServiceBGPStatus>(&Action::Delete("bgp-a".into()), &mut created), None);
}
