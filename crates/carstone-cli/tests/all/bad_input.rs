//! Bad input: one clear line that names file and place, the right exit status, and nothing half-written.

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::support::{self, Place, look, noise, same_trees, small_tree};
use carstone::car::{CarSlice, CarWriter, cid_of, codec};
use carstone::layer::{
    FRAME_HEADER_LEN, FRAME_MAGIC, FrameHeader, Hint, LayerWrite, ReadAt, crc64, digest16,
};
use carstone::stack::{self, OpenOptions, WriteOptions};

/// Every reading command refuses `pack` with exit status 2 and one line that names it and says `text`.
#[track_caller]
fn refused(place: &Place, pack: &Path, text: &str) {
    let name = pack.to_str().expect("a plain name");
    run!("list", pack).exits(2).one_line().says(name).says(text);
    run!("info", pack).exits(2).one_line().says(name).says(text);
    run!("cat", pack, "hello.txt").exits(2).one_line().says(name).says(text);
    run!("extract", "-C", place.path("out"), pack).exits(2).one_line().says(name).says(text);
    assert!(!place.path("out").exists());
}

/// Changes the container header and makes its checksums right again.
fn patch_header(header: &mut [u8], change: impl FnOnce(&mut [u8])) {
    change(header);
    let digest = digest16(&[&header[..232]]);
    header[232..248].copy_from_slice(&digest);
    let crc = crc64(&[&header[..248]]);
    header[248..256].copy_from_slice(&crc.to_le_bytes());
}

fn patch_trailer(trailer: &mut [u8], change: impl FnOnce(&mut [u8])) {
    change(trailer);
    let digest = digest16(&[&trailer[..272]]);
    trailer[272..288].copy_from_slice(&digest);
    let crc = crc64(&[&trailer[..288]]);
    trailer[288..296].copy_from_slice(&crc.to_le_bytes());
}

const TRAILER: usize = 304;

/// Changes the container header in both copies, so that they agree.
fn patch_container(pack: &mut [u8], change: impl Fn(&mut [u8])) {
    patch_header(&mut pack[..256], &change);
    let start = pack.len() - TRAILER;
    let trailer = &mut pack[start..];
    patch_trailer(trailer, |trailer| patch_header(&mut trailer[..256], &change));
}

/// Changes the header of the first data frame, and makes its checks right again.
fn patch_frame(pack: &mut [u8], change: impl FnOnce(&mut FrameHeader)) {
    let head: [u8; FRAME_HEADER_LEN] = pack[256..256 + FRAME_HEADER_LEN].try_into().expect("96");
    assert_eq!(head[..8], FRAME_MAGIC);
    let mut header = FrameHeader::decode(&head).expect("it is sound");
    let end = 256 + FRAME_HEADER_LEN + header.stored_len as usize;
    let payload = pack[256 + FRAME_HEADER_LEN..end].to_vec();
    change(&mut header);
    let stored = header.stored_len;
    header.stored_len = payload.len() as u32;
    let mut header = header.sealed(&payload);
    header.stored_len = stored;
    pack[256..256 + FRAME_HEADER_LEN].copy_from_slice(&header.encode());
}

#[test]
fn what_is_no_pack_is_refused_with_what_it_looks_like() {
    let place = Place::new();
    let cases: [(&str, &[u8], &str); 7] = [
        ("empty", b"", "empty (0 bytes)"),
        ("text", b"Dear reader,\n", "no container header at byte 0; it looks like text"),
        ("gzip", b"\x1f\x8b\x08\0\0", "looks like gzip data"),
        ("zip", b"PK\x03\x04....", "looks like a zip archive"),
        ("age", b"age-encryption.org/v1\n-> X25519", "it is an age file"),
        ("car2", b"\x0a\xa1\x67version\x02\0\0\0", "the CAR stops inside the CARv2 header at byte"),
        ("random", &noise(5000, 1), "no container header at byte 0"),
    ];
    for (name, content, text) in cases {
        let pack = place.write(name, content);
        refused(&place, &pack, text);
        run!("verify", &pack).exits(2).one_line().says(text);
        pipe!(content, "list", "-").exits(2).one_line().says("standard input").says(text);
    }
    refused(&place, &place.path("gone"), "No such file");
    run!("list", place.dir.path()).exits(2).one_line().says("is a directory");
}

