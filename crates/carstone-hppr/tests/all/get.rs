//! Packets by their addresses, and nothing that is not verified.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use carstone_hppr::{
    Disk, ErrorKind, Held, OpenOptions, Packet, PacketKind, RealDisk, Repository, Result, Source,
    Urc, What,
};

use crate::laid::{
    B, ITEM, Laid, MARKER, P, S, SEAL, TAI, V, at_item, file, other_seal, plex, references, seal,
};

fn get(repository: &Repository, address: &str) -> Result<Packet> {
    repository.get(&address.parse::<Urc>().expect("an address"))
}

#[track_caller]
fn gets(repository: &Repository, address: &str, packet: &Packet) {
    assert_eq!(&get(repository, address).expect(address), packet, "{address}");
}

#[track_caller]
fn refused(repository: &Repository, address: &str, kind: ErrorKind, path: Option<PathBuf>) {
    let error = get(repository, address).expect_err("it is not there");
    assert_eq!((error.kind(), error.path()), (&kind, path.as_deref()), "{address}");
}

/// The Seal, the same with another key, and Plexes before and after them.
fn several() -> (Laid, [Packet; 4]) {
    let laid = Laid::new();
    let packets = [
        seal(),
        other_seal(),
        at_item("1640995199:000000000", "before"),
        at_item("1640995200:000000001", "after"),
    ];
    packets.iter().for_each(|packet| laid.lay(packet));
    (laid, packets)
}

#[test]
fn a_location_is_its_tip() {
    let (laid, [.., after]) = several();
    for behind in ["", "/", "/|", "/|/"] {
        gets(&laid.open(), &format!("{ITEM}{behind}"), &after);
    }
    let laid = Laid::with_seal();
    laid.lay(&other_seal());
    gets(&laid.open(), ITEM, &other_seal());
}

#[test]
fn plex_is_the_tip_of_plexes() {
    let (laid, [.., after]) = several();
    gets(&laid.open(), &format!("{ITEM}/|/plex"), &after);
    gets(&laid.open(), &format!("{ITEM}/|/plex/"), &after);
    let inner = seal().plex().expect("a Plex").clone().into();
    gets(&Laid::with_seal().open(), &format!("{ITEM}/|/plex"), &inner);
}

#[test]
fn plex_and_a_time_is_the_tip_of_that_time() {
    let (laid, [_, _, before, _]) = several();
    let twin = at_item("1640995199:000000000", "twin");
    laid.lay(&twin);
    let highest = if twin.hash() > before.hash() { twin } else { before };
    gets(&laid.open(), &format!("{ITEM}/|/plex/1640995199:000000000"), &highest);
    refused(
        &laid.open(),
        &format!("{ITEM}/|/plex/1640995198:000000000"),
        ErrorKind::NotFound,
        None,
    );
}

#[test]
fn plex_a_time_and_a_hash_is_that_plex() {
    let (laid, [_, _, before, _]) = several();
    let hash = before.hash();
    gets(&laid.open(), &format!("{ITEM}/|/plex/1640995199:000000000/{hash}"), &before);
    let other = format!("{ITEM}/|/plex/{TAI}/{hash}");
    refused(&laid.open(), &other, ErrorKind::NotFound, None);
}

#[test]
fn seal_is_the_tip_of_seals() {
    let (laid, [_, other, ..]) = several();
    gets(&laid.open(), &format!("{ITEM}/|/seal"), &other);
}

#[test]
fn seal_and_a_key_is_the_tip_of_that_signer() {
    let (laid, [first, ..]) = several();
    gets(&laid.open(), &format!("{ITEM}/|/seal/{V}"), &first);
    let stranger = V.replace("V.XB", "V.XC");
    refused(&laid.open(), &format!("{ITEM}/|/seal/{stranger}"), ErrorKind::NotFound, None);
}

#[test]
fn seal_a_key_and_a_time_is_the_signers_tip_of_that_time() {
    let (laid, [first, ..]) = several();
    gets(&laid.open(), &format!("{ITEM}/|/seal/{V}/{TAI}"), &first);
}

