//! From what is announced to what should be: steps, withdrawals first.

use std::net::IpAddr;

use super::Plan;
use crate::config::Interfaces;

/// One change to what this node announces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Stop answering for the address.
    Withdraw(IpAddr),
    /// Start answering for the address on these interfaces, or change where.
    Announce(IpAddr, Interfaces),
}

/// The steps from the announcements of `actual` to those of `wanted`. Withdrawals come first.
pub fn diff(actual: &Plan, wanted: &Plan) -> Vec<Step> {
    let announced =
        |plan: &'_ Plan, address: &IpAddr| plan.get(address).and_then(|plan| plan.announce.clone());
    let withdraw = actual
        .iter()
        .filter(|(_, plan)| plan.announce.is_some())
        .filter_map(|(address, _)| announced(wanted, address).is_none().then_some(Step::Withdraw(*address)));
    let announce = wanted.iter().filter_map(|(address, plan)| {
        let interfaces = plan.announce.clone()?;
        (announced(actual, address).as_ref() != Some(&interfaces))
            .then_some(Step::Announce(*address, interfaces))
    });
    withdraw.chain(announce).collect()
}
