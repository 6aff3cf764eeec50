//! Twenty packs of all framed kinds in one image, with a mebibyte of noise around each.

use std::collections::{BTreeMap, HashMap};
use std::io::Read;
use std::ops::Range;
use std::sync::LazyLock;

use crate::support::{
    Item, KEY, Layers, Tree, content, few_threads, frames, open, pack, read_all, salvage_files,
};
use carstone::car::{CarSlice, cid_of, codec};
use carstone::layer::PackId;
use carstone::pack::EntryKind;
use carstone::stack::{self, Carved};

const HEADER: usize = 256;
const TRAILER: usize = 304;
const NOISE: usize = 1 << 20;
const CHUNK: usize = 1 << 20;
/// So much that the first of them spans the first encryption frame, compressed too.
const BLOCK: u32 = 512 << 10;

struct Packed {
    layers: Layers,
    tree: Tree,
    stored: Vec<u8>,
    at: usize,
    /// Where the first compression frame ends in the CAR stream.
    first: usize,
}

static PACKED: LazyLock<(Vec<Packed>, Vec<u8>)> = LazyLock::new(image);

/// Bytes that compress to something more than half.
fn sparse(seed: u64, len: usize) -> Vec<u8> {
    content(seed, len / 2).into_iter().flat_map(|byte| [byte, 0]).collect()
}

fn tree(seed: u64) -> Tree {
    let file = |body| Item { kind: EntryKind::File, mode: Some(0o644), mtime: None, body };
    let small = (0..24).map(|n| {
        let body = sparse(seed * 100 + n, 20_000 + n as usize * 2_000);
        (format!("d{}/f{n}", n % 3).into_bytes(), file(body))
    });
    let long = (b"long".to_vec(), file(sparse(seed * 100 + 99, CHUNK + 250_000)));
    small.chain([long]).collect()
}

fn image() -> (Vec<Packed>, Vec<u8>) {
    let kinds: Vec<_> = Layers::all().into_iter().filter(|kind| kind.codec.is_some()).collect();
    let (mut image, mut packed) = (content(1, NOISE), Vec::new());
    for n in 0..20u8 {
        let layers = kinds[usize::from(n) % kinds.len()];
        let tree = tree(n.into());
        let of = |layers: Layers| {
            let options = layers.options().danger_pack_id(PackId::from_bytes([n; 16]));
            pack(&tree, options.block_size(BLOCK), 2)
        };
        let (stored, open) = (of(layers), of(Layers { encrypted: false, ..layers }));
        let inside = frames(&open[HEADER..open.len() - TRAILER]);
        assert!(inside.iter().filter(|frame| frame.kind == 1).count() > 3, "{layers:?}");
        let (at, first) = (image.len(), inside[0].plain_len);
        image.extend_from_slice(&stored);
        image.extend(content(2 + u64::from(n), NOISE));
        packed.push(Packed { layers, tree, stored, at, first });
    }
    (packed, image)
}

/// The packs of an image, put together, in the order in which they stand.
fn carve(image: &[u8]) -> Vec<(bool, Vec<u8>)> {
    let carving = stack::carve(&image, 0, &mut |_| {}).expect("memory can be read");
    assert_eq!((carving.found.len(), carving.next), (20, None));
    let mend = |found: &Carved| {
        let Carved::Pack(found) = found else { panic!("not a pack: {found:?}") };
        let mended = found.mend(image, &mut |_| {}).expect("it can be put together");
        let mut bytes = Vec::new();
        mended.copy_to(&mut bytes, &mut |_| {}).expect("memory can be read");
        (mended.is_whole(), bytes)
    };
    carving.found.iter().map(mend).collect()
}

fn without_first(len: usize) -> Vec<u8> {
    let (packed, image) = &*PACKED;
    let mut image = image.clone();
    packed.iter().for_each(|packed| image[packed.at..packed.at + len].fill(0));
    image
}

#[test]
fn without_their_headers_every_entry_of_every_pack_comes_back() {
    for (packed, (is_whole, bytes)) in PACKED.0.iter().zip(carve(&without_first(HEADER))) {
        assert!(is_whole, "{:?}", packed.layers);
        assert!(bytes == packed.stored, "{:?}", packed.layers);
        assert!(read_all(&open(&bytes)).expect("a sound pack") == packed.tree);
    }
}

#[test]
fn without_their_first_pages_every_entry_outside_of_the_first_compression_frame_comes_back() {
    for (packed, (is_whole, bytes)) in PACKED.0.iter().zip(carve(&without_first(4096))) {
        assert!(!is_whole, "{:?}", packed.layers);
        let files = salvage_files(&bytes);
        for (path, body) in &files {
            assert!(*body == packed.tree[path].body, "{:?}", packed.layers);
        }
        let outside = packed.outside();
        assert!(outside.len() > 6, "{:?}", packed.layers);
        for path in outside {
            assert!(files.contains_key(path), "{:?}: {}", packed.layers, path.escape_ascii());
        }
    }
}

impl Packed {
    /// Files none of whose content stands in the first compression frame.
    fn outside(&self) -> Vec<&Vec<u8>> {
        let mut car = Vec::new();
        let mut streamed = stack::stream(&self.stored[..], &KEY, &few_threads()).expect("sound");
        streamed.read_to_end(&mut car).expect("sound");
        let blocks = CarSlice::parse(&car).expect("a CAR").blocks().map(|block| {
            let (section, block) = block.expect("sound");
            (block.cid, section.offset as usize..section.end() as usize)
        });
        let places: HashMap<_, Range<usize>> = blocks.collect();
        let is_outside = |item: &&Item| {
            let leaves = item.body.chunks(CHUNK).map(|chunk| cid_of(codec::RAW, chunk));
            leaves.into_iter().all(|cid| places[&cid].start >= self.first)
        };
        let files: BTreeMap<_, _> = self.tree.iter().filter(|(_, item)| is_outside(item)).collect();
        files.into_keys().collect()
    }
}
