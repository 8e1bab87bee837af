//! Who gives what when, and who waits for it.

use metallb_protocols::lull::{Connection, Kind};

use super::super::tables::Station;

use super::*;

const THEIRS: Mac = Mac([2, 0, 0, 0, 0, 2]);

fn vip() -> IpAddr {
    "192.0.2.200".parse().unwrap()
}

fn other() -> IpAddr {
    "192.0.2.2".parse().unwrap()
}

fn announcing() -> Tables {
    Tables { announced: [(vip(), Interfaces::All)].into(), ..Tables::default() }
}

fn giving() -> Tables {
    let heirs = Arc::new([(vip(), other())].into());
    Tables { moved: Arc::new([vip()].into()), heirs, ..Tables::default() }
}

fn awaiting() -> Tables {
    Tables { awaited: Arc::new([vip()].into()), ..announcing() }
}

struct Scene {
    moves: Moves,
    succession: Succession,
    tables: Tables,
    start: Instant,
}

impl Scene {
    fn new(tables: Tables) -> Self {
        let succession = Succession::new(Duration::from_secs(3));
        Self { moves: Moves::default(), succession, tables, start: Instant::now() }
    }

    fn at(&self, millis: u64) -> Instant {
        self.start + Duration::from_millis(millis)
    }

    fn change(&mut self, millis: u64, new: Tables) {
        let now = self.at(millis);
        self.succession.change(now, &self.tables, &new, &self.moves);
        self.moves.change(now, &self.tables, &new, &self.succession);
        self.tables = new;
    }

    fn see(&mut self, millis: u64, port: u16, kind: Kind) {
        let client = (std::net::Ipv4Addr::new(192, 0, 2, 9), port).into();
        let connection = Connection { client, server: "192.0.2.200:80".parse().unwrap() };
        self.moves.see(self.at(millis), &Segment { connection, kind });
    }

    /// What follows until then, and when.
    fn run(&mut self, until: u64) -> Vec<(u128, Output)> {
        let mut outputs = Vec::new();
        let mut now = self.start;
        loop {
            while let Some(output) = self.moves.poll_output() {
                outputs.push(((now - self.start).as_millis(), output));
            }
            match self.moves.poll_timeout().filter(|due| *due <= self.at(until)) {
                Some(due) => now = due,
                None => return outputs,
            }
            self.moves.pass_time(now);
        }
    }
}

#[test]
fn an_address_goes_to_the_next_owners_station_in_a_lull() {
    let mut scene = Scene::new(announcing());
    scene.change(0, giving());
    assert!(scene.moves.asks_for(other()));
    scene.moves.heard(1, other(), THEIRS);
    assert_eq!(scene.moves.station(vip(), 1), None, "it is still here");
    scene.see(90, 1, Kind::Begins);
    let asked = [0, 30, 60].map(|at| (at, Output::Ask(other())));
    assert_eq!(scene.run(120), asked);
    scene.see(130, 1, Kind::Ends);
    scene.moves.pass_time(scene.at(130));
    assert_eq!(scene.moves.poll_output(), Some(Output::Give(vip())));
    assert_eq!(scene.moves.station(vip(), 1), Some(THEIRS));
    assert_eq!(scene.moves.station(vip(), 2), None, "it was not heard there");
    let again = [180, 230].map(|at| (at, Output::Give(vip())));
    assert_eq!(scene.run(240), again, "the next owner may not have known yet");
    scene.moves.end(vip());
    assert!(!scene.moves.asks_for(other()));
    assert_eq!((scene.moves.station(vip(), 1), scene.moves.poll_timeout()), (None, None));
}

fn first_given(outputs: &[(u128, Output)]) -> Option<u128> {
    outputs.iter().find(|(_, output)| *output == Output::Give(vip())).map(|(at, _)| *at)
}

#[test]
fn without_a_lull_it_goes_all_the_same() {
    let mut scene = Scene::new(announcing());
    scene.change(0, giving());
    for port in 1..4 {
        let millis = 90 * u64::from(port);
        assert_eq!(first_given(&scene.run(millis)), None);
        scene.see(millis, port, Kind::Begins);
    }
    assert_eq!(first_given(&scene.run(310)), Some(300));
}

