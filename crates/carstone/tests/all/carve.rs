//! Packs and CARs are found in anything, put together of their fragments, and never taken out of each other.

use std::collections::BTreeSet;

use crate::support::{
    ID, Item, KEY, Layers, Tree, content, few_threads, frames, open, pack, read_all, salvage_files,
    stream,
};
use carstone::car::{CarWriter, cid_of, codec};
use carstone::compress::Codec;
use carstone::layer::PackId;
use carstone::pack::EntryKind;
use carstone::stack::{self, Carved, CarvedCar, WriteOptions};

const HEADER: usize = 256;
const TRAILER: usize = 304;
const NOISE: usize = 64 << 10;
const BLOCK: usize = 256 << 10;

const STORED: Layers = Layers { encrypted: false, codec: Some(Codec::Stored) };
const BARE: Layers = Layers { encrypted: false, codec: None };

fn tree(seed: u64, files: u64, len: usize) -> Tree {
    let item = |n: u64| {
        let body = content(seed * 100 + n, len);
        Item { kind: EntryKind::File, mode: None, mtime: None, body }
    };
    (0..files).map(|n| (format!("f{n}").into_bytes(), item(n))).collect()
}

fn id(n: u8) -> PackId {
    PackId::from_bytes([n; 16])
}

fn options(layers: Layers, n: u8) -> WriteOptions {
    layers.options().danger_pack_id(id(n))
}

fn carve(image: &[u8]) -> Vec<Carved> {
    let mut reached = 0;
    let carving = stack::carve(&image, 0, &mut |at| reached = at).expect("memory can be read");
    assert_eq!((reached, carving.next), (image.len() as u64, None));
    carving.found
}

/// A pack that was found, put together.
struct Mended {
    id: PackId,
    bytes: Vec<u8>,
    is_whole: bool,
    holes: u64,
}

#[track_caller]
fn mend(image: &[u8], found: &Carved) -> Mended {
    let Carved::Pack(found) = found else { panic!("not a pack: {found:?}") };
    let mended =
        found.mend(image, &mut |_| {}).unwrap_or_else(|error| panic!("{error}: {found:?}"));
    let mut bytes = Vec::new();
    mended.copy_to(&mut bytes, &mut |_| {}).expect("memory can be read");
    assert_eq!(bytes.len() as u64, mended.len());
    Mended { id: found.pack_id(), bytes, is_whole: mended.is_whole(), holes: mended.holes() }
}

#[track_caller]
fn packs(image: &[u8]) -> Vec<Mended> {
    carve(image).iter().map(|found| mend(image, found)).collect()
}

#[track_caller]
fn only_car(image: &[u8]) -> CarvedCar {
    match carve(image).as_slice() {
        [Carved::Car(car)] => car.clone(),
        other => panic!("not one CAR: {other:?}"),
    }
}

fn car_bytes(image: &[u8], car: &CarvedCar) -> Vec<u8> {
    let mut bytes = Vec::new();
    car.copy_to(&image, &mut bytes, &mut |_| {}).expect("memory can be read");
    bytes
}

/// Entries, and the pack of them.
type Packed = (Tree, Vec<u8>);

/// Twenty packs of all kinds, with noise around each; gives where each of them begins.
fn twenty() -> (Vec<Packed>, Vec<u8>, Vec<usize>) {
    let kinds = Layers::all();
    let (mut image, mut places) = (content(7000, NOISE), Vec::new());
    let packs: Vec<_> = (0..20u8)
        .map(|n| {
            let tree = tree(n.into(), 5, 100_000);
            let options = options(kinds[usize::from(n) % kinds.len()], n).block_size(BLOCK as u32);
            let stored = pack(&tree, options, 1);
            (tree, stored)
        })
        .collect();
    for (n, (_, stored)) in packs.iter().enumerate() {
        places.push(image.len());
        image.extend_from_slice(stored);
        image.extend(content(8000 + n as u64, NOISE));
    }
    (packs, image, places)
}

#[test]
fn of_twenty_packs_without_their_headers_every_entry_comes_back() {
    let (packed, mut image, places) = twenty();
    for at in &places {
        image[*at..at + HEADER].fill(0);
    }
    let found = packs(&image);
    assert_eq!(found.len(), 20);
    for (n, (found, (tree, stored))) in found.iter().zip(&packed).enumerate() {
        assert_eq!(found.id, id(n as u8));
        assert!(found.bytes == *stored && found.is_whole, "{n}: {} holes", found.holes);
        assert!(read_all(&open(&found.bytes)).expect("a sound pack") == *tree);
    }
}

