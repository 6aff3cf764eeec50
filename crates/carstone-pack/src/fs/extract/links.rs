//! Hard links in a stream.

use std::sync::Arc;

use super::output::Output;
use super::places::Digest;
use super::stream::Flow;
use super::write::Job;
use crate::entry::Announced;
use crate::fs::restore::{RestoreError, RestoreErrorKind};

/// What is known of an entry that is not restored, for links to it.
#[derive(Debug)]
pub(super) enum LeftOut {
    Symlink(Vec<u8>),
    File {
        /// Digests of its leaves, and where they are content.
        leaves: Vec<(u64, Digest)>,
        /// Size and SHA-256, once its end is known.
        proof: Option<(u64, Option<Digest>)>,
    },
}

impl LeftOut {
    pub(super) fn file() -> Self {
        Self::File { leaves: Vec::new(), proof: None }
    }

    /// Whether more is to come.
    pub(super) fn is_due(&self) -> bool {
        matches!(self, Self::File { proof: None, .. })
    }

    pub(super) fn add(&mut self, offset: u64, digest: &Digest) {
        if let Self::File { leaves, .. } = self {
            leaves.push((offset, *digest));
        }
    }

    pub(super) fn end(&mut self, size: u64, sha256: Option<Digest>) {
        if let Self::File { proof, .. } = self {
            *proof = Some((size, sha256));
        }
    }
}

impl Flow<'_> {
    /// Whether content of an entry is still to come.
    pub(super) fn is_due(&self, id: u64) -> bool {
        let left_out = self.left_out.get(&id).is_some_and(LeftOut::is_due);
        left_out || self.waiting.contains_key(&id) || self.unended.contains_key(&id)
    }

    pub(super) fn leave_out(&mut self, id: u64, left_out: LeftOut) {
        if self.left_out.len() < MOST_LEFT_OUT {
            self.left_out.insert(id, left_out);
        }
    }

    /// Has a hard link made when all that came so far is written.
    pub(super) fn later(&mut self, link: Announced) {
        self.flush();
        self.push(Job::Link(Box::new(link)), 0);
    }

    pub(super) fn release_links(&mut self, original: u64) {
        if self.links.is_empty() {
            return;
        }
        for link in self.links.remove(&original).unwrap_or_default() {
            self.later(link);
        }
    }

    /// Restores a hard link; all that stands before it in the stream is there by now.
    pub(super) fn link(&mut self, entry: &Announced) {
        let (Some(target), Some(id)) = (&entry.target, entry.target_id) else { return };
        let original = match self.restored.contains(id) {
            true => Some(target),
            false => self.copies.get(&id),
        };
        let tally = &mut self.tally;
        let mut told = |event| tally.tell(event);
        if let Some(original) = original {
            let (path, metadata) = (&entry.path, &entry.metadata);
            self.restorer.hard_link(path, original, metadata, &mut told);
            return;
        }
        match self.left_out.get(&id) {
            Some(LeftOut::Symlink(to)) => {
                self.restorer.symlink(&entry.path, to, &entry.metadata, &mut told);
            }
            Some(LeftOut::File { leaves, proof: Some((size, sha256)) }) => {
                let (leaves, size, sha256) = (leaves.clone(), *size, *sha256);
                self.copy(entry, id, &leaves, size, sha256.as_ref());
            }
            _ => {
                let path = target.escape_ascii().to_string();
                let error = RestoreError::new(RestoreErrorKind::LostOriginal { path });
                self.problem(&entry.path, error);
            }
        }
    }

    /// Puts the content of an entry that is not restored under the name of a link to it.
    fn copy(
        &mut self,
        entry: &Announced,
        id: u64,
        leaves: &[(u64, Digest)],
        size: u64,
        sha256: Option<&Digest>,
    ) {
        let tally = &mut self.tally;
        let told = &mut |event| tally.tell(event);
        let Some(file) = self.restorer.create(&entry.path, &entry.metadata, told) else { return };
        let output = Arc::new(Output::new(file, entry.metadata.clone()));
        for (offset, digest) in leaves {
            let piece = output.announce();
            match self.fetch(digest) {
                Ok(data) => drop(piece.write(data, *offset)),
                Err(error) => piece.fail(error),
            }
        }
        let tally = &mut self.tally;
        let told = &mut |event| tally.tell(event);
        if output.finish(&self.restorer, size, sha256, told) {
            self.copies.insert(id, entry.path.clone());
        }
    }
}

/// Files that are left out, and leaves of such files, that are remembered for hard links: about 100 bytes each.
pub(super) const MOST_LEFT_OUT: usize = 1 << 20;
