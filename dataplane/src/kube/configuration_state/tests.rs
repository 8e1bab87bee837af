//! What is written, and when nothing is.

use metallb_core::refusal::{AnyRefusal, HeartbeatRefusal, Kind, ObjectRef};

use super::*;

const NODE: &str = "n1";

fn speaker() -> Component {
    Component::Speaker(NODE.into())
}

fn owner() -> OwnerReference {
    OwnerReference { uid: "pod-uid".into(), kind: "Pod".into(), ..OwnerReference::default() }
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_000_000 + second).unwrap()
}

fn invalid(causes: usize) -> Verdict {
    let refusal = |n| ObjectRefusal {
        object: ObjectRef { kind: Kind::BgpPeer, name: format!("peer-{n:04}") },
        refusal: AnyRefusal::Unreadable { error: "myASN is no number".to_owned() }.into(),
    };
    Verdict::on((0..causes).map(refusal).collect::<Vec<_>>().iter())
}

/// The object once `writes` are made.
fn made(mut object: Value, writes: &[Write]) -> ConfigurationState {
    for write in writes {
        match write.part {
            Part::Object => object["metadata"] = write.patch["metadata"].clone(),
            Part::Status => object["status"] = write.patch["status"].clone(),
        }
    }
    serde_json::from_value(object).unwrap()
}

fn fresh(verdict: Option<&Verdict>) -> ConfigurationState {
    made(json!({ "metadata": {} }), &writes(&speaker(), &owner(), verdict, None, at(0)))
}

#[test]
fn an_object_that_is_not_there_is_made_with_labels_and_owner_by_the_managers_that_tools_expect() {
    let writes = writes(&speaker(), &owner(), Some(&Verdict::default()), None, at(0));
    let managers: Vec<_> = writes.iter().map(|write| (write.manager, write.part)).collect();
    assert_eq!(managers, [("metallb-speaker", Part::Object), ("configReconciler", Part::Status)]);
    let object = made(json!({ "metadata": {} }), &writes);
    assert_eq!(object.metadata.name.as_deref(), Some("speaker-n1"));
    let labels = [(COMPONENT_TYPE, "speaker"), (NODE_NAME, NODE)];
    assert_eq!(
        object.metadata.labels,
        Some(labels.map(|(key, value)| (key.to_owned(), value.to_owned())).into())
    );
    assert_eq!(object.metadata.owner_references, Some(vec![owner()]));
    let status = object.status.unwrap();
    assert_eq!((status.result, status.error_summary), (Some(ConfigurationResult::Valid), None));
    let condition = &status.conditions[0];
    assert_eq!((condition.type_.as_str(), condition.status.as_str()), ("configReconcilerValid", "True"));
    assert_eq!((condition.reason.as_str(), condition.message.as_str()), ("Reconciled", ""));
}

#[test]
fn an_object_that_says_so_is_left_alone() {
    for verdict in [None, Some(Verdict::default()), Some(invalid(2))] {
        let object = fresh(verdict.as_ref());
        assert_eq!(writes(&speaker(), &owner(), verdict.as_ref(), Some(&object), at(9)), []);
    }
}

#[test]
fn before_there_is_a_verdict_the_result_is_unknown_unless_somebody_has_said_one() {
    assert_eq!(fresh(None).status.unwrap().result, Some(ConfigurationResult::Unknown));
    let said = fresh(Some(&invalid(1)));
    assert_eq!(writes(&speaker(), &owner(), None, Some(&said), at(9)), []);
}

#[test]
fn the_time_of_a_condition_is_that_of_its_last_change_of_status() {
    let time = |object: &ConfigurationState| {
        object.status.as_ref().unwrap().conditions[0].last_transition_time.0.as_second()
    };
    let mut object = fresh(Some(&Verdict::default()));
    let began = time(&object);
    for (second, verdict, changed) in
        [(5, invalid(1), 5), (6, invalid(2), 5), (7, Verdict::default(), 7), (8, Verdict::default(), 7)]
    {
        let writes = writes(&speaker(), &owner(), Some(&verdict), Some(&object), at(second));
        object = made(serde_json::to_value(&object).unwrap(), &writes);
        assert_eq!(time(&object) - began, changed, "after {second} s");
    }
}

#[test]
fn a_pod_that_replaces_another_takes_the_object_over_and_what_others_change_is_set_right() {
    let object = fresh(Some(&Verdict::default()));
    let successor = OwnerReference { uid: "another-uid".into(), ..owner() };
    let parts: Vec<_> = writes(&speaker(), &successor, Some(&Verdict::default()), Some(&object), at(1))
        .iter()
        .map(|write| write.part)
        .collect();
    assert_eq!(parts, [Part::Object]);
    let mut edited = object.clone();
    edited.metadata.labels = None;
    edited.status.as_mut().unwrap().result = Some(ConfigurationResult::Invalid);
    let parts: Vec<_> = writes(&speaker(), &owner(), Some(&Verdict::default()), Some(&edited), at(1))
        .iter()
        .map(|write| write.part)
        .collect();
    assert_eq!(parts, [Part::Object, Part::Status]);
}

#[test]
fn the_summary_is_the_first_cause_and_the_condition_tells_them_all() {
    let verdict = invalid(2);
    let first = "configuration error: BGPPeer peer-0000: the object cannot be read: myASN is no number";
    assert_eq!(verdict.summary(), Some(first));
    assert_eq!(verdict.message().lines().count(), 2);
    assert!(verdict.message().starts_with(first));
}

#[test]
fn what_has_no_effect_and_need_not_is_named_and_nothing_is_invalid_for_it() {
    let settings = HeartbeatRefusal::Settings { names: vec!["PushPullInterval".to_owned()] };
    let verdict = Verdict::default().and([Caveat::from(settings.clone())].iter());
    assert!(verdict.is_valid());
    let status = fresh(Some(&verdict)).status.unwrap();
    assert_eq!((status.result, status.error_summary), (Some(ConfigurationResult::Valid), None));
    assert_eq!(
        (status.conditions[0].status.as_str(), status.conditions[0].reason.as_str()),
        ("True", "Reconciled")
    );
    let message = &status.conditions[0].message;
    assert!(message.starts_with("without effect: ") && message.contains("PushPullInterval"), "{message}");

    let caveats = [Caveat::from(settings), Caveat::from(HeartbeatRefusal::NoKey)];
    let verdict = invalid(1).and(caveats.iter());
    let kinds: Vec<_> =
        verdict.message().lines().map(|line| line.split(':').next().unwrap().to_owned()).collect();
    assert_eq!(kinds, ["configuration error", "configuration error", "without effect"]);
    let verdict = Verdict::default().and(caveats.iter());
    assert!(!verdict.is_valid(), "heartbeats that are off are no remark");
    assert!(verdict.summary().is_some_and(|summary| summary.contains("heartbeats are off")));
}

#[test]
fn a_message_never_exceeds_what_the_api_server_takes() {
    for causes in [300, 400, 9_000] {
        let message = invalid(causes).message();
        assert!(message.chars().count() <= LONGEST_MESSAGE);
        let told = message.lines().filter(|line| line.starts_with("configuration error: ")).count();
        let missing = message.lines().last().unwrap().strip_prefix("and ");
        match missing {
            None => assert_eq!(told, causes),
            Some(missing) => assert_eq!(missing, format!("{} more", causes - told)),
        }
    }
    assert!(invalid(9_000).message().ends_with(" more"));
}