#[test]
fn of_twenty_packs_without_their_first_pages_what_lies_behind_the_first_block_comes_back() {
    let (packed, mut image, places) = twenty();
    for at in &places {
        image[*at..at + 4096].fill(0);
    }
    let (found, kinds) = (packs(&image), Layers::all());
    assert_eq!(found.len(), 20);
    for (n, (found, (tree, stored))) in found.iter().zip(&packed).enumerate() {
        assert!(!found.is_whole, "{n}");
        let ends: BTreeSet<u64> = stream(&stored[..]).ends.into_values().collect();
        let begin = |end: u64| ends.range(..end).next_back().copied().unwrap_or(0);
        let ends = stream(&stored[..]).ends;
        let behind = ends.iter().filter(|(_, end)| begin(**end) >= BLOCK as u64);
        let behind: BTreeSet<_> = behind.map(|(path, _)| path.clone()).collect();
        assert!(!behind.is_empty(), "{n}");
        if kinds[n % kinds.len()] == BARE {
            // Its sections are not searched for.
            assert!(found.bytes.ends_with(&stored[4096..]));
            continue;
        }
        let complete = salvage_files(&found.bytes);
        assert!(behind.iter().all(|path| complete[path] == tree[path].body), "{n}: {behind:?}");
    }
}

#[test]
fn sound_packs_are_found_at_any_offset_and_in_any_company() {
    for layers in Layers::all() {
        let stored = pack(&tree(1, 3, 30_000), options(layers, 1), 1);
        for noise in [0, 1, 255, 5000] {
            let image = [&content(5, noise), &stored[..], &content(6, noise)].concat();
            let found = packs(&image);
            assert_eq!(found.len(), 1, "{layers:?}");
            assert!(found[0].bytes == stored && found[0].is_whole, "{layers:?} behind {noise}");
        }
    }
}

#[test]
fn without_a_trailer_too_packs_are_whole() {
    for layers in Layers::all() {
        let stored = pack(&tree(1, 3, 30_000), options(layers, 1), 1);
        let cut = stored.len() - TRAILER;
        let image = [&content(5, 700), &stored[..cut], &content(6, 7000)].concat();
        let found = packs(&image);
        assert_eq!(found.len(), 1, "{layers:?}");
        assert!(found[0].bytes == stored, "{layers:?}");
        // Bare, nobody can say where the end was.
        assert_eq!(found[0].is_whole, layers != BARE, "{layers:?}");
    }
}

#[test]
fn fragments_of_two_packs_may_be_mixed() {
    let stored = |n: u8| pack(&tree(n.into(), 4, 60_000), options(STORED, n), 1);
    let both = [stored(1), stored(2)];
    let cuts = |stored: &[u8]| {
        let inside = frames(&stored[HEADER..stored.len() - TRAILER]);
        let mut cuts: Vec<_> = inside.iter().map(|frame| HEADER + frame.at).collect();
        cuts.push(stored.len());
        cuts
    };
    let mut image = Vec::new();
    let mut from = [0, 0];
    let [first, second] = both.each_ref().map(|stored| cuts(stored));
    for (a, b) in first.iter().zip(&second) {
        for (n, to) in [(1, *b), (0, *a)] {
            image.extend_from_slice(&both[n][from[n]..to]);
            image.extend(content(3, 50));
            from[n] = to;
        }
    }
    for n in [0, 1] {
        image.extend_from_slice(&both[n][from[n]..]);
    }
    let found = packs(&image);
    assert_eq!(found.len(), 2);
    for found in found {
        let original = &both[usize::from(found.id == id(2))];
        assert!(found.bytes == *original && found.is_whole);
    }
}

#[test]
fn copies_of_one_pack_make_up_what_each_of_them_lacks() {
    for layers in Layers::all().into_iter().filter(|layers| *layers != BARE) {
        let stored = pack(&tree(1, 4, 90_000), options(layers, 1), 1);
        let (mut first, mut second) = (stored.clone(), stored.clone());
        let middle = stored.len() / 2;
        first[1000..middle - 70_000].fill(0);
        second[middle + 140_000..].fill(0);
        let image = [&first[..], &content(4, 3000), &second].concat();
        let found = packs(&image);
        assert_eq!(found.len(), 1, "{layers:?}");
        assert!(found[0].bytes == stored && found[0].is_whole, "{layers:?}");
    }
}

