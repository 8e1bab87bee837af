//! OPEN: who I am, and what I can do (RFC 4271 §4.2), in optional parameters of any length (RFC 9072).

use std::net::Ipv4Addr;
use std::time::Duration;

use metallb_core::config::{Asn, HoldTime, RouterId};

use super::as_path::AS_TRANS;
use super::capability::{Capability, FOUR_OCTET_AS};
use super::header::{HEADER, Kind, LARGEST, message};
use super::notification::Notification;
use super::reader::Reader;
use super::reason::Reason;

const VERSION: u8 = 4;
/// The optional parameter that holds capabilities (RFC 5492 §4).
const CAPABILITIES: u8 = 2;
/// RFC 9072 §2: as type and length of a first parameter, "lengths have two octets from here on".
const EXTENDED: u8 = 255;
/// What capabilities may take so that the OPEN fits: header, fixed part, and the parameters' own type and lengths.
const ROOM: usize = LARGEST - HEADER - 16;

/// An OPEN. Its two statements about its sender's system never contradict each other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Open {
    /// The sender's system. That of a sender which knows two octets only may be [`AS_TRANS`], for want of better.
    pub asn: Asn,
    /// Does the sender know systems of four octets (RFC 6793)?
    pub four_octet_as: bool,
    /// The hold time it proposes.
    pub hold_time: HoldTime,
    /// Its BGP identifier.
    pub router_id: RouterId,
    /// What it can do, save four octets.
    pub capabilities: Vec<Capability>,
}

impl Open {
    /// Reads the body of a message.
    pub fn parse(body: &[u8]) -> Result<Self, Notification> {
        let malformed = || Notification::from(Reason::MALFORMED_OPEN);
        let mut reader = Reader::new(body);
        let version = reader.u8().ok_or_else(malformed)?;
        if version != VERSION {
            return Err(Notification::new(Reason::UNSUPPORTED_VERSION, [0, VERSION]));
        }
        let my_as = reader.u16().ok_or_else(malformed)?;
        let hold = reader.u16().ok_or_else(malformed)?;
        let router_id: [u8; 4] = reader.array().ok_or_else(malformed)?;
        let Parameters { four_octet_as, capabilities } =
            Parameters::parse(reader).ok_or_else(malformed)??;

        let bad_as = |four: u32| Notification::new(Reason::BAD_PEER_AS, four.to_be_bytes());
        let asn = match four_octet_as {
            None => u32::from(my_as),
            Some(four) if my_as == AS_TRANS && four != u32::from(AS_TRANS) => four,
            Some(four) if u32::from(my_as) == four && my_as != AS_TRANS => four,
            Some(four) => return Err(bad_as(four)),
        };
        let asn = Asn::new(asn).ok_or_else(|| bad_as(asn))?;
        let router_id = RouterId::new(Ipv4Addr::from(router_id))
            .ok_or_else(|| Notification::new(Reason::BAD_IDENTIFIER, router_id))?;
        let hold_time = HoldTime::try_from(Duration::from_secs(hold.into()))
            .map_err(|_| Notification::new(Reason::UNACCEPTABLE_HOLD_TIME, hold.to_be_bytes()))?;
        Ok(Self { asn, four_octet_as: four_octet_as.is_some(), hold_time, router_id, capabilities })
    }

    /// The whole message. Capabilities beyond what fits (over 3 kB of them) are left out.
    pub fn emit(&self) -> Vec<u8> {
        let mut capabilities = Vec::new();
        if self.four_octet_as {
            capabilities.extend([FOUR_OCTET_AS, 4]);
            capabilities.extend(self.asn.get().to_be_bytes());
        }
        for capability in &self.capabilities {
            let mut bytes = Vec::new();
            capability.emit(&mut bytes);
            if capabilities.len().saturating_add(bytes.len()) <= ROOM {
                capabilities.extend(bytes);
            }
        }
        let hold = self.hold_time.get().unwrap_or_default().as_secs();
        let mut body = vec![VERSION];
        body.extend(u16::try_from(self.asn.get()).unwrap_or(AS_TRANS).to_be_bytes());
        body.extend(u16::try_from(hold).unwrap_or(u16::MAX).to_be_bytes());
        body.extend(self.router_id.get().octets());
        body.extend(parameters(&capabilities));
        message(Kind::Open, &body).unwrap_or_default()
    }
}

/// The capabilities in one parameter; in the form of RFC 9072 where the other cannot say how long it is.
fn parameters(capabilities: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let short = u8::try_from(capabilities.len()).ok();
    if capabilities.is_empty() {
        bytes.push(0);
    } else if let (Some(length), Some(total)) = (short, short.and_then(|length| length.checked_add(2)))
        && total != EXTENDED
    {
        bytes.extend([total, CAPABILITIES, length]);
    } else {
        let length = u16::try_from(capabilities.len()).unwrap_or(u16::MAX);
        bytes.extend([EXTENDED, EXTENDED]);
        bytes.extend(length.saturating_add(3).to_be_bytes());
        bytes.push(CAPABILITIES);
        bytes.extend(length.to_be_bytes());
    }
    bytes.extend(capabilities);
    bytes
}

/// What the optional parameters say.
struct Parameters {
    four_octet_as: Option<u32>,
    capabilities: Vec<Capability>,
}

impl Parameters {
    /// `None` where lengths contradict each other.
    fn parse(mut reader: Reader<'_>) -> Option<Result<Self, Notification>> {
        let mut read = Self { four_octet_as: None, capabilities: Vec::new() };
        let length = reader.u8()?;
        // RFC 9072 §2: the length octet should be 255 as well; any other but 0 is to be accepted.
        let extended = length != 0 && reader.rest().first() == Some(&EXTENDED);
        let length = if extended {
            reader.u8()?;
            reader.u16()?.into()
        } else {
            usize::from(length)
        };
        if reader.rest().len() != length {
            return None;
        }
        while !reader.is_empty() {
            let kind = reader.u8()?;
            let parameter = if extended { reader.sized_u16()? } else { reader.sized_u8()? };
            if kind != CAPABILITIES {
                return Some(Err(Reason::UNSUPPORTED_PARAMETER.into()));
            }
            read.capabilities(parameter)?;
        }
        Some(Ok(read))
    }

    fn capabilities(&mut self, mut reader: Reader<'_>) -> Option<()> {
        while !reader.is_empty() {
            let code = reader.u8()?;
            let mut value = reader.sized_u8()?;
            if code == FOUR_OCTET_AS {
                self.four_octet_as = Some(value.u32()?);
                value.is_empty().then_some(())?;
            } else {
                self.capabilities.push(Capability::parse(code, value.rest()));
            }
        }
        Some(())
    }
}
