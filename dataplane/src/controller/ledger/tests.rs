//! The ledger against an API server that delivers late, refuses stale writes, and loses answers.

mod pools;
mod waiting;

use std::collections::VecDeque;

use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::controller::writing::{Ingress, Write};

/// The API server, the watch that is under way from it, and the controller that hangs on it.
struct World {
    objects: BTreeMap<String, Service>,
    version: u64,
    /// What the watch has yet to deliver, in order.
    watch: VecDeque<Event<ServiceKey, Row>>,
    ledger: Ledger,
    /// Writes that were sent and not made yet.
    sent: Vec<Write>,
    /// Answers that have not arrived yet; `None` is a conflict.
    answers: Vec<(ServiceKey, Option<Service>)>,
    happened: Vec<Happening>,
}

fn service_key(name: &str) -> ServiceKey {
    ServiceKey::new("default", name)
}

fn pool(addresses: &str) -> Change {
    let pool: metallb_crds::IPAddressPool = serde_json::from_value(json!({
        "apiVersion": "metallb.io/v1beta1", "kind": "IPAddressPool",
        "metadata": { "name": "lab", "namespace": "metallb-system" },
        "spec": { "addresses": [addresses] },
    }))
    .unwrap();
    let stored = metallb_crds::config::Stored::Readable(pool);
    Change::Pool(Event::Listed([(("metallb-system".to_owned(), "lab".to_owned()), stored)].into()))
}

impl World {
    fn new(addresses: &str) -> Self {
        let mut world = Self {
            objects: BTreeMap::new(),
            version: 1,
            watch: VecDeque::new(),
            ledger: Ledger::default(),
            sent: Vec::new(),
            answers: Vec::new(),
            happened: Vec::new(),
        };
        world.restart(addresses);
        world
    }

    /// A new controller: an empty ledger and a fresh list. What was sent and not made is never made.
    fn restart(&mut self, addresses: &str) {
        self.ledger = Ledger::default();
        self.ledger.apply(Input::Namespace(Event::Listed(BTreeMap::new())));
        self.ledger.apply(Input::Configuration(pool(addresses)));
        self.ledger.apply(Input::Configuration(Change::L2Advertisement(Event::Listed(BTreeMap::new()))));
        self.ledger.apply(Input::Pool(Event::Listed(BTreeMap::new())));
        self.ledger.apply(Input::Restored(Vec::new()));
        self.watch.clear();
        self.sent.clear();
        self.answers.clear();
        self.relist();
        self.deliver();
    }

    fn relist(&mut self) {
        let rows = self.objects.values().filter_map(|object| Some((key(object), row(object)?))).collect();
        self.watch.push_back(Event::Listed(rows));
    }

    fn put(&mut self, name: &str, mut object: Service) {
        self.version += 1;
        object.metadata.resource_version = Some(self.version.to_string());
        self.watch.push_back(match row(&object) {
            Some(row) => Event::Applied(service_key(name), row),
            None => Event::Deleted(service_key(name)),
        });
        self.objects.insert(name.to_owned(), object);
    }

    fn create(&mut self, name: &str, spec: &Value) {
        let mut object = json!({
            "metadata": { "name": name, "namespace": "default", "uid": format!("{name}-{}", self.version) },
            "spec": { "type": "LoadBalancer", "clusterIPs": ["10.96.0.1"], "ports": [{ "port": 80 }] },
        });
        object["spec"].as_object_mut().unwrap().extend(spec.as_object().unwrap().clone());
        self.put(name, serde_json::from_value(object).unwrap());
    }

    fn edit(&mut self, name: &str, edit: impl FnOnce(&mut Value)) {
        let Some(object) = self.objects.get(name) else { return };
        let mut object = serde_json::to_value(object).unwrap();
        edit(&mut object);
        self.put(name, serde_json::from_value(object).unwrap());
    }

    fn delete(&mut self, name: &str) {
        if self.objects.remove(name).is_some() {
            self.version += 1;
            self.watch.push_back(Event::Deleted(service_key(name)));
        }
    }

    /// The watch delivers one event, and the ledger plans.
    fn deliver(&mut self) {
        if let Some(event) = self.watch.pop_front() {
            self.ledger.apply(Input::Service(event));
            let happened = self.ledger.plan();
            self.happened.extend(happened);
        }
    }

    fn send(&mut self) {
        self.sent.extend(self.ledger.take_write());
    }

