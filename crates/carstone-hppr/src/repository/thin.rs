//! Thin files: a Plex without its Blob, and a Seal without its Plex (HPPR 022).

use std::path::Path;

use memchr::memchr;

use super::Repository;
use super::disk::What;
use crate::error::{Error, ErrorKind, Result};
use crate::limits::{MARKLINE, MAX_LINE};
use crate::packet::{
    ExtrasOrder, MARK, Plex, PlexHead, PlexLines, Seal, SealHead, SealLines, claim_of, mark,
    plex_lines, seal_lines,
};
use crate::text::{PacketHash, PacketKind};

/// What is in a thin file. Nothing of it is verified.
#[derive(Clone, Debug)]
pub(crate) struct Thin<H> {
    /// What the lines say.
    pub(crate) head: H,
    /// The packet that is in the packet.
    pub(crate) inner: PacketHash,
    /// All lines behind its own markline. With the inner packet behind its markline they are what is hashed.
    pub(crate) lines: Vec<u8>,
}

/// That of a Plex.
pub(crate) type ThinPlex = Thin<PlexHead>;
/// That of a Seal.
pub(crate) type ThinSeal = Thin<SealHead>;

impl ThinPlex {
    /// Reads the file of the Plex of this hash. Extra headers that are in order by their names are taken: what they are to be is known by the hash.
    ///
    /// # Errors
    /// At the byte of the file where it shows.
    pub(crate) fn parse(hash: &PacketHash, file: &[u8]) -> Result<Self> {
        let mut lines = PlexLines::new(ExtrasOrder::ByName);
        let (inner, at, own) =
            parse(hash, PacketKind::Blob, file, |line, at| lines.line(line, at))?;
        Ok(Self { head: lines.finish(at)?, inner, lines: own.to_vec() })
    }
}

impl ThinSeal {
    /// Reads the file of the Seal of this hash.
    ///
    /// # Errors
    /// At the byte of the file where it shows.
    pub(crate) fn parse(hash: &PacketHash, file: &[u8]) -> Result<Self> {
        let mut lines = SealLines::default();
        let (inner, at, own) =
            parse(hash, PacketKind::Plex, file, |line, at| lines.line(line, at))?;
        Ok(Self { head: lines.finish(at)?, inner, lines: own.to_vec() })
    }
}

/// The file of a Plex.
pub(super) fn of_plex(plex: &Plex) -> Vec<u8> {
    let mut bytes = Vec::new();
    mark(plex.hash(), &mut bytes);
    plex_lines(plex.coordinate(), plex.tai(), plex.extras(), &mut bytes);
    mark(plex.blob().hash(), &mut bytes);
    bytes
}

/// The file of a Seal.
pub(super) fn of_seal(seal: &Seal) -> Vec<u8> {
    let mut bytes = Vec::new();
    mark(seal.hash(), &mut bytes);
    seal_lines(seal.key(), &seal.signature(), &mut bytes);
    mark(seal.plex().hash(), &mut bytes);
    bytes
}

/// The file with the own markline of this packet, whatever one it has.
pub(crate) fn with_markline(hash: PacketHash, file: &[u8]) -> Vec<u8> {
    let mut text = Vec::with_capacity(file.len());
    mark(hash, &mut text);
    text.extend_from_slice(&file[own_markline(file).unwrap_or(0)..]);
    text
}

/// Bytes of the own markline, if there is one.
fn own_markline(file: &[u8]) -> Option<usize> {
    let end = memchr(b'\n', &file[..file.len().min(MAX_LINE + 1)])?;
    file.starts_with(MARK).then_some(end + 1)
}

/// Hands out the lines up to the inner markline, behind which the file ends. Gives the inner hash, where its line is, and all behind the own markline.
fn parse<'f>(
    hash: &PacketHash,
    inner: PacketKind,
    file: &'f [u8],
    mut take: impl FnMut(&[u8], u64) -> Result<()>,
) -> Result<(PacketHash, u64, &'f [u8])> {
    let mut at = 0;
    if file.starts_with(MARK) {
        let line = line(file, 0)?;
        if claim_of(hash.kind(), line, 0)?.hash != *hash {
            return Err(Error::new(ErrorKind::WrongMarkline).at(MARK.len() as u64));
        }
        at = line.len() + 1;
    }
    let own = &file[at..];
    loop {
        let line = line(file, at)?;
        if line.starts_with(MARK) {
            let claim = claim_of(inner, line, at as u64)?;
            let end = at + line.len() + 1;
            return match end == file.len() {
                true => Ok((claim.hash, at as u64, own)),
                false => Err(Error::new(ErrorKind::TrailingBytes).at(end as u64)),
            };
        }
        take(line, at as u64)?;
        at += line.len() + 1;
    }
}

/// The line at this byte of a file.
fn line(file: &[u8], at: usize) -> Result<&[u8]> {
    let window = &file[at..file.len().min(at + MAX_LINE + 1)];
    match memchr(b'\n', window) {
        Some(len) => Ok(&window[..len]),
        None if window.len() > MAX_LINE => {
            Err(Error::new(ErrorKind::LineTooLong).at((at + MAX_LINE) as u64))
        }
        None => Err(Error::new(ErrorKind::Truncated).at(file.len() as u64)),
    }
}

/// The hash in the last line of a file, whatever is ahead of it; `None` if that is no markline.
pub(super) fn last_hash(tail: &[u8]) -> Option<PacketHash> {
    let line = tail.strip_suffix(b"\n")?;
    let line = &line[line.len().checked_sub(MARKLINE)?..];
    PacketHash::parse(line.strip_prefix(MARK)?).ok()
}

impl Repository {
    /// What is at a path.
    pub(super) fn what(&self, relative: &Path) -> Result<Option<What>> {
        let path = self.path(relative);
        self.disk().look(&path).map_err(self.failed(&path))
    }

