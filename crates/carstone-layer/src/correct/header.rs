//! What a damaged frame header may have been.

use crate::{
    Correction, FRAME_HEADER_LEN, FRAME_MAGIC, FrameHeader, LayerId, PackId, ScanLimits, crc32c,
    crc64,
};

use super::correct_payload;

/// Headers that differ from the one that was read by one burst, and have the right sum and the known fields.
#[derive(Debug)]
pub(crate) struct Guesses {
    /// By stored length.
    guesses: Vec<Guess>,
}

#[derive(Debug)]
struct Guess {
    header: FrameHeader,
    /// First flipped bit of the header.
    at: usize,
    bits: u32,
}

impl Guesses {
    /// Every 32 bits of a header can explain a wrong sum in one way, so that there are many guesses. Only digests tell which is
    /// right.
    pub(crate) fn new(
        bytes: &[u8; FRAME_HEADER_LEN],
        layer: LayerId,
        pack: Option<PackId>,
        limits: ScanLimits,
    ) -> Self {
        let stated = u32::from_le_bytes([bytes[8], bytes[9], bytes[10], bytes[11]]);
        let syndrome = crc32c(&[&bytes[..8], &bytes[12..]]) ^ stated;
        let known = Known::new(bytes, layer, pack);
        let mut guesses: Vec<Guess> = bursts(syndrome, &known)
            .filter_map(|(at, flips)| {
                let mut bytes = *bytes;
                flip(&mut bytes, at, flips);
                let header = FrameHeader::decode(&bytes).ok()?;
                let believed = header.stored_len <= limits.of(header.kind);
                believed.then_some(Guess { header, at, bits: flips.count_ones() })
            })
            .collect();
        guesses.sort_by_key(|guess| guess.header.stored_len);
        Self { guesses }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.guesses.is_empty()
    }

    /// How many bytes [`Self::confirm`] looks at.
    pub(crate) fn cost(&self) -> u64 {
        let lens = self.guesses.chunk_by(|a, b| a.header.stored_len == b.header.stored_len);
        lens.map(|same| u64::from(same[0].header.stored_len)).sum()
    }

    /// The longest payload that a guess needs.
    pub(crate) fn longest(&self) -> usize {
        self.guesses.last().map_or(0, |guess| guess.header.stored_len as usize)
    }

    /// Tries the guesses with the payloads that they state, and puts the right one into `frame`.
    pub(crate) fn confirm(&self, frame: &mut [u8]) -> Option<(FrameHeader, Vec<Correction>)> {
        let (head, rest) = frame.split_first_chunk_mut::<FRAME_HEADER_LEN>()?;
        let made = self.find_intact(rest).or_else(|| self.find_straddling(rest));
        let (guess, more) = made?;
        *head = guess.header.encode();
        let at = guess.at as u64 / 8;
        let first = Correction::new(guess.header.layer, at, guess.bits);
        let more = more.map(|mut correction| {
            correction.at += FRAME_HEADER_LEN as u64;
            correction
        });
        Some((guess.header, std::iter::once(first).chain(more).collect()))
    }

    fn find_intact(&self, rest: &[u8]) -> Option<(&Guess, Option<Correction>)> {
        for same in self.guesses.chunk_by(|a, b| a.header.stored_len == b.header.stored_len) {
            let payload = rest.get(..same[0].header.stored_len as usize)?;
            let sum = crc64(&[payload]);
            let intact = |guess: &&Guess| {
                guess.header.payload_crc == sum && guess.header.payload_matches_digest(payload)
            };
            if let Some(guess) = same.iter().find(intact) {
                return Some((guess, None));
            }
        }
        None
    }

    /// A burst over the border has its first bits in the header, and its last ones in the payload.
    fn find_straddling(&self, rest: &mut [u8]) -> Option<(&Guess, Option<Correction>)> {
        let at_border = |guess: &&Guess| guess.at + 31 >= HEADER_BITS;
        self.guesses.iter().filter(at_border).find_map(|guess| {
            let payload = rest.get_mut(..guess.header.stored_len as usize)?;
            Some((guess, Some(correct_payload(&guess.header, payload)?)))
        })
    }
}

