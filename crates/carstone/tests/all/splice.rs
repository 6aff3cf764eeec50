//! Whole encrypted packs whose frames, headers and trailers were moved, repeated, dropped or taken from another pack of the same
//! readers: what reads at random refuses them, what reads forwards ends in an error unless all is there, a salvage goes on behind it, and
//! none gives a wrong byte.

use carstone::compress::Codec;
use carstone::keys::{ContentKey, Envelope, Identity, Recipients};
use carstone::layer::{FRAME_HEADER_LEN, FrameHeader, PackId};
use carstone::stack::{self, Protection};

use crate::salvage::salvage;
use crate::support::{
    self, ID, Item, KEY, Layers, Tree, content, few_threads, frames, message, pack, read_all,
    stream,
};

const LAYERS: [Layers; 2] = [
    Layers { encrypted: true, codec: Some(Codec::Stored) },
    Layers { encrypted: true, codec: None },
];

#[test]
fn every_frame_of_a_pack_moved_is_refused_and_never_misplaced() {
    for layers in LAYERS {
        let packs = Packs::new(layers);
        for (from, to) in packs.mine.pairs().filter(|(from, to)| from < to) {
            let mut swapped = packs.mine.clone();
            swapped.data.swap(from, to);
            packs.check(&swapped, &format!("{layers:?}: {from} and {to} swapped"));
            swapped.relabel(from, ID);
            swapped.relabel(to, ID);
            packs.check(&swapped, &format!("{layers:?}: {from} and {to} swapped and relabelled"));
        }
    }
}

#[test]
fn every_frame_of_a_pack_repeated_is_refused_and_given_once() {
    for layers in LAYERS {
        let packs = Packs::new(layers);
        for (from, to) in packs.mine.pairs() {
            let mut longer = packs.mine.clone();
            longer.data.insert(to, packs.mine.data[from].clone());
            packs.check(&longer, &format!("{layers:?}: {from} again at {to}"));
            longer.fit_trailer();
            packs.check(&longer, &format!("{layers:?}: {from} again at {to}, trailer fits"));
        }
    }
}

#[test]
fn every_frame_of_a_pack_dropped_is_refused_and_leaves_a_gap() {
    for layers in LAYERS {
        let packs = Packs::new(layers);
        for frame in 0..packs.mine.data.len() {
            let mut shorter = packs.mine.clone();
            shorter.data.remove(frame);
            let place = format!("{layers:?}: without {frame}");
            assert!(packs.check(&shorter, &place) > 0, "{place}: no gap");
            shorter.fit_trailer();
            assert!(packs.check(&shorter, &place) > 0, "{place}: no gap");
        }
    }
}

#[test]
fn every_frame_of_another_pack_of_the_same_readers_is_refused_and_skipped() {
    for layers in LAYERS {
        let packs = Packs::new(layers);
        for (other, which) in [(&packs.same_key, "same key"), (&packs.other_key, "other key")] {
            for frame in 0..packs.mine.data.len() {
                let mut replaced = packs.mine.clone();
                replaced.data[frame].clone_from(&other.data[frame]);
                let place = format!("{layers:?}, {which}: frame {frame}");
                assert!(packs.check(&replaced, &place) > 0, "{place}: no gap");
                replaced.relabel(frame, ID);
                let place = format!("{place}, relabelled");
                assert!(packs.check(&replaced, &place) > 0, "{place}: no gap");
            }
        }
    }
}

#[test]
fn headers_and_trailers_of_different_packs_are_refused_in_every_mixture() {
    for layers in LAYERS {
        let packs = Packs::new(layers);
        for (other, which) in [(&packs.same_key, "same key"), (&packs.other_key, "other key")] {
            // Bit by bit: container header, layer header in front, layer header at the end, trailer.
            for mixture in 1..15 {
                let mut mixed = packs.mine.clone();
                let theirs = [
                    (&mut mixed.container, &other.container),
                    (&mut mixed.front, &other.front),
                    (&mut mixed.end, &other.end),
                    (&mut mixed.trailer, &other.trailer),
                ];
                for (bit, (part, their)) in theirs.into_iter().enumerate() {
                    if (mixture >> bit) & 1 == 1 {
                        part.clone_from(their);
                    }
                }
                packs.check(&mixed, &format!("{layers:?}, {which}: mixture {mixture:04b}"));
            }
        }
    }
}

#[test]
fn a_container_that_lists_other_layers_does_not_fit_the_key() {
    let packs = Packs::new(LAYERS[0]);
    let bare = Packs::new(LAYERS[1]);
    let mut relisted = packs.mine.clone();
    relisted.container.clone_from(&bare.mine.container);
    relisted.trailer.clone_from(&bare.mine.trailer);
    relisted.fit_trailer();
    let stored = relisted.join();
    let errors = [
        stack::open(stored.clone(), &KEY, &few_threads()).map(drop).expect_err("other layers"),
        stack::stream(&stored[..], &KEY, &few_threads()).map(drop).expect_err("other layers"),
        stack::salvage(&stored[..], &KEY, &few_threads()).map(drop).expect_err("other layers"),
    ];
    for error in errors {
        assert!(error.is_about_keys(), "{}", message(&error));
    }
}

