//! What a scan is told, and what it hands out.

use std::fmt;
use std::ops::Range;

use crate::{Cause, FrameHeader, Kind};

/// The longest payloads that a scan believes in, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ScanLimits {
    /// For data frames.
    pub max_data: u32,
    /// For frames of every other kind.
    pub max_other: u32,
}

impl ScanLimits {
    /// Payloads of data frames up to `max_data` bytes, of others up to `max_other`.
    pub fn new(max_data: u32, max_other: u32) -> Self {
        Self { max_data, max_other }
    }

    /// The limit for frames of `kind`.
    pub fn of(&self, kind: Kind) -> u32 {
        if kind == Kind::DATA { self.max_data } else { self.max_other }
    }
}

/// What stands next in a scanned stream.
#[derive(Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Scanned {
    /// A frame that is intact, or was put right.
    Frame(Frame),
    /// Stored bytes that hold no whole frame of this layer and pack.
    #[non_exhaustive]
    Lost {
        /// The stored bytes. Empty for a gap below whose length nobody knows.
        stored: Range<u64>,
        /// Why they are lost.
        cause: Cause,
        /// The frame that stood there, if its header is good: with its payload as it was read, damaged or cut short.
        broken: Option<Frame>,
        /// Of the bytes that stood there, or behind the broken frame, the last ones, as many as the scan [keeps](crate::FrameScan::keeping).
        bytes: Vec<u8>,
    },
}

/// A frame and where it stands.
#[derive(PartialEq, Eq)]
#[non_exhaustive]
pub struct Frame {
    /// Its header.
    pub header: FrameHeader,
    /// Its payload: verified by CRC-64, unless the frame is handed out as broken.
    pub payload: Vec<u8>,
    /// Stored offset of its header.
    pub at: u64,
}

impl fmt::Debug for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { header, payload, at } = self;
        f.debug_struct("Frame")
            .field("header", header)
            .field("payload", &format_args!("{} bytes", payload.len()))
            .field("at", at)
            .finish()
    }
}
