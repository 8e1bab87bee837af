//! Every code can occur, and what is said with it can be used.

use std::collections::BTreeSet;

use metallb_core::refusal::{ConfigRefusal, Refusal};

use crate::config::examples;

#[test]
fn every_code_of_the_configuration_can_occur() {
    let examples = examples::all();
    let shown: Vec<_> = examples.iter().map(|example| example.code).collect();
    let missing: Vec<_> = ConfigRefusal::codes().filter(|code| !shown.contains(code)).collect();
    assert_eq!(missing, [""; 0], "codes without an example in `config::examples`");
    for example in examples {
        assert!(example.refusal.is_some(), "the example of {} does not bring it about", example.code);
    }
}

#[test]
fn no_code_stands_for_two_things() {
    let mut seen = BTreeSet::new();
    for code in ConfigRefusal::codes() {
        assert!(seen.insert(code), "{code}");
        let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        assert!(code.bytes().all(allowed), "{code}");
    }
}

#[test]
fn every_refusal_names_its_object_and_says_what_to_do() {
    for example in examples::all() {
        let refusal = example.refusal.unwrap();
        let (sentence, fix) = (refusal.sentence(), refusal.fix());
        assert!(sentence.starts_with(&format!("{}: ", refusal.object)), "{sentence}");
        assert!(fix.len() > 5 && !sentence.ends_with('.') && !fix.ends_with('.'), "{sentence}; {fix}");
    }
}
