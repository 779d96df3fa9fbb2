//! What a budget lacks.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::Money;

/// What a budget has too little of for one more call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub enum Shortage {
    /// Calls.
    Calls {
        /// Calls that it allows.
        limit: u64,
    },
    /// Money.
    Money {
        /// What the call may cost.
        need: Money,
        /// What is left.
        left: Money,
    },
    /// Time.
    Time,
    /// Tokens.
    Tokens {
        /// Tokens that the call may take.
        need: u64,
        /// Tokens that are left.
        left: u64,
    },
}

impl fmt::Display for Shortage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Calls { limit } => write!(f, "all {limit} calls of the run were made; allow more calls"),
            Self::Money { need, left } => {
                write!(
                    f,
                    "the next call may cost {need} and the run has {left} left; allow more money or lower max_tokens"
                )
            }
            Self::Time => f.write_str("the time of the run was over; allow a longer deadline"),
            Self::Tokens { need, left } => {
                write!(
                    f,
                    "the next call may take {need} tokens and the run has {left} left; allow more tokens or lower max_tokens"
                )
            }
        }
    }
}
