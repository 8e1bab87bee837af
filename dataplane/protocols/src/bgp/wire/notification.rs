//! NOTIFICATION: why this is the end (RFC 4271 §4.5), in words too (RFC 9003), and for good (RFC 8538).

use std::fmt;

use super::header::{HEADER, Kind, LARGEST, message};
use super::reader::Reader;
use super::reason::Reason;

/// Octets of text in a shutdown communication (RFC 9003 §2).
const LONGEST_TEXT: usize = 255;
/// So that the message fits where RFC 8654 is not agreed on.
const LONGEST_DATA: usize = LARGEST - HEADER - 2;

/// A NOTIFICATION, and how a parser says what is wrong: with the one to answer with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notification {
    /// Why.
    pub reason: Reason,
    data: Vec<u8>,
}

impl From<Reason> for Notification {
    fn from(reason: Reason) -> Self {
        Self { reason, data: Vec::new() }
    }
}

impl Notification {
    /// One with data, which is cut to what every peer can take.
    pub fn new(reason: Reason, data: impl Into<Vec<u8>>) -> Self {
        let mut data = data.into();
        data.truncate(LONGEST_DATA);
        Self { reason, data }
    }

    /// Administrative shutdown or reset with a word to the operator of the router (RFC 9003), cut to its 255 octets.
    pub fn with_communication(reason: Reason, text: &str) -> Self {
        let fits = |end: &usize| *end <= LONGEST_TEXT;
        let ends = text.char_indices().map(|(at, char)| at.saturating_add(char.len_utf8()));
        let text = ends.take_while(fits).last().and_then(|end| text.get(..end)).unwrap_or_default();
        let mut data = vec![u8::try_from(text.len()).unwrap_or_default()];
        data.extend(text.as_bytes());
        Self { reason, data }
    }

    /// The same as a hard reset (RFC 8538 §3): the peer is not to keep our routes.
    pub fn hard(self) -> Self {
        let mut data = vec![self.reason.code, self.reason.subcode];
        data.extend(self.data);
        Self::new(Reason::HARD_RESET, data)
    }

    /// What goes with the reason.
    pub fn data(&self) -> &[u8] {
        &self.data
    }

    /// What a hard reset is for (RFC 8538 §3.1); itself, if it is none or does not say.
    pub fn cause(&self) -> Self {
        let mut reader = Reader::new(&self.data);
        match (self.reason, reader.array()) {
            (Reason::HARD_RESET, Some([code, subcode])) => {
                Self { reason: Reason { code, subcode }, data: reader.rest().to_vec() }
            }
            _ => self.clone(),
        }
    }

    /// The word of the router's operator (RFC 9003), control characters taken out. Old senders of RFC 8203 are
    /// understood as well.
    pub fn communication(&self) -> Option<String> {
        let cause = self.cause();
        if !matches!(cause.reason, Reason::ADMINISTRATIVE_SHUTDOWN | Reason::ADMINISTRATIVE_RESET) {
            return None;
        }
        let text = Reader::new(&cause.data).sized_u8()?;
        let text: String =
            String::from_utf8_lossy(text.rest()).chars().filter(|char| !char.is_control()).collect();
        (!text.is_empty()).then_some(text)
    }

    /// Reads the body of a message.
    pub fn parse(body: &[u8]) -> Result<Self, Self> {
        let mut reader = Reader::new(body);
        let Some([code, subcode]) = reader.array() else {
            return Err(Reason::BAD_MESSAGE_LENGTH.into());
        };
        Ok(Self { reason: Reason { code, subcode }, data: reader.rest().to_vec() })
    }

    /// The whole message. Data longer than any peer takes (it came from a peer that can send more) is cut.
    pub fn emit(&self) -> Vec<u8> {
        let mut body = vec![self.reason.code, self.reason.subcode];
        body.extend(self.data.iter().take(LONGEST_DATA));
        message(Kind::Notification, &body).unwrap_or_default()
    }
}

impl fmt::Display for Notification {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let cause = self.cause();
        if self.reason == Reason::HARD_RESET && cause.reason != self.reason {
            write!(f, "hard reset, {}", cause.reason)?;
        } else {
            write!(f, "{}", self.reason)?;
        }
        match self.communication() {
            Some(text) => write!(f, ": “{text}”"),
            None => Ok(()),
        }
    }
}