/// Whether all fields whose values are known would be right after one burst, or are.
pub(crate) fn looks_like_header(
    bytes: &[u8; FRAME_HEADER_LEN],
    layer: LayerId,
    pack: Option<PackId>,
) -> bool {
    Known::new(bytes, layer, pack).wrong.is_none_or(|(first, last)| last - first < 32)
}

/// The bits of a header whose values are known.
struct Known {
    /// Which they are.
    mask: [u8; FRAME_HEADER_LEN],
    /// Which of them are wrong.
    flips: [u8; FRAME_HEADER_LEN],
    /// The first and the last wrong bit.
    wrong: Option<(usize, usize)>,
}

impl Known {
    fn new(bytes: &[u8; FRAME_HEADER_LEN], layer: LayerId, pack: Option<PackId>) -> Self {
        let (mut mask, mut value) = ([0; FRAME_HEADER_LEN], [0; FRAME_HEADER_LEN]);
        value[..8].copy_from_slice(&FRAME_MAGIC);
        value[12..14].copy_from_slice(&[1, layer.0]);
        mask[..8].fill(0xFF);
        mask[12..14].fill(0xFF);
        mask[16] = 0xFE; // All flags but *last* are zero, and so are the reserved bytes.
        mask[17..20].fill(0xFF);
        mask[68..72].fill(0xFF);
        if let Some(pack) = pack {
            value[20..36].copy_from_slice(pack.as_bytes());
            mask[20..36].fill(0xFF);
        }
        let mut flips = [0; FRAME_HEADER_LEN];
        for (i, flip) in flips.iter_mut().enumerate() {
            *flip = (bytes[i] ^ value[i]) & mask[i];
        }
        let first = flips.iter().position(|&b| b != 0);
        let last = flips.iter().rposition(|&b| b != 0);
        let wrong = first.zip(last).map(|(first, last)| {
            let last_bit = 7 - flips[last].leading_zeros() as usize;
            (8 * first + flips[first].trailing_zeros() as usize, 8 * last + last_bit)
        });
        Self { mask, flips, wrong }
    }

    /// Whether `flips` from bit `at` on put all known bits right.
    fn allows(&self, at: usize, flips: u32) -> bool {
        self.wrong.is_none_or(|(first, last)| at <= first && last < at + 32)
            && window(&self.mask, at) & flips == window(&self.flips, at)
    }
}

/// All bursts that explain the syndrome and put the known bits right: first bit, and flips from there on.
fn bursts(syndrome: u32, known: &Known) -> impl Iterator<Item = (usize, u32)> {
    let mut error = syndrome;
    // In the code word the sum stands last, in the header it stands between magic and fields. Where 32 bits of the header are 32 bits of the code word
    // too, the error follows from the one a bit later.
    let in_order = (0..CODE_END).rev().filter_map(move |place| {
        error = back(error);
        match place {
            0..=32 => Some((place, error)),
            64.. => Some((place + 32, error)),
            _ => None,
        }
    });
    let around_sum = (33..SUM_END).filter_map(move |at| Some((at, solve(syndrome, at, known)?)));
    let wanted = syndrome != 0;
    in_order.chain(around_sum).filter(move |&(at, flips)| {
        wanted
            && flips & 1 == 1
            && at + 32 - flips.leading_zeros() as usize <= HEADER_BITS
            && known.allows(at, flips)
    })
}

