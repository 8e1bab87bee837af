//! What is not in force for a reason outside of the objects of metallb.io, from whoever found it. It is told with the
//! configuration, and disables nothing.

use std::collections::BTreeMap;
use std::sync::Arc;

use metallb_core::refusal::{Caveat, Refusal as _};
use tokio::sync::watch;

/// Where it was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Source {
    /// The ConfigMap `bgpextras`.
    BgpExtras,
    /// The FRRConfiguration of this node.
    FrrConfiguration,
    /// The Secret that speakers share.
    HeartbeatKey,
    /// The ConfigMap `metallb-memberlist-config`.
    HeartbeatSettings,
}

/// All that was found, and stands.
pub type All = BTreeMap<Source, Vec<Caveat>>;

/// Where to say it.
#[derive(Clone, Debug)]
pub struct Caveats(Arc<watch::Sender<All>>);

impl Caveats {
    /// Nothing was found yet.
    pub fn new() -> (Self, watch::Receiver<All>) {
        let (sender, receiver) = watch::channel(All::new());
        (Self(Arc::new(sender)), receiver)
    }

    /// From now on, `source` finds this and nothing else. What is new goes to the log.
    pub fn say(&self, source: Source, found: impl IntoIterator<Item: Into<Caveat>>) {
        let mut found: Vec<Caveat> = found.into_iter().map(Into::into).collect();
        found.sort();
        found.dedup();
        self.0.send_if_modified(|all| {
            let before = all.remove(&source).unwrap_or_default();
            for refusal in found.iter().filter(|refusal| !before.contains(refusal)) {
                let (code, text) = (refusal.code(), refusal.explain());
                tracing::warn!(event = "notInForce", code, text, "");
            }
            let differs = before != found;
            if !found.is_empty() {
                all.insert(source, found);
            }
            differs
        });
    }
}

#[cfg(test)]
mod tests {
    use metallb_core::refusal::FrrRefusal;

    use super::*;

    #[test]
    fn a_source_takes_back_what_it_said_and_nothing_of_the_others() {
        let (caveats, mut told) = Caveats::new();
        caveats.say(Source::BgpExtras, vec![FrrRefusal::RawConfiguration]);
        caveats.say(Source::FrrConfiguration, vec![FrrRefusal::NotInstalled]);
        caveats.say(Source::FrrConfiguration, None::<Caveat>);
        assert_eq!(
            *told.borrow_and_update(),
            All::from([(Source::BgpExtras, vec![FrrRefusal::RawConfiguration.into()])])
        );
        caveats.say(Source::BgpExtras, vec![FrrRefusal::RawConfiguration]);
        assert!(!told.has_changed().unwrap(), "saying it again is no news");
    }
}
