//! One lab in virtual time: an address, nodes that answer, and a stranger.

use super::*;
use crate::virtual_clock;

const OURS: Mac = Mac([2, 0, 0, 0, 0, 1]);
const STRANGER: Mac = Mac([2, 0, 0, 0, 0, 99]);

fn address(last: u8) -> IpAddr {
    IpAddr::from([192, 0, 2, last])
}

fn vip() -> IpAddr {
    address(200)
}

/// What the network around does.
struct Lab {
    conflicts: Conflicts,
    start: Instant,
    now: Instant,
    /// Who has which station; they answer at once.
    nodes: BTreeMap<IpAddr, Mac>,
    /// Another station that answers for an address.
    stranger: Option<(IpAddr, Mac)>,
    seen: Vec<(u64, Output)>,
}

impl Lab {
    fn new(policy: Policy) -> Self {
        let start = virtual_clock::start();
        let nodes: BTreeMap<IpAddr, Mac> = (1..=40).map(|n| (address(n), Mac([2, 0, 0, 0, 0, n]))).collect();
        let mut conflicts = Conflicts::new(policy);
        let names = nodes.keys().map(|address| (*address, address.to_string().as_str().into()));
        conflicts.handle_input(start, Input::Nodes(&names.collect()));
        Self { conflicts, start, now: start, nodes, stranger: None, seen: Vec::new() }
    }

    fn begin(&mut self, is_new: bool) {
        self.conflicts.handle_input(self.now, Input::Begun { address: vip(), is_new });
        self.drain();
    }

    fn claim(&mut self, by: Mac) {
        self.conflicts.handle_input(self.now, Input::Claimed { interface: 3, address: vip(), by, from: by });
        self.drain();
    }

    fn claim_for(&mut self, by: Mac, from: Mac) {
        let input = Input::Claimed { interface: 3, address: vip(), by, from };
        self.conflicts.handle_input(self.now, input);
        self.drain();
    }

    fn drain(&mut self) {
        while let Some(output) = self.conflicts.poll_output() {
            self.seen.push(((self.now - self.start).as_millis().try_into().unwrap(), output));
            let now = self.now;
            match output {
                Output::AskNode(node) => {
                    assert!(self.conflicts.asks_for(node));
                    if let Some(station) = self.nodes.get(&node) {
                        self.conflicts.handle_input(now, Input::Heard { node, station: *station });
                    }
                }
                Output::Probe(address) => {
                    if let Some((_, by)) = self.stranger.filter(|(theirs, _)| *theirs == address) {
                        let input = Input::Claimed { interface: 3, address, by, from: by };
                        self.conflicts.handle_input(now, input);
                    }
                }
                Output::Conflict { .. } | Output::Over(_) | Output::Released(_) => {}
            }
        }
    }

    /// Lets time pass, up to `millis` after the start.
    fn run_to(&mut self, millis: u64) {
        let end = self.start + Duration::from_millis(millis);
        while let Some(due) = self.conflicts.poll_timeout().filter(|due| *due <= end) {
            self.now = self.now.max(due);
            self.conflicts.handle_input(self.now, Input::Tick);
            self.drain();
        }
        self.now = end;
    }

    /// What people are told, and when.
    fn told(&self) -> Vec<(u64, Output)> {
        let told =
            self.seen.iter().filter(|(_, output)| !matches!(output, Output::AskNode(_) | Output::Probe(_)));
        told.copied().collect()
    }

    fn probes(&self) -> Vec<u64> {
        self.seen.iter().filter(|(_, output)| *output == Output::Probe(vip())).map(|(at, _)| *at).collect()
    }

    fn questions(&self) -> usize {
        self.seen.iter().filter(|(_, output)| matches!(output, Output::AskNode(_))).count()
    }
}

const CONFLICT: Output = Output::Conflict {
    address: IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 200)),
    interface: 3,
    by: STRANGER,
};

#[test]
fn an_address_that_moved_here_is_announced_at_once_and_asked_for_three_times_beside_that() {
    let mut lab = Lab::new(Policy::Announce);
    lab.begin(true);
    assert!(!lab.conflicts.is_held(vip()));
    lab.run_to(60_000);
    assert_eq!(lab.probes(), [0, 1100, 2200]);
    assert_eq!(lab.told(), []);
    assert_eq!(lab.conflicts.poll_timeout(), None, "and then it is quiet");
}

/// After how long a stranger that has the address is told of, which happens once.
fn told_after(is_new: bool) -> u64 {
    let mut lab = Lab::new(Policy::Announce);
    lab.stranger = Some((vip(), STRANGER));
    lab.begin(is_new);
    lab.run_to(600_000);
    let told = lab.told();
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!(told[0].1, CONFLICT);
    told[0].0
}

#[test]
fn a_stranger_that_has_the_address_is_a_conflict_and_told_once() {
    let after = told_after(true);
    assert!(after < 1000, "{after}");
}

