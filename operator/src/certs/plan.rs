//! What is to be done next about the certificate. Pure.

use jiff::{SignedDuration, Timestamp};

use super::issue::{self, BACKDATED, Issued};
use super::material::{By, Material, Names, Worth};

/// How long things are valid, and how long we wait for others. The default is upstream's, where it has one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    /// For how long an authority is made.
    pub authority: SignedDuration,
    /// For how long a certificate is made.
    pub server: SignedDuration,
    /// How long before its end a thing is replaced.
    pub ahead: SignedDuration,
    /// How long after a write every API server goes by it: they follow the objects by watch.
    pub settle: SignedDuration,
    /// How long after a write to a webhook configuration the [second one](super::publish) follows.
    pub second_write: SignedDuration,
    /// How long after a write every replica of ours shows the new certificate.
    pub followed: SignedDuration,
    /// How often is looked, whatever happens.
    pub look: SignedDuration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            authority: SignedDuration::from_hours(10 * 365 * 24),
            server: SignedDuration::from_hours(365 * 24),
            ahead: SignedDuration::from_hours(90 * 24),
            settle: SignedDuration::from_mins(1),
            second_write: SignedDuration::from_secs(1),
            followed: SignedDuration::from_hours(1),
            look: SignedDuration::from_hours(12),
        }
    }
}

/// How far the authorities of the Secret are known to those who have to trust them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Published {
    /// Not everywhere.
    No,
    /// Everywhere, for so long.
    For(SignedDuration),
}

/// What is to be done next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Look again after that time, or when something changes.
    Wait(SignedDuration),
    /// A new authority, and a certificate by it: what there is serves nobody.
    StartOver,
    /// A new authority beside those there are. The certificate stays until everybody knows the authority.
    AddAuthority,
    /// A new certificate by the authority that signs.
    NewCertificate,
    /// Authorities that have signed nothing that is still shown go.
    DropAuthorities,
}

/// What is to be done next about material that is worth that much.
pub fn next(worth: &Worth, published: Published, now: Timestamp, timing: &Timing) -> Step {
    let Timing { authority: _, server: _, ahead, settle, second_write: _, followed, look } = *timing;
    let lasts = |until: Timestamp| until.duration_since(now) > ahead;
    let authority = worth.authority_until.filter(|until| lasts(*until));
    let Some(server) = worth.server else {
        // Nothing can be served: nobody loses anything if it is not known everywhere at once.
        return if authority.is_some() { Step::NewCertificate } else { Step::StartOver };
    };
    let Some(authority) = authority else { return Step::AddAuthority };
    if server.by == By::Other {
        return match published {
            Published::No => Step::Wait(look),
            Published::For(time) if time < settle => Step::Wait(settle - time),
            Published::For(_) => Step::NewCertificate,
        };
    }
    // Whoever accepts the one there is accepts another one by the same authority.
    if server.names == Names::Some || !lasts(server.until) {
        return Step::NewCertificate;
    }
    let due = server.until.min(authority).duration_since(now) - ahead;
    if worth.others == 0 {
        return Step::Wait(due.min(look));
    }
    let shown_for = now.duration_since(server.from) - BACKDATED;
    if shown_for < followed {
        Step::Wait((followed - shown_for).min(due).min(look))
    } else {
        Step::DropAuthorities
    }
}

impl Step {
    /// `material` after this step.
    pub fn take(
        self,
        material: &Material,
        names: &[String],
        now: Timestamp,
        timing: &Timing,
    ) -> Result<Material, rcgen::Error> {
        match self {
            Self::Wait(_) => Ok(material.clone()),
            Self::StartOver => with_authority(material, now, timing)
                .and_then(|material| with_certificate(&material, names, now, timing)),
            Self::AddAuthority => with_authority(material, now, timing),
            Self::NewCertificate => with_certificate(material, names, now, timing),
            Self::DropAuthorities => Ok(Material {
                authorities: material.authorities.get(..1).unwrap_or_default().to_vec(),
                ..material.clone()
            }),
        }
    }
}

/// Authorities that are kept beside a new one: the one before it, and the one before that, in case that a change of
/// authorities was under way.
const KEPT: usize = 2;

fn with_authority(material: &Material, now: Timestamp, timing: &Timing) -> Result<Material, rcgen::Error> {
    let Issued { certificate, key } = issue::authority(now, now + timing.authority)?;
    let kept = material.authorities.iter().take(KEPT).cloned();
    Ok(Material {
        authorities: std::iter::once(certificate).chain(kept).collect(),
        authority_key: key,
        server: material.server.clone(),
    })
}

fn with_certificate(
    material: &Material,
    names: &[String],
    now: Timestamp,
    timing: &Timing,
) -> Result<Material, rcgen::Error> {
    let signer = material.signer().ok_or(rcgen::Error::CouldNotParseCertificate)?;
    let server = issue::server(&signer, names, now, now + timing.server)?;
    Ok(Material { server: Some(server), ..material.clone() })
}
