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
    /// Whether it is known to stand where it stood when it was written, and so what it follows, and what follows it. Where no frame says so, sections may be gone
    /// as a whole, or stand twice.
    pub(crate) fn is_placed(self) -> bool {
        matches!(self, Self::Frame | Self::Cut)
    }

    /// Whether something in front of it is damaged.
    pub(crate) fn is_behind_damage(self) -> bool {
        matches!(self, Self::Broken | Self::Found | Self::Inside)
    }
}
