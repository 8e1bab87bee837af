//! Random histories: after every step the books agree with the naive model, and nobody waits for what is free.

use proptest::collection::vec;
use proptest::prelude::*;

use super::model::Model;
use super::*;

/// Steps of one history, and histories: 100,000 steps together.
const STEPS: usize = 100;
const HISTORIES: u32 = 1000;

const NAMES: [&str; 6] = ["a", "b", "c", "d", "other/e", "other/f"];

#[derive(Clone, Debug)]
enum Step {
    /// The service is there, with this claim.
    Claim(usize, Box<Claim>),
    Delete(usize),
    Pools(usize),
    Restart,
}

fn any_claim() -> impl Strategy<Value = Claim> {
    let families = prop_oneof![
        Just(FamilyDemand::Only(Family::V4)),
        Just(FamilyDemand::Only(Family::V6)),
        Just(FamilyDemand::Prefer(Family::V4)),
        Just(FamilyDemand::Prefer(Family::V6)),
        Just(FamilyDemand::Both),
    ];
    let requested = prop_oneof![
        8 => Just(None),
        2 => (0_u8..8).prop_map(|last| Some(Vips::One(IpAddr::from([10, 0, 0, last])))),
        1 => (0_u8..8, 0_u16..4).prop_map(|(v4, v6)| {
            Some(Vips::Both([10, 0, 0, v4].into(), [0xfd00, 0, 0, 0, 0, 0, 0, v6].into()))
        }),
    ];
    let terms = prop_oneof![4 => Just(("", "")), 2 => Just(("k", "")), 1 => Just(("k", "app=x")), 1 => Just(("l", ""))];
    let pool =
        prop_oneof![7 => Just(None), 1 => Just(Some("a")), 1 => Just(Some("b")), 1 => Just(Some("gone"))];
    let ports = vec(80_u16..84, 0..3);
    (families, requested, terms, pool, ports, prop::bool::ANY, prop::bool::weighted(0.9)).prop_map(
        |(families, requested, (key, backend), pool, ports, is_web, is_load_balancer)| Claim {
            is_load_balancer,
            labels: if is_web { labels(&[("app", "web")]) } else { Labels::new() },
            families: Ok(families),
            requested: Ok(requested),
            requested_pool: pool.map(Into::into),
            sharing: SharingTerms { key: key.into(), backend: backend.into() },
            ports: ports.into_iter().map(port).collect(),
            ..claim()
        },
    )
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (0..NAMES.len(), any_claim()).prop_map(|(service, claim)| Step::Claim(service, Box::new(claim))),
        3 => (0..NAMES.len()).prop_map(Step::Delete),
        1 => (0_usize..6).prop_map(Step::Pools),
        1 => Just(Step::Restart),
    ]
}

fn pools(set: usize) -> Pools {
    let mut careful = pool("a", &["10.0.0.0/30", "fd00::/126"]);
    careful.avoid_buggy_ips = true;
    let mut shy = pool("b", &["10.0.0.4/31"]);
    shy.auto_assign = false;
    let for_web = ServiceAllocation {
        priority: 10,
        service_selectors: vec![with_label("app", "web")],
        ..ServiceAllocation::default()
    };
    let for_others = ServiceAllocation {
        priority: 1,
        namespace_selectors: vec![with_label("net", "x")],
        ..ServiceAllocation::default()
    };
    let mut pools = Pools::default();
    let valid = match set {
        0 => vec![pool("a", &["10.0.0.0/30", "fd00::/126"])],
        1 => vec![pool("a", &["10.0.0.2/31"]), pool("b", &["10.0.0.4/31", "fd00::/127"])],
        2 => vec![careful, shy],
        3 => vec![
            pool("c", &["10.0.0.6/31"]),
            pinned(pool("a", &["10.0.0.0/31", "fd00::/127"]), for_web),
            pinned(pool("b", &["10.0.0.4-10.0.0.5", "fd00::2-fd00::2"]), for_others),
        ],
        4 => vec![pool("b", &["10.0.0.4/30", "fd00::2/127"])],
        _ => vec![],
    };
    for pool in valid {
        pools.insert(pool).unwrap();
    }
    if set == 4 {
        pools.set_aside("a".into(), Labels::new());
    }
    pools
}

/// The cluster beside the model, and who waits.
struct History {
    cluster: Cluster,
    model: Model,
    claims: BTreeMap<String, Claim>,
    waiting: Waiting,
    openings: Openings,
}

