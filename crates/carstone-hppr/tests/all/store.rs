//! What is on the disk when a packet is stored.

use std::fs;
use std::path::Path;

use carstone_hppr::{
    Coordinate, ErrorKind, Header, OpenOptions, Packet, ParseOptions, Repository, StoreOptions,
};
use tempfile::TempDir;

use crate::sample::{
    Node, blob, coordinate, hash_file, key, plex, plex_at, seal, sealed, tai, tip, tree,
};

fn repository() -> (TempDir, Repository) {
    let directory = tempfile::tempdir().expect("a directory");
    let repository = Repository::init(directory.path().join("r")).expect("a repository");
    (directory, repository)
}

#[track_caller]
fn store(repository: &Repository, packet: &Packet) {
    let hashes = repository.store(packet, &StoreOptions::default()).expect("it is stored");
    assert_eq!(hashes, packet.hashes());
}

/// The Seal of the specification, as it is printed there.
const SEAL: &str = "\u{1f5a7}: S.7NTEdlrOkMFBlBzHlFGSdDwsLVTyynKdbKdlR07OtVK.H3
Seal-By: V.XByqOYOgkMa025T8xwufzaAjCN5L61wECRPZKSo~eB0.H3
Seal-Sig: SlBfXFc6TtxJSSHWMwnCDMdKTaxI_i7r5d9u4cbwNuTppu7ibe8rLnNAiLRWVooTO353mmsvf5gVto9Feldr5G
\u{1f5a7}: P.VoNhMPxyBAekvVD2IqKjAhrkK1EtlB~BbCcL0Tnw4wp.H3
Group: a-group
App: some-app
Location: our-collection/item
TAI: 1640995200:000000000
\u{1f5a7}: B.xNC0xRbHR_U4Tm7yW1L2UoIeXrsS2B1yLlTbKU4kT5p.H3
Data-Length: 23

This is signed content.";

#[test]
fn the_seal_of_the_specification_file_by_file() {
    let (_directory, repository) = repository();
    let packet = Packet::parse(SEAL.as_bytes(), &ParseOptions::default()).expect("a packet");
    store(&repository, &packet);
    let lines: Vec<&str> = SEAL.split_inclusive('\n').collect();
    let file = |bytes: &str| Node::File(bytes.as_bytes().to_vec());
    let link = |target: &str| Node::Link(target.to_owned());
    let (v, s) = (
        "V.XByqOYOgkMa025T8xwufzaAjCN5L61wECRPZKSo~eB0.H3",
        "S.7NTEdlrOkMFBlBzHlFGSdDwsLVTyynKdbKdlR07OtVK.H3",
    );
    let p = "P.VoNhMPxyBAekvVD2IqKjAhrkK1EtlB~BbCcL0Tnw4wp.H3";
    let (t, l) = ("1640995200:000000000", "index/a-group/some-app/our-collection/item/|");
    let (plex_file, seal_file) = (lines[3..9].concat(), lines[..4].concat());
    assert_eq!((plex_file.len(), seal_file.len()), (195, 265));
    let expected = [
        ("detach".to_owned(), Node::Empty),
        (
            "hash/B/xN/C0xRbHR_U4Tm7yW1L2UoIeXrsS2B1yLlTbKU4kT5p.H3".to_owned(),
            file("This is signed content."),
        ),
        ("hash/P/Vo/NhMPxyBAekvVD2IqKjAhrkK1EtlB~BbCcL0Tnw4wp.H3".to_owned(), file(&plex_file)),
        ("hash/S/7N/TEdlrOkMFBlBzHlFGSdDwsLVTyynKdbKdlR07OtVK.H3".to_owned(), file(&seal_file)),
        (format!("ref/B/xN/C0xRbHR_U4Tm7yW1L2UoIeXrsS2B1yLlTbKU4kT5p/{p}"), file("")),
        (format!("ref/P/Vo/NhMPxyBAekvVD2IqKjAhrkK1EtlB~BbCcL0Tnw4wp/{s}/{v}"), file("")),
        (format!("{l}/plex/{t}/{p}"), file("")),
        (format!("{l}/seal/{v}/{t}/{s}"), file("")),
        (format!("{l}/tip"), link(&format!("seal/{v}/{t}/{s}"))),
        (format!("{l}/plex/tip"), link(&format!("{t}/{p}"))),
        (format!("{l}/seal/tip"), link(&format!("{v}/{t}/{s}"))),
        (format!("{l}/seal/{v}/tip"), link(&format!("{t}/{s}"))),
    ];
    assert_eq!(tree(repository.root()), expected.into_iter().collect());
    assert!(fs::read_dir(repository.root().join(".tmp")).expect("it is there").count() == 1);
}

