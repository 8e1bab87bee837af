//! How long a speaker thinks after a node died, returned, or a service changed. Part of `make bench`.

#![allow(clippy::disallowed_methods)] // a benchmark is about the clock

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Instant;

use metallb_core::address::AddressRange;
use metallb_core::config::{Config, L2Advertisement, Pool, Pools};
use metallb_core::names::{NodeName, ServiceKey};
use metallb_core::plan::{Endpoints, Node, Planner, Service, Speakers, Touched, World};

fn node(n: usize) -> NodeName {
    format!("node-{n}").as_str().into()
}

fn service(n: usize) -> (ServiceKey, Service) {
    let address = IpAddr::from(Ipv4Addr::from(0x0a00_0000 + u32::try_from(n).unwrap_or(0)));
    let service = Service { addresses: vec![address], ..Service::default() };
    (ServiceKey::new("default", format!("service-{n}")), service)
}

fn world(nodes: usize, services: usize) -> World {
    let mut world = World::new(node(0), false);
    let mut pools = Pools::default();
    let range = AddressRange::parse("10.0.0.0/8").expect("a range");
    pools.insert(Pool::new("lab".into(), vec![range]).expect("a pool")).expect("the only one");
    world.set_config(Config {
        pools,
        l2_advertisements: [("lab".into(), L2Advertisement::default())].into(),
        ..Config::default()
    });
    for n in 0..nodes {
        world.set_node(node(n), Some(Node::default()));
    }
    for n in 0..services {
        let (key, service) = service(n);
        world.set_service(key.clone(), Some(service));
        world.set_endpoints(key, Endpoints { anywhere: true, nodes: [node(n % nodes)].into() });
    }
    world.set_speakers(alive(nodes, None));
    world
}

fn alive(nodes: usize, without: Option<usize>) -> Speakers {
    Speakers::Alive((0..nodes).filter(|n| Some(*n) != without).map(node).collect::<BTreeSet<_>>())
}

fn timed(planner: &mut Planner, world: &World, touched: &Touched) -> f64 {
    let start = Instant::now();
    planner.replan(world, touched);
    start.elapsed().as_secs_f64() * 1e3
}

fn main() {
    println!("replan, ms:           from nothing   a death   a return   an endpoint");
    for (nodes, services) in [(3, 200), (100, 1_000), (100, 10_000), (1_000, 10_000)] {
        let mut world = world(nodes, services);
        let mut planner = Planner::default();
        let scratch = timed(&mut planner, &world, &Touched::Everything);
        let touched = world.set_speakers(alive(nodes, Some(nodes / 2)));
        let death = timed(&mut planner, &world, &touched);
        let touched = world.set_speakers(alive(nodes, None));
        let back = timed(&mut planner, &world, &touched);
        let (key, _) = service(1);
        let touched = world.set_endpoints(key, Endpoints::default());
        let endpoint = timed(&mut planner, &world, &touched);
        println!("{nodes:5} × {services:6}        {scratch:9.1} {death:9.1}  {back:9.1}     {endpoint:9.3}");
    }
}
