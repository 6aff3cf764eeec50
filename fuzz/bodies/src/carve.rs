//! Blocks and packs found by their content: what is given is true, everything is accounted for, and what is content stays inside.

use carstone::car::{CarWriter, Limits, codec, verify};
use carstone::repair::{BlockSearch, CarItem, CarSalvage};
use carstone::stack::{self, Carved};

use crate::car;
use crate::damage;
use crate::input::{Input, noise};
use crate::stack::{Stored, carvable};

/// Damaged CARs, and any bytes at all.
pub fn cars(data: &[u8]) {
    salvage(data, Limits::default());
    salvage(data, Limits::default().section(200));
    let mut input = Input::new(data);
    let (mut bytes, blocks) = written(&mut input);
    let sound = bytes.clone();
    damage::accidents(&mut bytes, &mut input);
    let found = salvage(&bytes, Limits::default());
    assert!(bytes != sound || found == blocks, "a sound CAR loses nothing");
}

/// Goes over all bytes, and gives the data of the blocks.
fn salvage(bytes: &[u8], limits: Limits) -> Vec<Vec<u8>> {
    let mut salvage = CarSalvage::with_limits(bytes, limits);
    let (mut at, mut blocks) = (0, Vec::new());
    while let Some(item) = salvage.next().expect("memory can be read") {
        match item {
            CarItem::Header { header, len, .. } => {
                assert_eq!((at, header.encoded_len() as u64), (0, len));
                at = len;
            }
            CarItem::Block { section, data, .. } => {
                assert_eq!(section.offset, at);
                verify(&section.cid, &data).expect("a true block");
                assert!(bytes[section.data_offset as usize..section.end() as usize] == data[..]);
                at = section.end();
                blocks.push(data);
            }
            CarItem::Gap(gap) => {
                assert_eq!(gap.range.start, at);
                assert!(!gap.to_string().is_empty());
                at = gap.range.end;
            }
            _ => {}
        }
    }
    assert_eq!(at, bytes.len() as u64);
    let most = BlockSearch::<&[u8]>::HASHED_PER_BYTE * at + 2 * limits.section as u64;
    assert!(salvage.hashed() <= most, "too much is hashed");
    blocks
}

/// A CAR of a few blocks, some of which are CARs themselves.
fn written(input: &mut Input<'_>) -> (Vec<u8>, Vec<Vec<u8>>) {
    let mut writer = CarWriter::new(Vec::new(), &[]).expect("memory");
    let mut blocks: Vec<Vec<u8>> = Vec::new();
    for n in 0..input.below(6) {
        let data = match input.one_in(3) {
            true => {
                let mut inner = CarWriter::new(Vec::new(), &[]).expect("memory");
                inner.write_data(codec::RAW, &noise(n as u64, 50)).expect("memory");
                inner.finish().expect("memory")
            }
            false => noise(u64::from(input.byte()), input.below(400)),
        };
        writer.write_data(codec::RAW, &data).expect("memory");
        blocks.push(data);
    }
    (writer.finish().expect("memory"), blocks)
}

pub fn cars_seeds() -> Vec<Vec<u8>> {
    car::stream_seeds()
}

/// Images with packs in them, damaged or not.
pub fn images(data: &[u8]) {
    look(data);
    let mut input = Input::new(data);
    let Stored { bytes: original, has_frames } = carvable(&mut input);
    let mut stored = original.to_vec();
    damage::accidents(&mut stored, &mut input);
    let front = noise(1, input.below(700));
    let image = [&front[..], &stored, &noise(2, input.below(700))].concat();
    let found = look(&image);
    for (bytes, is_whole) in &found {
        assert!(!is_whole || !has_frames || bytes == original, "not the original");
    }
    if stored == original {
        assert!(
            matches!(&found[..], [(bytes, true)] if bytes == original),
            "a sound pack is found"
        );
    }
}

/// Carves, and gives the packs that could be put together, and whether they are said to be whole.
fn look(image: &[u8]) -> Vec<(Vec<u8>, bool)> {
    let mut packs = Vec::new();
    let mut before = 0;
    let carving = stack::carve(&image, 0, &mut |_| {}).expect("memory can be read");
    for found in carving.found {
        let range = found.range();
        assert!(before <= range.start && range.start < range.end);
        before = range.start;
        match found {
            Carved::Pack(pack) => {
                let Ok(mended) = pack.mend(image, &mut |_| {}) else { continue };
                // A forged frame opens a gap that takes long to fill.
                if mended.len() > 1 << 24 {
                    continue;
                }
                let mut bytes = Vec::new();
                mended.copy_to(&mut bytes, &mut |_| {}).expect("memory can be read");
                packs.push((bytes, mended.is_whole()));
            }
            Carved::Car(car) => {
                let mut bytes = Vec::new();
                car.copy_to(&image, &mut bytes, &mut |_| {}).expect("memory can be read");
                assert_eq!(salvage(&bytes, Limits::default()).len() as u64, car.blocks());
            }
            _ => {}
        }
    }
    packs
}