/// Stood in for by this node, which asked for that one at this address.
fn inheriting(asked_at: &str) -> Tables {
    let predecessor =
        crate::speaker::lane::Predecessor { node: "old".into(), address: asked_at.parse().unwrap() };
    Tables { inherited: Arc::new([(vip(), predecessor)].into()), ..announcing() }
}

#[test]
fn what_goes_back_to_the_node_in_whose_name_it_was_answered_for_needs_no_word() {
    let mut scene = Scene::new(Tables::default());
    scene.change(0, inheriting("192.0.2.2"));
    scene.change(10, giving());
    assert_eq!(scene.run(2000), []);
}

#[test]
fn what_was_answered_for_in_anothers_name_goes_at_once() {
    let mut scene = Scene::new(Tables::default());
    scene.change(0, inheriting("192.0.2.1"));
    scene.change(10, giving());
    scene.run(10);
    scene.moves.heard(1, other(), THEIRS);
    assert_eq!(scene.moves.poll_output(), Some(Output::Give(vip())), "as soon as it is known where to");
    scene.run(5000);
    assert_eq!(
        (scene.moves.poll_timeout(), scene.moves.asks_for(other())),
        (None, false),
        "and not for ever"
    );
}

#[test]
fn what_was_only_awaited_is_neither_answered_for_nor_given_when_it_goes_on_to_a_third_node() {
    let mut scene = Scene::new(Tables::default());
    scene.change(0, awaiting());
    scene.change(50, giving());
    assert_eq!(scene.run(2000), []);
    assert!(!scene.succession.lingers(vip()));
}

#[test]
fn what_goes_on_to_a_third_node_is_given_to_that_one_unless_the_second_has_it() {
    let third: IpAddr = "192.0.2.3".parse().unwrap();
    let onward = || Tables { heirs: Arc::new([(vip(), third)].into()), ..giving() };
    // In the lull that was being waited for; or at once, where neighbours were told of the second already.
    for (millis, given) in [(50, 100), (150, 0)] {
        let mut scene = Scene::new(announcing());
        scene.change(0, giving());
        scene.run(millis - 10);
        scene.change(millis, onward());
        assert_eq!(first_given(&scene.run(2000)), Some(given), "after {millis} ms");
    }
    let mut scene = Scene::new(announcing());
    scene.change(0, giving());
    scene.run(150);
    scene.moves.end(vip());
    scene.change(200, onward());
    assert_eq!(scene.run(2000), [], "it speaks for itself");
}

#[test]
fn where_nobody_may_speak_of_anothers_station_nobody_waits_or_tells() {
    for tables in [giving(), awaiting()] {
        let mut scene = Scene::new(if tables.heirs.is_empty() { Tables::default() } else { announcing() });
        scene.moves = Moves::new(Duration::ZERO);
        scene.change(0, tables);
        assert_eq!(scene.run(1000), []);
        assert!(!scene.moves.is_awaited(vip()));
    }
}

#[test]
fn who_is_to_have_an_address_waits_until_it_is_given_it() {
    let mut scene = Scene::new(Tables::default());
    scene.change(0, awaiting());
    assert!(scene.moves.is_awaited(vip()));
    assert_eq!(scene.run(200), []);
    scene.moves.given(vip());
    assert_eq!(scene.run(1000), [(0, Output::Begin(vip()))]);
    assert!(!scene.moves.is_awaited(vip()));
    scene.moves.given(vip());
    assert_eq!(scene.run(1000), [], "told twice");
}

#[test]
fn and_no_longer_than_the_old_owner_takes() {
    let mut scene = Scene::new(Tables::default());
    scene.change(0, awaiting());
    assert_eq!(scene.run(1000), [(400, Output::Begin(vip()))]);
    assert!(!scene.moves.is_awaited(vip()));
}

fn unhurried(tables: Tables) -> Tables {
    Tables { unhurried: Arc::new([vip()].into()), ..tables }
}

