//! Why a session ends: the codes of NOTIFICATIONs and their names (RFC 4271 §4.5 and the registry that followed).

use std::fmt;

/// A code and its subcode. Any may come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Reason {
    /// The error code.
    pub code: u8,
    /// The error subcode.
    pub subcode: u8,
}

macro_rules! reasons {
    ($($name:ident = $code:literal / $subcode:literal, $text:literal;)*) => {
        impl Reason {
            $(#[doc = concat!("Code ", $code, "/", $subcode, ": ", $text, ".")]
            pub const $name: Self = Self { code: $code, subcode: $subcode };)*

            /// What the registry calls it, if it knows it.
            pub const fn name(self) -> Option<&'static str> {
                match self {
                    $(Self::$name => Some($text),)*
                    Self { .. } => None,
                }
            }
        }
        #[cfg(test)]
        impl Reason {
            /// All that have a name.
            pub const NAMED: &'static [Self] = &[$(Self::$name),*];
        }
    };
}

reasons! {
    NOT_SYNCHRONISED = 1/1, "connection not synchronized";
    BAD_MESSAGE_LENGTH = 1/2, "bad message length";
    BAD_MESSAGE_TYPE = 1/3, "bad message type";
    MALFORMED_OPEN = 2/0, "malformed OPEN";
    UNSUPPORTED_VERSION = 2/1, "unsupported version number";
    BAD_PEER_AS = 2/2, "bad peer AS";
    BAD_IDENTIFIER = 2/3, "bad BGP identifier";
    UNSUPPORTED_PARAMETER = 2/4, "unsupported optional parameter";
    UNACCEPTABLE_HOLD_TIME = 2/6, "unacceptable hold time";
    UNSUPPORTED_CAPABILITY = 2/7, "unsupported capability";
    ROLE_MISMATCH = 2/11, "role mismatch";
    MALFORMED_ATTRIBUTES = 3/1, "malformed attribute list";
    UNRECOGNISED_WELL_KNOWN = 3/2, "unrecognized well-known attribute";
    MISSING_WELL_KNOWN = 3/3, "missing well-known attribute";
    ATTRIBUTE_FLAGS = 3/4, "attribute flags error";
    ATTRIBUTE_LENGTH = 3/5, "attribute length error";
    BAD_ORIGIN = 3/6, "invalid ORIGIN attribute";
    BAD_NEXT_HOP = 3/8, "invalid NEXT_HOP attribute";
    OPTIONAL_ATTRIBUTE = 3/9, "optional attribute error";
    BAD_PREFIX = 3/10, "invalid network field";
    BAD_AS_PATH = 3/11, "malformed AS_PATH";
    HOLD_TIMER_EXPIRED = 4/0, "hold timer expired";
    UNEXPECTED = 5/0, "finite state machine error";
    UNEXPECTED_IN_OPEN_SENT = 5/1, "unexpected message in OpenSent state";
    UNEXPECTED_IN_OPEN_CONFIRM = 5/2, "unexpected message in OpenConfirm state";
    UNEXPECTED_IN_ESTABLISHED = 5/3, "unexpected message in Established state";
    CEASE = 6/0, "cease";
    MAXIMUM_PREFIXES = 6/1, "maximum number of prefixes reached";
    ADMINISTRATIVE_SHUTDOWN = 6/2, "administrative shutdown";
    DECONFIGURED = 6/3, "peer de-configured";
    ADMINISTRATIVE_RESET = 6/4, "administrative reset";
    CONNECTION_REJECTED = 6/5, "connection rejected";
    CONFIGURATION_CHANGE = 6/6, "other configuration change";
    COLLISION = 6/7, "connection collision resolution";
    OUT_OF_RESOURCES = 6/8, "out of resources";
    HARD_RESET = 6/9, "hard reset";
    BFD_DOWN = 6/10, "BFD down";
    BAD_REFRESH_LENGTH = 7/1, "invalid ROUTE-REFRESH length";
    SEND_HOLD_TIMER_EXPIRED = 8/0, "send hold timer expired";
}

impl Reason {
    /// Does it refuse what the sender's peer is, rather than what it did?
    pub const fn is_about_open(self) -> bool {
        self.code == 2
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => write!(f, "{name} ({}/{})", self.code, self.subcode),
            None => write!(f, "code {}, subcode {}", self.code, self.subcode),
        }
    }
}
