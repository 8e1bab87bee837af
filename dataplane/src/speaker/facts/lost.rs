//! Networks out of reach, in as few words as others can be told of them.
//!
//! Not here: which these are ([`crate::net::reach`]), and who is told.

use std::collections::BTreeSet;
use std::net::IpAddr;

use ipnet::IpNet;

/// At most so many networks, with the addresses that are in one of `lost` and no others. Networks that lie close together are told
/// of as one, unless there is an address between them. What there is no room for even then is left out.
pub fn told<A>(lost: &BTreeSet<IpNet>, most: usize, addresses: impl FnOnce() -> A) -> BTreeSet<IpNet>
where
    A: Iterator<Item = IpAddr>,
{
    if lost.len() <= most {
        return lost.clone();
    }
    let others: BTreeSet<IpAddr> = addresses().filter(|address| !contain(lost, *address)).collect();
    let is_right = |all: &IpNet| others.range(all.network()..=all.broadcast()).next().is_none();
    let mut told = lost.clone();
    while told.len() > most {
        let neighbours = told.iter().zip(told.iter().skip(1));
        let together = neighbours.filter_map(|(one, next)| common(*one, *next)).filter(is_right);
        // The smallest one: it leaves the others most.
        let Some(all) = together.max_by_key(IpNet::prefix_len) else { break };
        told.retain(|network| !all.contains(network));
        told.insert(all);
    }
    told.into_iter().take(most).collect()
}

fn contain(networks: &BTreeSet<IpNet>, address: IpAddr) -> bool {
    networks.iter().any(|network| network.contains(&address))
}

/// The smallest network that contains both.
fn common(one: IpNet, next: IpNet) -> Option<IpNet> {
    let mut all = one;
    while !all.contains(&next) {
        all = all.supernet()?;
    }
    Some(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(text: &str) -> IpNet {
        text.parse().unwrap()
    }

    fn networks(count: u8) -> BTreeSet<IpNet> {
        (0..count).map(|n| network(&format!("10.{n}.7.0/24"))).collect()
    }

    /// One in each network.
    fn addresses(networks: &BTreeSet<IpNet>) -> Vec<IpAddr> {
        networks.iter().map(|network| network.hosts().nth(9).unwrap()).collect()
    }

    #[test]
    fn a_few_are_told_of_as_they_are() {
        let lost = networks(8);
        assert_eq!(told(&lost, 8, || addresses(&lost).into_iter()), lost);
    }

    #[test]
    fn of_many_all_addresses_are_told_of_and_no_others() {
        for families in [vec![], vec![network("fd00:1::/64"), network("fd00:2::/64")]] {
            let lost: BTreeSet<_> = networks(100).into_iter().chain(families).collect();
            let elsewhere: IpAddr = "10.99.8.1".parse().unwrap();
            let others: [IpAddr; 2] = ["10.200.0.1".parse().unwrap(), "fd00:3::1".parse().unwrap()];
            let all: Vec<_> = addresses(&lost).into_iter().chain([elsewhere]).chain(others).collect();
            let told = told(&lost, 8, || all.iter().copied());
            assert!(told.len() <= 8, "{told:?}");
            for address in all {
                assert_eq!(contain(&told, address), contain(&lost, address), "{address} by {told:?}");
            }
        }
    }

    #[test]
    fn where_each_has_an_address_of_another_between_them_some_are_left_out() {
        let lost = networks(20);
        let between = (0..20).map(|n| IpAddr::from([10, n, 8, 1]));
        let all: Vec<_> = addresses(&lost).into_iter().chain(between).collect();
        let told = told(&lost, 8, || all.into_iter());
        assert_eq!(told.len(), 8);
        assert!(told.is_subset(&lost));
    }
}
