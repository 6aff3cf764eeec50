//! Repositories that are laid out by hand, as their layout is specified.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use carstone_hppr::{
    Blob, Coordinate, Header, OpenOptions, Packet, ParseOptions, Plex, Repository, Seal, SigningKey,
};

pub const SEAL: &str = "\
🖧: S.7NTEdlrOkMFBlBzHlFGSdDwsLVTyynKdbKdlR07OtVK.H3
Seal-By: V.XByqOYOgkMa025T8xwufzaAjCN5L61wECRPZKSo~eB0.H3
Seal-Sig: SlBfXFc6TtxJSSHWMwnCDMdKTaxI_i7r5d9u4cbwNuTppu7ibe8rLnNAiLRWVooTO353mmsvf5gVto9Feldr5G
🖧: P.VoNhMPxyBAekvVD2IqKjAhrkK1EtlB~BbCcL0Tnw4wp.H3
Group: a-group
App: some-app
Location: our-collection/item
TAI: 1640995200:000000000
🖧: B.xNC0xRbHR_U4Tm7yW1L2UoIeXrsS2B1yLlTbKU4kT5p.H3
Data-Length: 23

This is signed content.";
pub const S: &str = "S.7NTEdlrOkMFBlBzHlFGSdDwsLVTyynKdbKdlR07OtVK.H3";
pub const P: &str = "P.VoNhMPxyBAekvVD2IqKjAhrkK1EtlB~BbCcL0Tnw4wp.H3";
pub const B: &str = "B.xNC0xRbHR_U4Tm7yW1L2UoIeXrsS2B1yLlTbKU4kT5p.H3";
pub const V: &str = "V.XByqOYOgkMa025T8xwufzaAjCN5L61wECRPZKSo~eB0.H3";
pub const TAI: &str = "1640995200:000000000";
/// Where the Seal is.
pub const ITEM: &str = "//a-group/some-app/our-collection/item";
/// Its marker.
pub const MARKER: &str = "index/a-group/some-app/our-collection/item/|";

pub struct Laid {
    directory: tempfile::TempDir,
}

impl Laid {
    pub fn new() -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        Repository::init(directory.path()).expect("a repository");
        Self { directory }
    }

    /// With the Seal of the specification.
    pub fn with_seal() -> Self {
        let laid = Self::new();
        laid.lay(&seal());
        laid
    }

    pub fn root(&self) -> &Path {
        self.directory.path()
    }

    pub fn path(&self, relative: impl AsRef<Path>) -> PathBuf {
        self.root().join(relative)
    }

    pub fn open(&self) -> Repository {
        Repository::open(self.root()).expect("a repository")
    }

    pub fn read_only(&self) -> Repository {
        let options = OpenOptions::default().read_only(true);
        Repository::open_with(self.root(), options).expect("a repository")
    }

    pub fn write(&self, relative: impl AsRef<Path>, bytes: impl AsRef<[u8]>) {
        let path = self.path(relative);
        fs::create_dir_all(path.parent().expect("a directory")).expect("directories");
        fs::write(path, bytes).expect("a file");
    }

    pub fn read(&self, relative: impl AsRef<Path>) -> Vec<u8> {
        fs::read(self.path(relative)).expect("a file")
    }

    pub fn remove(&self, relative: impl AsRef<Path>) {
        fs::remove_file(self.path(relative)).expect("a file");
    }

    pub fn link(&self, target: &str, relative: impl AsRef<Path>) {
        let path = self.path(relative);
        let _ = fs::remove_file(&path);
        symlink(target, path).expect("a link");
    }

    pub fn target(&self, relative: impl AsRef<Path>) -> Option<String> {
        let target = fs::read_link(self.path(relative)).ok()?;
        Some(target.to_str().expect("text").to_owned())
    }

    pub fn lay(&self, packet: &Packet) {
        self.lay_hashes(packet);
        let Some(plex) = packet.plex() else { return };
        let (blob, p, tai) =
            (plex.blob().hash().to_string(), plex.hash().to_string(), plex.tai().to_string());
        self.write(format!("{}/{p}", references(&blob)), "");
        let marker = marker(plex.coordinate());
        self.write(format!("{marker}/plex/{tai}/{p}"), "");
        if let Some(seal) = packet.seal() {
            let (s, key) = (seal.hash().to_string(), seal.key().to_string());
            self.write(format!("{}/{s}/{key}", references(&p)), "");
            self.write(format!("{marker}/seal/{key}/{tai}/{s}"), "");
        }
        self.tips(&marker);
    }

    /// The files of its hashes alone.
    pub fn lay_hashes(&self, packet: &Packet) {
        self.write(file(&packet.blob().hash().to_string()), packet.data());
        let head = String::from_utf8(packet.head()).expect("text");
        let lines: Vec<&str> = head.split_inclusive('\n').collect();
        // Behind the headers are the length and a blank line.
        let mut lines = &lines[..lines.len() - 2];
        if let Some(seal) = packet.seal() {
            self.write(file(&seal.hash().to_string()), lines[..4].concat());
            lines = &lines[3..];
        }
        if let Some(plex) = packet.plex() {
            self.write(file(&plex.hash().to_string()), lines.concat());
        }
    }

    /// Makes all links at a coordinate.
    pub fn tips(&self, marker: &str) {
        let mut all = Vec::new();
        self.tip(&format!("{marker}/plex"), "plex", &mut all);
        let mut seals = Vec::new();
        for key in names(&self.path(format!("{marker}/seal"))) {
            self.tip(&format!("{marker}/seal/{key}"), &key, &mut seals);
        }
        self.link_latest(&format!("{marker}/seal"), &seals);
        all.extend(
            seals.into_iter().map(|(time, hash, path)| (time, hash, format!("seal/{path}"))),
        );
        self.link_latest(marker, &all);
    }

    fn tip(&self, directory: &str, name: &str, all: &mut Vec<(String, String, String)>) {
        let mut here = Vec::new();
        for time in names(&self.path(directory)) {
            for hash in names(&self.path(format!("{directory}/{time}"))) {
                here.push((time.clone(), hash.clone(), format!("{time}/{hash}")));
                all.push((time.clone(), hash.clone(), format!("{name}/{time}/{hash}")));
            }
        }
        self.link_latest(directory, &here);
    }

    fn link_latest(&self, directory: &str, of: &[(String, String, String)]) {
        if let Some((.., target)) = of.iter().max() {
            self.link(target, format!("{directory}/tip"));
        }
    }
}

