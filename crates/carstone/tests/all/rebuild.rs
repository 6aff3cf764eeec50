//! Damaged packs written anew: all that is whole is in the new pack, for the same readers, and nothing else is.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::support::{
    self, ID, Item, KEY, Layers, Tree, content, few_threads, open, pack, read_all, sample, stream,
};
use carstone::layer::LayerId;
use carstone::pack::EntryKind;
use carstone::repair::{Report, State};
use carstone::stack::{self, ErrorKind, OpenOptions, Rebuild, RebuiltPack};

/// A new pack, and what was told of the old one.
struct Renewed {
    stored: Vec<u8>,
    report: Report,
    pack: RebuiltPack,
    kept_as: Vec<(Vec<u8>, Vec<u8>)>,
}

fn rebuild(damaged: &[u8], keep_partial: bool) -> Renewed {
    let source = Arc::new(damaged.to_vec());
    let options = few_threads();
    let healed = stack::heal(Arc::clone(&source), &options, &mut |_| ()).expect("something left");
    let settings = carstone::repair::RebuildOptions::default().keep_partial(keep_partial);
    let rebuild = Rebuild::survey(source, Arc::new(healed), &KEY, &options, &settings, &mut |_| ());
    let rebuild = rebuild.expect("memory does not fail");
    let (stored, pack) = rebuild.write(Vec::new(), &mut |_| ()).expect("memory takes every byte");
    let report = rebuild.report().clone();
    let kept = report.hit.iter();
    let kept_as = kept
        .filter_map(|hit| Some((hit.path.clone(), rebuild.kept_as(hit.id)?.to_vec())))
        .collect();
    Renewed { stored, report, pack, kept_as }
}

impl Renewed {
    /// The new pack is sound in every way of reading it, and another pack.
    #[track_caller]
    fn tree(&self, place: &str) -> Tree {
        let opened = open(&self.stored);
        assert_ne!(opened.stored.pack_id(), ID, "{place}");
        assert_eq!(opened.stored.pack_id(), self.pack.pack_id, "{place}");
        let check = stack::verify(self.stored.clone(), &KEY, &few_threads(), &mut |_, _| ());
        assert!(check.expect("a pack").is_sound(), "{place}");
        let mut findings = Vec::new();
        let pack = opened.pack().expect("it has a tail");
        let verified = pack.verify(&mut |_| (), &mut |finding| findings.push(finding.error));
        verified.expect("a sound pack");
        assert!(findings.is_empty(), "{place}: {findings:?}");
        let streamed = stream(&self.stored[..]);
        assert!(streamed.error.is_none() && streamed.tail, "{place}: {:?}", streamed.error);
        let tree = read_all(&opened).expect("a sound pack");
        assert!(tree == streamed.tree, "{place}");
        assert_eq!(tree.len() as u64, self.pack.summary.entries, "{place}");
        tree
    }
}

fn file(body: Vec<u8>) -> Item {
    Item { kind: EntryKind::File, mode: Some(0o600), mtime: None, body }
}

/// Small files, a long one, and repeated content.
fn many() -> Tree {
    let mut tree: Tree = (0..300)
        .map(|n| (format!("s/{n:03}").into_bytes(), file(content(n % 250, 900 + n as usize % 250))))
        .collect();
    tree.insert(b"large".to_vec(), file(content(1000, 3_500_000)));
    tree.insert(b"large again".to_vec(), file(content(1000, 3_500_000)));
    tree.append(&mut sample());
    tree
}

