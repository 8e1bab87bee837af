//! Options (RFC 4861 §4.6): type, length in units of eight octets, and what the type says. Those that say nothing to us are
//! passed over, but their lengths have to add up.

use super::Malformed;
use crate::ethernet::Mac;

const SOURCE_LINK_LAYER: u8 = 1;
const TARGET_LINK_LAYER: u8 = 2;
const UNIT: usize = 8;

/// What is read of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Options {
    /// The option is there, whatever is in it.
    pub(super) names_source: bool,
    /// The sender's address, if it is one of Ethernet. The last one counts.
    pub(super) source: Option<Mac>,
    /// The address of what the message is about, if it is one of Ethernet. The last one counts.
    pub(super) target: Option<Mac>,
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
            let station = || <[u8; UNIT]>::try_from(option).ok().map(|[_, _, mac @ ..]| Mac(mac));
            match *kind {
                SOURCE_LINK_LAYER => (options.names_source, options.source) = (true, station()),
                TARGET_LINK_LAYER => options.target = station(),
                _ => {} // prefixes, MTU, DNS, … and what is not invented yet
            }
            bytes = next;
        }
        Ok(options)
    }

    pub(super) fn source_link_layer(Mac(mac): Mac) -> impl Iterator<Item = u8> {
        [SOURCE_LINK_LAYER, 1].into_iter().chain(mac)
    }

    pub(super) fn target_link_layer(Mac(mac): Mac) -> impl Iterator<Item = u8> {
        [TARGET_LINK_LAYER, 1].into_iter().chain(mac)
    }
}
