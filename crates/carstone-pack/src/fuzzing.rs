//! What the fuzzer does with parsers that are private. It is no part of the API, and compiled for the fuzzer and the tests only.

use std::collections::HashMap;

use carstone_layer::PackId;

use crate::block_map::{BlockKey, BlockMap};
use crate::record::{
    Batch, End, IndexPage, LeafIndex, LeafManifest, ManifestPage, ParentIndex, ParentManifest,
    Record, Resume, Tail, decode, decode_kept, encode_kept,
};
use crate::sorter::Sorter;

const PACK: PackId = PackId::from_bytes([7; 16]);

/// Any bytes as a record of each type: what is read, written and read again is the same.
pub fn record(data: &[u8]) {
    match decode(data, 0) {
        Ok(Record::Batch(batch)) => {
            let again = Batch::encode(&PACK, &batch.entries);
            assert_eq!(Batch::decode(&again, 0).expect("just written"), batch);
        }
        Ok(Record::Resume(resume)) => {
            let again = Resume::decode(&resume.encode(&PACK), 0);
            assert_eq!(again.expect("just written"), resume);
        }
        Ok(Record::End(end)) => {
            assert_eq!(End::decode(&end.encode(&PACK), 0).expect("just written"), end);
        }
        Ok(Record::Tail(tail)) => {
            assert_eq!(Tail::decode(&tail.encode(&PACK), 0).expect("just written"), tail);
        }
        _ => {}
    }
    manifest(data);
    index(data);
    if let Ok((entry, link)) = decode_kept(data) {
        let again = decode_kept(&encode_kept(&entry, link.as_ref()));
        assert_eq!(again.expect("just written"), (entry, link));
    }
}

fn manifest(data: &[u8]) {
    match ManifestPage::decode(data, 0) {
        Ok(ManifestPage::Leaf(entries)) => {
            let mut page = LeafManifest::new();
            entries.iter().for_each(|entry| page.push(entry));
            match ManifestPage::decode(&page.encode(&PACK), 0).expect("just written") {
                ManifestPage::Leaf(again) => assert_eq!(again, entries),
                ManifestPage::Parent { .. } => panic!("a leaf page was written"),
            }
        }
        Ok(ManifestPage::Parent { level, children }) => {
            let mut page = ParentManifest::new();
            children.iter().for_each(|(first, position)| page.push(first, *position));
            match ManifestPage::decode(&page.encode(&PACK, level), 0).expect("just written") {
                ManifestPage::Parent { level: l, children: c } => {
                    assert_eq!((l, c), (level, children));
                }
                ManifestPage::Leaf(_) => panic!("a parent page was written"),
            }
        }
        Err(_) => {}
    }
}

fn index(data: &[u8]) {
    let Ok(page) = IndexPage::decode(data, 0) else { return };
    let prefix = u8::try_from(page.prefix).expect("at most 8");
    let entries: Vec<_> = page.entries().map(|(digest, at)| (digest.to_vec(), at)).collect();
    let again = match page.level {
        0 => {
            let mut leaf = LeafIndex::new(prefix, 8);
            entries.iter().for_each(|(digest, at)| leaf.push(digest, *at));
            leaf.encode(&PACK)
        }
        level => {
            let mut parent = ParentIndex::new(prefix, 8);
            entries.iter().for_each(|(digest, at)| parent.push(digest, *at));
            parent.encode(&PACK, level)
        }
    };
    let again = IndexPage::decode(&again, 0).expect("just written");
    assert_eq!((again.level, again.prefix), (page.level, page.prefix));
    assert!(again.entries().map(|(digest, at)| (digest.to_vec(), at)).eq(entries));
}

