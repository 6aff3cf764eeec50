//! Files that stand in no batch with others: leaves, resume records, end record.

use std::io;

use carstone_car::Cid;
use carstone_layer::LayerWrite;
use carstone_unixfs::{FileBuilder, Link, Profile};
use sha2::{Digest, Sha256};

use super::directories::BlockOut;
use super::jobs::Ending;
use super::options::ProblemKind;
use super::sections::Sections;
use super::settle::{MAX_RUNS, Settled};
use crate::entry::{Announced, Run};
use crate::record::{Batch, End, RAW, Reference, Resume};

/// A file whose chunks arrive one by one.
pub(super) struct OpenFile {
    pub(super) entry: Announced,
    /// Whether a chunk has been sent off as a leaf.
    pub(super) streamed: bool,
    /// Position of its batch, once it is announced.
    record: Option<u64>,
    builder: FileBuilder,
    sha256: Sha256,
    size: u64,
    runs: Vec<Run>,
    /// Leaves that stand earlier, not yet told to the reader.
    references: Vec<Reference>,
    /// Bytes of leaves since the last record that says whose they are.
    since_record: u64,
}

impl OpenFile {
    pub(super) fn new(entry: Announced, profile: &Profile) -> Self {
        Self {
            entry,
            streamed: false,
            record: None,
            builder: FileBuilder::new(profile),
            sha256: Sha256::new(),
            size: 0,
            runs: Vec::new(),
            references: Vec::new(),
            since_record: 0,
        }
    }

    /// Remembers where leaves begin, up to one more run than the manifest would list.
    fn run(&mut self, offset: u64, position: u64) {
        if self.runs.len() <= MAX_RUNS {
            self.runs.push(Run { offset, position });
        }
    }

    /// Writes the batch that announces the file, once.
    fn announce<W: LayerWrite>(&mut self, sections: &mut Sections<W>) -> io::Result<()> {
        let batch = Batch::encode(&sections.pack, std::slice::from_ref(&self.entry));
        self.record = Some(sections.record(&batch)?);
        Ok(())
    }

    /// Says to whom the next leaves belong, and which earlier leaves come before them.
    fn resume<W: LayerWrite>(&mut self, sections: &mut Sections<W>) -> io::Result<()> {
        let references = std::mem::take(&mut self.references);
        let referred: u64 = references.iter().map(|leaf| leaf.len).sum();
        let record = Resume::new(self.entry.id, self.size - referred, references);
        sections.record(&record.encode(&sections.pack))?;
        self.since_record = 0;
        Ok(())
    }
}

impl<W: LayerWrite> Settled<W> {
    pub(super) fn leaf(&mut self, id: u64, data: &[u8], cid: Cid) -> io::Result<()> {
        let Some(file) = self.open.get_mut(&id) else {
            return Err(io::ErrorKind::InvalidInput.into());
        };
        let sections = &mut self.sections;
        if file.record.is_none() {
            file.announce(sections)?;
            self.current = Some(id);
        }
        file.sha256.update(data);
        let len = data.len() as u64;
        let offset = file.size;
        if let Some(position) = sections.find(&cid)? {
            file.run(offset, position);
            file.references.push(Reference { cid, len });
            file.size += len;
            if file.references.len() == Resume::MAX_REFERENCES {
                file.resume(sections)?;
                self.current = Some(id);
            }
        } else {
            let resumes = !file.references.is_empty()
                || self.current != Some(id)
                || file.since_record >= RESUME_EVERY;
            if resumes {
                file.resume(sections)?;
                self.current = Some(id);
            }
            let position = sections.content(&cid, data)?;
            if resumes || file.since_record == 0 {
                file.run(offset, position);
            }
            file.size += len;
            file.since_record += len;
        }
        file.builder.add_leaf(cid, len, &mut |cid, node| sections.content(cid, node).map(drop))
    }

    pub(super) fn end(&mut self, id: u64, how: Ending) -> io::Result<()> {
        let Some(mut file) = self.open.remove(&id) else {
            return Err(io::ErrorKind::InvalidInput.into());
        };
        if !file.references.is_empty() {
            file.resume(&mut self.sections)?;
        }
        self.current = None;
        let changed = how == Ending::Changed;
        let mut end =
            End { id, path: file.entry.path.clone(), size: file.size, proof: None, changed };
        let Some(record) = file.record.filter(|_| how != Ending::Abandoned) else {
            return self.sections.record(&end.encode(&self.sections.pack)).map(drop);
        };
        let sections = &mut self.sections;
        let root = file.builder.finish(&mut |cid, node| sections.content(cid, node).map(drop))?;
        let sha256 = file.sha256.finalize().into();
        end.proof = Some((root.cid, sha256));
        sections.record(&end.encode(&sections.pack))?;
        if changed {
            self.problem(&end.path, ProblemKind::Changed);
        }
        let mut entry = file.entry;
        entry.size = Some(file.size);
        self.size += file.size;
        let link = Link::from(root);
        self.keep_original(id, link);
        // The digest of a single leaf is told by the link, where there is one.
        let sha256 = Some(sha256).filter(|_| link.cid.codec() != RAW);
        self.list(entry, record, Some(link), file.runs, sha256)
    }
}

/// A resume record stands at least every so many bytes of one file.
const RESUME_EVERY: u64 = 4 << 20;
