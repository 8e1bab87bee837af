//! The codes of an enum of refusals, as a `match` and as a list from one table: so no code is missing from the list.

/// `codes!(Enum { Variant => "code", … })` gives `Enum` a list `CODES` and a method `own_code`.
macro_rules! codes {
    ($refusal:ident { $($variant:ident => $code:literal),+ $(,)? }) => {
        impl $refusal {
            /// Every code there is, in the order of the variants.
            pub(super) const CODES: &'static [&'static str] = &[$($code),+];

            const fn own_code(&self) -> &'static str {
                match self {
                    $(Self::$variant { .. } => $code,)+
                }
            }
        }
    };
}

pub(super) use codes;