#[test]
fn a_missing_or_wrong_key_is_told_apart() {
    let place = Place::new();
    small_tree(&place.path("tree"));
    let alice = place.key("alice");
    place.key("eve");
    let pack = place.path("x.cstone");
    run!("create", "-o", &pack, "-r", alice, place.path("tree")).exits(0);
    let bytes = fs::read(&pack).expect("read");
    run!("list", &pack).exits(2).one_line().says("x.cstone").says("no key was given");
    pipe!(&bytes, "list", "-").exits(2).one_line().says("no key was given");
    run!("list", "-i", place.path("eve"), &pack).exits(2).one_line().says("x.cstone");
    pipe!(&bytes, "list", "-i", place.path("eve"), "-").exits(2).one_line();
    run!("verify", "-i", place.path("eve"), &pack).exits(2).one_line().says("x.cstone");
    let out = place.path("out");
    run!("extract", "-i", place.path("eve"), "-C", &out, &pack).exits(2).one_line();
    assert!(!out.exists());
    let bad = place.write("bad", b"no key at all\n");
    run!("list", "-i", &bad, &pack).exits(2).one_line().says("bad");
    run!("create", "-o", place.path("y"), "-r", "age1nonsense", place.path("tree"))
        .exits(2)
        .one_line()
        .says("age1nonsense");
    assert!(!place.path("y").exists());
}

#[test]
fn a_passphrase_comes_from_a_file_or_a_command_and_never_from_an_argument() {
    let place = Place::new();
    small_tree(&place.path("tree"));
    let (right, wrong) = (place.write("right", b"open sesame\n"), place.write("wrong", b"x\n"));
    let pack = place.path("x.cstone");
    run!("create", "-o", &pack, "--passphrase-file", &right, place.path("tree")).exits(0);
    let print = format!("cat '{}'", right.display());
    run!("list", "--passphrase-command", print, &pack).exits(0);
    run!("list", "--passphrase-file", wrong, &pack).exits(2).one_line().says("passphrase");
    run!("list", "--passphrase-command", "exit 3", &pack).exits(2).one_line();
    let empty = place.write("none", b"\n");
    run!("create", "-o", place.path("y"), "--passphrase-file", empty, place.path("tree"))
        .exits(2)
        .one_line()
        .says("none");
}

#[test]
fn unknown_versions_features_and_layers_need_a_newer_carstone() {
    type Change = fn(&mut [u8]);
    let cases: [(Change, &str); 3] = [
        (|header| header[8] = 2, "needs a newer carstone"),
        (|header| header[17] = 1, "needs a newer carstone"),
        (|header| header[56] = 77, "needs a newer carstone"),
    ];
    let place = Place::new();
    let pack = place.pack("x.cstone");
    for (change, text) in cases {
        let mut bytes = fs::read(&pack).expect("read");
        patch_container(&mut bytes, change);
        let newer = place.write("newer.cstone", &bytes);
        refused(&place, &newer, text);
        run!("verify", &newer).exits(2).one_line().says(text);
        pipe!(&bytes, "list", "-").exits(2).one_line();
    }
}