#[test]
fn a_sound_pack_is_whole_and_its_copy_holds_the_same() {
    for layers in Layers::all() {
        let stored = pack(&many(), layers.options(), 2);
        let renewed = rebuild(&stored, false);
        assert!(renewed.report.is_whole(), "{layers:?}: {:?}", renewed.report);
        assert!(renewed.tree(&format!("{layers:?}")) == many(), "{layers:?}");
        let (old, new) = (open(&stored), open(&renewed.stored));
        let layers_of = |opened: &stack::Opened| opened.stored.container.layers.clone();
        assert_eq!(layers_of(&old), layers_of(&new));
        assert_eq!(old.pack().expect("sound").tail().roots, [renewed.pack.summary.root]);
        // The same content key and envelope, and not one stored frame in common.
        let envelope = |opened: &stack::Opened| {
            opened.stored.encryption.as_ref().map(|header| header.envelope.clone())
        };
        assert_eq!(envelope(&old), envelope(&new));
    }
}

#[test]
fn all_that_is_whole_is_kept_and_the_rest_is_named() {
    let original = many();
    for layers in Layers::all() {
        let stored = pack(&original, layers.options(), 2);
        for seed in 0..6 {
            let places = content(seed, 8 * 3);
            let mut damaged = stored.clone();
            for place in places.chunks_exact(8) {
                let number = u64::from_le_bytes(place.try_into().expect("8 bytes"));
                let at = 256 + number as usize % (stored.len() - 8_192);
                match (layers.codec.is_none() && !layers.encrypted, seed % 3) {
                    // Bytes that go or come cannot be found without frames.
                    (true, _) | (_, 0) => damaged[at..at + 4_096].fill(0),
                    (_, 1) => drop(damaged.drain(at..at + 5_000)),
                    _ => damaged.insert(at, 0x55),
                }
            }
            let place = format!("{layers:?}, damage {seed}");
            let renewed = rebuild(&damaged, false);
            let tree = renewed.tree(&place);
            for (path, item) in &tree {
                let there = &original[path];
                assert_eq!((item.kind, &item.body), (there.kind, &there.body), "{place}");
            }
            assert_eq!(renewed.report.whole, tree.len() as u64, "{place}");
            let named: BTreeSet<_> = renewed.report.hit.iter().map(|hit| &hit.path).collect();
            assert!(named.iter().all(|path| !tree.contains_key(*path)), "{place}");
            assert!(renewed.report.places > 0 || named.is_empty(), "{place}");
            assert!(renewed.pack.written.left_out.is_empty(), "{place}");
            // Content that another entry has too may lie elsewhere.
            let hits = renewed.report.hit.iter().filter(|hit| hit.path.starts_with(b"s/02"));
            for hit in hits {
                assert!(!hit.damage.is_empty(), "{place}: {hit:?}");
                assert!(hit.damage.iter().all(|&n| n < renewed.report.places), "{place}");
            }
        }
    }
}

#[test]
fn files_with_holes_are_kept_only_when_asked_for() {
    let original = many();
    let layers = Layers { encrypted: true, codec: None };
    let mut damaged = pack(&original, layers.options(), 2);
    // The long file fills the front of the pack; its first leaf and one more are hit.
    let at = damaged.len() / 5;
    damaged[at..at + 4_096].fill(0);
    let without = rebuild(&damaged, false);
    let with = rebuild(&damaged, true);
    let (less, more) = (without.tree("without"), with.tree("with"));
    assert!(without.kept_as.is_empty());
    assert!(!with.kept_as.is_empty(), "{:?}", with.report.hit);
    assert_eq!(less.len() + with.kept_as.len(), more.len());
    for (path, new) in &with.kept_as {
        assert!(!less.contains_key(path) && !more.contains_key(path));
        assert_eq!(*new, [path.as_slice(), b".partial"].concat());
        let item = &more[new];
        if item.kind != EntryKind::File {
            continue;
        }
        let hit = with.report.hit.iter().find(|hit| hit.path == *path).expect("it is told");
        let State::Incomplete { missing, .. } = &hit.state else { panic!("{hit:?}") };
        let mut expected = original[path].body.clone();
        for hole in missing {
            expected[hole.start as usize..hole.end as usize].fill(0);
        }
        assert!(expected.starts_with(&item.body) && item.body.len() > 1_000_000);
    }
    assert!(less.iter().all(|(path, item)| more[path] == *item));
}

