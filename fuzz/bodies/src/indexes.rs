//! Indexes of CARs: by themselves, and as what a reader of blocks is led by.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Cursor};

use carstone::car::{
    CarReader, CarSlice, Cid, Index, IndexBuilder, IndexCodec, IndexEntry, IndexReport, IndexedCar,
    ReadAt, ReaderOptions, Section, SeekSource, V2_PRAGMA, V2Header, cid_of, hash_code,
    multihash::Multihash, verify,
};

use crate::carv2::Sample;
use crate::damage;
use crate::input::{Input, noise};

/// An index as it is written, or with changes anywhere, or any bytes: what can be gone through can be searched, and written again.
pub fn index(data: &[u8]) {
    let mut input = Input::new(data);
    let codec = input.pick(&[IndexCodec::MultihashSorted, IndexCodec::Sorted]);
    // Runs of entries go to a file, which takes longer than all else.
    let budget = if input.one_in(16) { 0 } else { 1 << 20 };
    let (bytes, cids) = match input.one_in(6) {
        true => ([&prefix(codec), input.text(250)].concat(), Vec::new()),
        false => written(codec, budget, &mut input),
    };
    let mut changed = bytes;
    damage::tampering(&mut changed, &mut input);
    // It may stand inside of something else, and know of a payload.
    let front = input.text(20);
    let end = front.len() + changed.len();
    let bytes = [front, &changed, input.text(20)].concat();
    let range = front.len() as u64..end as u64;
    let payload_len = input.flag().then(|| input.number());
    let most = 1 + input.below(30);
    let opened = Index::open_range(Shy { bytes: &bytes, most }, range.clone(), payload_len);
    let whole = Index::open_range(&bytes[..], range.clone(), payload_len);
    let (shy, index) = match (opened, whole) {
        (Ok(shy), Ok(index)) => (shy, index),
        (Err(shy), Err(whole)) => {
            assert_eq!(shy.to_string(), whole.to_string(), "pieces make a difference");
            return;
        }
        (shy, whole) => panic!("{shy:?} or {whole:?}"),
    };
    let seek = SeekSource::new(Cursor::new(&bytes));
    let seek = Index::open_range(seek, range, payload_len).expect("the same bytes");
    let (entries, sound) = entries(&index);
    assert_eq!(sound, index.check().is_ok());
    assert!(entries.len() as u64 <= index.len());
    assert_eq!(sound, entries.len() as u64 == index.len());
    assert_eq!(index.is_empty(), entries.is_empty() && sound);
    let payload_len = payload_len.unwrap_or(u64::MAX);
    assert!(entries.iter().all(|entry| entry.offset < payload_len));
    // Each hash once, and not more of them than a leaf and its neighbours have: the first, the last, and some between.
    let hashes = entries.iter().filter_map(hash_of).chain(cids.iter().map(|cid| *cid.hash()));
    let hashes: BTreeSet<_> = hashes.collect();
    for hash in hashes.iter().step_by(1 + hashes.len() / SEARCHES).chain(hashes.last()).copied() {
        let offsets: Vec<_> = search(&index, &hash);
        assert_eq!(offsets, search(&shy, &hash), "pieces make a difference");
        assert_eq!(offsets, search(&seek, &hash));
        let is_of = |entry: &&IndexEntry| {
            entry.digest == hash.digest() && entry.hash_code.is_none_or(|code| code == hash.code())
        };
        let due: Vec<_> = entries.iter().filter(is_of).map(|entry| Some(entry.offset)).collect();
        if sound {
            assert_eq!(offsets, due, "a search finds what is there");
        }
        assert_eq!(
            Index::find(&index, &Cid::new_v1(0x55, hash)).ok().flatten(),
            offsets.first().copied().flatten()
        );
    }
    if sound {
        again(index.codec(), budget, &entries);
    }
}

/// Offsets that are found, `None` for an error.
fn search(index: &Index<impl ReadAt>, hash: &Multihash<64>) -> Vec<Option<u64>> {
    match index.offsets(hash) {
        Ok(offsets) => offsets.take(5000).map(Result::ok).collect(),
        Err(_) => vec![None],
    }
}