/// The flips among the 32 bits from bit `at` of the header on that explain the syndrome: a linear equation. With the known bits it has at most one
/// solution.
fn solve(syndrome: u32, at: usize, known: &Known) -> Option<u32> {
    let (mask, fixed) = (window(&known.mask, at), window(&known.flips, at));
    let places = |bits: u32| (0..32).filter(move |i| bits >> i & 1 == 1);
    let explained = places(fixed).fold(0, |sum, i| sum ^ syndrome_of(at + i));
    // For each highest bit, a sum of columns, and which columns those are.
    let mut basis = [(0, 0); 32];
    let reduce = |basis: &[(u32, u32); 32], mut sum: u32, mut columns: u32| {
        while sum != 0 {
            let (by, its_columns) = basis[sum.ilog2() as usize];
            if by == 0 {
                break;
            }
            (sum, columns) = (sum ^ by, columns ^ its_columns);
        }
        (sum, columns)
    };
    for i in places(!mask) {
        let (sum, columns) = reduce(&basis, syndrome_of(at + i), 1 << i);
        if sum != 0 {
            basis[sum.ilog2() as usize] = (sum, columns);
        }
    }
    let (left, columns) = reduce(&basis, syndrome ^ explained, fixed);
    (left == 0).then_some(columns)
}

/// The syndrome of a single flipped bit of the header.
fn syndrome_of(bit: usize) -> u32 {
    match bit {
        0..64 => SYNDROMES[bit],
        64..SUM_END => 1 << (bit - 64),
        _ => SYNDROMES[bit - 32],
    }
}

/// The error one bit earlier in the code word that has the same syndrome.
const fn back(error: u32) -> u32 {
    if error >> 31 == 1 { ((error ^ CRC32C_POLY) << 1) | 1 } else { error << 1 }
}

/// 32 bits from bit `at` on, zeros behind the end.
fn window(bytes: &[u8; FRAME_HEADER_LEN], at: usize) -> u32 {
    let mut word = [0; 8];
    let rest = &bytes[at / 8..];
    let n = rest.len().min(8);
    word[..n].copy_from_slice(&rest[..n]);
    (u64::from_le_bytes(word) >> (at % 8)) as u32
}

fn flip(bytes: &mut [u8; FRAME_HEADER_LEN], at: usize, flips: u32) {
    let flips = (u64::from(flips) << (at % 8)).to_le_bytes();
    bytes[at / 8..].iter_mut().zip(flips).for_each(|(byte, flips)| *byte ^= flips);
}

const HEADER_BITS: usize = 8 * FRAME_HEADER_LEN;

/// Bit of the header behind its CRC-32C.
const SUM_END: usize = 96;

/// Bits of the code word before the sum.
const CODE_END: usize = HEADER_BITS - 32;

const CRC32C_POLY: u32 = 0x82F6_3B78;

/// The syndrome of each single bit before the sum, in the order of the code word.
const SYNDROMES: [u32; CODE_END] = {
    let mut syndromes = [0; CODE_END];
    let (mut place, mut syndrome) = (CODE_END, 1);
    while place > 0 {
        place -= 1;
        syndrome = (syndrome >> 1) ^ if syndrome & 1 == 1 { CRC32C_POLY } else { 0 };
        syndromes[place] = syndrome;
    }
    syndromes
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn single_bits_have_the_syndromes_of_the_checksum() {
        let sum = |bytes: &[u8; FRAME_HEADER_LEN]| {
            let stated = u32::from_le_bytes([bytes[8], bytes[9], bytes[10], bytes[11]]);
            crc32c(&[&bytes[..8], &bytes[12..]]) ^ stated
        };
        let zeros = [0; FRAME_HEADER_LEN];
        for bit in 0..HEADER_BITS {
            let mut bytes = zeros;
            flip(&mut bytes, bit, 1);
            assert_eq!(sum(&bytes) ^ sum(&zeros), syndrome_of(bit), "bit {bit}");
        }
    }

    #[test]
    fn any_burst_around_the_sum_has_one_solution() {
        let (layer, pack) = (LayerId::COMPRESSION, PackId::from_bytes([7; 16]));
        let good = FrameHeader::data(layer, pack, 0, 0).encode();
        for at in 33..SUM_END {
            // A basis that lacks a column would find another solution for that column alone.
            for i in 0..32 {
                let mut bytes = good;
                flip(&mut bytes, at + i, 1);
                let known = Known::new(&bytes, layer, Some(pack));
                let solution = solve(syndrome_of(at + i), at, &known);
                assert_eq!(solution, Some(1 << i), "bits from {at} on");
            }
        }
    }
}
