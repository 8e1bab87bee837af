//! What is said about an installation, and when it is news.

use super::*;

const NOON: i64 = 1_700_000_000;

fn at(seconds: i64) -> Timestamp {
    Timestamp::new(NOON + seconds, 500_000_000).unwrap()
}

fn complete(pods: i32) -> Rollout {
    Rollout { observed: true, desired: pods, total: pods, updated: pods, ready: pods, trouble: None }
}

fn available() -> Standing {
    Standing::of(&complete(1), &complete(3), &[])
}

fn progressing() -> Standing {
    Standing::of(&complete(1), &Rollout { ready: 2, ..complete(3) }, &[])
}

fn degraded() -> Standing {
    Standing::misnamed("metallb-system", "other")
}

fn table(conditions: &[Condition]) -> Vec<(&str, &str, &str)> {
    conditions.iter().map(|it| (&*it.type_, &*it.status, &*it.reason)).collect()
}

#[test]
fn the_four_conditions_stand_in_upstreams_order_with_its_reasons() {
    let of = |standing: &Standing| standing.conditions(7, &[], at(0));
    let conditions = of(&available());
    let expected = [
        ("Available", "True", "Available"),
        ("Upgradeable", "True", "Upgradeable"),
        ("Progressing", "False", "Progressing"),
        ("Degraded", "False", "Degraded"),
    ];
    assert_eq!(table(&conditions), expected);
    assert!(conditions.iter().all(|condition| condition.observed_generation == Some(7)));

    let expected = [
        ("Available", "False", "Available"),
        ("Upgradeable", "False", "Upgradeable"),
        ("Progressing", "True", "Progressing"),
        ("Degraded", "False", "Degraded"),
    ];
    assert_eq!(table(&of(&progressing())), expected);

    let expected = [
        ("Available", "False", "Available"),
        ("Upgradeable", "False", "Upgradeable"),
        ("Progressing", "False", "Progressing"),
        ("Degraded", "True", "IncorrectMetalLBResourceName"),
    ];
    let conditions = of(&degraded());
    assert_eq!(table(&conditions), expected);
    let messages: Vec<&str> = conditions.iter().map(|condition| &*condition.message).collect();
    let short = "see Degraded: IncorrectMetalLBResourceName";
    assert_eq!(messages, [short, short, "", degraded().message()]);
}

#[test]
fn only_rolled_out_pods_on_both_sides_are_available() {
    let half = Rollout { ready: 0, ..complete(1) };
    let unknown = Rollout { desired: 1, ..Rollout::default() };
    for (controller, speaker, own) in [
        (&complete(1), &complete(1), "Available"),
        (&unknown, &complete(1), "Progressing"),
        (&complete(1), &unknown, "Progressing"),
        (&half, &complete(1), "Progressing"),
        (&complete(1), &half, "Progressing"),
    ] {
        assert_eq!(Standing::of(controller, speaker, &[]).own_type(), own);
    }
}

#[test]
fn messages_say_what_is_there_and_what_is_missing() {
    assert_eq!(
        available().message(),
        "Deployment controller: 1 of 1 pods ready; DaemonSet speaker: 3 of 3 pods ready"
    );
    assert_eq!(progressing().message(), "DaemonSet speaker: 2 of 3 pods ready");
    assert!(degraded().message().contains("named metallb in namespace metallb-system"));
}

#[test]
fn no_pods_at_all_is_degraded_and_says_why() {
    let Standing::Degraded { reason, message } = Standing::of(&complete(1), &complete(0), &[]) else {
        panic!("not degraded")
    };
    assert_eq!(reason, "NoNodeMatches");
    assert!(message.contains("no node matches") && message.contains("spec.nodeSelector"), "{message}");
    let Standing::Degraded { reason, .. } = Standing::of(&complete(0), &complete(1), &[]) else {
        panic!("not degraded")
    };
    assert_eq!(reason, "ControllerScaledToZero");
}