/// Makes directories in one another below this one, so many that no path to the last can be given to the system.
pub fn too_deep(laid: &Laid, top: &str) {
    let chain = |top: PathBuf| {
        let bottom = (0..12).fold(top, |path, _| path.join("n".repeat(250)));
        fs::create_dir_all(&bottom).expect("directories");
        bottom
    };
    let lower = laid.path("lower");
    chain(lower.clone());
    fs::rename(lower, chain(laid.path(top)).join("lower")).expect("it is moved");
}

/// Names of what is no link.
fn names(directory: &Path) -> Vec<String> {
    let Ok(listed) = fs::read_dir(directory) else { return Vec::new() };
    let names = listed.map(|entry| entry.expect("an entry").file_name());
    let names = names.map(|name| name.into_string().expect("text"));
    names.filter(|name| name != "tip").collect()
}

pub fn seal() -> Packet {
    Packet::parse(SEAL.as_bytes(), &ParseOptions::default()).expect("a Seal")
}

/// The same Plex, sealed with another key; its hash is higher.
pub fn other_seal() -> Packet {
    let mut six = [0; 32];
    six[31] = 6;
    sealed(seal().plex().expect("a Plex"), &six, 0x5a)
}

pub fn sealed(plex: &Plex, scalar: &[u8; 32], aux: u8) -> Packet {
    let key = SigningKey::from_scalar(scalar).expect("a key");
    let signature = key.sign_with(plex.hash().digest(), &[aux; 32]).expect("a signature");
    Seal::new(plex.clone(), key.verifying_key(), signature).expect("a Seal").into()
}

pub fn plex(place: [&str; 3], tai: &str, data: &str) -> Packet {
    let coordinate = Coordinate::new(place[0], place[1], place[2]).expect("a coordinate");
    let extras = vec![Header::new("X-Custom", "value").expect("a header")];
    let blob = Blob::new(data.to_owned()).expect("a Blob");
    Plex::new(coordinate, tai.parse().expect("a time"), extras, blob).expect("a Plex").into()
}

/// A Plex where the Seal of the specification is.
pub fn at_item(tai: &str, data: &str) -> Packet {
    plex(["a-group", "some-app", "our-collection/item"], tai, data)
}

pub fn file(hash: &str) -> String {
    format!("hash/{}/{}/{}", &hash[..1], &hash[2..4], &hash[4..])
}

pub fn references(hash: &str) -> String {
    format!("ref/{}/{}/{}", &hash[..1], &hash[2..4], &hash[4..45])
}

pub fn marker(coordinate: &Coordinate) -> String {
    let (group, app, location) = (coordinate.group(), coordinate.app(), coordinate.location());
    format!("index/{group}/{app}/{location}/|")
}
