//! A cluster of three nodes with upstream's frr-k8s, played through move by move.

use metallb_core::table::Event;
use serde_json::{Value, json};

use super::super::super::gather::{Daemon, Input};
use super::super::super::rollout::Rollout;
use super::*;
use crate::render::OURS;

const NS: &str = "metallb-system";
const ME: &str = "uid of the MetalLB";

fn live(object: Value, owner: Option<&str>) -> Live {
    let rollout = Rollout { observed: true, desired: 3, total: 3, updated: 3, ready: 3, trouble: None };
    let (owner, uid) = (owner.map(ToOwned::to_owned), "uid".to_owned());
    Live { uid, owner, is_anothers: false, object, rollout: Some(rollout) }
}

fn frr_k8s(owner: Option<&str>) -> Live {
    live(json!({ "spec": { "template": { "metadata": { "labels": { "app": "frr-k8s" } } } } }), owner)
}

fn speaker(is_ours: bool, strategy: &str) -> Live {
    let (key, value) = OURS;
    let annotations = if is_ours { json!({ key: value }) } else { json!({}) };
    let metadata = json!({ "annotations": { "deprecated.daemonset.template.generation": "2" } });
    let template = json!({ "metadata": { "annotations": annotations } });
    let spec = json!({ "updateStrategy": { "type": strategy }, "template": template });
    live(json!({ "metadata": metadata, "spec": spec }), Some(ME))
}

fn pod(node: &str, role: Role) -> PodRow {
    PodRow { uid: format!("uid on {node}"), node: node.into(), role, is_ready: true, is_deleting: false }
}

fn speaker_of(generation: &str) -> Role {
    // Upstream's was the first.
    Role::Speaker { generation: Some(generation.into()), is_ours: generation != "1" }
}

/// The cluster, before anything was done.
fn world() -> World {
    let mut world = World::default();
    install(&mut world, "frr-k8s", frr_k8s(Some(ME)));
    install(&mut world, "speaker", speaker(false, "RollingUpdate"));
    install_controller(&mut world, true, 1);
    world.apply(Input::Pod(Event::Listed(BTreeMap::new())));
    world.apply(Input::FrrConfiguration(Event::Listed([key("metallb-n1")].into())));
    for node in ["n1", "n2", "n3"] {
        put(&mut world, &format!("frr-{node}"), pod(node, Role::FrrK8s));
        put(&mut world, &format!("speaker-{node}"), pod(node, speaker_of("1")));
    }
    world
}

fn key(name: &str) -> (ObjectKey, ()) {
    ((NS.to_owned(), name.to_owned()), ())
}

fn install(world: &mut World, name: &str, live: Live) {
    world.apply(Input::Installed(Kind::DaemonSet, Event::Applied(name.to_owned(), live)));
}

fn install_controller(world: &mut World, is_ours: bool, ready: i32) {
    let (key, value) = OURS;
    let annotations = if is_ours { json!({ key: value }) } else { json!({}) };
    let template = json!({ "metadata": { "annotations": annotations } });
    let rollout = Rollout { observed: true, desired: 1, total: 1, updated: 1, ready, trouble: None };
    let live = Live { rollout: Some(rollout), ..live(json!({ "spec": { "template": template } }), Some(ME)) };
    world.apply(Input::Installed(Kind::Deployment, Event::Applied("controller".to_owned(), live)));
}

fn put(world: &mut World, name: &str, pod: PodRow) {
    world.apply(Input::Pod(Event::Applied(name.to_owned(), pod)));
}

fn standing_of(world: &World) -> Standing {
    standing(world, NS, ME, &BgpBackend::FrrK8s)
}

fn deleted(next: &Move) -> &str {
    let Move::DeletePod { name, .. } = next else { panic!("{next:?}") };
    name
}

/// Does the move, as Kubernetes would.
fn play(world: &mut World, next: &Move) {
    match next {
        Move::LetGo(it) => {
            world.apply(Input::Installed(Kind::DaemonSet, Event::Deleted(it.id.name.clone())));
        }
        Move::DeletePod { name, node, .. } => {
            world.apply(Input::Pod(Event::Deleted(name.clone())));
            if name.starts_with("speaker") {
                put(world, &format!("new-{node}"), pod(node, speaker_of("2")));
            }
        }
        Move::Wait(_) | Move::Done => {}
    }
}

