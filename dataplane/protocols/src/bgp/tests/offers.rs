//! What two sides agree on, and whom we refuse, with which words.

use metallb_core::address::Family;
use metallb_core::config::{HoldTime, RemoteAs, RouterId};

use super::lab::{Lab, ROUTER, US, asn, route, seconds, settings};
use crate::bgp::session::{Failure, Input, Settings, State};
use crate::bgp::wire::{Capability, Kind, Notification, Open, Reason};

/// The failures of both sides when these two meet.
fn meet(ours: Settings, theirs: Settings) -> [Failure; 2] {
    let mut lab = Lab::ready(ours, theirs);
    // The router waits to be called.
    lab.link = false;
    lab.input(ROUTER, Input::Start);
    lab.link = true;
    lab.input(US, Input::Start);
    lab.run_for(seconds(1) / 2);
    assert!(lab.states()[US] < State::Established, "they agreed");
    let failures = [lab.failures(US), lab.failures(ROUTER)];
    failures.map(|failures| failures.into_iter().next().expect("a failure"))
}

fn agree(ours: Settings, theirs: Settings) -> Lab {
    let mut lab = Lab::ready(ours, theirs);
    lab.start();
    lab.run_for(seconds(1));
    assert_eq!(lab.states(), [State::Established; 2], "{:?}", lab.failures(US));
    lab
}

#[test]
fn a_router_in_the_wrong_system_is_named_with_both_numbers() {
    let [ours, theirs] = meet(settings(64_512, 64_999), settings(64_513, 64_512));
    assert_eq!(ours.code(), "wrong-asn");
    let text = ours.to_string();
    assert!(
        text.contains("AS 64513") && text.contains("AS 64999") && text.contains("spec.peerASN"),
        "{text}"
    );
    let Failure::Notified { notification, .. } = &theirs else { panic!("{theirs:?}") };
    assert_eq!(notification.reason, Reason::BAD_PEER_AS);
}

#[test]
fn a_router_that_wants_us_in_another_system_is_understood() {
    let [ours, _] = meet(settings(64_512, 64_513), settings(64_513, 64_999));
    let text = ours.to_string();
    assert!(text.contains("bad peer AS") && text.contains("64512") && text.contains("spec.myASN"), "{text}");
}

#[test]
fn dynamic_systems_are_our_own_or_any_other() {
    let dynamic = |remote| Settings { remote, ..settings(64_512, 1) };
    let inside =
        Settings { router_id: RouterId::new([9, 9, 9, 9].into()).unwrap(), ..settings(64_512, 64_512) };
    let outside = settings(64_513, 64_512);
    let lab = agree(dynamic(RemoteAs::Internal), inside.clone());
    assert!(lab.nodes[US].session.negotiated().unwrap().internal);
    let lab = agree(dynamic(RemoteAs::External), outside.clone());
    assert!(!lab.nodes[US].session.negotiated().unwrap().internal);
    for (remote, router, word) in
        [(RemoteAs::Internal, outside, "internal"), (RemoteAs::External, inside, "external")]
    {
        let [ours, _] = meet(dynamic(remote), router);
        assert_eq!(ours.code(), "wrong-asn");
        assert!(ours.to_string().contains(word), "{ours}");
    }
}

#[test]
fn a_router_is_shown_the_local_system_and_no_other() {
    let ours = Settings { local_asn: Some(asn(70_000)), ..settings(64_512, 64_513) };
    let lab = agree(ours, settings(64_513, 70_000));
    let path = lab.table.routes[&route(1)].as_path.clone().unwrap();
    assert_eq!(path.segments()[0].systems(), [asn(70_000)]);
}

#[test]
fn two_of_one_system_with_one_identifier_do_not_talk_and_two_of_different_ones_do() {
    let [ours, _] = meet(settings(64_512, 64_512), settings(64_512, 64_512));
    assert_eq!(ours.code(), "same-router-id");
    let theirs = Settings { router_id: settings(64_512, 1).router_id, ..settings(64_513, 64_512) };
    agree(settings(64_512, 64_513), theirs);
}

#[test]
fn a_session_carries_what_both_carry_and_is_refused_if_that_is_nothing() {
    let only = |family, mine, other| Settings { families: [family].into(), ..settings(mine, other) };
    let lab = agree(settings(64_512, 64_513), only(Family::V6, 64_513, 64_512));
    assert_eq!(lab.nodes[US].session.negotiated().unwrap().families, [Family::V6].into());
    let [ours, theirs] = meet(only(Family::V4, 64_512, 64_513), only(Family::V6, 64_513, 64_512));
    assert!(ours.to_string().contains("IPv4"), "{ours}");
    assert!([&ours, &theirs].iter().any(|failure| failure.code() == "no-common-family"), "{ours} {theirs}");
}