#[test]
fn what_a_pack_holds_is_not_carved_apart() {
    let inner = pack(&tree(1, 2, 50_000), options(STORED, 1), 1);
    let file = Item { kind: EntryKind::File, mode: None, mtime: None, body: inner.clone() };
    let car = a_car(&[content(1, 500), content(2, 500)]);
    let other = Item { body: car, ..file.clone() };
    let outer = Tree::from([(b"inner.cstone".to_vec(), file), (b"x.car".to_vec(), other)]);
    for layers in [STORED, BARE] {
        let stored = pack(&outer, options(layers, 2), 1);
        let image = [&content(3, 999), &stored[..], &content(4, 999)].concat();
        let found = packs(&image);
        assert_eq!(found.len(), 1, "{layers:?}");
        assert!(found[0].id == id(2) && found[0].bytes == stored && found[0].is_whole);
        // A flipped bit in the content does not let anything out.
        let at = stored.windows(100).position(|bytes| bytes == &inner[700..800]).expect("stored");
        let mut hurt = image.clone();
        hurt[999 + at] ^= 1;
        let found = packs(&hurt);
        assert_eq!(found.len(), 1, "{layers:?}");
        assert_eq!(found[0].is_whole, layers == STORED);
    }
    let image = [&content(3, 999), &a_car(&[inner, content(1, 50)])[..]].concat();
    assert!(only_car(&image).is_whole());
}

fn a_car(blocks: &[Vec<u8>]) -> Vec<u8> {
    let root = cid_of(codec::RAW, &blocks[0]);
    let mut writer = CarWriter::new(Vec::new(), &[root]).expect("memory");
    for block in blocks {
        writer.write_data(codec::RAW, block).expect("memory");
    }
    writer.finish().expect("memory")
}

#[test]
fn a_car_between_packs_is_found_with_its_roots() {
    let stored = pack(&tree(1, 2, 20_000), options(STORED, 1), 1);
    let car = a_car(&[content(1, 3000), content(2, 40), content(3, 90_000)]);
    let image = [&content(9, 100), &stored[..], &content(8, 77), &car, &content(7, 500)].concat();
    let found = carve(&image);
    let [Carved::Pack(_), Carved::Car(found)] = found.as_slice() else { panic!("{found:?}") };
    assert!(found.is_whole() && found.has_header());
    let at = (100 + stored.len() + 77) as u64;
    assert_eq!(found.range(), at..at + car.len() as u64);
    assert_eq!(found.blocks(), 3);
    assert!(car_bytes(&image, found) == car);
}

#[test]
fn of_a_damaged_car_the_good_sections_are_kept() {
    let blocks: Vec<_> = (0..9).map(|n| content(n, 2000)).collect();
    let car = a_car(&blocks);
    let mut image = [&content(9, 100), &car[..]].concat();
    image[100 + car.len() / 2] ^= 1;
    let found = only_car(&image);
    assert_eq!((found.blocks(), found.holes(), found.has_header()), (8, 1, true));
    image[100..150].fill(0);
    let found = only_car(&image);
    assert_eq!((found.blocks(), found.holes(), found.has_header()), (8, 1, false));
    assert!(!found.is_whole());
    let written = car_bytes(&image, &found);
    let reader = carstone::car::CarReader::open(&written[..]).expect("a CAR");
    assert!(reader.roots().is_empty());
    assert_eq!(reader.into_iter().filter(Result::is_ok).count(), 8);
    let last = image.len() - 1;
    image[last] ^= 1;
    assert_eq!(only_car(&image).holes(), 2, "the last block is damaged");
}

#[test]
fn a_fragment_of_a_compressed_pack_is_opened_by_its_frames_alone() {
    let tree = tree(1, 6, 60_000);
    let stored = pack(&tree, options(STORED, 1), 1);
    let inside = frames(&stored[HEADER..stored.len() - TRAILER]);
    let data: Vec<_> = inside.iter().filter(|frame| frame.kind == 1).collect();
    let middle = HEADER + data[1].at..HEADER + data[data.len() - 2].end();
    let image = [&content(3, 300), &stored[middle], &content(4, 300)].concat();
    let found = packs(&image);
    assert!(found.len() == 1 && !found[0].is_whole);
    let mut salvaged =
        stack::salvage(&found[0].bytes[..], &KEY, &few_threads()).expect("a container");
    while salvaged.next().expect("memory can be read").is_some() {}
    // The batch that names them is lost.
    assert!(salvaged.nameless().0 > 0);
}

#[test]
fn a_flipped_bit_in_a_header_is_put_right() {
    for layers in Layers::all().into_iter().filter(|layers| *layers != BARE) {
        let stored = pack(&tree(1, 2, 20_000), options(layers, 1), 1);
        let mut image = [&content(3, 300), &stored[..stored.len() - TRAILER]].concat();
        image[300 + 40] ^= 4;
        let found = packs(&image);
        assert!(found.len() == 1 && found[0].bytes == stored, "{layers:?}");
    }
}