/// All entries up to the first error, and whether there was none.
fn entries(index: &Index<impl ReadAt>) -> (Vec<IndexEntry>, bool) {
    let (mut entries, mut sound) = (Vec::new(), true);
    for entry in index.entries() {
        match entry {
            Ok(entry) => entries.push(entry),
            Err(_) => sound = false,
        }
    }
    (entries, sound)
}

fn hash_of(entry: &IndexEntry) -> Option<Multihash<64>> {
    let code = entry.hash_code.unwrap_or(hash_code::SHA2_256);
    Multihash::wrap(code, &entry.digest).ok()
}

/// Entries that were read are written to an index with the same entries, those of one digest by their offsets.
fn again(codec: IndexCodec, budget: usize, entries: &[IndexEntry]) {
    let mut builder = IndexBuilder::with_budget(codec, budget).with_identity(true);
    let mut due = entries.to_vec();
    for entry in entries.iter().rev() {
        let Some(hash) = hash_of(entry) else { return };
        builder.add(&Cid::new_v1(0x55, hash), entry.offset).expect("few entries");
    }
    due.sort_by(|a, b| order(a).cmp(&order(b)));
    let bytes = bytes_of(builder);
    let index = Index::open(&bytes[..]).expect("just written");
    assert_eq!(self::entries(&index), (due, true));
}

/// About so many hashes are searched.
const SEARCHES: usize = 12;

/// What entries are sorted by.
fn order(entry: &IndexEntry) -> (Option<u64>, usize, &[u8], u64) {
    (entry.hash_code, entry.digest.len(), &entry.digest, entry.offset)
}

fn bytes_of(builder: IndexBuilder) -> Vec<u8> {
    let sorted = builder.finish().expect("a temporary file");
    let mut bytes = Vec::new();
    sorted.write(&mut bytes).expect("a Vec takes all");
    assert_eq!(bytes.len() as u64, sorted.encoded_len());
    bytes
}

fn prefix(codec: IndexCodec) -> [u8; 2] {
    [codec.code() as u8 | 0x80, (codec.code() >> 7) as u8]
}

/// An index of CIDs of all kinds, which has what was put in.
fn written(codec: IndexCodec, budget: usize, input: &mut Input<'_>) -> (Vec<u8>, Vec<Cid>) {
    let mut builder = IndexBuilder::with_budget(codec, budget).with_identity(true);
    let (mut cids, mut due) = (Vec::new(), Vec::new());
    let count = input.pick(&[3, 0, 1, 10, 65, 140]); // Two leaves of a search, and more.
    for _ in 0..count {
        let len = input.pick(&[32, 32, 64, 20, 0]);
        let digest = noise(u64::from(input.byte() % 64), len);
        let code = input.pick(&[hash_code::SHA2_256, hash_code::BLAKE3, 0, 1 << 40]);
        let hash = Multihash::wrap(code, &digest).expect("at most 64 bytes");
        let offset = input.number();
        let added = builder.add(&Cid::new_v1(0x71, hash), offset);
        assert_eq!(added.is_ok(), offset < u64::MAX, "few entries, and no payload is that long");
        if added.is_err() {
            continue;
        }
        cids.push(Cid::new_v1(0x71, hash));
        due.push((Some(code).filter(|_| codec == IndexCodec::MultihashSorted), digest, offset));
    }
    due.sort_by(|a, b| (a.0, a.1.len(), &a.1, a.2).cmp(&(b.0, b.1.len(), &b.1, b.2)));
    let bytes = bytes_of(builder);
    let index = Index::open(&bytes[..]).expect("just written");
    let (found, sound) = entries(&index);
    assert!(sound && index.codec() == codec);
    let found: Vec<_> = found.into_iter().map(|e| (e.hash_code, e.digest, e.offset)).collect();
    assert_eq!(found, due);
    (bytes, cids)
}

/// Gives few bytes at a time.
#[derive(Debug)]
pub(crate) struct Shy<'a> {
    pub(crate) bytes: &'a [u8],
    pub(crate) most: usize,
}

impl ReadAt for Shy<'_> {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        let len = buf.len().min(self.most);
        self.bytes.read_at(&mut buf[..len], offset)
    }

    fn size(&self) -> io::Result<u64> {
        self.bytes.size()
    }
}