impl History {
    fn new() -> Self {
        let namespaces = Namespaces::from([("other".into(), labels(&[("net", "x")]))]);
        let cluster = Cluster { pools: pools(0), namespaces, ..Cluster::default() };
        Self {
            cluster,
            model: Model::default(),
            claims: BTreeMap::new(),
            waiting: Waiting::default(),
            openings: Openings::default(),
        }
    }

    /// Settles the service until nothing changes, in the books and in the model.
    fn settle(&mut self, name: &str) -> Result<(), TestCaseError> {
        let claim = self.claims[name].clone();
        for _ in 0..2 {
            let decided = self.model.decide(name, &claim, &self.cluster.pools, &self.cluster.namespaces);
            let settlement = self.cluster.settle(name, &claim);
            prop_assert_eq!(&self.cluster.status[name], &decided, "{}: {:?}", name, settlement);
            prop_assert!(settlement.evicted.is_empty(), "nobody loses an address to another");
            self.model.0.insert(name.to_owned(), (decided, claim.clone()));
            self.waiting.note(&key(name), claim.created, &claim.sharing, settlement.refusal.as_ref());
            self.openings.extend(settlement.opened);
        }
        Ok(())
    }

    /// Settles those who may be served by what became free.
    fn wake(&mut self) -> Result<(), TestCaseError> {
        while let Some(next) = self.waiting.next(&mut self.openings, &self.cluster.books, &self.cluster.pools)
        {
            let name = NAMES.iter().find(|name| key(name) == next).unwrap();
            self.settle(name)?;
        }
        Ok(())
    }

    fn settle_all(&mut self) -> Result<(), TestCaseError> {
        let (holders, waiting): (Vec<_>, Vec<_>) =
            self.claims.keys().cloned().partition(|name| !self.cluster.status[name].is_empty());
        for name in holders.into_iter().chain(waiting) {
            self.settle(&name)?;
        }
        Ok(())
    }

    fn take(&mut self, step: Step) -> Result<(), TestCaseError> {
        match step {
            Step::Claim(service, claim) => {
                self.claims.insert(NAMES[service].to_owned(), *claim);
                self.settle(NAMES[service])?;
            }
            Step::Delete(service) => {
                let name = NAMES[service];
                self.openings.extend(self.cluster.books.delete(&key(name)));
                self.cluster.status.remove(name);
                self.model.0.remove(name);
                self.claims.remove(name);
                self.waiting.forget(&key(name));
            }
            Step::Pools(set) => {
                self.cluster.pools = pools(set);
                self.settle_all()?;
            }
            Step::Restart => {
                let (books, status) = (self.cluster.books.clone(), self.cluster.status.clone());
                self.cluster.restart(&self.claims);
                prop_assert_eq!(&self.cluster.status, &status);
                prop_assert_eq!(&self.cluster.books, &books);
            }
        }
        self.wake()
    }

    /// What must hold after every step, whatever happened.
    fn check(&self) -> Result<(), TestCaseError> {
        let (books, pools) = (&self.cluster.books, &self.cluster.pools);
        let mut in_use: BTreeMap<&crate::names::PoolName, BTreeSet<IpAddr>> = BTreeMap::new();
        for (service, assignment) in books.assignments() {
            let owner = pools.owner_of(assignment.vips).map(|pool| &pool.name);
            prop_assert_eq!(assignment.pool.as_ref(), owner, "{} is in the wrong pool", service);
            for address in assignment.vips.iter() {
                if let Some(pool) = pools.owner_of(address) {
                    in_use.entry(&pool.name).or_default().insert(address);
                }
            }
        }
        for pool in pools.iter() {
            let usage = books.usage(pool);
            let used = in_use.get(&pool.name).map_or(0, BTreeSet::len) as u128;
            prop_assert_eq!(usage.in_use.0 + usage.in_use.1, used, "{}", pool.name);
            prop_assert!(usage.in_use.0 <= usage.capacity.0 && usage.in_use.1 <= usage.capacity.1);
        }
        Ok(())
    }

    /// Settling everybody changes nothing: what the steps woke were all who could be served.
    fn check_nobody_waits_in_vain(&mut self) -> Result<(), TestCaseError> {
        let status = self.cluster.status.clone();
        self.settle_all()?;
        prop_assert_eq!(&self.cluster.status, &status, "somebody waited for what is free");
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(HISTORIES))]

    #[test]
    fn whatever_happens_the_books_agree_with_the_naive_model(steps in vec(any_step(), STEPS)) {
        let mut history = History::new();
        for (n, step) in steps.into_iter().enumerate() {
            history.take(step)?;
            history.check()?;
            if n % 5 == 0 {
                history.check_nobody_waits_in_vain()?;
            }
        }
    }
}
