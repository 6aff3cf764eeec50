//! Repositories whose files somebody else has written.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use carstone_hppr::{
    CheckOptions, Coordinate, ExportOptions, Finding, OpenOptions, Packet, PacketHash, PacketKind,
    Repository, Selector, TYPED, Tai, Urc, import, verify,
};

use super::forge::{MARK, by_name, forged, key, markline, sign};
use super::packets::packet_seeds;
use crate::folder::folder;
use crate::input::Input;

/// Files of packets by their hashes.
type Files = BTreeMap<PacketHash, Vec<u8>>;

/// Files of any bytes, under hashes that are theirs or not: what a repository gives is a packet that is verified, and it gives each that its files make up; a check tells what is
/// wrong, and a repair takes nothing away.
pub(crate) fn thin(data: &[u8]) {
    let mut input = Input::new(data);
    let flags = input.byte();
    let files = files(&mut input, flags);
    let directory = folder();
    let root = directory.path();
    let is_writable = flags & WRITABLE == WRITABLE;
    match is_writable {
        true => drop(Repository::init(root).expect("a repository")),
        false => ["hash", "index"]
            .iter()
            .for_each(|name| fs::create_dir(root.join(name)).expect("a directory")),
    }
    for (hash, file) in &files {
        write(root, &path(hash), file);
    }
    if flags & INDEXED != 0 {
        index(root, &mut input, flags, &files);
    }
    let options = OpenOptions::default().read_only(!is_writable);
    let repository = Repository::open_with(root, options).expect("a repository");
    let whole = gives(&repository, &files);
    resolves(&repository, &whole);
    checks(&repository, &files, &whole);
    exports(&repository);
    if is_writable {
        repository.repair(true, &mut |finding, _| drop(finding.to_string())).expect("repaired");
        for (hash, packet) in &whole {
            assert_eq!(repository.get_hash(hash).as_ref(), Ok(packet), "repaired away");
        }
        for hash in files.keys() {
            assert!(root.join(path(hash)).exists(), "{hash} is gone");
        }
        let mended = gives_only_packets(&repository, &files);
        resolves(&repository, &mended);
    }
}

/// The parts of the input as files of a Blob, a Plex and a Seal.
fn files(input: &mut Input<'_>, flags: u8) -> Files {
    let [blob, plex] = [(); 2].map(|()| {
        let len = input.u16();
        input.bytes(usize::from(len)).to_vec()
    });
    let len = input.u16();
    let seal = input.bytes(usize::from(len)).to_vec();
    let is_forged = flags & UNFORGED == 0;
    let length = format!("Data-Length: {}\n\n", blob.len());
    let data = [length.as_bytes(), &blob].concat();
    let mut hashes = [BLOB, PLEX, SEAL].map(|text| text.parse::<PacketHash>().expect(text));
    if is_forged {
        hashes[0] = PacketHash::of(PacketKind::Blob, &data);
    }
    let mut files = Files::from([(hashes[0], blob)]);
    let mut inner = data;
    for (at, mut lines) in [(1, plex), (2, seal)] {
        let kind = hashes[at].kind();
        if is_forged {
            if let Some(last) = last_markline(&lines) {
                lines[last..].copy_from_slice(&markline(&hashes[at - 1]));
                if kind == PacketKind::Seal {
                    sign(&mut lines[..last], hashes[at - 1]);
                }
            }
            hashes[at] = PacketHash::of(kind, &[&lines[..], &inner].concat());
        }
        inner.splice(..0, lines.iter().copied());
        if flags & OWN << at != 0 {
            lines.splice(..0, markline(&hashes[at]));
        }
        files.insert(hashes[at], lines);
    }
    files
}

/// Where the last line is, if it is as long as a markline.
fn last_markline(lines: &[u8]) -> Option<usize> {
    let at = lines.len().checked_sub(MARK.len() + TYPED + 1)?;
    (lines[at..].starts_with(MARK) && lines.ends_with(b"\n")).then_some(at)
}

/// Entries, back-references and a tip for what is there, and for what is not.
fn index(root: &Path, input: &mut Input<'_>, flags: u8, files: &Files) {
    let marker = root.join(MARKER);
    let key = key().verifying_key();
    for hash in files.keys() {
        match hash.kind() {
            PacketKind::Blob => {}
            PacketKind::Plex => {
                let blob = files.keys().next().expect("there is a Blob");
                write(root, &format!("{MARKER}/plex/{TIME}/{hash}"), b"");
                write(root, &format!("{}/{hash}", reference(blob)), b"");
            }
            PacketKind::Seal => {
                write(root, &format!("{MARKER}/seal/{key}/{TIME}/{hash}"), b"");
                if let Some(plex) = files.keys().find(|hash| hash.kind() == PacketKind::Plex) {
                    write(root, &format!("{}/{hash}/{key}", reference(plex)), b"");
                }
            }
        }
    }
    let tip = input.text(200);
    for directory in ["", "plex", "seal"] {
        let path = marker.join(directory).join("tip");
        match std::str::from_utf8(tip) {
            Ok(target) if flags & LINKED != 0 => drop(symlink(target, path)),
            _ => fs::write(path, tip).expect("a file"),
        }
    }
}

