//! The parts of a CAR that errors name.

use std::fmt;

/// A part of a CAR, as named by errors.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Part {
    /// The header, with its length varint.
    Header,
    /// The list of roots in the header.
    Roots,
    /// The length varint of a section.
    SectionLength,
    /// A whole section, as its length varint states it: CID and data.
    Section,
    /// The CID of a section, or of a root.
    Cid,
    /// The digest in a CID.
    Digest,
    /// The data of a block.
    Data,
    /// The header of a CARv2, from its first byte to where the payload starts.
    V2Header,
    /// The CARv1 inside of a CARv2.
    Payload,
    /// An index. For [`TooLarge`](super::ErrorKind::TooLarge): the number of its buckets.
    Index,
    /// An entry of an index.
    IndexEntry,
    /// The memory in which a writer knows the blocks that it has written.
    Dedupe,
    /// What a channel holds that nobody has taken.
    Queue,
    /// The codes that are counted. For [`TooLarge`](super::ErrorKind::TooLarge): their number.
    Codes,
    /// The files of an index over many CARs. For [`TooLarge`](super::ErrorKind::TooLarge): their number.
    Files,
    /// The list of the files of an index over many CARs.
    FileList,
    /// The name of a file in an index over many CARs.
    FileName,
    /// The pages through which an index over many CARs is searched.
    SearchPages,
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Part::Header => "the header",
            Part::Roots => "the list of roots",
            Part::SectionLength => "a section length",
            Part::Section => "a section",
            Part::Cid => "a CID",
            Part::Digest => "a digest",
            Part::Data => "the data of a block",
            Part::V2Header => "the CARv2 header",
            Part::Payload => "the payload",
            Part::Index => "the index",
            Part::IndexEntry => "an index entry",
            Part::Dedupe => "the memory for blocks that are known",
            Part::Queue => "a queue",
            Part::Codes => "the list of codes",
            Part::Files => "the files of the index",
            Part::FileList => "the list of files",
            Part::FileName => "the name of a file",
            Part::SearchPages => "the pages that are searched",
        })
    }
}
