//! The profile of the cluster, as it changes.

use std::ops::ControlFlow;
use std::time::Duration;

use kube::Client;
use kube::runtime::watcher;
use metallb_core::table::Event;
use metallb_process::serve::tls::TlsFlags;
use metallb_process::watch::{self as objects, ObjectKey, Read, Source};
use tokio::sync::{mpsc, watch};

use super::profile::{APIServer, BadProfile, flags};
use crate::discovery::{PATIENCE, until_served};

/// The one APIServer there is.
const CLUSTER: &str = "cluster";
/// Changes that wait: more than one is rare.
const CHANGES: usize = 4;

/// What the cluster asks of TLS.
#[derive(Clone, Debug, Default)]
pub enum ClusterTls {
    /// The API server has not said yet.
    #[default]
    Unknown,
    /// Nothing: there are no such profiles.
    Nothing,
    /// These settings.
    Profile(TlsFlags),
    /// Something that cannot be done.
    Bad {
        /// Why.
        error: BadProfile,
        /// What it asked for before, if this process has seen that.
        last_good: Option<TlsFlags>,
    },
}

impl ClusterTls {
    /// The settings to serve with, if the cluster has a say in them.
    pub fn flags(&self) -> Option<&TlsFlags> {
        match self {
            Self::Unknown | Self::Nothing => None,
            Self::Profile(flags) => Some(flags),
            Self::Bad { error: _, last_good } => last_good.as_ref(),
        }
    }

    /// After `next` was read; `None`: there is no such object.
    fn then(&self, next: Option<Result<TlsFlags, BadProfile>>) -> Self {
        match next {
            None => Self::Nothing,
            Some(Ok(flags)) => Self::Profile(flags),
            Some(Err(error)) => Self::Bad { error, last_good: self.flags().cloned() },
        }
    }
}

/// Follows the profile until nobody listens any more.
pub fn follow(client: Client) -> watch::Receiver<ClusterTls> {
    let (tell, told) = watch::channel(ClusterTls::Unknown);
    tokio::spawn(async move {
        tokio::select! {
            () = tell.closed() => {}
            () = tell_of_changes(client, &tell) => {}
            () = lose_patience(&tell, PATIENCE) => {}
        }
    });
    told
}

/// Nobody waits for ever: what is in force stays, and that it does is told.
async fn lose_patience(tell: &watch::Sender<ClusterTls>, patience: Duration) {
    tokio::time::sleep(patience).await;
    let give_up = |asked: &mut ClusterTls| {
        let is_silent = matches!(asked, ClusterTls::Unknown);
        if is_silent {
            *asked = asked.then(Some(Err(BadProfile::Withheld)));
            log(asked);
        }
        is_silent
    };
    tell.send_if_modified(give_up);
    std::future::pending().await
}

/// Is that news? A profile that was seen stays in force.
fn there_are_no_profiles(asked: &mut ClusterTls) -> bool {
    match asked {
        ClusterTls::Unknown | ClusterTls::Bad { .. } => {
            *asked = ClusterTls::Nothing;
            true
        }
        ClusterTls::Nothing | ClusterTls::Profile(_) => false,
    }
}

async fn tell_of_changes(client: Client, tell: &watch::Sender<ClusterTls>) {
    let absent = || async {
        tell.send_if_modified(there_are_no_profiles);
        ControlFlow::Continue(())
    };
    if until_served::<APIServer, _>(&client, absent).await.is_break() {
        return;
    }
    let (sender, mut changes) = mpsc::channel(CHANGES);
    // A right that is for one name is for this question only.
    let config = watcher::Config::default().fields(&format!("metadata.name={CLUSTER}"));
    let source = Source::<APIServer>::everywhere(client);
    let watched = objects::watch(source, config, sender, |read| Some(read_profile(read)), |event| event);
    let told = async {
        while let Some(event) = changes.recv().await {
            let next = profile_in(event);
            tell.send_modify(|asked| {
                *asked = asked.then(next);
                log(asked);
            });
        }
    };
    tokio::join!(watched, told);
}

fn read_profile(read: Read<APIServer>) -> Result<TlsFlags, BadProfile> {
    match read {
        Ok(APIServer { metadata: _, spec }) => flags(spec.tls_security_profile.as_ref()),
        Err(invalid) => Err(BadProfile::Unreadable(invalid.error)),
    }
}

/// Without the object nothing is asked: others bring the kind too.
fn profile_in(event: Event<ObjectKey, Result<TlsFlags, BadProfile>>) -> Option<Result<TlsFlags, BadProfile>> {
    match event {
        Event::Listed(rows) => rows.into_values().next(),
        Event::Applied(_, profile) => Some(profile),
        Event::Deleted(_) => None,
    }
}

fn log(asked: &ClusterTls) {
    match asked {
        ClusterTls::Unknown | ClusterTls::Nothing => {}
        ClusterTls::Profile(TlsFlags { tls_min_version, tls_cipher_suites, .. }) => tracing::info!(
            event = "tlsProfile",
            minimum = tls_min_version,
            ciphers = tls_cipher_suites,
            "as APIServer {CLUSTER} asks"
        ),
        ClusterTls::Bad { error, .. } => tracing::warn!(
            event = "tlsProfileUnusable",
            %error,
            "APIServer {CLUSTER}: what was in force before stays"
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bad_profile_leaves_the_last_good_one_in_force_however_many_follow() {
        let good = flags(None).unwrap();
        let bad = || Some(Err(BadProfile::NoCustom));
        let asked = ClusterTls::Unknown.then(Some(Ok(good.clone()))).then(bad()).then(bad());
        assert_eq!(asked.flags().map(|flags| &flags.tls_min_version), Some(&good.tls_min_version));
        assert!(matches!(asked, ClusterTls::Bad { .. }));
        assert!(matches!(asked.then(Some(Ok(good))), ClusterTls::Profile(_)));
        assert!(ClusterTls::Unknown.then(bad()).flags().is_none(), "nothing good was ever seen");
    }

    #[test]
    fn without_the_object_nothing_is_asked_and_without_a_profile_openshifts_default() {
        let key = || (String::new(), CLUSTER.to_owned());
        let asked = |event| ClusterTls::Unknown.then(profile_in(event));
        assert!(matches!(asked(Event::Listed([].into())), ClusterTls::Nothing));
        assert!(matches!(asked(Event::Deleted(key())), ClusterTls::Nothing));
        let default = asked(Event::Listed([(key(), flags(None))].into()));
        assert_eq!(default.flags().unwrap().tls_min_version, "VersionTLS12");
    }

    #[tokio::test]
    async fn who_is_not_let_read_it_goes_on_with_what_is_in_force_and_says_so() {
        let (tell, mut told) = watch::channel(ClusterTls::Unknown);
        tokio::select! {
            () = lose_patience(&tell, Duration::ZERO) => unreachable!("it ends nothing"),
            changed = told.changed() => changed.unwrap(),
        }
        assert!(matches!(*told.borrow(), ClusterTls::Bad { error: BadProfile::Withheld, last_good: None }));
    }
}