/// Whether the repository gives each packet that its files make up, and no other. Those that it gives.
fn gives(repository: &Repository, files: &Files) -> Vec<(PacketHash, Packet)> {
    let given = gives_only_packets(repository, files);
    for hash in files.keys() {
        let due = whole(files, hash).and_then(|bytes| Packet::parse(&bytes, &by_name()).ok());
        let packet = given.iter().find(|(given, _)| given == hash).map(|(_, packet)| packet);
        assert_eq!(packet, due.as_ref(), "{hash}: {:?}", repository.get_hash(hash).err());
    }
    given
}

fn gives_only_packets(repository: &Repository, files: &Files) -> Vec<(PacketHash, Packet)> {
    let mut given = Vec::new();
    for hash in files.keys() {
        let headers = repository.headers(&Urc::Hash(*hash));
        if let Ok(packet) = repository.get(&Urc::Hash(*hash)) {
            assert_eq!(packet.hash(), *hash);
            assert_eq!(verify(&packet.encode(), &by_name()), Ok(packet.hashes()));
            let headers = headers.expect("those of a packet");
            assert_eq!(headers.unverified_bytes(), packet.head());
            given.push((*hash, packet));
        }
    }
    given
}

/// A packet, as its files are put together; whether it is one is another question.
fn whole(files: &Files, hash: &PacketHash) -> Option<Vec<u8>> {
    let file = files.get(hash)?;
    let mark = markline(hash);
    if hash.kind() == PacketKind::Blob {
        let length = format!("Data-Length: {}\n\n", file.len());
        return Some([&mark, length.as_bytes(), file].concat());
    }
    let lines = file.strip_prefix(&mark[..]).unwrap_or(file);
    if lines.starts_with(MARK) {
        return None;
    }
    let last = last_markline(lines)?;
    let inner = PacketHash::parse(&lines[last + MARK.len()..lines.len() - 1]).ok()?;
    // A file may name itself, or another that names it.
    if inner.kind() >= hash.kind() {
        return None;
    }
    Some([&mark, &lines[..last], &whole(files, &inner)?].concat())
}

/// Whatever is at a coordinate is one of these packets, and belongs there.
fn resolves(repository: &Repository, whole: &[(PacketHash, Packet)]) {
    let coordinate: Coordinate = place();
    let (tai, key) = (TIME.parse::<Tai>().expect("a time"), key().verifying_key());
    let selectors = [
        Selector::Tip,
        Selector::PlexTip,
        Selector::PlexTipAt(tai),
        Selector::SealTip,
        Selector::SealTipOf(key),
        Selector::SealTipAt(key, tai),
    ];
    for selector in selectors {
        let urc = Urc::Coordinate { coordinate: coordinate.clone(), selector };
        let _ = repository.headers(&urc);
        let Ok(packet) = repository.get(&urc) else { continue };
        assert!(whole.iter().any(|(_, good)| *good == packet), "{selector:?} gives another packet");
        let plex = packet.plex().expect("no Blob is at a coordinate");
        assert_eq!(plex.coordinate(), &coordinate);
        assert!(selector.kind().is_none_or(|kind| kind == packet.kind()));
        assert!(selector.tai().is_none_or(|tai| tai == plex.tai()));
        assert!(selector.key().is_none_or(|key| packet.seal().is_some_and(|s| s.key() == key)));
    }
}

/// A check tells of each packet that is not given.
fn checks(repository: &Repository, files: &Files, whole: &[(PacketHash, Packet)]) {
    for verify in [false, true] {
        let mut told = Vec::new();
        let options = CheckOptions::default().verify(verify);
        let checked = repository.check(&options, &mut |finding| told.push(finding.clone()));
        let checked = checked.expect("all can be read");
        assert_eq!(checked.packets, files.len() as u64);
        let faults = told.iter().filter(|finding| finding.is_fault()).count() as u64;
        assert!(checked.faults == faults && checked.faults + checked.notes == told.len() as u64);
        assert!(told.iter().all(|finding| finding.to_string().starts_with(finding.name())));
        let about = |finding: &Finding| match finding {
            Finding::Damaged { hash, .. }
            | Finding::WrongSize { hash, .. }
            | Finding::WrongMarkline { hash, .. }
            | Finding::InnerMissing { hash, .. } => Some(*hash),
            _ => None,
        };
        for hash in told.iter().filter_map(about) {
            assert!(!whole.iter().any(|(good, _)| *good == hash), "{hash} is good: {told:?}");
        }
        assert!(!verify || whole.len() == files.len() || faults > 0, "nothing is told");
    }
}