#[test]
fn a_stranger_that_has_an_address_which_moved_is_found_out_by_the_last_probe() {
    let after = told_after(false);
    assert!((2_200..3_200).contains(&after), "{after}");
}

#[test]
fn a_conflict_is_over_when_the_stranger_is_gone() {
    let mut lab = Lab::new(Policy::Announce);
    lab.stranger = Some((vip(), STRANGER));
    lab.begin(true);
    lab.run_to(200_000);
    lab.stranger = None;
    lab.run_to(400_000);
    let told = lab.told();
    assert_eq!(told.last().map(|(_, output)| *output), Some(Output::Over(vip())), "{told:?}");
    assert!((260_000..300_000).contains(&told[1].0), "{told:?}");
    assert_eq!(lab.conflicts.poll_timeout(), None);
}

#[test]
fn the_node_that_had_the_address_before_is_no_conflict() {
    let mut lab = Lab::new(Policy::Announce);
    lab.begin(false);
    lab.run_to(2_000);
    lab.claim(Mac([2, 0, 0, 0, 0, 33]));
    lab.run_to(60_000);
    assert_eq!(lab.told(), []);
    let questions = lab.questions();
    assert_eq!(questions, 80, "each node is asked twice");
    lab.claim(Mac([2, 0, 0, 0, 0, 12]));
    lab.run_to(120_000);
    assert_eq!(lab.questions(), questions, "and its station is known from then on");
    assert_eq!(lab.conflicts.node_of(Mac([2, 0, 0, 0, 0, 12])), Some(&"192.0.2.12".into()));
    assert_eq!(lab.conflicts.node_of(STRANGER), None);
}

#[test]
fn a_station_that_nobody_knows_may_be_of_the_node_that_still_answers_while_the_address_moves() {
    let mut lab = Lab::new(Policy::Announce);
    lab.stranger = Some((vip(), STRANGER));
    lab.begin(false);
    lab.run_to(1_500);
    lab.stranger = None; // it was that node, on an interface where it does not say so
    lab.run_to(60_000);
    assert_eq!((lab.told(), lab.questions()), (vec![], 0));
}

#[test]
fn a_node_that_has_a_new_station_is_asked_again() {
    let mut lab = Lab::new(Policy::Announce);
    lab.begin(true);
    lab.claim(Mac([2, 0, 0, 0, 0, 12]));
    lab.run_to(60_000);
    lab.nodes.insert(address(12), OURS);
    lab.claim(OURS);
    lab.run_to(700_000);
    lab.stranger = Some((vip(), Mac([2, 0, 0, 0, 0, 12])));
    lab.claim(Mac([2, 0, 0, 0, 0, 12]));
    lab.run_to(720_000);
    let told = lab.told();
    assert_eq!(told.len(), 1, "the old card, ten minutes later, is nobody's: {told:?}");
}

#[test]
fn under_probe_first_a_new_address_waits_until_nobody_answered() {
    let mut lab = Lab::new(Policy::ProbeFirst);
    lab.begin(true);
    assert!(lab.conflicts.is_held(vip()));
    lab.run_to(60_000);
    assert!(!lab.conflicts.is_held(vip()));
    assert_eq!(lab.told(), [(3200, Output::Released(vip()))]);
}

#[test]
fn under_probe_first_a_take_over_waits_for_nothing() {
    let mut lab = Lab::new(Policy::ProbeFirst);
    lab.begin(false);
    assert!(!lab.conflicts.is_held(vip()));
    lab.run_to(60_000);
    assert_eq!(lab.probes().len(), 3);
    assert_eq!(lab.told(), []);
}

#[test]
fn under_probe_first_an_address_with_a_conflict_waits_until_that_is_over() {
    let mut lab = Lab::new(Policy::ProbeFirst);
    lab.stranger = Some((vip(), STRANGER));
    lab.begin(true);
    lab.run_to(300_000);
    assert!(lab.conflicts.is_held(vip()));
    assert_eq!(lab.told().len(), 1);
    lab.stranger = None;
    lab.run_to(600_000);
    assert!(!lab.conflicts.is_held(vip()));
    let told: Vec<_> = lab.told().into_iter().map(|(_, output)| output).collect();
    assert_eq!(told, [CONFLICT, Output::Over(vip()), Output::Released(vip())]);
}

#[test]
fn an_address_that_went_has_no_conflict_any_more() {
    let mut lab = Lab::new(Policy::Announce);
    lab.stranger = Some((vip(), STRANGER));
    lab.begin(true);
    lab.run_to(10_000);
    lab.conflicts.handle_input(lab.now, Input::Ended(vip()));
    lab.drain();
    assert_eq!(lab.told().last().unwrap().1, Output::Over(vip()));
    lab.claim(STRANGER);
    lab.run_to(100_000);
    assert_eq!(lab.told().len(), 2, "nobody cares who has it now");
    assert_eq!(lab.conflicts.poll_timeout(), None);
}