#[test]
fn header_and_trailer_that_differ_are_told() {
    let place = Place::new();
    let (other, pack) = (place.pack("x.cstone"), place.pack("y.cstone"));
    let (mut bytes, other) = (fs::read(pack).expect("read"), fs::read(other).expect("read"));
    assert_eq!(bytes.len(), other.len());
    let start = bytes.len() - TRAILER;
    bytes[start..].copy_from_slice(&other[start..]);
    let pack = place.write("mixed.cstone", &bytes);
    run!("info", &pack).exits(2).one_line().says("another pack id");
    run!("verify", &pack).exits(1);
    // All else is that of one of them.
    let out = place.path("out");
    run!("extract", "-C", &out, &pack).exits(1).says("container trailer");
    same_trees(&place.path("tree"), &out);
    run!("list", &pack).exits(1).says("container trailer");
    run!("cat", &pack, "hello.txt").exits(1).says("container trailer");
}

#[test]
fn lying_lengths_are_found() {
    let place = Place::new();
    let pack = place.pack("x.cstone");
    let good = fs::read(&pack).expect("read");
    let mut lies = good.clone();
    let start = lies.len() - TRAILER;
    patch_trailer(&mut lies[start..], |trailer| trailer[258] ^= 1);
    let liar = place.write("length.cstone", &lies);
    run!("info", &liar).exits(2).one_line().says("length.cstone").says("byte");
    run!("verify", &liar).exits(1);
    for (name, plain, stored) in
        [("long", u32::MAX, None), ("short", 10, None), ("far", 1 << 20, Some(u32::MAX))]
    {
        let mut lies = good.clone();
        patch_frame(&mut lies, |header| {
            header.plain_len = plain;
            header.stored_len = stored.unwrap_or(header.stored_len);
        });
        let liar = place.write(name, &lies);
        let out = place.path(&format!("out-{name}"));
        let run = run!("extract", "-C", &out, &liar);
        assert!(run.code == 1 || run.code == 2, "{}", run.stderr);
        run!("verify", &liar).exits(1);
        check_subset(&place.path("tree"), &out);
    }
}

/// Whatever was restored is right.
#[track_caller]
pub fn check_subset(tree: &Path, out: &Path) {
    if !out.exists() {
        return;
    }
    for path in look(out).keys() {
        let name = std::str::from_utf8(path).expect("plain names");
        let (there, here) = (tree.join(name), out.join(name));
        assert!(there.symlink_metadata().is_ok(), "{name} is not in the tree");
        if here.is_file() {
            assert!(fs::read(there).expect("read") == fs::read(here).expect("read"), "{name}");
        }
    }
}

#[test]
fn a_frame_of_another_pack_is_found() {
    let place = Place::new();
    let (other, pack) = (place.pack("x.cstone"), place.pack("y.cstone"));
    let (mut bytes, other) = (fs::read(pack).expect("read"), fs::read(other).expect("read"));
    let head: [u8; FRAME_HEADER_LEN] = bytes[256..352].try_into().expect("96");
    let len = FrameHeader::decode(&head).expect("sound").stored_len as usize + FRAME_HEADER_LEN;
    bytes[256..256 + len].copy_from_slice(&other[256..256 + len]);
    let pack = place.write("foreign.cstone", &bytes);
    run!("verify", &pack).exits(1);
    let run = run!("extract", "-C", place.path("out"), &pack);
    assert!(run.code == 1 || run.code == 2, "{}", run.stderr);
    let piped = pipe!(&bytes, "list", "-");
    assert!(piped.code == 1 || piped.code == 2, "{}", piped.stderr);
    assert!(piped.stderr.contains("byte"), "{}", piped.stderr);
    check_subset(&place.path("tree"), &place.path("out"));
}

