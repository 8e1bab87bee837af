//! The rows of a `MetalLB`'s status beside its conditions: each workload, and what is made of the configuration. Pure, and
//! from what the API server shows, never from what was sent.

use std::collections::BTreeMap;

use metallb_crds::{ComponentStatus, ConfigurationResult, ConfigurationSummary};

use super::gather::{Judgement, World};
use crate::render::{CONTROLLER, Kind, ObjectId, SPEAKER};

/// Problems that are told.
const TOLD: usize = 10;
/// Who says so, of each problem.
const WITNESSES: usize = 3;
/// A problem in characters, at most.
const LONGEST: usize = 1024;
/// The container that counts has the name of its workload.
const CONTAINERS: &str = "/spec/template/spec/containers";

/// A row for each workload, also for one that is not there.
pub fn components(world: &World) -> Vec<ComponentStatus> {
    [(Kind::Deployment, CONTROLLER), (Kind::DaemonSet, SPEAKER)].map(|it| component(world, it)).into()
}

fn component(world: &World, (kind, name): (Kind, &str)) -> ComponentStatus {
    let live = world.installed(&ObjectId::new(kind, name));
    let containers = live.and_then(|live| live.object.pointer(CONTAINERS)?.as_array());
    let own = containers.and_then(|all| all.iter().find(|container| container["name"] == name));
    let image = own.and_then(|container| container["image"].as_str()).map(ToOwned::to_owned);
    let rollout = live.and_then(|live| live.rollout.clone()).unwrap_or_default();
    let message = if live.is_some() { rollout.sentence() } else { "it is not there".to_owned() };
    ComponentStatus {
        name: name.to_owned(),
        kind: kind.to_string(),
        image,
        desired: rollout.desired,
        // Numbers about an older template say nothing about this one.
        updated: if rollout.observed { rollout.updated } else { 0 },
        ready: rollout.ready,
        message: (!rollout.is_complete()).then_some(message),
    }
}

/// What controller and speakers make of the configuration.
pub fn configuration(world: &World) -> ConfigurationSummary {
    let speakers = world.rollout(Kind::DaemonSet, SPEAKER).desired;
    summary(world.judgements(), usize::try_from(speakers).unwrap_or_default() + 1)
}

/// The same, of what `judgements` of so many judges say.
fn summary(judgements: &BTreeMap<String, Judgement>, judges: usize) -> ConfigurationSummary {
    let any = |result| judgements.values().any(|judgement| judgement.result == result);
    let result = if any(ConfigurationResult::Invalid) {
        ConfigurationResult::Invalid
    } else if any(ConfigurationResult::Unknown) || judgements.len() < judges {
        ConfigurationResult::Unknown
    } else {
        ConfigurationResult::Valid
    };
    let mut witnesses: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (who, judgement) in judgements {
        for cause in &judgement.causes {
            witnesses.entry(cause).or_default().push(who);
        }
    }
    let more = witnesses.len().saturating_sub(TOLD);
    ConfigurationSummary {
        result,
        problems: witnesses.iter().take(TOLD).map(|(cause, who)| problem(cause, who)).collect(),
        more: i32::try_from(more).ok().filter(|more| *more > 0),
    }
}

fn problem(cause: &str, who: &[&str]) -> String {
    let told = who.iter().take(WITNESSES).copied().collect::<Vec<_>>().join(", ");
    let others = match who.len().saturating_sub(WITNESSES) {
        0 => String::new(),
        others => format!(" and {others} more"),
    };
    let cause: String = cause.chars().take(LONGEST).collect();
    format!("{cause} (says {told}{others})")
}

#[cfg(test)]
mod tests {
    use metallb_core::table::Event;
    use serde_json::json;

    use super::super::gather::{Input, Live};
    use super::super::rollout::Rollout;
    use super::*;

    fn says(result: ConfigurationResult, causes: &[&str]) -> Judgement {
        Judgement { result, causes: causes.iter().map(|&it| it.to_owned()).collect() }
    }

    fn of(judgements: &[(&str, Judgement)], judges: usize) -> ConfigurationSummary {
        let judgements = judgements.iter().map(|(who, it)| ((*who).to_owned(), it.clone())).collect();
        summary(&judgements, judges)
    }

    #[test]
    fn the_verdict_is_valid_only_when_everybody_has_looked() {
        let valid = says(ConfigurationResult::Valid, &[]);
        let unknown = says(ConfigurationResult::Unknown, &[]);
        let invalid = says(ConfigurationResult::Invalid, &["pool a is empty"]);
        assert_eq!(of(&[], 1).result, ConfigurationResult::Unknown);
        assert_eq!(of(&[("controller", valid.clone())], 2).result, ConfigurationResult::Unknown);
        let both = |other: &Judgement| of(&[("controller", valid.clone()), ("speaker-n1", other.clone())], 2);
        assert_eq!(both(&valid).result, ConfigurationResult::Valid);
        assert_eq!(both(&unknown).result, ConfigurationResult::Unknown);
        assert_eq!(both(&invalid).result, ConfigurationResult::Invalid);
    }

    #[test]
    fn a_problem_is_told_once_with_who_says_so_and_not_all_of_a_thousand() {
        let cause = says(ConfigurationResult::Invalid, &["peer tor is bad"]);
        let speakers = ["speaker-n1", "speaker-n2", "speaker-n3", "speaker-n4", "speaker-n5"];
        let told = of(&speakers.map(|who| (who, cause.clone())), 6);
        assert_eq!(told.problems, ["peer tor is bad (says speaker-n1, speaker-n2, speaker-n3 and 2 more)"]);
        assert_eq!(told.more, None);
        let causes: Vec<String> = (0..25).map(|number| format!("peer {number:02} is bad")).collect();
        let causes: Vec<&str> = causes.iter().map(String::as_str).collect();
        let told = of(&[("controller", says(ConfigurationResult::Invalid, &causes))], 1);
        assert_eq!((told.problems.len(), told.more), (10, Some(15)));
    }

    #[test]
    fn a_row_says_what_the_api_server_shows() {
        let mut world = World::default();
        let containers =
            json!([{ "name": "frr", "image": "x" }, { "name": "speaker", "image": "speaker:1" }]);
        let spec = json!({ "template": { "spec": { "containers": containers } } });
        let rollout = Rollout { observed: true, desired: 3, total: 3, updated: 2, ready: 3, trouble: None };
        let live = |rollout| Live {
            uid: String::new(),
            owner: None,
            is_anothers: false,
            object: json!({ "spec": spec }),
            rollout: Some(rollout),
        };
        let set =
            |rollout| Input::Installed(Kind::DaemonSet, Event::Applied("speaker".into(), live(rollout)));
        world.apply(set(rollout.clone()));
        let [controller, speaker] = &components(&world)[..] else { panic!("two rows") };
        assert_eq!((controller.desired, controller.message.as_deref()), (0, Some("it is not there")));
        let numbers = (speaker.desired, speaker.updated, speaker.ready, speaker.image.as_deref());
        assert_eq!(numbers, (3, 2, 3, Some("speaker:1")));
        assert_eq!(speaker.message.as_deref(), Some("3 of 3 pods ready, 2 updated"));

        world.apply(set(Rollout { observed: false, ..rollout.clone() }));
        assert_eq!(components(&world)[1].updated, 0, "they are of the template before");
        world.apply(set(Rollout { updated: 3, ..rollout }));
        assert_eq!(components(&world)[1].message, None, "all is said");
    }
}