#[test]
fn a_node_speaks_for_nodes_and_a_switch_may_speak_for_anybody() {
    let mut lab = Lab::new(Policy::Announce);
    lab.begin(true);
    lab.run_to(10_000);
    lab.stranger = Some((vip(), STRANGER));
    lab.claim_for(STRANGER, Mac([2, 0, 0, 0, 0, 12]));
    lab.stranger = None;
    lab.run_to(20_000);
    assert_eq!(lab.told(), []);
    lab.stranger = Some((vip(), STRANGER));
    lab.claim_for(STRANGER, Mac([6, 0, 0, 0, 0, 1]));
    lab.run_to(30_000);
    assert!(matches!(lab.told()[..], [(20_000..=21_000, CONFLICT)]), "{:?}", lab.told());
}

/// A node that died, or does not hear this one.
#[test]
fn a_station_that_does_not_answer_for_the_address_is_no_conflict() {
    let mut lab = Lab::new(Policy::Announce);
    lab.begin(true);
    lab.run_to(10_000);
    lab.claim(STRANGER);
    lab.run_to(20_000);
    assert_eq!((lab.told(), lab.conflicts.poll_timeout()), (vec![], None));
    assert_eq!(lab.probes()[3..].len(), 3, "it is asked three times");
    lab.stranger = Some((vip(), STRANGER));
    lab.claim(STRANGER);
    lab.run_to(30_000);
    assert!(matches!(lab.told()[..], [(20_000..=21_000, CONFLICT)]), "{:?}", lab.told());
}

#[test]
fn of_two_strangers_one_is_told_of_and_the_other_once_that_one_is_gone() {
    let mut lab = Lab::new(Policy::Announce);
    let other = Mac([6, 0, 0, 0, 0, 2]);
    lab.stranger = Some((vip(), STRANGER));
    lab.begin(true);
    for seconds in 1..120 {
        lab.run_to(seconds * 1000);
        lab.claim(other);
    }
    assert_eq!(lab.told().len(), 1, "{:?}", lab.told());
    assert!(lab.questions() <= 80, "{}", lab.questions());
    lab.stranger = Some((vip(), other));
    for seconds in 120..220 {
        lab.run_to(seconds * 1000);
        lab.claim(other);
    }
    let told: Vec<_> = lab.told().into_iter().map(|(_, output)| output).collect();
    assert!(matches!(told[..], [CONFLICT, Output::Conflict { by, .. }] if by == other), "{told:?}");
}

#[test]
fn a_station_that_never_answers_does_not_make_this_one_ask_all_nodes_for_ever() {
    let mut lab = Lab::new(Policy::Announce);
    lab.begin(true);
    for tenth in 0..1200 {
        lab.run_to(10_000 + tenth * 100);
        if lab.conflicts.confirming.is_empty() {
            lab.claim(STRANGER);
        }
    }
    assert_eq!(lab.told(), []);
    assert!(lab.questions() <= 80 * 25, "{} questions in two minutes", lab.questions());
}

#[test]
fn where_there_are_too_many_conflicts_nothing_more_is_asked() {
    let mut lab = Lab::new(Policy::Announce);
    lab.begin(true);
    lab.run_to(10_000);
    let (now, by) = (lab.now, STRANGER);
    for number in 0..u16::try_from(CONFLICTS).unwrap() {
        let [high, low] = number.to_be_bytes();
        let known = Known { by, last: now, next_probe: now + RECHECK };
        lab.conflicts.contested.insert([10, 0, high, low].into(), known);
    }
    lab.stranger = Some((vip(), STRANGER));
    lab.claim(STRANGER);
    lab.run_to(20_000);
    assert_eq!((lab.told(), lab.questions()), (vec![], 0));
}

#[test]
fn under_probe_first_who_does_not_answer_again_does_not_hold_an_address_for_long() {
    let mut lab = Lab::new(Policy::ProbeFirst);
    lab.begin(true);
    lab.run_to(3_000);
    lab.claim(STRANGER);
    lab.run_to(60_000);
    assert!(matches!(lab.told()[..], [(4_600..=5_200, Output::Released(_))]), "{:?}", lab.told());
}

#[test]
fn who_invents_stations_makes_this_one_ask_no_more_than_a_round_at_a_time_and_remember_a_bounded_number() {
    let mut lab = Lab::new(Policy::Announce);
    lab.begin(true);
    for n in 0..20_000_u64 {
        let [.., a, b, c] = n.to_be_bytes();
        lab.claim(Mac([6, 0, 0, a, b, c]));
        for node in [12, 13] {
            let pretended = Input::Heard { node: address(node), station: Mac([6, 0, 1, a, b, c]) };
            lab.conflicts.handle_input(lab.now, pretended);
        }
        lab.run_to(n);
        assert!(lab.conflicts.suspects.len() <= SUSPECTS && lab.conflicts.confirming.len() <= SUSPECTS);
        assert!(lab.conflicts.contested.len() <= CONFLICTS);
        assert!(lab.conflicts.stations.len() <= lab.nodes.len() + 2 * STATIONS);
    }
    assert!(lab.questions() <= 80 * 5, "{} questions in 20 s", lab.questions());
}