#[test]
fn seal_a_key_a_time_and_a_hash_is_that_seal() {
    let (laid, [first, ..]) = several();
    gets(&laid.open(), &format!("{ITEM}/|/seal/{V}/{TAI}/{S}"), &first);
    let other = other_seal().hash();
    refused(&laid.open(), &format!("{ITEM}/|/seal/{V}/{TAI}/{other}"), ErrorKind::NotFound, None);
}

#[test]
fn hashes_are_those_packets() {
    let laid = Laid::with_seal();
    let packet = seal();
    gets(&laid.open(), &format!("////{S}"), &packet);
    gets(&laid.open(), &format!("////{P}"), &packet.plex().expect("a Plex").clone().into());
    gets(&laid.open(), &format!("////{B}"), &packet.blob().clone().into());
    let none = B.replace("B.xN", "B.xO");
    refused(
        &laid.open(),
        &format!("////{none}"),
        ErrorKind::NotFound,
        Some(laid.path(file(&none))),
    );
}

#[test]
fn what_is_detached_is_there_by_its_hash_alone() {
    let laid = Laid::new();
    laid.lay_hashes(&seal());
    let repository = laid.open();
    for selector in ["", "/|/plex", "/|/seal", &format!("/|/plex/{TAI}/{P}")] {
        refused(&repository, &format!("{ITEM}{selector}"), ErrorKind::NotFound, None);
    }
    gets(&repository, &format!("////{S}"), &seal());
}

#[test]
fn headers_are_those_of_the_packet() {
    let laid = Laid::with_seal();
    let headers = |address: &str| laid.open().headers(&address.parse::<Urc>().expect("an address"));
    let head = &SEAL[..SEAL.len() - 23];
    for address in [ITEM.to_owned(), format!("////{S}")] {
        let headers = headers(&address).expect("headers");
        assert_eq!(headers.unverified_bytes(), head.as_bytes());
        assert_eq!(headers.unverified().hash().to_string(), S);
        assert_eq!(headers.unverified().data_len(), 23);
    }
    let blob = headers(&format!("////{B}")).expect("headers");
    assert_eq!(blob.unverified_bytes(), format!("🖧: {B}\nData-Length: 23\n\n").as_bytes());
    laid.remove(file(B));
    let error = headers(ITEM).expect_err("its Blob is missing");
    let inner = ErrorKind::InnerMissing { packet: PacketKind::Blob };
    assert_eq!((error.kind(), error.path()), (&inner, Some(&*laid.path(file(B)))));
}

#[test]
fn thin_files_need_no_markline_of_their_own() {
    let laid = Laid::with_seal();
    for hash in [S, P] {
        let text = laid.read(file(hash));
        let line = text.iter().position(|byte| *byte == b'\n').expect("a line");
        laid.write(file(hash), &text[line + 1..]);
    }
    gets(&laid.open(), ITEM, &seal());
    gets(&laid.open(), &format!("////{P}"), &seal().plex().expect("a Plex").clone().into());
}

#[test]
fn a_thin_file_of_another_packet_is_refused() {
    let laid = Laid::with_seal();
    let text = String::from_utf8(laid.read(file(P))).expect("text");
    laid.write(file(P), text.replacen("P.Vo", "P.Vp", 1));
    let error = get(&laid.open(), ITEM).expect_err("it is another");
    assert_eq!((error.kind(), error.offset()), (&ErrorKind::WrongMarkline, Some(6)));
    assert_eq!(error.path(), Some(&*laid.path(file(P))));
}

#[test]
fn every_flipped_bit_is_seen() {
    let laid = Laid::with_seal();
    let repository = laid.open();
    for hash in [S, P, B] {
        let bytes = laid.read(file(hash));
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            laid.write(file(hash), flipped);
            let error = get(&repository, ITEM).expect_err("a bit is wrong");
            assert!(error.path().is_some(), "{hash} {bit}: {error}");
        }
        laid.write(file(hash), bytes);
    }
    gets(&repository, ITEM, &seal());
}

#[test]
fn every_wrong_size_is_seen() {
    let laid = Laid::with_seal();
    let repository = laid.open();
    for hash in [S, P, B] {
        let bytes = laid.read(file(hash));
        for len in 0..bytes.len() {
            laid.write(file(hash), &bytes[..len]);
            let error = get(&repository, ITEM).expect_err("it is cut");
            assert_eq!(error.path(), Some(&*laid.path(file(hash))), "{hash} {len}");
        }
        laid.write(file(hash), [&bytes[..], b"\n"].concat());
        let error = get(&repository, ITEM).expect_err("it is longer");
        let expected = match hash {
            B => (ErrorKind::HashMismatch { packet: PacketKind::Blob }, None),
            _ => (ErrorKind::TrailingBytes, Some(bytes.len() as u64)),
        };
        assert_eq!((error.kind().clone(), error.offset()), expected);
        laid.write(file(hash), bytes);
    }
}

