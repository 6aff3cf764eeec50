//! Exit statuses.

use std::process::ExitCode;

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Everything is intact.
    Intact,
    /// Done, but damage, a difference or an unreadable file was found.
    Found,
    /// It could not be done.
    Failed,
    /// A signal stopped it.
    Interrupted,
}

impl Exit {
    /// `Found` when something was found.
    pub(crate) fn found(found: bool) -> Self {
        if found { Self::Found } else { Self::Intact }
    }

    /// The number that the shell sees.
    pub(crate) fn code(self) -> u8 {
        match self {
            Self::Intact => 0,
            Self::Found => 1,
            Self::Failed => 2,
            Self::Interrupted => 130,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}