    /// The API server makes (or refuses) the write that was sent `position`-th.
    fn make(&mut self, position: usize) {
        if self.sent.is_empty() {
            return;
        }
        let write = self.sent.remove(position % self.sent.len());
        let name = write.service.name.to_string();
        let current = self.objects.get(&name).and_then(|object| object.metadata.resource_version.clone());
        if current.as_ref() != Some(&write.resource_version) {
            self.answers.push((write.service, None));
            return;
        }
        self.edit(&name, |object| {
            let annotations = object["metadata"]["annotations"].take();
            let mut annotations = annotations.as_object().cloned().unwrap_or_default();
            let key = "metallb.io/ip-allocated-from-pool";
            annotations.remove(key);
            annotations.extend(write.pool.as_ref().map(|pool| (key.to_owned(), pool.as_str().into())));
            object["metadata"]["annotations"] = annotations.into();
            let ingress: Vec<_> = match write.ingress {
                Ingress::Keep => return,
                Ingress::Set(vips) => vips.iter().map(|ip| json!({ "ip": ip.to_string() })).collect(),
                Ingress::Clear => Vec::new(),
            };
            object["status"] = json!({ "loadBalancer": { "ingress": ingress } });
        });
        self.answers.push((write.service, self.objects.get(&name).cloned()));
    }

    /// The API server refuses the write that was sent `position`-th, and the ledger hears of it.
    fn refuse(&mut self, position: usize) {
        if !self.sent.is_empty() {
            let write = self.sent.remove(position % self.sent.len());
            self.ledger.refused(&write.service);
        }
    }

    /// An answer arrives.
    fn answer(&mut self) {
        if self.answers.is_empty() {
            return;
        }
        match self.answers.remove(0) {
            (_, Some(object)) => {
                let happened = self.ledger.written(&object);
                self.happened.extend(happened);
            }
            (service, None) => self.ledger.conflicted(&service),
        }
        let happened = self.ledger.plan();
        self.happened.extend(happened);
    }

    /// Everything that is under way arrives, until nothing is.
    fn settle(&mut self) {
        self.ledger.retry_refused();
        let happened = self.ledger.plan();
        self.happened.extend(happened);
        for _ in 0..1000 {
            self.send();
            if self.watch.is_empty() && self.sent.is_empty() && self.answers.is_empty() {
                return;
            }
            self.deliver();
            self.make(0);
            self.answer();
            self.ledger.retry_refused();
            let happened = self.ledger.plan();
            self.happened.extend(happened);
        }
        panic!("it never comes to rest");
    }

    fn status(&self, name: &str) -> Vec<IpAddr> {
        metallb_crds::cluster::service::ingress_addresses(&self.objects[name]).unwrap()
    }

    fn reasons(&mut self) -> Vec<&'static str> {
        std::mem::take(&mut self.happened).iter().map(|happening| happening.reason).collect()
    }
}

fn row(object: &Service) -> Option<Row> {
    Row::of(object, &LoadBalancerClass::default())
}

fn ip(text: &str) -> Vec<IpAddr> {
    vec![text.parse().unwrap()]
}

#[test]
fn a_new_service_gets_an_address_and_the_news_comes_once_it_is_true() {
    let mut world = World::new("10.0.0.1-10.0.0.9");
    world.create("web", &json!({}));
    world.deliver();
    assert_eq!(world.reasons(), [""; 0], "not written yet");
    world.settle();
    assert_eq!(world.status("web"), ip("10.0.0.1"));
    assert_eq!(world.reasons(), ["IPAllocated"]);
    assert_eq!(
        world.objects["web"].metadata.annotations.as_ref().unwrap()["metallb.io/ip-allocated-from-pool"],
        "lab"
    );
}

#[test]
fn before_every_watch_has_delivered_its_list_nothing_is_decided() {
    let mut ledger = Ledger::default();
    ledger.apply(Input::Configuration(pool("10.0.0.1-10.0.0.9")));
    ledger.apply(Input::Namespace(Event::Listed(BTreeMap::new())));
    ledger.apply(Input::Pool(Event::Listed(BTreeMap::new())));
    ledger.apply(Input::Restored(Vec::new()));
    let mut world = World::new("10.0.0.1-10.0.0.9");
    world.create("web", &json!({}));
    let Some(Event::Applied(key, row)) = world.watch.pop_front() else { panic!("no event") };
    ledger.apply(Input::Service(Event::Listed([(key, row)].into())));
    assert_eq!((ledger.plan(), ledger.take_write()), (vec![], None), "the advertisements are not listed yet");
    ledger.apply(Input::Configuration(Change::L2Advertisement(Event::Listed(BTreeMap::new()))));
    ledger.plan();
    assert!(ledger.take_write().is_some());
}

