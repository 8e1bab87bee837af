//! AS_PATH: the systems a route came through (RFC 4271 §4.3), also towards peers that know two octets (RFC 6793).

use metallb_core::config::Asn;

use super::reader::Reader;

/// Stands for a system whose number does not fit two octets.
pub const AS_TRANS: u16 = 23_456;

/// What the systems of a segment are to each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum SegmentKind {
    /// Come through in any order.
    Set,
    /// Come through one after the other, the last first.
    Sequence,
    /// The same inside a confederation (RFC 5065).
    ConfederationSequence,
    /// The same in any order.
    ConfederationSet,
}

impl SegmentKind {
    const ALL: [Self; 4] = [Self::Set, Self::Sequence, Self::ConfederationSequence, Self::ConfederationSet];

    const fn code(self) -> u8 {
        match self {
            Self::Set => 1,
            Self::Sequence => 2,
            Self::ConfederationSequence => 3,
            Self::ConfederationSet => 4,
        }
    }

    const fn is_confederation(self) -> bool {
        matches!(self, Self::ConfederationSequence | Self::ConfederationSet)
    }
}

/// One to 255 systems.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segment {
    kind: SegmentKind,
    systems: Vec<Asn>,
}

impl Segment {
    /// `None` for no systems, and for more than 255.
    pub fn new(kind: SegmentKind, systems: Vec<Asn>) -> Option<Self> {
        (1..=255).contains(&systems.len()).then_some(Self { kind, systems })
    }

    /// What its systems are to each other.
    pub const fn kind(&self) -> SegmentKind {
        self.kind
    }

    /// Its systems.
    pub fn systems(&self) -> &[Asn] {
        &self.systems
    }

    /// What it counts for in comparisons (RFC 6793 §4.2.3, RFC 5065 §5.3).
    const fn counts(&self) -> usize {
        match self.kind {
            SegmentKind::Sequence => self.systems.len(),
            SegmentKind::Set => 1,
            SegmentKind::ConfederationSequence | SegmentKind::ConfederationSet => 0,
        }
    }
}

/// The systems a route came through.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AsPath(Vec<Segment>);

impl AsPath {
    /// Of these segments.
    pub const fn new(segments: Vec<Segment>) -> Self {
        Self(segments)
    }

    /// What a route is given on its way out of the system it starts in.
    pub fn origin(asn: Asn) -> Self {
        Self(vec![Segment { kind: SegmentKind::Sequence, systems: vec![asn] }])
    }

    /// Its segments.
    pub fn segments(&self) -> &[Segment] {
        &self.0
    }

    fn counts(&self) -> usize {
        self.0.iter().map(Segment::counts).fold(0, usize::saturating_add)
    }

    /// Reads the value of AS_PATH or AS4_PATH; `None` for anything RFC 7606 §7.2 calls malformed, and for system 0
    /// (RFC 7607).
    pub(super) fn parse(mut reader: Reader<'_>, four_octets: bool) -> Option<Self> {
        let mut segments = Vec::new();
        while !reader.is_empty() {
            let [code, count] = reader.array()?;
            let kind = SegmentKind::ALL.into_iter().find(|kind| kind.code() == code)?;
            let mut systems = Vec::with_capacity(count.into());
            for _ in 0..count {
                let number = if four_octets { reader.u32()? } else { reader.u16()?.into() };
                systems.push(Asn::new(number)?);
            }
            segments.push(Segment::new(kind, systems)?);
        }
        Some(Self(segments))
    }

    pub(super) fn emit(&self, four_octets: bool) -> Vec<u8> {
        let mut out = Vec::new();
        for Segment { kind, systems } in &self.0 {
            out.extend([kind.code(), u8::try_from(systems.len()).unwrap_or(u8::MAX)]);
            for system in systems {
                if four_octets {
                    out.extend(system.get().to_be_bytes());
                } else {
                    out.extend(u16::try_from(system.get()).unwrap_or(AS_TRANS).to_be_bytes());
                }
            }
        }
        out
    }

    /// What goes along as AS4_PATH where only two octets are known; `None` if nothing is lost without (RFC 6793 §4.2.2).
    pub(super) fn as4_path(&self) -> Option<Self> {
        let too_large = |system: &Asn| u16::try_from(system.get()).is_err();
        let plain = || self.0.iter().filter(|segment| !segment.kind.is_confederation());
        let lossy = plain().any(|segment| segment.systems.iter().any(too_large));
        lossy.then(|| Self(plain().cloned().collect()))
    }

    /// The path that a sender of two octets meant with the two attributes (RFC 6793 §4.2.3).
    pub(super) fn merged(self, as4_path: Self) -> Self {
        let mut as4_path = as4_path;
        as4_path.0.retain(|segment| !segment.kind.is_confederation());
        // Where systems that know two octets aggregated, the path got shorter than what it carries along: then that
        // is of no use.
        let Some(mut excess) = self.counts().checked_sub(as4_path.counts()) else { return self };
        let mut merged = Vec::new();
        for segment in self.0 {
            if segment.kind.is_confederation() {
                merged.push(segment);
                continue;
            }
            let counts = segment.counts();
            let Some(left) = excess.checked_sub(counts) else {
                let systems: Vec<_> = segment.systems.into_iter().take(excess).collect();
                merged.extend(Segment::new(segment.kind, systems));
                break;
            };
            if excess == 0 {
                break;
            }
            excess = left;
            merged.push(segment);
        }
        for segment in as4_path.0 {
            match merged.last_mut() {
                Some(last)
                    if last.kind == SegmentKind::Sequence
                        && segment.kind == SegmentKind::Sequence
                        && last.systems.len().saturating_add(segment.systems.len()) <= 255 =>
                {
                    last.systems.extend(segment.systems);
                }
                _ => merged.push(segment),
            }
        }
        Self(merged)
    }
}
