//! Streams that the tests write and read.

use std::io::Write;

use carstone_compress::{Codec, CompressOptions, CompressWriter};
use carstone_layer::PackId;

/// The smallest block size.
pub const BLOCK: u32 = 64 << 10;
pub const N: usize = BLOCK as usize;
pub const PACK: PackId = PackId::from_bytes([7; 16]);

pub fn codecs() -> Vec<Codec> {
    vec![
        Codec::Stored,
        Codec::Brotli(1),
        #[cfg(feature = "zstd")]
        Codec::Zstd(1),
    ]
}

/// Bytes that compress to about a half, and nowhere repeat exactly.
pub fn plain(len: usize) -> Vec<u8> {
    noise(len).iter().map(|byte| byte & 0x0F).collect()
}

pub fn noise(len: usize) -> Vec<u8> {
    let mut state = 0x1234_5678_9ABC_DEF1_u64;
    let mut bytes = Vec::with_capacity(len + 8);
    while bytes.len() < len {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.wrapping_mul(0x2545_F491_4F6C_DD1D).to_le_bytes());
    }
    bytes.truncate(len);
    bytes
}

pub fn options(codec: Codec) -> CompressOptions {
    CompressOptions::default().codec(codec).block_size(BLOCK).pack_id(PACK).threads(2)
}

pub fn store(plain: &[u8], options: CompressOptions) -> Vec<u8> {
    let mut writer = CompressWriter::with_options(Vec::new(), options).expect("options are right");
    writer.write_all(plain).expect("a Vec takes all");
    writer.finish().expect("a Vec takes all")
}