/// Sorts records that the bytes stand for, in runs as short as they say: the order is that of sorting in memory, each time it is read.
pub fn sorter(data: &[u8]) {
    let (&budget, mut rest) = data.split_first().unwrap_or((&0, &[]));
    let mut sorter = Sorter::new(usize::from(budget) * 4);
    let mut records = Vec::new();
    while let [key, value, behind @ ..] = rest {
        let (key, behind) = behind.split_at(behind.len().min(usize::from(key % 9)));
        let (value, behind) = behind.split_at(behind.len().min(usize::from(value % 40)));
        sorter.push(key, value).expect("a temporary file");
        records.push((key, value));
        rest = behind;
    }
    let sorted = sorter.finish().expect("a temporary file");
    assert_eq!(sorted.count(), records.len() as u64);
    records.sort_by_key(|(key, _)| *key);
    for _ in 0..2 {
        let mut read = sorted.iter().expect("a temporary file");
        for record in &records {
            let found = read.next().expect("a temporary file");
            assert_eq!(found.as_ref(), Some(record), "equal keys keep their order");
        }
        assert_eq!(read.next().expect("a temporary file"), None);
    }
}

/// Puts blocks that the bytes stand for into a map as small as they say, and looks for them: it knows what a map in memory knows.
pub fn block_map(data: &[u8]) {
    let (&budget, rest) = data.split_first().unwrap_or((&0, &[]));
    let mut map = BlockMap::new(usize::from(budget) * 16);
    let mut known = HashMap::new();
    for (n, chunk) in (0_u64..).zip(rest.chunks(2)) {
        let number = u16::from_le_bytes([chunk[0], chunk.get(1).copied().unwrap_or(0)]);
        let (number, raw) = (number >> 1, number & 1 == 1);
        let key = BlockKey { raw, ..BlockKey::number(u64::from(number % 2048)) };
        let known_key = (number % 2048, raw);
        match number / 2048 % 4 {
            0 => {
                let found = map.get(&key).expect("a temporary file");
                assert_eq!(found, known.get(&known_key).copied());
            }
            _ => {
                let found = map.insert(key, n).expect("a temporary file");
                assert_eq!(found, known.get(&known_key).copied(), "the first number stays");
                known.entry(known_key).or_insert(n);
            }
        }
    }
    assert_eq!(map.len(), known.len() as u64);
    for (&(number, raw), n) in &known {
        let key = BlockKey { raw, ..BlockKey::number(u64::from(number)) };
        assert_eq!(map.get(&key).expect("a temporary file"), Some(*n));
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    /// Runs `target` on everything in its folder of regressions.
    fn replay(name: &str, target: fn(&[u8])) {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/regressions");
        let Ok(files) = fs::read_dir(folder.join(name)) else { return };
        for file in files {
            target(&fs::read(file.expect("readable").path()).expect("readable"));
        }
    }

    #[test]
    fn what_the_fuzzer_found_once_holds_now() {
        replay("pack_record", super::record);
        replay("pack_sorter", super::sorter);
        replay("pack_block_map", super::block_map);
    }

    #[test]
    fn sorting_with_and_without_runs_is_the_same() {
        for budget in [0, 1, 40, 255] {
            let mut data = vec![budget];
            (0..200_u32).for_each(|n| data.extend((n.wrapping_mul(0x9E37_79B9)).to_le_bytes()));
            super::sorter(&data);
        }
    }

    #[test]
    fn a_map_that_spills_knows_what_one_in_memory_knows() {
        for budget in [0, 60, 255] {
            let mut data = vec![budget];
            (0..3000_u32).for_each(|n| data.extend(n.wrapping_mul(0x9E37_79B9).to_le_bytes()));
            super::block_map(&data);
        }
    }

    #[test]
    fn records_of_the_vectors_survive_the_way_out_and_in() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/vectors/records.toml");
        let file: toml::Table =
            fs::read_to_string(path).expect("the vectors").parse().expect("TOML");
        for case in file["record"].as_array().expect("a list") {
            let hex: String = case["bytes"].as_str().expect("a text").split_whitespace().collect();
            let byte = |at| u8::from_str_radix(&hex[at..at + 2], 16).expect("hexadecimal digits");
            super::record(&(0..hex.len()).step_by(2).map(byte).collect::<Vec<_>>());
        }
    }
}
