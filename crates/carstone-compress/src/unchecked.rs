//! Bytes of a gap without proof, decoded when they are asked for.

use std::io::{self, Cursor, Read};

use crate::salvage::Broken;

/// What can be read of a gap.
#[derive(Default)]
pub(crate) enum Unchecked {
    #[default]
    None,
    Broken(Broken),
    Bytes(Cursor<Vec<u8>>),
}

impl From<Vec<u8>> for Unchecked {
    fn from(bytes: Vec<u8>) -> Self {
        match bytes.is_empty() {
            true => Self::None,
            false => Self::Bytes(Cursor::new(bytes)),
        }
    }
}

impl Read for Unchecked {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if let Self::Broken(_) = self
            && let Self::Broken(broken) = std::mem::take(self)
        {
            *self = broken.into_prefix().into();
        }
        match self {
            Self::Bytes(bytes) => bytes.read(buf),
            _ => Ok(0),
        }
    }
}
