//! The footer that ends the innermost layer.

use std::io::Write;

use carstone::layer::{PackId, crc64};
use carstone::position::{PositionFailSafe, PositionReader, PositionWriter};

use crate::damage;
use crate::input::{Input, noise};
use crate::laws;
use crate::sources::Gappy;

/// A stream opens only if its footer states its length; then all before the footer is what is read.
pub fn strict(data: &[u8]) {
    let mut input = Input::new(data);
    let mut stored = sample(&mut input);
    let len = stored.len();
    let is_changed = input.flag();
    if is_changed {
        damage::tampering(&mut stored, &mut input);
    }
    let is_resealed = input.flag();
    if is_resealed && let Some(footer) = stored.last_chunk_mut::<64>() {
        for (byte, new) in footer.iter_mut().skip(input.below(64)).zip(input.text(17)) {
            *byte = *new;
        }
        let sum = crc64(&[&footer[..56]]);
        footer[56..].copy_from_slice(&sum.to_le_bytes());
    }
    let Ok(reader) = PositionReader::open_at(&stored) else {
        assert!(is_changed || is_resealed, "a sound stream opens");
        return;
    };
    assert_eq!(reader.len() + 64, stored.len() as u64);
    assert!(is_changed || stored.len() == len);
    assert!(reader.mark().is_none_or(|mark| mark < reader.len()));
    let plain = &stored[..stored.len() - 64];
    laws::places(&reader, plain, &mut input);
    laws::seeks(reader.clone(), plain, true, &mut input);
    assert!(laws::strict(reader, plain, &mut input));
}

/// Gaps from below are handed on, and a footer that is there is not taken for content.
pub fn fail_safe(data: &[u8]) {
    let mut input = Input::new(data);
    let stored = sample(&mut input);
    let plain = &stored[..stored.len() - 64];
    let mut reader = PositionFailSafe::new(Gappy::of(&stored, &mut input));
    let salvaged = laws::salvage_from(&mut reader, &mut input);
    // A footer that is damaged cannot be told from content.
    salvaged.check_bytes(&stored);
    if reader.stated_len().is_some() {
        assert_eq!(reader.stated_len(), Some(plain.len() as u64));
        salvaged.check(plain);
    }
    assert!(reader.stated_len().is_some() || !salvaged.is_whole(), "a missing footer is a gap");
}

fn sample(input: &mut Input<'_>) -> Vec<u8> {
    let plain = noise(5, input.pick(&[0, 1, 63, 64, 65, 128, 1000]));
    let mut writer = PositionWriter::new(Vec::new(), PackId::from_bytes([7; 16]));
    let (before, behind) = plain.split_at(input.below(plain.len() + 1));
    writer.write_all(before).expect("a Vec takes all");
    if input.flag() {
        writer.mark();
    }
    writer.write_all(behind).expect("a Vec takes all");
    writer.finish().expect("a Vec takes all")
}