#[test]
fn a_name_that_is_taken_gets_a_number() {
    let mut original = many();
    original.insert(b"large.partial".to_vec(), file(b"mine".to_vec()));
    original.insert(b"large again.partial/below".to_vec(), file(b"mine too".to_vec()));
    let layers = Layers { encrypted: true, codec: None };
    let mut damaged = pack(&original, layers.options(), 2);
    // Both names of the content lose the same leaf.
    let at = damaged.len() / 2;
    damaged[at..at + 4_096].fill(0);
    let renewed = rebuild(&damaged, true);
    let tree = renewed.tree("taken");
    for (path, new) in &renewed.kept_as {
        if path.starts_with(b"large") {
            assert_eq!(*new, [path.as_slice(), b".partial-2"].concat());
        }
        assert!(tree.contains_key(new));
    }
    assert!(tree[b"large.partial".as_slice()].body == b"mine");
}

/// Files whose leaves were cut elsewhere keep them, and so their root.
#[test]
fn leaves_and_roots_stay_as_they_were() {
    use carstone::pack::{Metadata, PackOptions, PackWriter};
    use carstone::unixfs::Profile;
    let layers = Layers { encrypted: false, codec: None };
    let profile = Profile::default().with_chunk_size(100_000).expect("a size");
    let pipe = stack::write(Vec::new(), layers.options()).expect("memory");
    let options = PackOptions::default().profile(profile).threads(1);
    let mut writer = PackWriter::with_options(pipe, ID, options).expect("memory");
    for (name, len) in [("a", 0), ("b", 99_000), ("c", 100_000), ("d", 250_000), ("e", 1_000_001)] {
        let body = content(len as u64, len);
        writer.add_file(name.as_bytes(), Metadata::default(), &body[..]).expect("memory");
    }
    let (pipe, summary) = writer.finish().expect("memory");
    let renewed = rebuild(&pipe.finish().expect("memory"), false);
    renewed.tree("cut elsewhere");
    assert_eq!(
        (renewed.pack.summary.root, renewed.pack.summary.blocks),
        (summary.root, summary.blocks)
    );
}

#[test]
fn without_the_key_nothing_is_rebuilt() {
    let layers = Layers { encrypted: true, codec: None };
    let source = Arc::new(pack(&support::tiny(), layers.options(), 1));
    let options = OpenOptions::default().threads(1);
    let healed = stack::heal(Arc::clone(&source), &options, &mut |_| ()).expect("sound");
    let no_key = |_: &[u8]| Ok(None);
    let settings = Default::default();
    let rebuild =
        Rebuild::survey(source, Arc::new(healed), no_key, &options, &settings, &mut |_| ());
    let error = rebuild.err().expect("there is no key");
    assert!(matches!(error.kind(), ErrorKind::NoKey), "{error}");
}

#[test]
fn two_rebuilds_share_no_pack_id_and_no_frame() {
    let layers = Layers { encrypted: true, codec: None };
    let stored = pack(&many(), layers.options(), 1);
    let (one, two) = (rebuild(&stored, false), rebuild(&stored, false));
    let ids = [ID, one.pack.pack_id, two.pack.pack_id].map(|id| *id.as_bytes());
    assert_eq!(BTreeSet::from(ids).len(), 3);
    let stored = open(&one.stored).stored;
    assert!(stored.container.layers.get(LayerId::ENCRYPTION).is_some());
    let frames = |stored: &[u8]| -> BTreeSet<Vec<u8>> {
        let framed = &stored[256..stored.len() - 304];
        let data = support::frames(framed).into_iter().filter(|frame| frame.kind == 1);
        data.map(|frame| framed[frame.at + 96..frame.end()].to_vec()).collect()
    };
    assert!(frames(&one.stored).is_disjoint(&frames(&two.stored)));
}