#[test]
fn a_pack_cut_anywhere_gives_what_stands_before_the_cut() {
    let place = Place::new();
    small_tree(&place.path("tree"));
    let alice = place.key("alice");
    let plain =
        run!("create", "-o", "-", "--block-size", "64K", place.path("tree")).exits(0).stdout;
    let sealed = run!("create", "-o", "-", "-r", alice, "--block-size", "64K", place.path("tree"));
    let sealed = sealed.exits(0).stdout;
    let key = place.path("alice");
    for (name, bytes) in [("plain", plain), ("sealed", sealed)] {
        let n = bytes.len();
        for cut in
            [0, 1, 100, 255, 256, 300, 5000, 200_000, n / 2, n - 5000, n - 305, n - 304, n - 1]
        {
            let pack = place.write("cut.cstone", &bytes[..cut]);
            let out = place.path(&format!("out-{name}-{cut}"));
            let run = run!("extract", "-q", "-i", &key, "-C", &out, &pack);
            assert!(matches!(run.code, 1 | 2), "{name} {cut}: {} {}", run.code, run.stderr);
            assert!(run.stderr.contains("cut.cstone"), "{name} {cut}: {}", run.stderr);
            check_subset(&place.path("tree"), &out);
            let listed = run!("list", "-i", &key, &pack);
            assert!(matches!(listed.code, 1 | 2), "{name} {cut}: {}", listed.stderr);
            let piped =
                pipe!(&bytes[..cut], "extract", "-q", "-i", &key, "-C", place.path("piped"), "-");
            assert!(matches!(piped.code, 1 | 2), "{name} -{}: {}", n - cut, piped.stderr);
            check_subset(&place.path("tree"), &place.path("piped"));
            fs::remove_dir_all(place.path("piped")).ok();
            let verified = run!("verify", "-i", &key, &pack);
            assert!(matches!(verified.code, 1 | 2), "{name} {cut}: {}", verified.stderr);
        }
        // Only footers and trailer are gone: nothing is lost.
        let pack = place.write("cut.cstone", &bytes[..n - 304]);
        let out = place.path(&format!("out-{name}"));
        run!("extract", "-q", "-i", &key, "-C", &out, &pack).exits(1).says("cut.cstone");
        support::same_trees(&place.path("tree"), &out);
        assert_eq!(run!("cat", "-i", &key, &pack, "big.bin").exits(1).stdout, noise(2_500_000, 7));
        assert_eq!(run!("list", "-i", &key, &pack).exits(1).lines().len(), 7);
    }
}

#[test]
fn damage_in_the_middle_is_told_and_the_rest_is_restored() {
    let place = Place::new();
    small_tree(&place.path("tree"));
    let alice = place.key("alice");
    let pack = place.path("x.cstone");
    run!("create", "-o", &pack, "-r", alice, "--block-size", "64K", place.path("tree")).exits(0);
    let mut bytes = fs::read(&pack).expect("read");
    let middle = bytes.len() / 2;
    bytes[middle..middle + 4096].fill(0);
    let pack = place.write("hurt.cstone", &bytes);
    let key = place.path("alice");
    let found = run!("verify", "--json", "-i", &key, &pack).exits(1).json();
    assert!(found.iter().any(|line| line["type"] == "finding" && line["layer"] == "encryption"));
    run!("verify", &pack).exits(1);
    run!("extract", "-C", place.path("out"), "-i", &key, &pack).exits(1).says("big.bin");
    assert!(!place.path("out/big.bin").exists());
    assert!(place.path("out/hello.txt").exists() && place.path("out/docs/guide.md").exists());
    check_subset(&place.path("tree"), &place.path("out"));
    let cat = run!("cat", "-i", &key, &pack, "big.bin")
        .exits(1)
        .says("big.bin: bytes 1048576–2097151 of it are missing");
    assert!(!cat.stdout.is_empty() && noise(2_500_000, 7).starts_with(&cat.stdout));
    run!("cat", "-i", &key, &pack, "hello.txt").exits(0);
}