/// A pack, and two others for the same readers and of the same shape.
struct Packs {
    tree: Tree,
    mine: Parts,
    /// Under the same content key and envelope, as a rebuild makes one.
    same_key: Parts,
    other_key: Parts,
}

impl Packs {
    fn new(layers: Layers) -> Self {
        let mut recipients = Recipients::new();
        recipients.add(Identity::generate().expect("randomness").to_public());
        let sealed = |key: [u8; 32]| {
            let key = ContentKey::from_bytes(key);
            let envelope = recipients.seal(&key).expect("a recipient");
            (key, envelope)
        };
        let (mine, other) = (sealed(KEY), sealed([0x5c; 32]));
        let write = |seed, (key, envelope): &(ContentKey, Envelope), id: u8| {
            let protection = Protection::with_envelope(key.clone(), envelope);
            let id = if id == 0 { ID } else { PackId::from_bytes([id; 16]) };
            Parts::of(pack(
                &tree(seed),
                layers.options().protection(protection).danger_pack_id(id),
                1,
            ))
        };
        let packs = Self {
            tree: tree(1),
            mine: write(1, &mine, 0),
            same_key: write(2, &mine, 2),
            other_key: write(3, &other, 3),
        };
        for other in [&packs.same_key, &packs.other_key] {
            let lengths = |parts: &Parts| parts.data.iter().map(Vec::len).collect::<Vec<_>>();
            assert_eq!(lengths(&packs.mine), lengths(other), "packs of the same shape");
        }
        assert!(packs.mine.data.len() > 3, "{}", packs.mine.data.len());
        packs
    }

    /// The three ways to read a pack that was tampered with. Gives the number of gaps that the salvage told.
    #[track_caller]
    fn check(&self, tampered: &Parts, place: &str) -> usize {
        let stored = tampered.join();
        let read = stack::open(stored.clone(), &KEY, &few_threads());
        let read = read.map_err(Into::into).and_then(|opened| read_all(&opened));
        assert!(read.is_err(), "{place}: read at random");

        // A frame that comes again is dropped: then all that was packed has been given, each byte once and in its place.
        let got = stream(&stored[..]);
        let is_whole = tampered.repeats() && got.tail && got.tree == self.tree;
        assert!(got.error.is_some() || is_whole, "{place}: read forwards");
        let right = got.tree.iter().all(|(path, item)| self.tree.get(path) == Some(item));
        assert!(right, "{place}: wrong bytes");

        let Some(salvaged) = salvage(&stored) else { return usize::MAX };
        salvaged.assert_right(&self.tree, place);
        salvaged.gaps
    }
}

/// Files of which the middle one is several frames long.
fn tree(seed: u64) -> Tree {
    let file = |body| Item { kind: carstone::pack::EntryKind::File, mode: None, mtime: None, body };
    Tree::from([
        (b"a".to_vec(), file(content(seed, 1000))),
        (b"b".to_vec(), file(content(seed + 10, 450_000))),
        (b"c".to_vec(), file(content(seed + 20, 70_000))),
    ])
}

/// A pack cut into its parts.
#[derive(Clone)]
struct Parts {
    container: Vec<u8>,
    front: Vec<u8>,
    data: Vec<Vec<u8>>,
    end: Vec<u8>,
    trailer: Vec<u8>,
}

impl Parts {
    fn of(stored: Vec<u8>) -> Self {
        let framed = &stored[256..stored.len() - 304];
        let mut data: Vec<_> =
            frames(framed).iter().map(|frame| framed[frame.at..frame.end()].to_vec()).collect();
        let end = data.pop().expect("a layer header");
        let front = data.remove(0);
        let (container, trailer) = (&stored[..256], &stored[stored.len() - 304..]);
        Self { container: container.to_vec(), front, data, end, trailer: trailer.to_vec() }
    }

    fn join(&self) -> Vec<u8> {
        [&self.container[..], &self.front, &self.data.concat(), &self.end, &self.trailer].concat()
    }

    /// Whether some frame stands there twice, and none is missing.
    fn repeats(&self) -> bool {
        let sequences = self.data.iter().map(|frame| &frame[40..48]);
        let distinct = sequences.collect::<std::collections::BTreeSet<_>>();
        distinct.len() < self.data.len()
    }

    fn pairs(&self) -> impl Iterator<Item = (usize, usize)> + use<> {
        let count = self.data.len();
        (0..count).flat_map(move |from| (0..count).map(move |to| (from, to)))
    }

    /// Gives a data frame's header what belongs in its place in the pack `id`, and makes its sums fit.
    fn relabel(&mut self, place: usize, id: PackId) {
        let last = place + 1 == self.data.len();
        let frame = &mut self.data[place];
        let (head, payload) = frame.split_first_chunk_mut::<FRAME_HEADER_LEN>().expect("a frame");
        let mut header = FrameHeader::decode(head).expect("a frame");
        (header.pack, header.sequence, header.last) = (id, place as u64, last);
        header.plain_offset = (place * carstone::encrypt::FRAME_LEN) as u64;
        *head = header.sealed(payload).encode();
    }

    /// Makes the trailer state the length that the pack has.
    fn fit_trailer(&mut self) {
        let len = self.join().len() as u64;
        self.trailer[256..264].copy_from_slice(&len.to_le_bytes());
        support::seal_trailer(&mut self.trailer);
    }
}
