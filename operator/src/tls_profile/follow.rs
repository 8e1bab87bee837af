//! The profile of the cluster, as it changes.

use kube::Client;
use kube::runtime::watcher;
use metallb_core::table::Event;
use metallb_process::serve::tls::TlsFlags;
use metallb_process::watch::{self as objects, ObjectKey, Read, Source};
use tokio::sync::{mpsc, watch};

use super::profile::{APIServer, BadProfile, flags};
use crate::discovery::{ASK_AGAIN, is_served};

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

    /// After `next` was read.
    fn then(&self, next: Result<TlsFlags, BadProfile>) -> Self {
        match next {
            Ok(flags) => Self::Profile(flags),
            Err(error) => Self::Bad { error, last_good: self.flags().cloned() },
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
        }
    });
    told
}

async fn tell_of_changes(client: Client, tell: &watch::Sender<ClusterTls>) {
    while !is_served::<APIServer>(&client).await {
        let is_news = |asked: &mut ClusterTls| match asked {
            ClusterTls::Unknown => {
                *asked = ClusterTls::Nothing;
                true
            }
            ClusterTls::Nothing | ClusterTls::Profile(_) | ClusterTls::Bad { .. } => false,
        };
        tell.send_if_modified(is_news);
        tokio::time::sleep(ASK_AGAIN).await;
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

/// Without the object, what it would be without a profile.
fn profile_in(event: Event<ObjectKey, Result<TlsFlags, BadProfile>>) -> Result<TlsFlags, BadProfile> {
    match event {
        Event::Listed(rows) => rows.into_values().next().unwrap_or_else(|| flags(None)),
        Event::Applied(_, profile) => profile,
        Event::Deleted(_) => flags(None),
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
        let bad = || Err(BadProfile::NoCustom);
        let asked = ClusterTls::Unknown.then(Ok(good.clone())).then(bad()).then(bad());
        assert_eq!(asked.flags().map(|flags| &flags.tls_min_version), Some(&good.tls_min_version));
        assert!(matches!(asked, ClusterTls::Bad { .. }));
        assert!(matches!(asked.then(Ok(good)), ClusterTls::Profile(_)));
        assert!(ClusterTls::Unknown.then(bad()).flags().is_none(), "nothing good was ever seen");
    }

    #[test]
    fn without_the_object_the_default_of_openshift_holds() {
        let none = profile_in(Event::Listed([].into())).unwrap();
        assert_eq!(none.tls_min_version, "VersionTLS12");
        let key = (String::new(), CLUSTER.to_owned());
        assert_eq!(profile_in(Event::Deleted(key)).unwrap().tls_min_version, "VersionTLS12");
    }
}