#[test]
fn bad_news_is_told_once_and_again_only_when_it_changes() {
    let mut world = World::new("10.0.0.1/32");
    world.create("holder", &json!({}));
    world.settle();
    world.reasons();
    world.create("waits", &json!({}));
    world.settle();
    assert_eq!(world.reasons(), ["AllocationFailed"]);
    world.edit("waits", |object| object["metadata"]["labels"] = json!({ "touched": "1" }));
    world.settle();
    assert_eq!(world.reasons(), [""; 0]);
    world.edit("waits", |object| object["spec"]["loadBalancerIP"] = "192.0.2.1".into());
    world.settle();
    assert_eq!(world.reasons(), ["AllocationFailed"]);
}

#[test]
fn who_waits_is_served_when_an_address_becomes_free() {
    let mut world = World::new("10.0.0.1/32");
    world.create("holder", &json!({}));
    world.create("waits", &json!({}));
    world.settle();
    assert_eq!(world.status("waits"), Vec::<IpAddr>::new());
    world.edit("holder", |object| object["spec"]["type"] = "ClusterIP".into());
    world.settle();
    assert_eq!(world.status("holder"), Vec::<IpAddr>::new());
    assert_eq!(world.objects["holder"].metadata.annotations, Some(BTreeMap::new()));
    assert_eq!(world.status("waits"), ip("10.0.0.1"));
}

#[test]
fn a_restart_in_the_middle_of_writing_gives_nothing_twice() {
    let mut world = World::new("10.0.0.1-10.0.0.9");
    for name in ["a", "b"] {
        world.create(name, &json!({}));
        world.deliver();
    }
    world.send();
    world.send();
    world.make(1); // "b" was written, "a" was not
    world.restart("10.0.0.1-10.0.0.9");
    world.settle();
    assert_eq!((world.status("a"), world.status("b")), (ip("10.0.0.1"), ip("10.0.0.2")));
}

#[test]
fn a_list_that_was_answered_late_takes_no_address_back() {
    let mut world = World::new("10.0.0.1-10.0.0.9");
    world.create("a", &json!({}));
    world.create("b", &json!({}));
    world.deliver();
    world.relist(); // as of now, with empty statuses
    let late = world.watch.pop_back().unwrap();
    world.send();
    world.make(0);
    world.answer();
    assert_eq!(world.status("a"), ip("10.0.0.1"));
    world.watch.push_front(late);
    world.deliver();
    world.settle();
    assert_eq!((world.status("a"), world.status("b")), (ip("10.0.0.1"), ip("10.0.0.2")));
}

#[test]
fn an_edit_that_comes_between_is_a_conflict_and_the_address_stays_the_same() {
    let mut world = World::new("10.0.0.1-10.0.0.9");
    world.create("a", &json!({}));
    world.deliver();
    world.send();
    world.edit("a", |object| object["metadata"]["labels"] = json!({ "x": "1" }));
    world.make(0);
    world.answer();
    assert_eq!(world.ledger.take_write(), None, "the version that won has not been seen yet");
    world.settle();
    assert_eq!(world.status("a"), ip("10.0.0.1"));
}

#[test]
fn deprecated_annotations_are_honoured_and_said_to_be_deprecated() {
    let mut world = World::new("10.0.0.1-10.0.0.9");
    world.create("a", &json!({}));
    world.edit("a", |object| {
        object["metadata"]["annotations"] = json!({ "metallb.universe.tf/loadBalancerIPs": "10.0.0.7" });
    });
    world.settle();
    assert_eq!(world.status("a"), ip("10.0.0.7"));
    assert!(world.reasons().contains(&"deprecatedAnnotation"));
}

#[test]
fn two_services_that_swap_their_addresses_do_not_wait_for_each_other_for_ever() {
    for restart in [false, true] {
        let mut world = World::new("10.0.0.1-10.0.0.9");
        world.create("a", &json!({}));
        world.create("b", &json!({}));
        world.settle();
        let (a, b) = (world.status("a"), world.status("b"));
        world.edit("a", |object| object["spec"]["loadBalancerIP"] = b[0].to_string().into());
        world.edit("b", |object| object["spec"]["loadBalancerIP"] = a[0].to_string().into());
        if restart {
            world.restart("10.0.0.1-10.0.0.9");
        }
        world.settle();
        assert_eq!((world.status("a"), world.status("b")), (b, a), "restart: {restart}");
    }
}

