//! What a cluster has besides Kubernetes, as far as objects differ by it.
//!
//! Each API is discovered on its own: MicroShift has some of OpenShift's and not others, and one flag for all of them
//! would be wrong for it.

/// Does the API server know a kind that not every cluster has?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Served {
    /// It does.
    Yes,
    /// It does not: whoever brings it is not installed.
    No,
}

/// Who signs certificates for Services.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServiceCa {
    /// Nobody.
    Absent,
    /// OpenShift does, and has not yet done so for all of ours.
    Awaited,
    /// OpenShift has done so for the Services of controller and speakers.
    Signed,
}

/// What of OpenShift a cluster has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Platform {
    /// Does the API server know SecurityContextConstraints? Then pods run as these let them.
    pub security_context_constraints: Served,
    /// Who signs the certificates of the metrics.
    pub service_ca: ServiceCa,
}

impl Platform {
    /// Kubernetes and no more.
    pub const KUBERNETES: Self =
        Self { security_context_constraints: Served::No, service_ca: ServiceCa::Absent };
}