/// A CAR with an index that lies, or with damage anywhere: a block is right, or it is not given. In a sound payload, a block that the index
/// knows of is found, with its length, wherever the index leads.
pub fn indexed(data: &[u8]) {
    let mut input = Input::new(data);
    let sample = Sample::new(&mut input);
    let mut bytes = sample.write(&mut input);
    let payload = CarSlice::parse(&bytes).expect("just written").payload().to_vec();
    let sections = sections(&bytes);
    let lie = input.flag().then(|| lying(&sections, &mut input));
    let is_outside = input.flag();
    if let (Some(lie), false) = (&lie, is_outside) {
        put_index(&mut bytes, lie);
    }
    let is_sound = !input.one_in(3);
    if !is_sound {
        damage::tampering(&mut bytes, &mut input);
    }
    let options = ReaderOptions::default();
    let open = || match lie.as_ref().filter(|_| is_outside) {
        Some(lie) => {
            let payload_len = payload.len() as u64;
            match Index::open_range(lie.clone(), 0..lie.len() as u64, Some(payload_len)) {
                Ok(index) => IndexedCar::with_index(&bytes[..], options, index),
                Err(_) => IndexedCar::ignoring_index(&bytes[..], options),
            }
        }
        None => IndexedCar::with_options(&bytes[..], options),
    };
    let whole_cids = input.flag();
    let Ok(car) = open().map(|car| car.whole_cids(whole_cids)) else {
        assert!(!is_sound, "the header was not changed");
        return;
    };
    let mut cids: Vec<Cid> = sample.blocks.iter().map(|block| block.cid).collect();
    // The same hashes under other CIDs, and CIDs that are not there.
    cids.extend(cids.clone().iter().map(|cid| Cid::new_v1(0x71, *cid.hash())));
    cids.push(cid_of(0x55, b"not there"));
    let report = input.flag().then(|| car.check_index().ok().flatten()).flatten();
    if let (Some(report), true, true) = (report, is_sound, !is_outside) {
        assert_eq!(report, compared(&bytes), "what is told of the index");
    }
    let is_complete = report.is_some_and(|report| report.is_sound());
    let index = match lie.as_ref().filter(|_| is_outside) {
        Some(lie) => {
            Index::open_range(&lie[..], 0..lie.len() as u64, Some(payload.len() as u64)).ok()
        }
        None => CarSlice::parse(&bytes).and_then(|car| car.index()).ok().flatten(),
    };
    for cid in &cids {
        let found = car.get(cid);
        if let Ok(Some(data)) = &found {
            verify(cid, data).expect("a block is right");
        }
        let is_there = sections.iter().any(|section| match whole_cids {
            true => section.cid == *cid,
            false => section.cid.hash() == cid.hash(),
        });
        let is_identity = cid.hash().code() == hash_code::IDENTITY;
        if is_sound {
            let data = found.expect("the payload is sound");
            assert!(is_there || is_identity || data.is_none(), "a block that is not there");
            let is_known = index.as_ref().is_none_or(|index| !search(index, cid.hash()).is_empty());
            assert!(!is_there || data.is_some() || !is_known && !car.is_scanned());
            assert_eq!(car.has(cid).expect("the payload is sound"), data.is_some());
            let size = car.size(cid).expect("the payload is sound");
            assert_eq!(size, data.as_ref().map(Vec::len), "another length");
            let section = car.section(cid).expect("the payload is sound");
            assert_eq!(section.is_some(), data.is_some() && !is_identity);
            if let (Some(section), Some(data)) = (section, data) {
                // Not always one of `sections`: the end of a CIDv1 of an empty block may be a whole section of the same hash.
                let place = section.data_offset as usize..section.end() as usize;
                assert_eq!(payload[place], data, "the section is one of the block");
            }
        }
    }
    // For a CID that only others share the hash of, the payload is asked.
    assert!(
        !(is_sound && is_complete && car.is_scanned() && !whole_cids),
        "a sound index is enough"
    );
    scan(&bytes, &cids);
}