#[test]
fn the_shorter_hold_time_holds_and_none_is_shortest() {
    let hold = |time, mine, other| Settings {
        hold_time: HoldTime::try_from(seconds(time)).unwrap(),
        ..settings(mine, other)
    };
    for (theirs, agreed) in [(30, Some(30)), (180, Some(90)), (0, None)] {
        let lab = agree(hold(90, 64_512, 64_513), hold(theirs, 64_513, 64_512));
        let negotiated = lab.nodes[US].session.negotiated().unwrap();
        assert_eq!(negotiated.hold_time, agreed.map(seconds));
        assert_eq!(negotiated.keepalive_time, agreed.map(|hold| seconds(hold) / 3));
    }
    let keepalive = Settings { keepalive_time: Some(seconds(5)), ..settings(64_512, 64_513) };
    let lab = agree(keepalive, settings(64_513, 64_512));
    assert_eq!(lab.nodes[US].session.negotiated().unwrap().keepalive_time, Some(seconds(5)));
}

#[test]
fn what_was_agreed_on_is_what_both_said() {
    let lab = agree(settings(4_200_000_000, 64_513), settings(64_513, 4_200_000_000));
    let negotiated = lab.nodes[US].session.negotiated().unwrap();
    assert!(negotiated.four_octet_as && negotiated.extended_messages && negotiated.enhanced_refresh);
    assert!(!negotiated.extended_next_hop && !negotiated.hard_reset && negotiated.kept.is_empty());

    let link = |mine, other| Settings { extended_next_hop: true, ..settings(mine, other) };
    assert!(agree(link(1, 2), link(2, 1)).nodes[US].session.negotiated().unwrap().extended_next_hop);
    assert!(!agree(link(1, 2), settings(2, 1)).nodes[US].session.negotiated().unwrap().extended_next_hop);

    let restart = |mine, other| Settings { graceful_restart: true, ..settings(mine, other) };
    let lab = agree(restart(1, 2), restart(2, 1));
    let negotiated = lab.nodes[US].session.negotiated().unwrap();
    assert!(negotiated.hard_reset && negotiated.kept.len() == 2);
    let without = Settings { restart_helper: false, ..settings(2, 1) };
    assert!(!agree(restart(1, 2), without).nodes[US].session.negotiated().unwrap().keeps_our_routes());
}

/// The OPEN that we send first on the connection that we dialled.
fn opens(lab: &mut Lab) -> Vec<Open> {
    let mut opens = Vec::new();
    std::mem::swap(&mut opens, &mut lab.opens);
    opens
}

#[test]
fn an_old_router_that_refuses_capabilities_is_met_without() {
    let mut lab = Lab::ready(settings(64_512, 64_513), settings(64_513, 64_512));
    lab.link = false; // we are the router here
    lab.input(US, Input::Start);
    lab.pretend(US);
    assert_eq!(opens(&mut lab).pop().map(|open| open.capabilities.is_empty()), Some(false));
    lab.inject(US, &Notification::from(Reason::UNSUPPORTED_PARAMETER).emit());
    lab.run_for(seconds(2));
    lab.pretend(US);
    let bare = opens(&mut lab).pop().unwrap();
    assert_eq!((bare.capabilities.len(), bare.four_octet_as), (0, false));
    let answer = Open { asn: asn(64_513), router_id: RouterId::new([9, 9, 9, 9].into()).unwrap(), ..bare };
    lab.inject(US, &answer.emit());
    lab.inject(US, &crate::bgp::wire::keepalive());
    assert_eq!(lab.states()[US], State::Established);
    let negotiated = lab.nodes[US].session.negotiated().unwrap();
    assert_eq!((&negotiated.families, negotiated.four_octet_as), (&[Family::V4].into(), false));
    assert_eq!(lab.messages.last(), Some(&(US, Kind::Update)), "the end of the routes");
}

#[test]
fn an_offer_names_the_families_and_says_what_survives_a_restart() {
    let ours = Settings { graceful_restart: true, extended_next_hop: true, ..settings(64_512, 64_513) };
    let mut lab = Lab::ready(ours, settings(64_513, 64_512));
    lab.input(US, Input::Start);
    lab.pretend(US);
    let open = opens(&mut lab).pop().unwrap();
    let has =
        |wanted: fn(&Capability) -> bool| open.capabilities.iter().filter(|offered| wanted(offered)).count();
    assert_eq!(has(|capability| matches!(capability, Capability::Multiprotocol(_))), 2);
    assert_eq!(has(|capability| matches!(capability, Capability::ExtendedNextHop(_))), 1);
    assert_eq!(
        has(|capability| matches!(capability, Capability::GracefulRestart(restart)
            if !restart.restarting && restart.notifications && restart.families.len() == 2)),
        1
    );
    for plain in [Capability::RouteRefresh, Capability::EnhancedRouteRefresh, Capability::ExtendedMessage] {
        assert!(open.capabilities.contains(&plain), "{plain:?}");
    }
}
