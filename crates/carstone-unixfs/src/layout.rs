//! How the leaves of a file hang below its root.

use std::fmt;
use std::str::FromStr;

use crate::error::{Error, ErrorKind};

/// How the leaves of a file hang below its root. As text it is `balanced` or `trickle`.
///
/// ```
/// use carstone_unixfs::{Layout, Profile};
/// let profile = Profile::unixfs_v1_2025().with_layout("trickle".parse()?);
/// assert_eq!((profile.layout(), profile.name()), (Layout::Trickle, None));
/// # Ok::<(), carstone_unixfs::Error>(())
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Layout {
    /// All leaves at the same depth, which suits reading at any offset. A file of one leaf is that leaf.
    #[default]
    Balanced,
    /// Every node has leaves first and then subtrees, four of each height from the lowest up, which suits reading from
    /// front to back. The root is always a node, and leaves that are nodes are of UnixFS type Raw. This is what
    /// `ipfs add --trickle` makes.
    Trickle,
}

impl Layout {
    /// All there are.
    pub const ALL: &'static [Self] = &[Self::Balanced, Self::Trickle];

    fn as_str(self) -> &'static str {
        match self {
            Self::Balanced => "balanced",
            Self::Trickle => "trickle",
        }
    }
}

impl fmt::Display for Layout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Layout {
    type Err = Error;

    /// [`ErrorKind::UnknownLayout`] of any other text.
    fn from_str(text: &str) -> Result<Self, Error> {
        let found = Self::ALL.iter().find(|layout| layout.as_str() == text);
        found.copied().ok_or_else(|| Error::new(ErrorKind::UnknownLayout(text.to_owned())))
    }
}
