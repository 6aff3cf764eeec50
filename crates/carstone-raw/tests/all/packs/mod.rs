//! Packs, appendices and sinks for the tests.

use std::io::{self, Write};

use carstone_layer::{LayerId, LayerList, LayerSlot, PackId, crc64, digest16};
use carstone_raw::{RawOptions, RawWriter};

pub const HEADER: usize = 256;
pub const TRAILER: usize = 304;

pub fn pack_id() -> PackId {
    PackId::from_bytes(*b"sixteen bytes id")
}

pub fn slot(id: u8, algorithm: u8, unit: u32) -> LayerSlot {
    LayerSlot { id: LayerId(id), algorithm, unit }
}

/// Encryption, compression and position.
pub fn layers() -> LayerList {
    LayerList::new(vec![slot(1, 1, 131_072), slot(2, 0, 1 << 22), slot(3, 0, 0)]).expect("allowed")
}

/// Bytes without a pattern that a container could be mistaken for.
pub fn noise(len: usize) -> Vec<u8> {
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    std::iter::repeat_with(|| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963);
        (state >> 56) as u8
    })
    .take(len)
    .collect()
}

pub fn writer<W: Write>(sink: W) -> io::Result<RawWriter<W>> {
    RawWriter::with_options(sink, layers(), RawOptions::default().with_pack_id(pack_id()))
}

/// The pack around `framed`.
pub fn pack(framed: &[u8]) -> Vec<u8> {
    let mut writer = writer(Vec::new()).expect("a vector takes everything");
    writer.write_all(framed).expect("a vector takes everything");
    writer.finish().expect("a vector takes everything")
}

pub fn appendix(kind: u32, content: &[u8]) -> Vec<u8> {
    let mut body = kind.to_le_bytes().to_vec();
    body.extend([0; 4]);
    body.extend((content.len() as u64 + 128).to_le_bytes());
    body.extend([9; 16]);
    body.extend([0; 16]);
    body.extend(crc64(&[&body]).to_le_bytes());
    let mut bytes = vec![0x89, b'C', b'S', b'T', b'a', 0x0D, 0x0A, 0x1A];
    bytes.extend(&body);
    bytes.extend(content);
    bytes.extend(&body);
    bytes.extend([0x1A, 0x0A, 0x0D, b'a', b'T', b'S', b'C', 0x89]);
    bytes
}

/// Makes the checksums of a changed header right.
pub fn reseal_header(header: &mut [u8]) {
    reseal(&mut header[..HEADER], 232);
}

/// Makes the checksums of a changed trailer right.
pub fn reseal_trailer(trailer: &mut [u8]) {
    reseal(&mut trailer[..296], 272);
}

fn reseal(bytes: &mut [u8], digest_at: usize) {
    let digest = digest16(&[&bytes[..digest_at]]);
    bytes[digest_at..digest_at + 16].copy_from_slice(&digest);
    let crc = crc64(&[&bytes[..digest_at + 16]]);
    bytes[digest_at + 16..].copy_from_slice(&crc.to_le_bytes());
}