/// Without its index, all sections that a reader comes to are found, and nothing else.
fn scan(bytes: &[u8], cids: &[Cid]) {
    let options = ReaderOptions::default();
    let Ok(car) = IndexedCar::ignoring_index(bytes, options) else { return };
    let mut intact = BTreeMap::new();
    let mut reader = CarReader::open_seekable(Cursor::new(bytes), options).expect("as before");
    let whole = loop {
        match reader.next_block() {
            Ok(Some(block)) => drop(intact.insert(block.cid.hash().to_bytes(), block.data)),
            Ok(None) => break true,
            Err(error) if error.is_block_error() => {}
            Err(_) => break false,
        }
    };
    for cid in cids.iter().filter(|cid| cid.hash().code() != hash_code::IDENTITY) {
        match (car.get(cid), intact.get(&cid.hash().to_bytes())) {
            (Ok(found), due) => assert_eq!(found.as_ref(), due),
            (Err(error), due) => {
                assert!(due.is_none(), "an intact block is there: {error}");
                assert!(!whole || error.is_block_error(), "{error}");
            }
        }
    }
    assert_eq!(car.scan_fault().is_none(), whole || !car.is_scanned());
}

fn sections(bytes: &[u8]) -> Vec<Section> {
    let mut reader = CarReader::open(bytes).expect("a sound CAR");
    std::iter::from_fn(|| reader.next_section().expect("a sound CAR")).collect()
}

/// An index with entries for places that may be wrong.
fn lying(sections: &[Section], input: &mut Input<'_>) -> Vec<u8> {
    let codec = input.pick(&[IndexCodec::MultihashSorted, IndexCodec::Sorted]);
    let mut builder = IndexBuilder::new(codec).with_identity(input.flag());
    for section in sections {
        let mut hash = *section.cid.hash();
        for _ in 0..input.pick(&[1, 1, 0, 2, 20]) {
            let offset = match input.below(5) {
                0 | 1 => section.offset,
                2 => sections[input.below(sections.len())].offset,
                3 => section.offset.wrapping_add(input.below(9) as u64),
                _ => input.number().min(u64::MAX - 1),
            };
            if input.one_in(8) {
                let code = input.pick(&[hash_code::SHA2_256, hash_code::BLAKE3]);
                hash = Multihash::wrap(code, hash.digest()).expect("as long as before");
            }
            builder.add(&Cid::new_v1(0x55, hash), offset).expect("few entries");
        }
    }
    let mut bytes = bytes_of(builder);
    if input.one_in(3) {
        damage::tampering(&mut bytes, input);
    }
    bytes
}

/// Puts an index into a CARv2 instead of what it has.
fn put_index(bytes: &mut Vec<u8>, index: &[u8]) {
    let Some(header) = bytes.get(V2_PRAGMA.len()..).and_then(<[u8]>::first_chunk) else { return };
    let Ok(mut header) = V2Header::decode(header, None) else { return };
    if !bytes.starts_with(&V2_PRAGMA) || index.is_empty() {
        return;
    }
    bytes.truncate(header.data_end() as usize);
    header.index_offset = Some(bytes.len() as u64);
    bytes.extend_from_slice(index);
    bytes[V2_PRAGMA.len()..][..V2Header::LEN].copy_from_slice(&header.encode());
}

/// What a comparison of index and payload should find, found in another way.
fn compared(bytes: &[u8]) -> IndexReport {
    let car = CarSlice::parse(bytes).expect("a sound CAR");
    let index = car.index().expect("a usable index").expect("an index");
    let is_full = car.v2_header().is_some_and(|v2| v2.characteristics.is_fully_indexed());
    let mut listed = BTreeMap::<_, u64>::new();
    let mut report = IndexReport::default();
    for entry in index.entries() {
        let entry = entry.expect("it was gone through before");
        report.entries += 1;
        *listed.entry((entry.hash_code, entry.digest, entry.offset)).or_default() += 1;
    }
    for section in sections(bytes) {
        let hash = section.cid.hash();
        let code = Some(hash.code()).filter(|_| index.codec() == IndexCodec::MultihashSorted);
        let is_identity = hash.code() == hash_code::IDENTITY;
        match listed.get_mut(&(code, hash.digest().to_vec(), section.offset)) {
            Some(count) => {
                *count -= 1;
                report.identity += u64::from(is_identity);
            }
            None => {
                report.identity_missing += u64::from(is_identity);
                if is_full || !is_identity {
                    report.missing += 1;
                    report.first_missing.get_or_insert(section.offset);
                }
            }
        }
    }
    for ((_, _, offset), count) in listed.into_iter().filter(|(_, count)| *count > 0) {
        report.wrong += count;
        report.first_wrong = Some(report.first_wrong.map_or(offset, |first| first.min(offset)));
    }
    report
}