#[test]
fn nothing_is_found_where_nothing_is() {
    assert!(carve(&[]).is_empty());
    assert!(carve(&[0; 100_000]).is_empty());
    assert!(carve(&content(1, 300_000)).is_empty());
    // A header without sections is no CAR.
    let image = [&content(1, 50), &b"\x11\xa2\x65roots\x80\x67version\x01"[..]].concat();
    assert!(carve(&image).is_empty());
    assert_ne!(id(1), ID);
}

#[test]
fn a_header_alone_is_told_and_cannot_be_put_together() {
    let stored = pack(&tree(1, 2, 20_000), options(STORED, 1), 1);
    let image = [&content(1, 50), &stored[..HEADER], &content(2, 50)].concat();
    let found = carve(&image);
    let [Carved::Pack(found)] = found.as_slice() else { panic!("{found:?}") };
    assert_eq!((found.fragments(), found.range()), (0, 50..50 + HEADER as u64));
    assert!(found.mend(&image[..], &mut |_| {}).is_err());
}

#[test]
fn more_finds_than_are_kept_track_of_are_found_in_turn() {
    let car = a_car(&[b"a grain of sand".to_vec()]);
    let stored = pack(&tree(1, 2, 20_000), options(STORED, 1), 1);
    let most = 1 << 16;
    let image = [&car.repeat(most + 99)[..], &stored].concat();
    let first = stack::carve(&image, 0, &mut |_| {}).expect("memory can be read");
    assert_eq!((first.found.len(), first.next), (most, Some((most * car.len()) as u64)));
    let next = first.next.expect("there is more");
    let second = stack::carve(&image, next, &mut |_| {}).expect("memory can be read");
    assert_eq!((second.found.len(), second.next), (100, None));
    for (n, found) in first.found.iter().chain(&second.found[..99]).enumerate() {
        let Carved::Car(found) = found else { panic!("{found:?}") };
        assert!(found.is_whole() && found.range().start == (n * car.len()) as u64);
    }
    assert!(mend(&image, &second.found[99]).bytes == stored);
}

/// The limit may be met between a header and its first section, and within a CAR that goes on.
#[test]
fn what_is_open_when_no_more_is_kept_track_of_stays_whole() {
    let car = a_car(&[b"a grain of sand".to_vec()]);
    let last = a_car(&[content(1, 900), content(2, 900), content(3, 900)]);
    for before in [(1 << 16) - 1, 1 << 16] {
        let image = [car.repeat(before), last.clone(), car.clone()].concat();
        let (mut found, mut next) = (Vec::new(), Some(0));
        while let Some(start) = next {
            let carving = stack::carve(&image, start, &mut |_| {}).expect("memory can be read");
            found.extend(carving.found);
            next = carving.next;
        }
        assert_eq!(found.len(), before + 2);
        let Carved::Car(found) = &found[before] else { panic!("{:?}", found[before]) };
        assert!(found.is_whole() && car_bytes(&image, found) == last, "{before}");
    }
}

/// Of an encrypted pack nothing but data frames: they are kept, and are of use where an end turns up.
#[test]
fn frames_that_nothing_explains_are_kept_until_something_does() {
    let layers = Layers { encrypted: true, codec: Some(Codec::Stored) };
    let stored = pack(&tree(1, 6, 90_000), options(layers, 1), 1);
    let inside = frames(&stored[HEADER..stored.len() - TRAILER]);
    let data: Vec<_> = inside.iter().filter(|frame| frame.kind == 1).collect();
    assert!(data.len() > 3);
    let middle = HEADER + data[1].at..HEADER + data[data.len() - 1].at;
    let mut fragment = stored[middle.clone()].to_vec();
    // A frame that is damaged is kept too: what is wrong with it may be put right.
    let flipped = data[2].at - data[1].at + 5000;
    fragment[flipped] ^= 1;
    let image = [&content(3, 300), &fragment[..], &content(4, 300)].concat();
    let found = carve(&image);
    let [Carved::Pack(found)] = found.as_slice() else { panic!("{found:?}") };
    assert!(found.mend(&image[..], &mut |_| {}).is_err());
    let mut kept = Vec::new();
    found.copy_parts_to(&image, &mut kept, &mut |_| {}).expect("memory can be read");
    assert!(kept == fragment);
    let ends = [&stored[..middle.start], &content(5, 77), &stored[middle.end..]].concat();
    let found = packs(&[kept, content(6, 1000), ends].concat());
    assert!(found.len() == 1 && found[0].bytes == stored && found[0].is_whole);
}