#[test]
fn files_that_are_too_long_are_not_read() {
    let laid = Laid::with_seal();
    let limits = [(B, (32 << 20) + 1, ErrorKind::DataTooLong), (S, 5000, ErrorKind::TrailingBytes)];
    for (hash, len, kind) in limits {
        fs::File::options()
            .write(true)
            .open(laid.path(file(hash)))
            .and_then(|file| file.set_len(len))
            .expect("a long file");
        refused(&laid.open(), ITEM, kind, Some(laid.path(file(hash))));
        laid.lay(&seal());
    }
}

#[test]
fn a_signature_of_another_is_refused() {
    let laid = Laid::with_seal();
    // The lines of the one Seal under the hash of the other, whose file then has another hash.
    let other = other_seal();
    let lines = String::from_utf8(other.head()).expect("text");
    let lines: String = lines.split_inclusive('\n').skip(1).take(3).collect();
    laid.write(file(S), lines);
    let kind = ErrorKind::HashMismatch { packet: PacketKind::Seal };
    refused(&laid.open(), &format!("////{S}"), kind, Some(laid.path(file(S))));
}

#[test]
fn what_is_missing_is_told_with_its_path() {
    for (hash, kind) in [
        (S, ErrorKind::NotFound),
        (P, ErrorKind::InnerMissing { packet: PacketKind::Plex }),
        (B, ErrorKind::InnerMissing { packet: PacketKind::Blob }),
    ] {
        let laid = Laid::with_seal();
        laid.remove(file(hash));
        refused(&laid.open(), ITEM, kind, Some(laid.path(file(hash))));
    }
}

#[test]
fn an_entry_of_another_place_time_or_key_is_refused() {
    let laid = Laid::with_seal();
    let elsewhere = ["index/a-group/some-app/else/|", &MARKER.replace("some-app", "app")];
    for marker in elsewhere {
        let entry = format!("{marker}/plex/{TAI}/{P}");
        laid.write(&entry, "");
        let address = format!("//{}", &marker["index/".len()..]);
        refused(&laid.open(), &address, ErrorKind::NotFound, None);
        let address = format!("{address}/plex/{TAI}");
        refused(&laid.open(), &address, ErrorKind::OtherPacket, Some(laid.path(entry)));
    }
    let entry = format!("{MARKER}/plex/1640995201:000000000/{P}");
    laid.write(&entry, "");
    let address = format!("{ITEM}/|/plex/1640995201:000000000");
    refused(&laid.open(), &address, ErrorKind::OtherPacket, Some(laid.path(entry)));
    let key = V.replace("V.XB", "V.XC");
    let entry = format!("{MARKER}/seal/{key}/{TAI}/{S}");
    laid.write(&entry, "");
    refused(&laid.open(), &format!("{ITEM}/|/seal/{key}"), ErrorKind::NotFound, None);
    let address = format!("{ITEM}/|/seal/{key}/{TAI}");
    refused(&laid.open(), &address, ErrorKind::OtherPacket, Some(laid.path(entry)));
}

#[test]
fn tips_that_are_missing_dangle_or_are_copied_are_found_out() {
    let link = format!("{MARKER}/tip");
    let latest = format!("seal/{V}/{TAI}/{S}");
    let spoil: [&dyn Fn(&Laid); 6] = [
        &|laid| laid.remove(&link),
        &|laid| laid.link("plex/1640995209:000000000/nothing", &link),
        &|laid| laid.link(&format!("plex/1640995209:000000000/{P}"), &link),
        &|laid| laid.link("../../../../../hash", &link),
        &|laid| {
            laid.remove(&link);
            laid.write(&link, "");
        },
        &|laid| {
            laid.remove(&link);
            laid.write(&link, "nonsense\n");
        },
    ];
    for (which, spoil) in spoil.into_iter().enumerate() {
        let laid = Laid::with_seal();
        spoil(&laid);
        gets(&laid.read_only(), ITEM, &seal());
        assert_ne!(laid.target(&link).as_ref(), Some(&latest), "{which}: it was written");
        gets(&laid.open(), ITEM, &seal());
        assert_eq!(laid.target(&link).as_ref(), Some(&latest), "{which}: it was not mended");
    }
}