#[test]
fn a_time_changes_with_the_value_and_not_with_the_message() {
    let first = progressing().conditions(1, &[], at(0));
    let other_message = Standing::Progressing { message: "something else".into(), flaw: None };
    let second = other_message.conditions(2, &first, at(10));
    let third = available().conditions(2, &second, at(20));
    let seconds = |conditions: &[Condition]| -> Vec<i64> {
        conditions.iter().map(|condition| condition.last_transition_time.0.as_second() - NOON).collect()
    };
    assert_eq!(seconds(&first), [0, 0, 0, 0]);
    assert_eq!(seconds(&second), [0, 0, 0, 0]);
    assert_eq!(seconds(&third), [20, 20, 20, 0]);
    assert_eq!(available().conditions(2, &third, at(30)), third, "nothing new, nothing to write");
    assert_eq!(first[0].last_transition_time.0.subsec_nanosecond(), 0, "as it will be read back");
}

#[test]
fn an_event_tells_of_a_change_and_of_nothing_else() {
    let before = progressing().conditions(1, &[], at(0));
    assert_eq!(Standing::Progressing { message: "on its way".into(), flaw: None }.events(&before), []);
    let expected = (Severity::Normal, "Available", available().message().to_owned());
    assert_eq!(available().events(&before), [expected]);

    let expected = (Severity::Warning, "IncorrectMetalLBResourceName", degraded().message().to_owned());
    assert_eq!(degraded().events(&before), [expected]);
    let before = degraded().conditions(1, &before, at(0));
    assert_eq!(degraded().events(&before), []);
    let other = Standing::Degraded { reason: WRONG_NAME, message: "for another reason".into() };
    assert_eq!(other.events(&before).len(), 1);
}

#[test]
fn a_tls_profile_that_cannot_be_followed_is_told_and_what_works_still_counts_as_working() {
    let reason = "TLSProfileUnusable";
    for (standing, is_available) in [(available(), "True"), (progressing(), "False")] {
        let good = standing.conditions(1, &[], at(0));
        let flawed = standing.clone().with_bad_profile(&BadProfile::NoCustom);
        let conditions = flawed.conditions(1, &good, at(10));
        assert_eq!(conditions[..3], good[..3], "as without it, in words too");
        assert_eq!(conditions[0].status, is_available);
        let degraded = &conditions[3];
        assert_eq!((&*degraded.status, &*degraded.reason), ("True", reason));
        assert!(degraded.message.contains("type is Custom"), "{}", degraded.message);

        let news = (Severity::Warning, reason, degraded.message.clone());
        assert_eq!(flawed.events(&good), [news]);
        assert_eq!(flawed.events(&conditions), []);
        let mended = standing.events(&conditions);
        assert_eq!(mended, [(Severity::Normal, standing.own_type(), standing.message().to_owned())]);
    }
    let flawed = progressing().with_bad_profile(&BadProfile::NoCustom).conditions(1, &[], at(0));
    let arrived = available().with_bad_profile(&BadProfile::NoCustom).events(&flawed);
    assert_eq!(arrived, [(Severity::Normal, "Available", available().message().to_owned())]);
}

#[test]
fn a_tls_profile_that_cannot_be_followed_hides_nothing_that_is_worse() {
    let failed = Standing::failed(&[Failure::NoMandate]);
    for worse in [Standing::of(&complete(1), &complete(0), &[]), failed] {
        let Standing::Degraded { reason, message } = worse.clone().with_bad_profile(&BadProfile::NoCustom)
        else {
            panic!("not degraded")
        };
        assert_eq!(reason, worse.trouble().unwrap().0);
        let profile = "spec.tlsSecurityProfile of APIServer cluster";
        let start = format!("{}. {profile}", worse.message().trim_end_matches('.'));
        assert!(message.starts_with(&start), "{message}");
    }
}