#[test]
fn node_by_node_frr_k8s_ends_before_our_speaker_starts() {
    let mut world = world();
    assert_eq!(standing_of(&world), Standing::HandOver);
    assert_eq!(standing_of(&world).speaker_update(), SpeakerUpdate::OnDelete);
    assert!(matches!(next_move(&world, NS, ME), Move::Wait(_)), "nothing goes before ours is applied");
    install(&mut world, "speaker", speaker(true, "OnDelete"));
    let mut order = Vec::new();
    while standing_of(&world) == Standing::HandOver {
        let next = next_move(&world, NS, ME);
        match &next {
            Move::LetGo(it) => order.push(it.id.name.clone()),
            Move::DeletePod { name, .. } => order.push(name.clone()),
            Move::Wait(_) | Move::Done => panic!("{next:?} after {order:?}"),
        }
        play(&mut world, &next);
    }
    // The last speaker of old is left to the DaemonSet, which replaces pods by itself again.
    assert_eq!(order, ["frr-k8s", "frr-n1", "speaker-n1", "frr-n2", "speaker-n2", "frr-n3"]);
}

#[test]
fn no_session_is_given_up_before_the_controller_of_ours_has_made_the_key_of_the_speakers() {
    let mut world = world();
    install(&mut world, "speaker", speaker(true, "OnDelete"));
    for (is_ours, ready) in [(false, 1), (true, 0)] {
        install_controller(&mut world, is_ours, ready);
        assert!(matches!(next_move(&world, NS, ME), Move::Wait(_)), "{is_ours} {ready}");
    }
    install_controller(&mut world, true, 1);
    let next = next_move(&world, NS, ME);
    assert!(matches!(next, Move::LetGo(_)), "{next:?}");
    play(&mut world, &next);
    install_controller(&mut world, true, 0);
    assert_eq!(deleted(&next_move(&world, NS, ME)), "frr-n1", "what has begun goes on without it");
}

#[test]
fn a_speaker_that_does_not_become_ready_stops_it_and_is_named() {
    let mut world = world();
    install(&mut world, "speaker", speaker(true, "OnDelete"));
    for _ in 0..3 {
        let next = next_move(&world, NS, ME);
        play(&mut world, &next);
    }
    let stuck = PodRow { is_ready: false, ..pod("n1", speaker_of("2")) };
    put(&mut world, "new-n1", stuck);
    let Move::Wait(why) = next_move(&world, NS, ME) else { panic!("it went on") };
    assert_eq!(why, "2 of 3 speakers are ready; the one on n1 is not");
    put(&mut world, "new-n1", pod("n1", speaker_of("2")));
    assert_eq!(deleted(&next_move(&world, NS, ME)), "frr-n2");
}

#[test]
fn the_speaker_of_old_goes_when_the_pod_of_frr_k8s_is_gone_and_not_before() {
    let mut world = world();
    install(&mut world, "speaker", speaker(true, "OnDelete"));
    let next = next_move(&world, NS, ME);
    play(&mut world, &next);
    let ending = PodRow { is_deleting: true, ..pod("n1", Role::FrrK8s) };
    put(&mut world, "frr-n1", ending);
    assert!(matches!(next_move(&world, NS, ME), Move::Wait(_)));
    world.apply(Input::Pod(Event::Deleted("frr-n1".into())));
    let elsewhere = PodRow { is_ready: false, ..pod("n3", speaker_of("1")) };
    put(&mut world, "speaker-n3", elsewhere);
    assert_eq!(
        deleted(&next_move(&world, NS, ME)),
        "speaker-n1",
        "a node half-way is finished, whatever others do"
    );
}

#[test]
fn one_that_serves_others_is_never_touched_and_upstreams_speakers_stay_with_it() {
    let mut world = world();
    world.apply(Input::FrrConfiguration(Event::Listed([key("metallb-n1"), key("tenant")].into())));
    let standing = standing_of(&world);
    assert_eq!(standing, Standing::InUse(vec![key("tenant").0]));
    assert!(standing.holds_speakers(&world));
    assert_eq!(standing.speaker_update(), SpeakerUpdate::OnDelete);
    install(&mut world, "speaker", speaker(true, "RollingUpdate"));
    assert!(!standing.holds_speakers(&world), "ours are kept in order beside it");
}