#[test]
fn a_text_with_a_target_stands_for_a_link() {
    let laid = Laid::with_seal();
    laid.lay(&at_item("1640995299:000000000", "later"));
    for name in ["tip", "plex/tip"] {
        laid.remove(format!("{MARKER}/{name}"));
    }
    // An older one, to see that it is this that is read.
    laid.write(format!("{MARKER}/tip"), format!("seal/{V}/{TAI}/{S}\n"));
    gets(&laid.open(), ITEM, &seal());
}

#[test]
fn what_is_foreign_is_passed_over() {
    let laid = Laid::with_seal();
    laid.remove(format!("{MARKER}/tip"));
    for path in [
        "plex/9999999999:000000000/x",
        "plex/9999999999:00000000/P",
        "plex/note",
        "seal/x/y",
        &format!("seal/{V}/9999999999:000000000/{P}"),
        &format!("plex/9999999999:000000000/{S}"),
    ] {
        laid.write(format!("{MARKER}/{path}"), "foreign");
    }
    gets(&laid.open(), ITEM, &seal());
    gets(&laid.open(), &format!("{ITEM}/|/seal"), &seal());
}

/// What something is to happen before: that this path is opened the first time.
type Hook = (PathBuf, Box<dyn FnOnce() + Send>);

struct Meanwhile(Mutex<Option<Hook>>);

impl std::fmt::Debug for Meanwhile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Meanwhile")
    }
}

macro_rules! as_it_is {
    ($(fn $name:ident($($arg:ident: $type:ty),*) -> $result:ty;)*) => {
        $(fn $name(&self, $($arg: $type),*) -> io::Result<$result> {
            RealDisk::default().$name($($arg),*)
        })*
    };
}

impl Disk for Meanwhile {
    as_it_is! {
        fn create(path: &Path, bytes: &[&[u8]]) -> ();
        fn sync(path: &Path) -> ();
        fn sync_directory(path: &Path) -> ();
        fn sync_all(path: &Path) -> ();
        fn rename(from: &Path, to: &Path) -> ();
        fn link(target: &Path, path: &Path) -> ();
        fn create_directory(path: &Path) -> bool;
        fn remove(path: &Path) -> bool;
        fn remove_directory(path: &Path) -> bool;
        fn look(path: &Path) -> Option<What>;
        fn target(path: &Path) -> PathBuf;
        fn list(path: &Path) -> Vec<(String, What)>;
        fn lock(path: &Path, wait: bool) -> Option<Box<dyn Held>>;
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn Source>> {
        let mut hook = self.0.lock().expect("no panic");
        if let Some((_, act)) = hook.take_if(|(at, _)| at == path) {
            act();
        }
        RealDisk::default().open(path)
    }
}

#[test]
fn a_tip_that_vanishes_while_it_is_read_is_looked_up_once_more() {
    let laid = Arc::new(Laid::with_seal());
    let later = at_item("1640995299:000000000", "later");
    laid.lay(&later);
    let (hash, there) = (later.hash().to_string(), Arc::clone(&laid));
    let at = laid.path(file(&hash));
    let vanish = move || {
        there.remove(format!("{MARKER}/plex/1640995299:000000000/{hash}"));
        there.remove(file(&hash));
    };
    let disk = Meanwhile(Mutex::new(Some((at, Box::new(vanish)))));
    let options = OpenOptions::default().read_only(true).disk(Arc::new(disk));
    let repository = Repository::open_with(laid.root(), options).expect("a repository");
    gets(&repository, ITEM, &seal());
}

#[test]
fn packets_of_all_names_are_found() {
    let laid = Laid::new();
    let odd = plex(["grüppe", "app", "café/日本#1"], "1767225637:000000001", "x");
    laid.lay(&odd);
    gets(&laid.open(), "//grüppe/app/café/日本#1", &odd);
    assert!(laid.path(references(&odd.blob().hash().to_string())).is_dir());
}