#[test]
fn the_status_of_a_misplaced_object_is_written_by_one_operator_only() {
    let misplaced = Standing::misplaced("metallb-system", "default");
    assert!(!is_spoken_for(&[], 1), "nobody has said anything");
    assert!(is_spoken_for(&misplaced.conditions(1, &[], at(0)), 1), "one like us has");
    assert!(!is_spoken_for(&misplaced.conditions(1, &[], at(0)), 2), "about an older object");
    for looked_after in [available(), progressing(), degraded()] {
        assert!(is_spoken_for(&looked_after.conditions(1, &[], at(0)), 2));
    }
}

#[test]
fn everything_invalid_is_told_with_what_to_do() {
    let refusals = [
        SpecRefusal::UnknownBackend { value: "bird".into() },
        SpecRefusal::NotAPrefix { field: "spec.frrk8sConfig.alwaysBlock[0]".into(), value: "x".into() },
    ];
    assert_eq!(
        Standing::invalid(&refusals, Keeps::LastGood).message(),
        "spec.bgpBackend is \"bird\", which is no backend; choose native, frr, frr-k8s or frr-k8s-external. \
         spec.frrk8sConfig.alwaysBlock[0] is \"x\", which is no prefix; write it in CIDR notation, such as \
         192.0.2.0/24 or 2001:db8::/32. What was installed before stays in force."
    );
}

#[test]
fn a_failed_write_is_told_in_the_words_of_the_api_server() {
    let status = kube::core::Status { message: "denied by policy".into(), ..kube::core::Status::default() };
    let failure =
        Failure::Refused { what: "apply DaemonSet speaker".into(), source: kube::Error::Api(status.boxed()) };
    let standing = Standing::failed(&[failure]);
    let expected = Standing::Degraded {
        reason: "ApplyFailed",
        message: "cannot apply DaemonSet speaker: denied by policy. It is tried again.".into(),
    };
    assert_eq!(standing, expected);
    let silent = Standing::failed(&[Failure::NoAnswer { what: "apply DaemonSet speaker".into() }]);
    assert_eq!(silent.trouble().map(|(reason, _)| reason), Some("ReconcileFailed"));
}

#[test]
fn what_is_kept_beside_an_invalid_spec_is_said() {
    let standing = Standing::invalid(&[SpecRefusal::NoExternalNamespace], Keeps::Nothing);
    assert!(standing.message().ends_with("Nothing is installed or changed until it is mended."));
}

#[test]
fn what_is_still_to_be_done_keeps_it_progressing_and_is_told() {
    let notes = ["frr-k8s is handed over node by node".to_owned()];
    let standing = Standing::of(&complete(1), &complete(3), &notes);
    assert_eq!(standing, Standing::Progressing { message: notes[0].clone(), flaw: None });
    let Standing::Degraded { reason, message } = Standing::of(&complete(1), &complete(0), &notes) else {
        panic!("not degraded")
    };
    assert_eq!(reason, "NoNodeMatches");
    assert!(message.ends_with(&notes[0]), "{message}");
}

#[test]
fn frr_configurations_that_stand_in_the_way_are_named_with_what_to_do() {
    let key = |name: &str| ("routers".to_owned(), name.to_owned());
    let unserved = Standing::frr_unserved(&[key("a")]);
    assert_eq!(unserved.trouble().map(|(reason, _)| reason), Some("FRRConfigurationsUnserved"));
    assert!(unserved.message().starts_with("FRRConfiguration routers/a has no effect"));
    let in_use = Standing::frr_in_use("metallb-system", &["a", "b", "c", "d", "e"].map(key));
    assert_eq!(in_use.trouble().map(|(reason, _)| reason), Some("FRRConfigurationsInUse"));
    for part in
        ["routers/a, routers/b, routers/c (and 2 more)", "spec.frrk8sConfig.namespace to metallb-system"]
    {
        assert!(in_use.message().contains(part), "{}", in_use.message());
    }
}