#[test]
fn damage_to_the_entries_themselves_is_told_with_its_cause() {
    let place = Place::new();
    let pack = place.pack("x.cstone");
    let mut bytes = fs::read(&pack).expect("read");
    // All of it is one frame that was not compressed, and this is more than can be put right.
    let middle = bytes.len() / 2;
    bytes[middle] ^= 4;
    bytes[middle + 100] ^= 4;
    let pack = place.write("hurt.cstone", &bytes);
    let run = run!("extract", "-C", place.path("out"), &pack).exits(1);
    assert!(run.stderr.contains("corrupt at byte 256 (compression layer)"), "{}", run.stderr);
    assert_eq!(run.stderr.matches("missing bytes").count(), 1, "{}", run.stderr);
    assert!(run.stderr.contains("big.bin: missing bytes 1048576–2097151"), "{}", run.stderr);
    check_subset(&place.path("tree"), &place.path("out"));
    assert!(place.path("out/hello.txt").exists() && place.path("out/docs/guide.md").exists());
}

#[test]
fn a_bomb_is_bounded_by_what_its_frames_state() {
    let place = Place::new();
    place.write("tree/zeros", &vec![0; 4_000_000]);
    let pack = place.path("x.cstone");
    run!("create", "-o", &pack, place.path("tree")).exits(0);
    let mut bytes = fs::read(&pack).expect("read");
    assert!(bytes.len() < 10_000, "{}", bytes.len());
    patch_frame(&mut bytes, |header| header.plain_len = 4096);
    let bomb = place.write("bomb.cstone", &bytes);
    let run = run!("extract", "-C", place.path("out"), &bomb);
    assert!(matches!(run.code, 1 | 2), "{}", run.stderr);
    run!("verify", &bomb).exits(1);
    assert!(!place.path("out/zeros").exists());
}

/// Makes a pack whose records carry other names: `from` is replaced by `to`, which is as long.
fn rename(pack: &Path, from: &[u8], to: &[u8]) -> Vec<u8> {
    assert_eq!(from.len(), to.len());
    let bytes = fs::read(pack).expect("read");
    let opened = stack::open(bytes, &[0; 32], &OpenOptions::default()).expect("it opens");
    let mut stream = vec![0; usize::try_from(opened.len()).expect("small")];
    opened.source().read_exact_at(&mut stream, 0).expect("read");
    let (id, mark) = (opened.stored.pack_id(), opened.mark().expect("it is finished"));
    let mut pipe =
        stack::write(Vec::new(), WriteOptions::default().danger_pack_id(id)).expect("written");
    let mut writer = CarWriter::new(Vec::new(), &[]).expect("written");
    for section in CarSlice::parse(&stream).expect("a CAR").blocks() {
        let (_, block) = section.expect("a block");
        if block.cid.codec() == codec::DAG_CBOR {
            let mut record = block.data.to_vec();
            for at in 0..record.len().saturating_sub(from.len() - 1) {
                if record[at..].starts_with(from) {
                    record[at..at + from.len()].copy_from_slice(to);
                }
            }
            writer.write_block(&cid_of(codec::DAG_CBOR, &record), &record).expect("written");
        } else {
            writer.write_block(&block.cid, block.data).expect("written");
        }
    }
    let stream = writer.finish().expect("written");
    let (front, tail) = stream.split_at(usize::try_from(mark).expect("small"));
    pipe.write_all(front).expect("written");
    pipe.hint(Hint::Mark).expect("written");
    pipe.write_all(tail).expect("written");
    pipe.finish().expect("written")
}

