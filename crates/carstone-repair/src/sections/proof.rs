//! What is known of a block besides that it hashes to its CID.

/// How far the place of a block in the stream is known, and the codec in its CID, which no hash covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Proof {
    /// All its bytes stood in whole frames.
    Frame,
    /// It follows a known place without a fault, in the beginning of a frame whose end is missing.
    Cut,
    /// It follows a known place without a fault, in a frame that is damaged somewhere.
    Broken,
    /// It follows the header of a stream without frames, section by section, without a fault.
    Chain,
    /// It was found by its content behind damage.
    Found,
    /// The same, but where a section that is damaged says that its own data stand.
    Inside,
}

impl Proof {
    /// Whether what follows it in the stream is known to follow it in the pack.
    pub(crate) fn keeps_order(self) -> bool {
        matches!(self, Self::Frame | Self::Cut | Self::Chain)
    }

    /// Whether it is known to stand where it stood when it was written.
    pub(crate) fn is_placed(self) -> bool {
        matches!(self, Self::Frame | Self::Cut)
    }
}
