//! Mending what a check finds, as far as that can be done without losing anything.

use std::path::Path;

use super::attach::{Attach, Reference};
use super::check::{Checked, Finding};
use super::disk::What;
use super::get::Files;
use super::thin::{ThinPlex, ThinSeal, with_markline};
use super::versions::Tip;
use super::writer::Writer;
use super::{Repository, Staging, layout};
use crate::coordinate::Coordinate;
use crate::error::Result;
use crate::limits::MAX_HEAD;
use crate::packet::Packet;
use crate::text::{PacketHash, PacketKind, VerifyingKey};

impl Repository {
    /// Checks all of the repository as [`check`](Self::check) does, with all bytes if `verify` says so, and mends what can be mended; tells each finding, and whether it is mended.
    /// Nothing of a packet is removed, and what is not of a repository is left.
    ///
    /// * Packets that are attached and verified come into the index, and those in the index get their back-references; tips are made again.
    /// * Entries and back-references of packets that are not there, or that are verified and say otherwise, are removed, and so are records of Blobs that are attached, leftovers of writers, and empty directories.
    /// * A wrong markline of a file is written again if the packet is verified with the right one.
    ///
    /// Files that are damaged or missing are mended by storing the packet again.
    ///
    /// # Errors
    /// The repository is opened to be read only; something cannot be read or written.
    pub fn repair(&self, verify: bool, tell: &mut dyn FnMut(&Finding, bool)) -> Result<Checked> {
        let writer = Writer::begin(self, false)?;
        let checked = self.checker(verify, Some(writer), tell).all()?;
        if checked.mended > 0 {
            // With the directories that were there, though who has made them may have ended too soon.
            self.sync_all()?;
        }
        Ok(checked)
    }

    /// Mends a finding, and says whether it could.
    pub(super) fn mend(&self, writer: &mut Writer<'_>, finding: &Finding) -> Result<bool> {
        match finding {
            Finding::WrongMarkline { hash, .. } => self.mend_markline(writer.staging(), hash),
            Finding::NotIndexed { hash } => {
                // Where it belongs is known of what is verified alone.
                let Ok(packet) = self.get_hash(hash) else { return Ok(false) };
                let mut attach = Attach::default();
                attach.add(&packet);
                attach.make(writer).map(|()| true)
            }
            Finding::MissingRef { hash, path } => {
                // Which packet it has is known of what is verified alone.
                let Ok(packet) = self.get_hash(hash) else { return Ok(false) };
                match reference(&packet).is_some_and(|reference| reference.path() == *path) {
                    true => writer.staging().put(path, &[layout::ENTRY]).map(|()| true),
                    false => Ok(false),
                }
            }
            Finding::WrongRef { hash, path } => match self.get_hash(hash) {
                Ok(_) => drop_file(writer, path),
                Err(_) => Ok(false),
            },
            Finding::WrongIndex { coordinate, version } => match self.get_hash(&version.hash) {
                Ok(_) => drop_file(writer, &layout::marker(coordinate).join(version.entry())),
                Err(_) => Ok(false),
            },
            Finding::StrayRef { path } => drop_file(writer, path),
            Finding::DanglingIndex { coordinate, version } => {
                // That of a Seal is kept as long as its file is there, whatever is in it.
                match self.is_gone(&version.hash)? {
                    true => drop_file(writer, &layout::marker(coordinate).join(version.entry())),
                    false => Ok(false),
                }
            }
            Finding::MissingTip { coordinate, path }
            | Finding::DanglingTip { coordinate, path }
            | Finding::WrongTip { coordinate, path }
            | Finding::CopiedTip { coordinate, path } => self.mend_tip(writer, coordinate, path),
            Finding::WrongRecord { blob } => drop_file(writer, &layout::detach_record(blob)),
            Finding::Leftover { path } => {
                self.clean_staging()?;
                self.is_nothing_at(path)
            }
            Finding::EmptyDirectory { path } => {
                writer.tidy(path, path.parent().unwrap_or(Path::new("")))?;
                writer.end_step()?;
                self.is_nothing_at(path)
            }
            Finding::Damaged { .. }
            | Finding::WrongSize { .. }
            | Finding::InnerMissing { .. }
            | Finding::HalfStored { .. }
            | Finding::HalfCollected { .. }
            | Finding::Foreign { .. } => Ok(false),
        }
    }

    fn mend_markline(&self, staging: &Staging<'_>, hash: &PacketHash) -> Result<bool> {
        let file = with_markline(*hash, &self.read(hash, MAX_HEAD)?);
        match self.would_verify(hash, &file) {
            Ok(_) => staging.put(&layout::hash_file(hash), &[&file]).map(|()| true),
            Err(_) => Ok(false),
        }
    }

    /// The packet that there would be if this were its file.
    fn would_verify(&self, hash: &PacketHash, file: &[u8]) -> Result<Packet> {
        let files = match hash.kind() {
            PacketKind::Seal => {
                let thin = ThinSeal::parse(hash, file)?;
                let files = self.files(&thin.inner)?;
                Files { seal: Some((*hash, thin)), ..files }
            }
            _ => {
                let thin = ThinPlex::parse(hash, file)?;
                Files { seal: None, blob: thin.inner, plex: Some((*hash, thin)) }
            }
        };
        let data = self.data(&files.blob, true)?;
        self.verified(files, data)
    }

    fn mend_tip(
        &self,
        writer: &mut Writer<'_>,
        coordinate: &Coordinate,
        path: &Path,
    ) -> Result<bool> {
        let on_disk = self.path(path);
        let what = self.disk().look(&on_disk).map_err(self.failed(&on_disk))?;
        if !matches!(what, None | Some(What::Link | What::File(_))) {
            return Ok(false);
        }
        let versions = self.versions(coordinate)?;
        let marker = layout::marker(coordinate);
        let Some(tip) = path.strip_prefix(&marker).ok().and_then(tip_of) else { return Ok(false) };
        match self.latest_of(coordinate, &tip, &versions) {
            Some(latest) => writer.staging().link(path, &tip.target(&latest)).map(|()| true),
            // A text that somebody has put there may be all that is left of what it says.
            None if matches!(what, Some(What::File(1..))) => Ok(false),
            None => drop_file(writer, path),
        }
    }

    fn is_gone(&self, hash: &PacketHash) -> Result<bool> {
        self.is_nothing_at(&layout::hash_file(hash))
    }

    fn is_nothing_at(&self, path: &Path) -> Result<bool> {
        let path = self.path(path);
        Ok(self.disk().look(&path).map_err(self.failed(&path))?.is_none())
    }
}

/// What says that a packet is attached.
fn reference(packet: &Packet) -> Option<Reference> {
    let plex = packet.plex()?;
    Some(match packet.seal() {
        Some(seal) => Reference::OfPlex { plex: plex.hash(), seal: seal.hash(), key: seal.key() },
        None => Reference::OfBlob { blob: plex.blob().hash(), plex: plex.hash() },
    })
}

/// Removes a file that says nothing but its name.
fn drop_file(writer: &mut Writer<'_>, path: &Path) -> Result<bool> {
    let removed = writer.remove(path)?;
    writer.end_step()?;
    Ok(removed)
}

/// The tip of a link, below a marker.
fn tip_of(link: &Path) -> Option<Tip> {
    let mut tips = vec![Tip::All, Tip::Plex, Tip::Seal];
    let key = link.parent().and_then(Path::file_name).and_then(|name| name.to_str());
    tips.extend(key.and_then(|key| key.parse::<VerifyingKey>().ok()).map(Tip::SealOf));
    tips.into_iter().find(|tip| tip.link() == link)
}
