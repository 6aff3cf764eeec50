//! Streams, their parity, and its frames one by one.

use carstone_layer::{crc64, digest16};
use carstone_parity::{
    Error, Healed, Memory, Options, Parity, ProtectionId, Share, Survey, heal, protect,
};

/// Bytes without a pattern.
pub fn noise(len: usize, seed: u64) -> Vec<u8> {
    let mut bytes = vec![0; len];
    blake3::Hasher::new().update(&seed.to_le_bytes()).finalize_xof().fill(&mut bytes);
    bytes
}

pub fn options(share: u32) -> Options {
    Options::default()
        .with_share(Share::new(share).unwrap())
        .with_id(ProtectionId::from_bytes([7; 16]))
        .with_threads(2)
}

pub fn parity_of(stream: &[u8], share: u32) -> Vec<u8> {
    let target = Memory::new();
    protect(stream, &target, &options(share), &|_| ()).unwrap();
    target.into_bytes()
}

/// What comes of healing, and the bytes that were written.
pub fn healed(stream: &[u8], parity: &[u8]) -> Result<(Healed, Vec<u8>), Error> {
    let parity = Parity::open(parity, 2)?;
    let survey = Survey::of(stream, &parity, 2, &|_| ())?;
    let target = Memory::new();
    let healed = heal(stream, &parity, &survey, &target, 2, &|_| ())?;
    Ok((healed, target.into_bytes()))
}

/// What a frame is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    Descriptor,
    Table,
    Recovery,
}

/// A frame of sound parity, its header in front.
#[derive(Clone, Debug)]
pub struct Frame {
    pub kind: Kind,
    /// The number of a recovery cell in its zone, or that of a shard.
    pub number: u32,
    pub bytes: Vec<u8>,
}

impl Frame {
    pub fn payload(&mut self) -> &mut [u8] {
        &mut self.bytes[HEADER..]
    }

    /// Makes CRC and digest fit what the frame says now.
    pub fn seal(&mut self) {
        let (header, payload) = self.bytes.split_at_mut(HEADER);
        let crc = crc64(&[&header[..32], payload]);
        let digest = digest16(&[&header[..32], payload]);
        header[32..40].copy_from_slice(&crc.to_le_bytes());
        header[40..].copy_from_slice(&digest[..8]);
    }
}

/// The frames of sound parity, in their order.
pub fn frames(parity: &[u8]) -> Vec<Frame> {
    let (mut rest, mut frames) = (parity, Vec::new());
    while !rest.is_empty() {
        let (bytes, behind) = rest.split_at(HEADER + (1 << rest[6]));
        let kind = match bytes[5] {
            1 => Kind::Descriptor,
            2 => Kind::Table,
            _ => Kind::Recovery,
        };
        let number = u32::from_le_bytes(bytes[28..32].try_into().unwrap());
        frames.push(Frame { kind, number, bytes: bytes.to_vec() });
        rest = behind;
    }
    frames
}

/// Frames one behind the other.
pub fn joined(frames: &[Frame]) -> Vec<u8> {
    frames.iter().flat_map(|frame| frame.bytes.iter().copied()).collect()
}

/// Parity that somebody changed frame by frame, with sums that fit.
pub fn forged(parity: &[u8], mut change: impl FnMut(&mut Frame)) -> Vec<u8> {
    let mut frames = frames(parity);
    for frame in &mut frames {
        change(frame);
        frame.seal();
    }
    joined(&frames)
}

pub const HEADER: usize = 48;