#[test]
fn the_seal_by_another_key_sorts_above_it() {
    let (_directory, repository) = repository();
    let packet = Packet::parse(SEAL.as_bytes(), &ParseOptions::default()).expect("a packet");
    let mut six = [0; 32];
    six[31] = 6;
    let six = carstone_hppr::SigningKey::from_scalar(&six).expect("a key");
    let inner = packet.plex().expect("a Plex").clone();
    let signature = six.sign_with(inner.hash().digest(), &[0x5a; 32]).expect("a signature");
    let other = carstone_hppr::Seal::new(inner, six.verifying_key(), signature).expect("a Seal");
    for order in [[packet.clone(), other.clone().into()], [other.clone().into(), packet.clone()]] {
        order.iter().for_each(|packet| store(&repository, packet));
        let tree = tree(repository.root());
        let u6q = "S.u6q2e0IwlsKGsKV66TQ3Ik5p3fFRdMqmBQJhTlk_YlK.H3".to_owned();
        assert_eq!(tip(&tree, "our-collection/item", ""), Some(u6q.clone()));
        assert_eq!(tip(&tree, "our-collection/item", "seal/"), Some(u6q));
    }
}

#[test]
fn a_blob_alone_has_neither_references_nor_a_record() {
    let (_directory, repository) = repository();
    store(&repository, &blob("alone"));
    let tree = tree(repository.root());
    assert_eq!(tree.values().filter(|node| **node != Node::Empty).count(), 1);
    assert_eq!(tree[&hash_file(&blob("alone").hash())], Node::File(b"alone".to_vec()));
}

#[test]
fn the_order_in_which_packets_come_does_not_matter() {
    let packets = [
        plex("item", 3, "three"),
        seal("item", 3, "three", 1),
        plex("item", 2, "two"),
        seal("item", 4, "four", 2),
        sealed(plex_at("item", 4, "four"), 1),
        plex("item/deeper", 1, ""),
    ];
    let trees: Vec<_> = (0..packets.len())
        .map(|first| {
            let (_directory, repository) = repository();
            let mut order = packets.clone();
            order.rotate_left(first);
            order.iter().for_each(|packet| store(&repository, packet));
            order.reverse();
            order.iter().for_each(|packet| store(&repository, packet));
            tree(repository.root())
        })
        .collect();
    assert!(trees.iter().all(|tree| *tree == trees[0]));
}

#[test]
fn commands_are_refused_unless_they_are_asked_for() {
    let (_directory, repository) = repository();
    let command = Coordinate::new("g", "\u{1f5a7}get", "l").expect("a coordinate");
    let before = tree(repository.root());
    let error = repository.add(command.clone(), tai(1), vec![], "x").expect_err("a command");
    assert!(matches!(error.kind(), ErrorKind::Invalid(_)), "{error}");
    assert_eq!(tree(repository.root()), before);
    let blob = carstone_hppr::Blob::new("x").expect("a Blob");
    let packet = carstone_hppr::Plex::new(command, tai(1), vec![], blob).expect("a Plex").into();
    let options = StoreOptions::default();
    assert!(repository.batch(&options).store(&packet).is_err());
    repository.store(&packet, &options.commands(true)).expect("it is stored");
}

#[test]
fn what_is_added_is_stored() {
    let (_directory, repository) = repository();
    let extras = vec![Header::new("X", "y").expect("a header")];
    let added = repository.add(coordinate("item"), tai(5), extras.clone(), "data");
    let added = added.expect("it is added");
    assert!(added.seal().is_none());
    let sealed = repository.add_sealed(coordinate("item"), tai(5), extras, "data", &key(1));
    let sealed = sealed.expect("it is added");
    assert_eq!(sealed.plex(), added.plex());
    let latest = repository.latest(&coordinate("item")).expect("it is read").expect("one");
    assert_eq!((Some(latest.hash), latest.key), (sealed.seal(), Some(key(1).verifying_key())));
}

/// Does something to each file of a Seal, and stores it once more.
fn healed(damage: impl Fn(&Path, Vec<u8>), options: &StoreOptions) -> bool {
    let (_directory, repository) = repository();
    let packet = seal("item", 5, "some data", 1);
    store(&repository, &packet);
    let good = tree(repository.root());
    for hash in packet.hashes().iter() {
        let path = repository.root().join(hash_file(&hash));
        damage(&path, fs::read(&path).expect("a file"));
    }
    assert_ne!(tree(repository.root()), good);
    repository.store(&packet, options).expect("it is stored");
    tree(repository.root()) == good
}

#[test]
fn files_of_a_wrong_length_are_replaced() {
    let write = |path: &Path, bytes: &[u8]| fs::write(path, bytes).expect("it is written");
    let options = StoreOptions::default();
    assert!(healed(|path, bytes| write(path, &bytes[1..]), &options));
    assert!(healed(|path, bytes| write(path, &[&bytes[..], b"x"].concat()), &options));
    assert!(healed(|path, _| write(path, b""), &options));
    assert!(healed(|path, _| fs::remove_file(path).expect("it is removed"), &options));
}

#[test]
fn flipped_bits_are_found_unless_lengths_are_enough() {
    let flip = |path: &Path, mut bytes: Vec<u8>| {
        bytes[3] ^= 1;
        fs::write(path, bytes).expect("it is written");
    };
    let lengths = StoreOptions::default().verify(false);
    assert!(!healed(flip, &lengths), "a file of the right length is kept");
    assert!(healed(flip, &StoreOptions::default()));
}

