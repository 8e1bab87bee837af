//! What is worth what, and what follows, step by step.

use jiff::{SignedDuration, Timestamp, ToSpan as _};

use super::issue::{self, Issued};
use super::material::{By, Material, Names};
use super::plan::{Published, Step, Timing, next};

const LONG: Published = Published::For(SignedDuration::from_hours(1));

fn now() -> Timestamp {
    "2026-01-01T00:00:00Z".parse().unwrap()
}

fn days(days: i64) -> Timestamp {
    now() + (days * 24).hours()
}

fn names() -> Vec<String> {
    vec!["metallb-webhook-service.metallb-system.svc".into(), "127.0.0.1".into()]
}

/// What a new installation has.
fn fresh() -> Material {
    Step::StartOver.take(&Material::default(), &names(), now(), &Timing::default()).unwrap()
}

fn step(material: &Material, published: Published, at: Timestamp) -> Step {
    next(&material.worth(&names(), at), published, at, &Timing::default())
}

fn take(step: Step, material: &Material, at: Timestamp) -> Material {
    step.take(material, &names(), at, &Timing::default()).unwrap()
}

#[test]
fn nothing_becomes_an_authority_and_a_certificate_that_last() {
    assert_eq!(step(&Material::default(), Published::No, now()), Step::StartOver);
    let worth = fresh().worth(&names(), now());
    assert_eq!(worth.authority_until, Some(days(3650)));
    let server = worth.server.unwrap();
    assert_eq!((server.until, server.by, server.names), (days(365), By::First, Names::All));
    assert_eq!(server.from, now() - 1.hour(), "for clocks that are behind");
    assert_eq!(step(&fresh(), LONG, now()), Step::Wait(SignedDuration::from_hours(12)));
}

#[test]
fn a_secret_gives_back_what_was_put_into_it() {
    let two = take(Step::AddAuthority, &fresh(), days(1));
    assert_eq!(Material::read(Some(&two.data())), two);
    assert_eq!(Material::read(None), Material::default());
}

#[test]
fn a_certificate_is_replaced_ninety_days_before_its_end_and_its_authority_stays() {
    let material = fresh();
    assert!(matches!(step(&material, LONG, days(274)), Step::Wait(_)));
    assert_eq!(step(&material, LONG, days(276)), Step::NewCertificate);
    let renewed = take(Step::NewCertificate, &material, days(276));
    assert_eq!(renewed.authorities, material.authorities);
    assert_ne!(renewed.server, material.server);
    assert!(matches!(step(&renewed, LONG, days(276)), Step::Wait(_)));
}

#[test]
fn a_new_authority_is_known_everywhere_before_it_signs_and_the_old_one_until_nothing_of_it_is_shown() {
    let old = fresh();
    let old = take(Step::NewCertificate, &old, days(3600));
    assert_eq!(step(&old, LONG, days(3600)), Step::AddAuthority);
    let both = take(Step::AddAuthority, &old, days(3600));
    assert_eq!((both.authorities.len(), &both.server), (2, &old.server), "shown is what was shown");
    assert_eq!(both.authorities[1], old.authorities[0]);
    assert!(matches!(step(&both, Published::No, days(3600)), Step::Wait(_)));
    let just = Published::For(SignedDuration::from_secs(20));
    assert_eq!(step(&both, just, days(3600)), Step::Wait(SignedDuration::from_secs(40)));
    assert_eq!(step(&both, LONG, days(3600)), Step::NewCertificate);
    let new = take(Step::NewCertificate, &both, days(3600));
    assert_eq!(new.worth(&names(), days(3600)).server.unwrap().by, By::First);
    assert_eq!(step(&new, LONG, days(3600)), Step::Wait(SignedDuration::from_hours(1)));
    assert_eq!(step(&new, LONG, days(3600) + 1.hour()), Step::DropAuthorities);
    let done = take(Step::DropAuthorities, &new, days(3600) + 1.hour());
    assert_eq!(done.authorities, new.authorities[..1]);
    assert!(matches!(step(&done, LONG, days(3601)), Step::Wait(_)));
}

#[test]
fn what_has_ended_is_replaced_at_once() {
    assert_eq!(step(&fresh(), Published::No, days(366)), Step::NewCertificate);
    assert_eq!(step(&fresh(), Published::No, days(3651)), Step::StartOver);
}

#[test]
fn damage_is_mended_by_the_step_that_loses_least() {
    let good = fresh();
    let key_lost = Material { authority_key: String::new(), ..good.clone() };
    assert_eq!(step(&key_lost, LONG, now()), Step::AddAuthority, "the certificate still serves");
    let key_of_another = Material { authority_key: fresh().authority_key, ..good.clone() };
    assert_eq!(step(&key_of_another, LONG, now()), Step::AddAuthority);
    let certificate_lost = Material { server: None, ..good.clone() };
    assert_eq!(step(&certificate_lost, LONG, now()), Step::NewCertificate);
    let server = good.server.clone().unwrap();
    let mismatch = Issued { key: fresh().server.unwrap().key, ..server };
    assert_eq!(step(&Material { server: Some(mismatch), ..good.clone() }, LONG, now()), Step::NewCertificate);
    let stranger = Material { server: fresh().server, ..good };
    assert_eq!(step(&stranger, LONG, now()), Step::NewCertificate, "by an authority that nobody trusts");
}

#[test]
fn a_certificate_for_other_names_serves_until_there_is_one_for_all() {
    let mut material = fresh();
    let signer = material.signer().unwrap();
    material.server = Some(issue::server(&signer, &names()[..1], now(), days(365)).unwrap());
    assert_eq!(material.worth(&names(), now()).server.unwrap().names, Names::Some);
    assert_eq!(step(&material, Published::No, now()), Step::NewCertificate, "by an authority they go by");
    material.server = Some(issue::server(&signer, &["elsewhere.example".into()], now(), days(365)).unwrap());
    assert_eq!(material.worth(&names(), now()).server, None);
}

#[test]
fn the_authority_and_the_certificate_have_different_names() {
    use x509_parser::prelude::{FromDer as _, X509Certificate, parse_x509_pem};
    let material = fresh();
    let pem = |text: &str| parse_x509_pem(text.as_bytes()).unwrap().1.contents;
    let (authority, server) = (pem(&material.authorities[0]), pem(&material.server.unwrap().certificate));
    let (_, authority) = X509Certificate::from_der(&authority).unwrap();
    let (_, server) = X509Certificate::from_der(&server).unwrap();
    assert_eq!(server.issuer(), authority.subject());
    assert_ne!(server.subject(), authority.subject());
}