#[test]
fn a_write_that_was_refused_is_tried_again() {
    let mut world = World::new("10.0.0.1-10.0.0.9");
    world.create("a", &json!({}));
    world.deliver();
    world.send();
    world.refuse(0);
    assert_eq!(world.ledger.take_write(), None, "not at once");
    world.settle();
    assert_eq!(world.status("a"), ip("10.0.0.1"));
}

#[test]
fn a_status_that_is_no_valid_set_is_cleared_even_when_nothing_new_can_be_given() {
    let mut world = World::new("10.0.0.1-10.0.0.9");
    world.create("a", &json!({}));
    world.edit("a", |object| {
        object["metadata"]["annotations"] = json!({ "metallb.io/address-pool": "no-such-pool" });
        object["status"] =
            json!({ "loadBalancer": { "ingress": [{ "ip": "10.0.0.1" }, { "ip": "10.0.0.2" }] } });
    });
    world.settle();
    assert_eq!(world.status("a"), Vec::<IpAddr>::new());
    world.create("b", &json!({}));
    world.settle();
    assert_eq!(world.status("b"), ip("10.0.0.1"));
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Create(usize),
    Delete(usize),
    Edit(usize),
    Ask(usize, u8),
    Release(usize),
    Relist,
    Deliver,
    Send,
    Make(usize),
    Refuse(usize),
    Answer,
    Restart,
}

const NAMES: [&str; 4] = ["a", "b", "c", "d"];

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (0_usize..4).prop_map(Step::Create),
        1 => (0_usize..4).prop_map(Step::Delete),
        2 => (0_usize..4).prop_map(Step::Edit),
        1 => (0_usize..4, 1_u8..6).prop_map(|(n, last)| Step::Ask(n, last)),
        1 => (0_usize..4).prop_map(Step::Release),
        1 => Just(Step::Relist),
        6 => Just(Step::Deliver),
        4 => Just(Step::Send),
        4 => (0_usize..4).prop_map(Step::Make),
        1 => (0_usize..4).prop_map(Step::Refuse),
        4 => Just(Step::Answer),
        1 => Just(Step::Restart),
    ]
}

const POOL: &str = "10.0.0.1-10.0.0.5";

fn step(world: &mut World, step: Step) {
    match step {
        Step::Create(n) if !world.objects.contains_key(NAMES[n]) => world.create(NAMES[n], &json!({})),
        Step::Create(n) => world.edit(NAMES[n], |object| object["spec"]["type"] = "LoadBalancer".into()),
        Step::Delete(n) => world.delete(NAMES[n]),
        Step::Edit(n) => world.edit(NAMES[n], |object| object["metadata"]["labels"] = json!({ "x": "1" })),
        Step::Ask(n, last) => {
            world.edit(NAMES[n], |object| object["spec"]["loadBalancerIP"] = format!("10.0.0.{last}").into());
        }
        Step::Release(n) => world.edit(NAMES[n], |object| object["spec"]["type"] = "ClusterIP".into()),
        Step::Relist => world.relist(),
        Step::Deliver => world.deliver(),
        Step::Send => world.send(),
        Step::Make(n) => world.make(n),
        Step::Refuse(n) => world.refuse(n),
        Step::Answer => world.answer(),
        Step::Restart => world.restart(POOL),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn whatever_comes_between_no_address_is_ever_in_two_statuses(steps in vec(any_step(), 1..80)) {
        let mut world = World::new(POOL);
        for next in steps {
            step(&mut world, next);
            let held: Vec<_> = world.objects.keys().flat_map(|name| world.status(name)).collect();
            let distinct: BTreeSet<_> = held.iter().collect();
            prop_assert_eq!(held.len(), distinct.len(), "given twice: {:?}", held);
        }
        world.settle();
        prop_assert!(world.ledger.wanted.is_empty(), "never written: {:?}", world.ledger.wanted);
        for (name, object) in &world.objects {
            let books = world.ledger.books.assignment(&service_key(name)).map(|held| held.vips.to_vec());
            prop_assert_eq!(books.unwrap_or_default(), world.status(name), "{}", name);
            let wants = LoadBalancerClass::default().owns(object);
            let asks = object.spec.as_ref().is_some_and(|spec| spec.load_balancer_ip.is_some());
            let has = !world.status(name).is_empty();
            prop_assert!(if wants { has || asks } else { !has }, "{} came to rest wrong: {:?}", name, object);
        }
    }
}
