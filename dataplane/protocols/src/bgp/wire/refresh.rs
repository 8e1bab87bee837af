//! ROUTE-REFRESH: tell me your routes again (RFC 2918), and where the answer starts and ends (RFC 7313).

use super::family::AddressFamily;
use super::header::{Kind, message};
use super::notification::Notification;
use super::reader::Reader;
use super::reason::Reason;

/// What a ROUTE-REFRESH says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Demarcation {
    /// Tell me your routes again.
    Request,
    /// BoRR: what follows is all I have.
    Beginning,
    /// EoRR: that was all.
    End,
    /// Something that came later. RFC 7313 §5: to be ignored.
    Unknown(u8),
}

/// A ROUTE-REFRESH.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RouteRefresh {
    /// Of these routes.
    pub family: AddressFamily,
    /// What it says.
    pub demarcation: Demarcation,
}

impl RouteRefresh {
    /// Reads the body of a message. Filters (RFC 5291) are passed over: we never say that we know them.
    pub fn parse(body: &[u8]) -> Result<Self, Notification> {
        let mut reader = Reader::new(body);
        let Some([high, low, subtype, safi]) = reader.array() else {
            return Err(Notification::new(Reason::BAD_REFRESH_LENGTH, body));
        };
        let demarcation = match subtype {
            0 => Demarcation::Request,
            1 => Demarcation::Beginning,
            2 => Demarcation::End,
            other => Demarcation::Unknown(other),
        };
        let is_mark = matches!(demarcation, Demarcation::Beginning | Demarcation::End);
        if is_mark && !reader.is_empty() {
            let whole = message(Kind::RouteRefresh, body).unwrap_or_default();
            return Err(Notification::new(Reason::BAD_REFRESH_LENGTH, whole));
        }
        Ok(Self { family: AddressFamily::from_octets([high, low, safi]), demarcation })
    }

    /// The whole message.
    pub fn emit(&self) -> Vec<u8> {
        let [high, low, safi] = self.family.octets();
        let subtype = match self.demarcation {
            Demarcation::Request => 0,
            Demarcation::Beginning => 1,
            Demarcation::End => 2,
            Demarcation::Unknown(other) => other,
        };
        message(Kind::RouteRefresh, &[high, low, subtype, safi]).unwrap_or_default()
    }
}