    /// What the file of a Plex says; `None` if there is none.
    pub(super) fn thin_plex(&self, hash: &PacketHash) -> Result<Option<ThinPlex>> {
        there(self.plex_file(hash))
    }

    /// What the file of a Seal says; `None` if there is none.
    pub(super) fn thin_seal(&self, hash: &PacketHash) -> Result<Option<ThinSeal>> {
        there(self.seal_file(hash))
    }

    /// Whether a packet is there and verified, with those in it.
    ///
    /// # Errors
    /// It cannot be read.
    pub(super) fn is_intact(&self, hash: &PacketHash) -> Result<bool> {
        match self.get_hash(hash) {
            Ok(_) => Ok(true),
            Err(error) if matches!(error.kind(), ErrorKind::Io(_)) => Err(error),
            Err(_) => Ok(false),
        }
    }
}

fn there<T>(found: Result<T>) -> Result<Option<T>> {
    match found {
        Err(error) if *error.kind() == ErrorKind::NotFound => Ok(None),
        found => found.map(Some),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packet::Packet;

    const PLEX: &str = "\
Group: a-group
App: some-app
Location: our-collection/item
TAI: 1640995200:000000000
🖧: B.xNC0xRbHR_U4Tm7yW1L2UoIeXrsS2B1yLlTbKU4kT5p.H3
";
    const SEAL: &str = "\
Seal-By: V.XByqOYOgkMa025T8xwufzaAjCN5L61wECRPZKSo~eB0.H3
Seal-Sig: SlBfXFc6TtxJSSHWMwnCDMdKTaxI_i7r5d9u4cbwNuTppu7ibe8rLnNAiLRWVooTO353mmsvf5gVto9Feldr5G
🖧: P.VoNhMPxyBAekvVD2IqKjAhrkK1EtlB~BbCcL0Tnw4wp.H3
";

    fn hash(text: &str) -> PacketHash {
        text.parse().expect("a hash")
    }

    fn plex() -> PacketHash {
        hash("P.VoNhMPxyBAekvVD2IqKjAhrkK1EtlB~BbCcL0Tnw4wp.H3")
    }

    fn seal() -> PacketHash {
        hash("S.7NTEdlrOkMFBlBzHlFGSdDwsLVTyynKdbKdlR07OtVK.H3")
    }

    #[track_caller]
    fn refused(file: &str, kind: ErrorKind, at: usize) {
        let error = ThinPlex::parse(&plex(), file.as_bytes()).expect_err("it is none");
        assert_eq!(error, Error::new(kind).at(at as u64));
    }

    #[test]
    fn files_with_and_without_their_own_markline_are_the_same() {
        let thin = ThinPlex::parse(&plex(), PLEX.as_bytes()).expect("a Plex");
        let marked = with_markline(plex(), PLEX.as_bytes());
        assert_eq!(marked.len(), 195);
        assert_eq!(with_markline(plex(), &marked), marked);
        assert_eq!(ThinPlex::parse(&plex(), &marked).expect("a Plex").lines, thin.lines);
        assert_eq!(thin.inner.kind(), PacketKind::Blob);
        let marked = with_markline(seal(), SEAL.as_bytes());
        assert_eq!(marked.len(), 265);
        for file in [SEAL.as_bytes(), &marked] {
            let thin = ThinSeal::parse(&seal(), file).expect("a Seal");
            assert_eq!((thin.inner, &thin.lines[..]), (plex(), SEAL.as_bytes()));
        }
    }

    #[test]
    fn an_own_markline_of_another_packet_is_refused() {
        let text = format!("🖧: {}\n{PLEX}", plex()).replace("P.Vo", "P.Vp");
        refused(&text, ErrorKind::WrongMarkline, 6);
        let text = format!("🖧: {}\n{PLEX}", seal());
        refused(&text, ErrorKind::WrongPacket { expected: PacketKind::Plex }, 6);
    }

    #[test]
    fn every_cut_of_a_file_is_refused_at_its_end_or_before() {
        for len in 0..PLEX.len() {
            let Some(cut) = PLEX.get(..len) else { continue };
            refused(cut, ErrorKind::Truncated, len);
        }
    }

    #[test]
    fn faults_of_a_file_are_at_their_byte() {
        refused(&format!("{PLEX}\n"), ErrorKind::TrailingBytes, PLEX.len());
        let expected = PacketKind::Blob;
        let text = PLEX.replace("B.xN", "P.xN");
        refused(&text, ErrorKind::WrongPacket { expected }, text.find("P.xN").expect("one"));
        let text = PLEX.replace("TAI: ", "Tai: ");
        refused(
            &text,
            ErrorKind::MissingHeader { expected: "TAI" },
            text.find("Tai").expect("one"),
        );
        let text = PLEX.replace("TAI: 1640995200:000000000\n", "");
        let kind = ErrorKind::MissingHeader { expected: "TAI" };
        refused(&text, kind, text.find("🖧").expect("one"));
        let text = PLEX.replace("some-app", &"x".repeat(MAX_LINE));
        refused(&text, ErrorKind::LineTooLong, "Group: a-group\n".len() + MAX_LINE);
    }

    #[test]
    fn what_files_say_is_what_packets_say() {
        let text = format!("🖧: {}\n{SEAL}{PLEX}Data-Length: 23\n\n", seal());
        let bytes = [text.as_bytes(), b"This is signed content."].concat();
        let packet = Packet::parse(&bytes, &crate::ParseOptions::default()).expect("a Seal");
        let thin = ThinSeal::parse(&seal(), SEAL.as_bytes()).expect("a Seal");
        assert_eq!(Some(thin.head.key), packet.seal().map(crate::Seal::key));
    }
}
