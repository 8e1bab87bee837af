//! Options (RFC 4861 §4.6): type, length in units of eight octets, and what the type says. Those that say nothing to us are
//! passed over, but their lengths have to add up.

use super::Malformed;
use crate::ethernet::Mac;

const SOURCE_LINK_LAYER: u8 = 1;
const UNIT: usize = 8;

/// What is read of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Options {
    /// The option is there, whatever is in it.
    pub(super) names_source: bool,
    /// The sender's address, if it is one of Ethernet. The last one counts.
    pub(super) source: Option<Mac>,
}

impl Options {
    pub(super) fn parse(mut bytes: &[u8]) -> Result<Self, Malformed> {
        let mut options = Self::default();
        while let Some((kind, rest)) = bytes.split_first() {
            let units = *rest.first().ok_or(Malformed::OptionTruncated)?;
            if units == 0 {
                return Err(Malformed::EmptyOption);
            }
            let length = UNIT.saturating_mul(units.into());
            let (option, next) = bytes.split_at_checked(length).ok_or(Malformed::OptionTruncated)?;
            if *kind == SOURCE_LINK_LAYER {
                options.names_source = true;
                options.source = <[u8; UNIT]>::try_from(option).ok().map(|[_, _, mac @ ..]| Mac(mac));
            }
            bytes = next;
        }
        Ok(options)
    }

    pub(super) fn source_link_layer(Mac(mac): Mac) -> impl Iterator<Item = u8> {
        [SOURCE_LINK_LAYER, 1].into_iter().chain(mac)
    }
}