/// What is exported is read again.
fn exports(repository: &Repository) {
    let options = ExportOptions::default().skip_damaged(true).lone_blobs(true);
    let mut stream = Vec::new();
    let exported = repository.export(&options, &mut stream).expect("all can be read");
    let read = import(&stream[..], &by_name(), &mut |_| Ok(()));
    assert_eq!(read, Ok(exported.packets));
    assert_eq!(exported.bytes, stream.len() as u64);
}

fn place() -> Coordinate {
    Coordinate::new("a-group", "some-app", "our-collection/item").expect("a coordinate")
}

fn path(hash: &PacketHash) -> String {
    let text = hash.to_string();
    format!("hash/{}/{}/{}", &text[..1], &text[2..4], &text[4..])
}

fn reference(hash: &PacketHash) -> String {
    let text = hash.to_string();
    format!("ref/{}/{}/{}", &text[..1], &text[2..4], &text[4..45])
}

fn write(root: &Path, relative: &str, bytes: &[u8]) {
    let path = root.join(relative);
    fs::create_dir_all(path.parent().expect("a directory")).expect("directories");
    fs::write(path, bytes).expect("a file");
}

/// Files of packets of the vectors.
pub(crate) fn thin_seeds() -> Vec<Vec<u8>> {
    let packets = packet_seeds().into_iter().filter(|packet| packet.len() < 2000);
    let packets = packets.filter_map(|packet| Packet::parse(&forged(&packet), &by_name()).ok());
    let mut seeds = Vec::new();
    let all = [0, OWN << 1 | OWN << 2, INDEXED, INDEXED | LINKED, WRITABLE | INDEXED, UNFORGED];
    for (packet, flags) in packets.step_by(2).zip(all.into_iter().cycle()) {
        seeds.push(seed(&packet, flags, b""));
    }
    let seal =
        packet_seeds().into_iter().filter_map(|bytes| Packet::parse(&bytes, &by_name()).ok());
    let Some(seal) = seal.into_iter().find(|packet| packet.hash().to_string() == SEAL) else {
        return seeds;
    };
    let tip = format!("plex/{TIME}/{PLEX}\n");
    for flags in all.into_iter().chain([UNFORGED | INDEXED | WRITABLE, UNFORGED | INDEXED | LINKED])
    {
        seeds.push(seed(&seal, flags, tip.as_bytes()));
        seeds.push(seed(&seal, flags, b"../../../../hash"));
    }
    seeds
}

/// The input that means the files of a packet.
fn seed(packet: &Packet, flags: u8, tip: &[u8]) -> Vec<u8> {
    let head = packet.head();
    let lines: Vec<&[u8]> = head.split_inclusive(|byte| *byte == b'\n').collect();
    // Behind the marklines are the length and a blank line.
    let mut lines = &lines[..lines.len() - 2];
    let mut seal = Vec::new();
    if packet.seal().is_some() {
        seal = lines[1..4].concat();
        lines = &lines[3..];
    }
    let plex = packet.plex().map(|_| lines[1..].concat()).unwrap_or_default();
    let mut seed = vec![flags];
    for part in [packet.data(), &plex[..], &seal] {
        seed.extend_from_slice(&(part.len() as u16).to_le_bytes());
        seed.extend_from_slice(part);
    }
    seed.push(tip.len() as u8);
    seed.extend_from_slice(tip);
    seed
}

/// Bits of the first byte: hashes are those of the Seal of the specification, whatever the files are.
const UNFORGED: u8 = 1;
/// Shifted by one for a Plex and by two for a Seal: the file has its own markline.
const OWN: u8 = 1;
/// There is an index.
const INDEXED: u8 = 8;
/// Its tips are links.
const LINKED: u8 = 16;
/// It is repaired too.
const WRITABLE: u8 = 0xe0;
/// The marker of the Seal of the specification, its time, and its hashes.
const MARKER: &str = "index/a-group/some-app/our-collection/item/|";
const TIME: &str = "1640995200:000000000";
const SEAL: &str = "S.7NTEdlrOkMFBlBzHlFGSdDwsLVTyynKdbKdlR07OtVK.H3";
const PLEX: &str = "P.VoNhMPxyBAekvVD2IqKjAhrkK1EtlB~BbCcL0Tnw4wp.H3";
const BLOB: &str = "B.xNC0xRbHR_U4Tm7yW1L2UoIeXrsS2B1yLlTbKU4kT5p.H3";