#[test]
fn what_the_old_owner_may_keep_goes_when_the_new_one_has_had_time_to_settle() {
    let mut scene = Scene::new(announcing());
    scene.change(0, unhurried(giving()));
    assert_eq!(first_given(&scene.run(1290)), None);
    assert!(scene.succession.lingers(vip()));
    let told = scene.run(3000);
    assert_eq!(first_given(&told), Some(1300));
    let last = told.iter().rfind(|(_, output)| *output == Output::Give(vip()));
    assert_eq!(last, Some(&(2150, Output::Give(vip()))), "for a second from then on");
    assert_eq!(scene.succession.pass_time(scene.at(2199)), [] as [IpAddr; 0], "and answers as long");

    let mut scene = Scene::new(Tables::default());
    scene.change(0, unhurried(awaiting()));
    assert_eq!(scene.run(5000), [(1600, Output::Begin(vip()))]);
}

#[test]
fn what_is_seen_before_a_move_begins_does_not_put_off_its_beginning() {
    let station = Station { name: "of no host".into(), arp: Some(THEIRS), ndp: None };
    let mut scene = Scene::new(announcing());
    scene.change(0, Tables { stations: Arc::new([(u32::MAX, station)].into()), ..unhurried(giving()) });
    scene.run(1100);
    scene.see(1100, 1, Kind::Begins);
    assert_eq!(scene.moves.poll_timeout(), Some(scene.at(1200)), "then it begins to listen");
}

#[test]
fn what_hurries_after_all_goes_at_once() {
    let mut scene = Scene::new(announcing());
    scene.change(0, unhurried(giving()));
    let third = "192.0.2.3".parse().unwrap();
    scene.change(500, Tables { heirs: Arc::new([(vip(), third)].into()), ..giving() });
    assert_eq!(first_given(&scene.run(5000)), Some(600));
}

#[test]
fn the_next_owner_is_found_in_time_for_the_first_of_several_addresses_that_go_there() {
    let mut scene = Scene::new(announcing());
    scene.change(0, unhurried(giving()));
    let asked = [0, 30, 60].map(|at| (at, Output::Ask(other())));
    assert_eq!(scene.run(1000), asked);
    // Nobody answered: the interface was not up yet.
    let second = "192.0.2.201".parse().unwrap();
    let both = [vip(), second];
    let heirs = Arc::new(both.map(|address| (address, other())).into());
    let moved = Arc::new(both.into());
    scene.tables.announced = [(second, Interfaces::All)].into();
    scene.change(1000, Tables { moved, heirs, ..unhurried(giving()) });
    let told = scene.run(1350);
    assert!(told.contains(&(1300, Output::Give(vip()))), "{told:?}");
    assert!(told.contains(&(1300, Output::Ask(other()))), "{told:?}");
    scene.moves.heard(1, other(), THEIRS);
    assert_eq!(scene.moves.station(vip(), 1), Some(THEIRS));
}

#[test]
fn a_third_node_has_time_to_settle_too() {
    let mut scene = Scene::new(announcing());
    scene.change(0, unhurried(giving()));
    let third = "192.0.2.3".parse().unwrap();
    scene.change(1000, unhurried(Tables { heirs: Arc::new([(vip(), third)].into()), ..giving() }));
    assert_eq!(first_given(&scene.run(5000)), Some(2300));
}

#[test]
fn what_is_taken_away_meanwhile_is_not_awaited_any_longer() {
    let mut scene = Scene::new(Tables::default());
    scene.change(0, awaiting());
    scene.change(100, Tables::default());
    assert_eq!(scene.run(1000), []);
    assert!(!scene.moves.is_awaited(vip()));
}

#[test]
fn what_is_this_nodes_without_waiting_any_more_begins() {
    let mut scene = Scene::new(Tables::default());
    scene.change(0, awaiting());
    scene.change(100, announcing());
    assert_eq!(scene.run(1000), [(0, Output::Begin(vip()))]);
}

#[test]
fn what_comes_back_before_the_next_owner_spoke_is_here_still() {
    for millis in [50, 150] {
        let mut scene = Scene::new(announcing());
        scene.change(0, giving());
        scene.run(millis);
        scene.change(millis, awaiting());
        assert!(!scene.moves.is_awaited(vip()));
        assert_eq!(scene.run(1000), []);
    }
    let mut scene = Scene::new(announcing());
    scene.change(0, giving());
    scene.run(150);
    scene.moves.end(vip());
    scene.change(200, awaiting());
    assert!(scene.moves.is_awaited(vip()));
}
