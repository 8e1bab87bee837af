//! Names of Kubernetes objects, one type a kind, so that a pool is never looked up by a node's name.
//!
//! Not here: whether the named object exists.

use std::borrow::Borrow;
use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

macro_rules! name {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Arc<str>);

        impl $name {
            /// The name as Kubernetes spells it.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl<S: Into<Arc<str>>> From<S> for $name {
            fn from(name: S) -> Self {
                Self(name.into())
            }
        }

        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&self.0, f)
            }
        }
    };
}

name!(
    /// `metadata.name` of a Node; also what a speaker calls itself.
    NodeName
);
name!(
    /// `metadata.name` of an IPAddressPool.
    PoolName
);
name!(
    /// `metadata.name` of an L2Advertisement or a BGPAdvertisement.
    AdvertisementName
);
name!(
    /// `metadata.name` of a Namespace.
    NamespaceName
);
name!(
    /// `metadata.name` of a BGPPeer.
    PeerName
);
name!(
    /// `metadata.name` of a BFDProfile.
    BfdProfileName
);
name!(
    /// `metadata.name` of a Secret in MetalLB's namespace.
    SecretName
);
name!(
    /// A VRF, by the name of its network device on the node.
    VrfName
);
name!(
    /// A network interface of a node, such as `eth0`.
    InterfaceName
);

/// A Service: its namespace and its name.
///
/// As wide as a pointer, for a speaker keeps a dozen of them for each service.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServiceKey(Arc<ServiceName>);

/// What a [`ServiceKey`] says.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServiceName {
    /// `metadata.namespace`.
    pub namespace: NamespaceName,
    /// `metadata.name`.
    pub name: Box<str>,
}

impl ServiceKey {
    /// The service `name` in `namespace`.
    pub fn new(namespace: impl Into<NamespaceName>, name: impl Into<Box<str>>) -> Self {
        Self(Arc::new(ServiceName { namespace: namespace.into(), name: name.into() }))
    }
}

impl Deref for ServiceKey {
    type Target = ServiceName;

    fn deref(&self) -> &ServiceName {
        &self.0
    }
}

impl fmt::Debug for ServiceKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl fmt::Display for ServiceKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}
