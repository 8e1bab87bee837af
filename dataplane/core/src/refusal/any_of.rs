//! Refusals of several kinds as one type.

/// `any_of!(Enum { Variant(Kind), … })` makes each kind an `Enum`, and `Enum` a [`super::Refusal`] that says what the kind in
/// it says.
macro_rules! any_of {
    ($enum:ident { $($variant:ident($kind:ident)),+ $(,)? }) => {
        $(impl From<$kind> for $enum {
            fn from(refusal: $kind) -> Self {
                Self::$variant(refusal)
            }
        })+

        impl $enum {
            fn inner(&self) -> &dyn $crate::refusal::Refusal {
                match self {
                    $(Self::$variant(refusal) => refusal,)+
                }
            }
        }

        impl $crate::refusal::Refusal for $enum {
            fn code(&self) -> &'static str {
                self.inner().code()
            }

            fn sentence(&self) -> String {
                self.inner().sentence()
            }

            fn fix(&self) -> String {
                self.inner().fix()
            }
        }
    };
}
pub(super) use any_of;