#[test]
fn hostile_names_stay_outside_of_nothing() {
    for (from, to) in [
        (&b"aa/evil-name"[..], &b"../evil-name"[..]),
        (b"aa/evil-name", b"/a/evil-name"),
        (b"aa/evil-name", b"aa//vil-name"),
        (b"aa/evil-name", b"aa/evil\0name"),
        (b"aa/evil-name", b"li/evil-name"),
    ] {
        let place = Place::new();
        place.write("tree/aa/evil-name", b"evil");
        place.write("tree/good", b"good");
        fs::create_dir_all(place.path("outside")).expect("made");
        std::os::unix::fs::symlink(place.path("outside"), place.path("tree/li")).expect("linked");
        let pack = place.path("x.cstone");
        run!("create", "--compress", "none", "-o", &pack, place.path("tree")).exits(0);
        let bytes = rename(&pack, from, to);
        let hostile = place.write("hostile.cstone", &bytes);
        for out in ["deep/out1", "deep/out2"] {
            let out = place.path(out);
            let run = match out.ends_with("out1") {
                true => run!("extract", "-C", &out, &hostile),
                false => pipe!(&bytes, "extract", "-C", &out, "-"),
            };
            assert!(matches!(run.code, 1 | 2), "{to:?}: {}", run.stderr);
            assert!(run.stderr.starts_with("carstone: "), "{}", run.stderr);
            assert!(!place.path("deep/evil-name").exists());
            assert_eq!(fs::read_dir(place.path("outside")).expect("listed").count(), 0);
        }
        assert!(!Path::new("/a/evil-name").exists());
    }
}

#[test]
fn a_file_that_cannot_be_read_is_told_and_the_rest_is_packed() {
    let place = Place::new();
    small_tree(&place.path("tree"));
    let secret = place.write("tree/secret", b"x");
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o000)).expect("set");
    if fs::read(&secret).is_ok() {
        eprintln!("this user may read everything: not tested");
        return;
    }
    let pack = place.path("x.cstone");
    run!("create", "-q", "-o", &pack, place.path("tree")).exits(1).one_line().says("secret");
    run!("verify", &pack).exits(0);
    assert!(!run!("list", &pack).exits(0).text().contains("secret"));
}

#[test]
fn usage_errors_are_exit_2() {
    let place = Place::new();
    small_tree(&place.path("tree"));
    let (alice, tree) = (place.key("alice"), place.path("tree"));
    let car = place.path("x.car");
    run!("create", "-o", &car, "-r", alice, &tree).exits(2).one_line().says("cannot be encrypted");
    run!("create", "-o", &car, "--compress", "none", &tree).exits(2).says("cannot be compressed");
    for order in ["type", "given"] {
        run!("create", "-o", &car, "--order", order, &tree).exits(2).one_line().says("path order");
    }
    run!("create", "-n", "--plain", "--order", "path", &tree).exits(0);
    run!("create", "-o", &car).exits(2).one_line().says("nothing to pack");
    for codec in ["brotli:12", "zstd:0", "gzip"] {
        run!("create", "-o", place.path("x"), "--compress", codec, &tree).exits(2);
    }
    run!("create", "-o", place.path("x"), "--block-size", "32K", &tree).exits(2);
    run!("create", "-o", place.path("gone/x"), &tree).exits(2).one_line().says("gone/x");
    run!("create", "-o", &tree, &tree).exits(2).one_line().says("is a directory");
    run!("frobnicate").exits(2);
    run!().exits(2);
    assert_eq!(place.names(), ["alice", "tree"]);
}

#[test]
fn a_plain_car_that_is_cut_or_changed_is_found() {
    let place = Place::new();
    small_tree(&place.path("tree"));
    let car = place.path("x.car");
    run!("create", "-q", "-o", &car, place.path("tree")).exits(0);
    let good = fs::read(&car).expect("read");
    let cut = place.write("cut.car", &good[..good.len() / 2]);
    run!("list", &cut).exits(1).says("cut.car");
    run!("verify", &cut).exits(1);
    let mut bytes = good;
    let at = bytes.windows(8).position(|bytes| bytes == b"# Guide\n").expect("it is stored");
    bytes[at] ^= 1;
    let hurt = place.write("hurt.car", &bytes);
    let found = run!("verify", &hurt).exits(1).text();
    assert!(found.contains("byte"), "{found}");
    run!("extract", "-C", place.path("out"), &hurt).exits(1).says("guide.md");
    assert!(!place.path("out/docs/guide.md").exists());
    check_subset(&place.path("tree"), &place.path("out"));
}
