//! Streams that the tests share.

use std::io::{Read, Write};

use carstone_encrypt::{EncryptOptions, EncryptReader, EncryptWriter, Error, ErrorKind};
use carstone_layer::{FrameHeader, PackId, ReadAt};

pub const N: usize = carstone_encrypt::FRAME_LEN;
pub const KEY: [u8; 32] = [42; 32];
pub const PACK: PackId = PackId::from_bytes([0xA5; 16]);

/// Stored bytes of a layer header frame without an envelope, and of a full data frame.
pub const HEADER: usize = 96 + 44;
pub const FRAME: usize = 96 + N + 16;

/// Bytes in which every 8-byte word differs from its neighbours, so that misplaced ones are seen.
pub fn plain(len: usize) -> Vec<u8> {
    let words = (0..len.div_ceil(8) as u64).map(|i| i.wrapping_mul(0x9E37_79B9_7F4A_7C15));
    let mut bytes: Vec<u8> = words.flat_map(u64::to_le_bytes).collect();
    bytes.truncate(len);
    bytes
}

pub fn options() -> EncryptOptions {
    EncryptOptions::default().pack_id(PACK).threads(1)
}

pub fn seal_with(plain: &[u8], options: EncryptOptions) -> Vec<u8> {
    let mut writer =
        EncryptWriter::with_options(Vec::new(), &KEY, options).expect("a Vec takes all");
    writer.write_all(plain).expect("a Vec takes all");
    writer.finish().expect("a Vec takes all")
}

pub fn seal(plain: &[u8]) -> Vec<u8> {
    seal_with(plain, options())
}

/// Offset of data frame `index` in a stream without an envelope and without anchors before it.
pub fn frame_at(index: usize) -> usize {
    HEADER + index * FRAME
}

pub fn open<R: ReadAt>(stored: R) -> Result<EncryptReader<R>, Error> {
    EncryptReader::open_at(stored, &KEY)
}

pub fn read_all(mut reader: impl Read) -> Vec<u8> {
    let mut bytes = Vec::new();
    reader.read_to_end(&mut bytes).expect("an undamaged stream");
    bytes
}

/// The header of the frame at `at`.
pub fn header_at(stored: &[u8], at: usize) -> FrameHeader {
    let head = stored[at..].first_chunk().expect("long enough");
    FrameHeader::decode(head).expect("a frame")
}

/// Changes the header of the frame at `at` and makes all its checksums fit again, as a forger would.
pub fn forge(stored: &mut [u8], at: usize, change: impl FnOnce(&mut FrameHeader)) {
    let mut header = header_at(stored, at);
    change(&mut header);
    let payload = &stored[at + 96..][..header.stored_len as usize];
    let head = header.sealed(payload).encode();
    stored[at..at + 96].copy_from_slice(&head);
}

/// The error that opening gives, or else reading all.
#[track_caller]
pub fn fault(stored: &[u8]) -> (ErrorKind, u64) {
    let error = match open(stored) {
        Err(error) => error,
        Ok(mut reader) => {
            let error = reader.read_to_end(&mut Vec::new()).expect_err("a fault in the stream");
            error.downcast::<Error>().expect("an error of this crate")
        }
    };
    let at = error.offset();
    (unpack(error), at)
}

fn unpack(error: Error) -> ErrorKind {
    // Kinds are not `Clone`, since they hold I/O errors: the ones that tests look for are made again.
    match error.kind() {
        ErrorKind::Truncated => ErrorKind::Truncated,
        ErrorKind::HeadersDiffer => ErrorKind::HeadersDiffer,
        ErrorKind::BadLength => ErrorKind::BadLength,
        ErrorKind::Foreign => ErrorKind::Foreign,
        ErrorKind::NoKey => ErrorKind::NoKey,
        ErrorKind::WrongKey => ErrorKind::WrongKey,
        &ErrorKind::WrongFrame { frame, field } => ErrorKind::WrongFrame { frame, field },
        &ErrorKind::BadTag { frame } => ErrorKind::BadTag { frame },
        &ErrorKind::Hole { frame } => ErrorKind::Hole { frame },
        other => panic!("not expected in these tests: {other:?}"),
    }
}