#[test]
fn links_in_place_of_files_are_replaced() {
    let link = |path: &Path, bytes: Vec<u8>| {
        let other = path.with_extension("elsewhere");
        fs::write(&other, bytes).expect("it is written");
        fs::remove_file(path).expect("it is removed");
        std::os::unix::fs::symlink(&other, path).expect("a link");
    };
    let (_directory, repository) = repository();
    let packet = plex("item", 5, "some data");
    store(&repository, &packet);
    let path = repository.root().join(hash_file(&packet.hash()));
    link(&path, fs::read(&path).expect("a file"));
    store(&repository, &packet);
    assert!(fs::symlink_metadata(&path).expect("it is there").is_file());
}

#[test]
fn files_without_their_own_markline_are_kept() {
    let (_directory, repository) = repository();
    let packet = plex("item", 5, "data");
    store(&repository, &packet);
    let path = repository.root().join(hash_file(&packet.hash()));
    let bytes = fs::read(&path).expect("a file");
    fs::write(&path, &bytes[55..]).expect("it is written");
    for verify in [false, true] {
        let options = StoreOptions::default().verify(verify);
        repository.store(&packet, &options).expect("it is stored");
        assert_eq!(fs::read(&path).expect("a file"), &bytes[55..]);
    }
    repository.detach(&packet.hash()).expect("such a file is read");
}

#[test]
fn entries_of_any_length_are_kept() {
    let (_directory, repository) = repository();
    let packet = plex("item", 5, "data");
    store(&repository, &packet);
    let entry = format!("index/a-group/some-app/item/|/plex/{}/{}", tai(5), packet.hash());
    fs::write(repository.root().join(&entry), "foreign").expect("it is written");
    store(&repository, &packet);
    assert_eq!(tree(repository.root())[&entry], Node::File(b"foreign".to_vec()));
    assert_eq!(tip(&tree(repository.root()), "item", ""), Some(packet.hash().to_string()));
}

#[test]
fn missing_references_entries_and_links_are_made_again() {
    let (_directory, repository) = repository();
    let packet = seal("item", 5, "data", 1);
    store(&repository, &packet);
    let good = tree(repository.root());
    for path in good.keys().filter(|path| path.starts_with("ref/") || path.contains("/|/")) {
        fs::remove_file(repository.root().join(path)).expect("it is removed");
        store(&repository, &packet);
        assert_eq!(tree(repository.root()), good, "{path}");
    }
    for part in ["ref/B", "ref/P", "index/a-group"] {
        fs::remove_dir_all(repository.root().join(part)).expect("it is removed");
        store(&repository, &packet);
        assert_eq!(tree(repository.root()), good, "{part}");
    }
}

#[test]
fn an_older_packet_does_not_become_the_latest_where_the_link_is_missing() {
    for target in [None, Some("plex/0000000009:000000000/nothing"), Some("../../..")] {
        let (_directory, repository) = repository();
        store(&repository, &plex("item", 7, "seven"));
        let link = repository.root().join("index/a-group/some-app/item/|/tip");
        fs::remove_file(&link).expect("it is removed");
        if let Some(target) = target {
            std::os::unix::fs::symlink(target, &link).expect("a link");
        }
        store(&repository, &plex("item", 6, "six"));
        let target = fs::read_link(&link).expect("a link");
        assert!(target.ends_with(plex("item", 7, "seven").hash().to_string()));
    }
}

#[test]
fn links_that_a_tool_has_copied() {
    let (_directory, repository) = repository();
    store(&repository, &plex("item", 7, "seven"));
    let link = repository.root().join("index/a-group/some-app/item/|/tip");
    let target = fs::read_link(&link).expect("a link");
    for text in ["".to_owned(), format!("{}\n", target.display())] {
        fs::remove_file(&link).expect("it is removed");
        fs::write(&link, &text).expect("it is written");
        store(&repository, &plex("item", 6, "six"));
        // One that names the latest is as good as a link.
        assert_eq!(fs::read_link(&link).is_ok(), text.is_empty());
    }
    store(&repository, &plex("item", 8, "eight"));
    assert!(fs::read_link(&link).is_ok());
}

#[test]
fn nothing_is_stored_where_it_is_only_read() {
    let (_directory, repository) = repository();
    let options = OpenOptions::default().read_only(true);
    let reader = Repository::open_with(repository.root(), options).expect("it is opened");
    let (packet, options) = (plex("item", 5, "data"), StoreOptions::default());
    let kinds = [
        reader.store(&packet, &options).map(drop),
        reader.detach(&packet.hash()).map(drop),
        reader.collect().map(drop),
        reader.rebuild_index().map(drop),
    ];
    for done in kinds {
        assert_eq!(done.expect_err("it is only read").kind(), &ErrorKind::ReadOnly);
    }
}

#[test]
fn leftovers_of_writers_are_no_obstacle() {
    let (_directory, repository) = repository();
    for name in ["00000000", "00000001", "00000002"] {
        fs::write(repository.root().join(".tmp").join(name), "half").expect("it is written");
    }
    store(&repository, &plex("item", 5, "data"));
    assert_eq!(fs::read_dir(repository.root().join(".tmp")).expect("it is there").count(), 1);
}
