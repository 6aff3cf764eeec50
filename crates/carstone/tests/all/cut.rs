//! A pack that was cut gives every entry that ends before the cut, each checked, and then an error that names the place.

use std::collections::BTreeMap;

use crate::support::{
    self, Item, Layers, Streamed, Tree, content, frames, message, open, pack, sample, stream, tiny,
};

#[test]
fn a_tiny_pack_is_read_up_to_the_cut_wherever_that_is() {
    for layers in Layers::all() {
        let cut = Cut::new(tiny(), layers);
        (0..cut.stored.len()).for_each(|at| cut.check(at));
    }
}

#[test]
fn a_pack_without_footer_and_trailer_lists_all_its_entries() {
    for layers in Layers::all() {
        let cut = Cut::new(sample(), layers);
        let mut end = cut.stored.len() - 304;
        if layers.encrypted || layers.codec.is_some() {
            let frames = frames(&cut.stored[256..end]);
            end = 256 + frames.iter().rfind(|frame| frame.kind == 1).expect("data").end();
        }
        let got = stream(&cut.stored[..end]);
        assert_eq!(got.tree, sample(), "{layers:?}");
        assert!(got.error.is_some(), "{layers:?}: the end is missing");
    }
}

#[test]
fn a_larger_pack_is_read_up_to_the_cut() {
    let file = |len: usize, seed| Item {
        kind: carstone::pack::EntryKind::File,
        mode: Some(0o600),
        mtime: None,
        body: content(seed, len),
    };
    let mut tree: Tree =
        (0..60_u64).map(|i| (format!("f{i:02}").into_bytes(), file(i as usize * 371, i))).collect();
    tree.insert(b"g".to_vec(), file((1 << 20) + 70_000, 70));
    tree.insert(b"h".to_vec(), file(300_000, 71));
    for layers in Layers::all() {
        let cut = Cut::new(tree.clone(), layers);
        let len = cut.stored.len();
        let seeds = content(5, 12 * 8);
        let mut places: Vec<usize> = seeds
            .chunks_exact(8)
            .map(|seed| u64::from_le_bytes(seed.try_into().expect("8 bytes")) as usize % len)
            .collect();
        places.extend([len - 1, len - 304, len - 305, len - 304 - 137]);
        places.into_iter().for_each(|at| cut.check(at));
    }
}

/// A pack, and what is known of it.
struct Cut {
    tree: Tree,
    layers: Layers,
    stored: Vec<u8>,
    /// Where in the CAR stream each entry is complete.
    ends: BTreeMap<Vec<u8>, u64>,
    /// The stored stream inside of the encryption layer, if there is one.
    inside: Vec<u8>,
}

impl Cut {
    fn new(tree: Tree, layers: Layers) -> Self {
        let stored = pack(&tree, layers.options(), 2);
        let whole = stream(stored.as_slice());
        assert!(whole.error.is_none() && whole.tree == tree, "{layers:?}: {:?}", whole.error);
        let mut inside = stored[256..stored.len() - 304].to_vec();
        if layers.encrypted {
            use carstone::encrypt::{EncryptReader, ReadOptions};
            let options = ReadOptions::default().pack_id(support::ID);
            let options = options.layers(open(&stored).stored.container.layers.clone());
            let mut reader = EncryptReader::with_options(inside, &support::KEY, options);
            inside = Vec::new();
            let reader = reader.as_mut().expect("a sound pack");
            std::io::Read::read_to_end(reader, &mut inside).expect("a sound pack");
        }
        Self { tree, layers, stored, ends: whole.ends, inside }
    }

    /// Bytes of the CAR stream that stand in complete frames before the cut.
    fn plain_before(&self, at: usize) -> usize {
        let mut left = at.saturating_sub(256).min(self.stored.len() - 560);
        if self.layers.encrypted {
            left = plain_in_frames(&self.stored[256..self.stored.len() - 304], left);
        }
        match self.layers.codec {
            Some(_) => plain_in_frames(&self.inside, left),
            None => left,
        }
    }

    #[track_caller]
    fn check(&self, at: usize) {
        let Streamed { tree, error, tail, .. } = &stream(&self.stored[..at]);
        let place = format!("{:?} cut at {at} of {}", self.layers, self.stored.len());
        for (path, item) in tree {
            assert_eq!(self.tree.get(path), Some(item), "{place}: wrong content");
        }
        let before = self.plain_before(at) as u64;
        for (path, end) in &self.ends {
            let due = *end <= before;
            let path_there = tree.contains_key(path);
            assert!(path_there || !due, "{place}: {} is lost", path.escape_ascii());
        }
        // What is cut may be no more than a part of the trailer, and then nothing is missing.
        let in_trailer = at >= self.stored.len() - 304;
        match error {
            None => assert!(in_trailer && *tail && *tree == self.tree, "{place}: a clean end"),
            Some(error) => {
                let text = message(&**error);
                assert!(text.contains(|c: char| c.is_ascii_digit()), "{place}: {text}");
                assert!(text.contains("byte"), "{place}: {text}");
            }
        }
    }
}

/// Plain bytes of the data frames that lie completely in the first `len` bytes of a layer's stored stream.
fn plain_in_frames(stored: &[u8], len: usize) -> usize {
    let data = frames(stored).into_iter().filter(|frame| frame.kind == 1 && frame.end() <= len);
    data.map(|frame| frame.plain_len).sum()
}