#[test]
fn before_it_is_known_whom_it_serves_nothing_is_done() {
    let mut world = World::default();
    world.apply(Input::Pod(Event::Listed(BTreeMap::new())));
    install(&mut world, "frr-k8s", frr_k8s(Some(ME)));
    install(&mut world, "speaker", speaker(false, "RollingUpdate"));
    let standing = standing_of(&world);
    assert_eq!(standing, Standing::Unknown);
    assert!(standing.holds_speakers(&world));
    world.apply(Input::NoFrrConfigurations);
    assert_eq!(standing_of(&world), Standing::HandOver);
}

#[test]
fn what_another_frr_k8s_serves_is_no_reason_to_keep_ours() {
    let mut world = world();
    let elsewhere = ("other".to_owned(), "tenant".to_owned());
    world.apply(Input::FrrConfiguration(Event::Listed([(elsewhere.clone(), ())].into())));
    world.apply(Input::FrrDaemon(Event::Listed(BTreeMap::new())));
    assert_eq!(standing_of(&world), Standing::InUse(vec![elsewhere]), "nobody else reads it");
    let other = (("other".to_owned(), "frr-k8s".to_owned()), Daemon { runs: true });
    world.apply(Input::FrrDaemon(Event::Listed([other].into())));
    assert_eq!(standing_of(&world), Standing::HandOver);
}

#[test]
fn the_one_that_the_backend_names_stays() {
    let external = |namespace: &str| BgpBackend::FrrK8sExternal {
        namespace: namespace.to_owned(),
        secret_passthrough: false,
    };
    assert_eq!(standing(&world(), NS, ME, &external(NS)), Standing::Kept);
    assert_eq!(standing(&world(), NS, ME, &external("elsewhere")), Standing::HandOver);
}

#[test]
fn a_daemon_set_of_that_name_that_is_somebody_elses_is_none_of_ours() {
    let mut world = World::default();
    world.apply(Input::Pod(Event::Listed(BTreeMap::new())));
    world.apply(Input::NoFrrConfigurations);
    install(&mut world, "frr-k8s", Live { is_anothers: true, ..frr_k8s(None) });
    assert_eq!(standing_of(&world), Standing::Absent);
    install(&mut world, "frr-k8s", frr_k8s(Some("another MetalLB")));
    assert_eq!(standing_of(&world), Standing::Absent);
    install(&mut world, "frr-k8s", live(json!({}), None));
    assert_eq!(standing_of(&world), Standing::Absent, "only its name is upstream's");
    install(&mut world, "frr-k8s", frr_k8s(None));
    put(&mut world, "frr-n1", pod("n1", Role::FrrK8s));
    assert_eq!(standing_of(&world), Standing::Absent, "somebody has just installed it");
}

#[test]
fn one_of_upstreams_manifests_belongs_to_nobody_and_is_known_by_the_speakers_that_use_it() {
    let mut world = World::default();
    world.apply(Input::Pod(Event::Listed(BTreeMap::new())));
    world.apply(Input::NoFrrConfigurations);
    install(&mut world, "frr-k8s-daemon", frr_k8s(None));
    install(&mut world, "speaker", speaker(false, "RollingUpdate"));
    assert_eq!(standing_of(&world), Standing::HandOver, "upstream's speakers");
    put(&mut world, "speaker-n1", pod("n1", speaker_of("1")));
    install(&mut world, "speaker", speaker(true, "OnDelete"));
    assert_eq!(standing_of(&world), Standing::HandOver, "a pod of theirs");
    put(&mut world, "speaker-n1", pod("n1", speaker_of("2")));
    assert_eq!(standing_of(&world), Standing::Absent);
    world.apply(Input::FrrConfiguration(Event::Listed([key("metallb-n1")].into())));
    assert_eq!(standing_of(&world), Standing::HandOver, "what they wrote");
}

#[test]
fn frr_configurations_of_others_that_nobody_reads_are_named_once_that_is_certain() {
    let mut world = World::default();
    let both = [key("metallb-n1"), key("tenant")];
    world.apply(Input::FrrConfiguration(Event::Listed(both.into())));
    assert_eq!(unserved(&world), [], "who knows what runs");
    world.apply(Input::FrrDaemon(Event::Listed(BTreeMap::new())));
    assert_eq!(unserved(&world), [key("tenant").0]);
    let daemon = |runs| [(("x".to_owned(), "frr-k8s".to_owned()), Daemon { runs })];
    world.apply(Input::FrrDaemon(Event::Listed(daemon(false).into())));
    assert_eq!(unserved(&world), [key("tenant").0], "no node for it");
    world.apply(Input::FrrDaemon(Event::Listed(daemon(true).into())));
    assert_eq!(unserved(&world), []);
}
