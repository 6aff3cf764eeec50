//! One block to one payload and back. Pure: slices in, values out.

use crate::format::codec;
use crate::{Codec, brotli_codec, sample};

/// Compresses blocks, on any thread.
#[derive(Debug)]
pub(crate) struct Encoder {
    codec: Codec,
    brotli: brotli_codec::Encoders,
    /// Of the sample, which has another quality.
    sample: brotli_codec::Encoders,
    #[cfg(feature = "zstd")]
    zstd: crate::zstd_codec::Contexts,
}

impl Encoder {
    pub(crate) fn new(codec: Codec) -> Self {
        Self {
            codec,
            brotli: Default::default(),
            sample: Default::default(),
            #[cfg(feature = "zstd")]
            zstd: Default::default(),
        }
    }

    /// The codec's number and the payload; `None` where the plain bytes are to be stored.
    ///
    /// Depends on the bytes of the block and the codec alone.
    pub(crate) fn encode(&self, plain: &[u8]) -> Option<(u8, Vec<u8>)> {
        let limit = worthwhile_len(plain.len());
        if limit == 0 || self.codec == Codec::Stored || !sample::is_promising(plain, &self.sample) {
            return None;
        }
        match self.codec {
            Codec::Stored => None,
            Codec::Brotli(quality) => {
                Some((codec::BROTLI, self.brotli.encode(plain, quality, limit)?))
            }
            #[cfg(feature = "zstd")]
            Codec::Zstd(level) => Some((codec::ZSTD, self.zstd.encode(plain, level, limit)?)),
        }
    }
}

/// Decompresses payloads, on any thread.
#[derive(Debug, Default)]
pub(crate) struct Decoder {
    brotli: brotli_codec::Decoders,
    #[cfg(feature = "zstd")]
    zstd: crate::zstd_codec::Contexts,
}

impl Decoder {
    /// Fills `plain` from a compressed payload, and says whether it was exactly filled by exactly this payload.
    pub(crate) fn decode(&self, number: u8, payload: &[u8], plain: &mut [u8]) -> bool {
        match number {
            codec::BROTLI => self.brotli.decode(payload, plain),
            #[cfg(feature = "zstd")]
            codec::ZSTD => self.zstd.decode(payload, plain),
            _ => false,
        }
    }

    /// Fills `plain` with the first bytes of a brotli payload, which are decoded without those behind them.
    pub(crate) fn decode_start(&self, payload: &[u8], plain: &mut [u8]) -> bool {
        self.brotli.decode_start(payload, plain)
    }
}

/// Whether this build reads the codec.
pub(crate) fn is_supported(number: u8) -> bool {
    let stored_or_brotli = matches!(number, codec::STORED | codec::BROTLI);
    stored_or_brotli || (cfg!(feature = "zstd") && number == codec::ZSTD)
}

/// The plain bytes that a damaged or cut payload still gives, at most `len`; those behind the damage are wrong.
pub(crate) fn decode_prefix(number: u8, payload: Vec<u8>, len: usize) -> Vec<u8> {
    match number {
        codec::STORED => payload,
        codec::BROTLI => brotli_codec::decode_prefix(&payload, len),
        #[cfg(feature = "zstd")]
        codec::ZSTD => crate::zstd_codec::decode_prefix(&payload, len),
        _ => Vec::new(),
    }
}

/// The longest payload that is worth its decompression: a gain of 3 % (`docs/format.md`, section 5).
fn worthwhile_len(plain: usize) -> usize {
    // Blocks have at most 16 MiB.
    plain.saturating_mul(97) / 100
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gain_of_three_percent_is_asked_for() {
        for plain in [0, 1, 3, 99, 100, 101, 10_000, 4 << 20, 16 << 20] {
            let most = worthwhile_len(plain);
            let is_stored = |payload: usize| payload * 100 > plain * 97;
            assert!(!is_stored(most) && is_stored(most + 1), "{plain} bytes");
        }
    }

    #[track_caller]
    fn check(codec: Codec, plain: &[u8]) {
        let encoded = Encoder::new(codec).encode(plain);
        let (number, payload) = encoded.expect("compressible");
        let decoder = Decoder::default();
        let mut back = vec![0; plain.len()];
        assert!(decoder.decode(number, &payload, &mut back));
        assert!(back == plain);

        let mut longer = vec![0; plain.len() + 1];
        assert!(!decoder.decode(number, &payload, &mut longer), "too little was accepted");
        assert!(!decoder.decode(number, &payload, &mut back[1..]), "too much was accepted");
        let trailing = [&payload[..], b"x"].concat();
        assert!(!decoder.decode(number, &trailing, &mut back), "trailing bytes were accepted");
        let twice = [&payload[..], &payload[..]].concat();
        assert!(!decoder.decode(number, &twice, &mut back), "a second stream was accepted");
        for cut in (0..payload.len()).step_by(payload.len() / 50 + 1).chain([payload.len() - 1]) {
            assert!(!decoder.decode(number, &payload[..cut], &mut back), "cut at {cut}");
        }

        let whole = decode_prefix(number, payload.clone(), plain.len());
        assert!(whole == plain);
        let half = decode_prefix(number, payload[..payload.len() * 3 / 4].to_vec(), plain.len());
        assert!(plain.starts_with(&half) && half.len() > plain.len() / 4, "{} bytes", half.len());
    }

    fn text(lines: u32) -> Vec<u8> {
        let mut text = Vec::new();
        for i in 0..lines {
            let mixed = i.wrapping_mul(2_654_435_761);
            text.extend_from_slice(format!("line {i} of {lines}: {mixed:x}\n").as_bytes());
        }
        text
    }

    #[test]
    fn brotli_decodes_exactly_what_was_encoded() {
        for quality in [0, 1, 5] {
            check(Codec::Brotli(quality), &text(6_000)[..160_000]);
        }
        check(Codec::Brotli(11), &text(500));
    }

    #[cfg(feature = "zstd")]
    #[test]
    fn zstd_decodes_exactly_what_was_encoded() {
        for level in [1, 3, 19] {
            check(Codec::Zstd(level), &text(16_000)[..400_000]);
        }
    }
}
