//! Why a label selector cannot be used.

use std::fmt;

/// Why a label selector is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BadSelector {
    /// The operator is not one of In, NotIn, Exists, DoesNotExist.
    UnknownOperator(String),
    /// In and NotIn want values.
    NeedsValues(String),
    /// Exists and DoesNotExist take none.
    TakesNoValues(String),
    /// The same value twice in one expression.
    RepeatedValue(String),
    /// The same expression twice in one selector.
    RepeatedExpression(String),
    /// The same selector twice in the list.
    RepeatedSelector,
}

impl fmt::Display for BadSelector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownOperator(operator) => {
                write!(f, "{operator:?} is not a valid label selector operator")
            }
            Self::NeedsValues(key) => write!(f, "the expression on {key:?} needs at least one value"),
            Self::TakesNoValues(key) => write!(f, "the expression on {key:?} takes no values"),
            Self::RepeatedValue(value) => write!(f, "the value {value:?} stands twice in one expression"),
            Self::RepeatedExpression(key) => write!(f, "the same expression on {key:?} stands twice"),
            Self::RepeatedSelector => {
                f.write_str("duplicate label selector: the same one stands twice in the list")
            }
        }
    }
}
