//! Jobs of an extraction from a stream on their way to the pool, and what comes back.

use std::ops::Range;
use std::sync::Arc;

use super::links::LeftOut;
use super::parts::Lacks;
use super::stream::Flow;
use super::write::{Done, Job, Leaf};
use crate::error::{Error, ErrorKind};
use crate::fs::restore::RestoreError;

impl Flow<'_> {
    /// Puts a leaf with others into a job, so that small files do not cost a job each.
    pub(super) fn add(&mut self, leaf: Leaf, cost: usize) {
        self.leaves.push(leaf);
        self.cost += cost + LEAF_COST;
        if self.cost >= JOB_BYTES || self.leaves.len() >= JOB_LEAVES {
            self.flush();
        }
    }

    /// Nothing more comes of a file.
    pub(super) fn incomplete(&mut self, id: u64, size: Option<u64>, missing: Vec<Range<u64>>) {
        self.unended.remove(&id);
        self.left_out.remove(&id);
        let (parts, keep) = (self.parts.remove(id), self.partial);
        if let Some(entry) = self.waiting.remove(&id) {
            if parts.is_empty() {
                self.problem(&entry.path, RestoreError::incomplete(size, missing));
            } else if let Some(output) = self.output_of_parts(&entry) {
                let lacks = Lacks { size, missing, parts };
                self.push(Job::Incomplete { output, id, lacks, keep }, 0);
            }
        } else if let Some(output) = self.open.get(&id) {
            let output = Arc::clone(output);
            self.flush();
            let lacks = Lacks { size, missing, parts };
            self.push(Job::Incomplete { output, id, lacks, keep }, 0);
            // Later entries may refer to its leaves, but not every damaged file can stay open.
            self.given_up.push_back(id);
            if self.given_up.len() > MOST_GIVEN_UP
                && let Some(id) = self.given_up.pop_front()
            {
                self.open.remove(&id);
            }
        }
        self.release_links(id);
    }

    pub(super) fn flush(&mut self) {
        let cost = std::mem::take(&mut self.cost);
        let leaves = std::mem::take(&mut self.leaves);
        if !leaves.is_empty() {
            self.push(Job::Leaves(leaves), cost);
        }
    }

    pub(super) fn push(&mut self, job: Job, cost: usize) {
        while let Some(done) = self.queue.pop_ready() {
            self.settle(done);
        }
        while !self.queue.has_room(cost) {
            match self.queue.pop() {
                Some(done) => self.settle(done),
                None => break,
            }
        }
        self.queue.push(job, cost);
    }

    pub(super) fn settle(&mut self, done: Result<Done, carstone_layer::Error>) {
        let done = match done {
            Ok(done) => done,
            Err(error) => {
                let error = Error::new(ErrorKind::Io(error.into()), 0);
                return self.problem(b"", error.into());
            }
        };
        done.events.into_iter().for_each(|event| self.tally.tell(event));
        for &id in &done.restored {
            self.restored.insert(id);
        }
        for (digest, len, placed) in done.placed {
            // Without a place, whoever refers to the leaf is told that it is lost.
            if let Some(placed) = placed
                && let Err(error) = self.places.insert(&digest, len, &placed)
            {
                self.problem(b"", RestoreError::system("note where a block is", error));
            }
            self.recent.remove(&digest);
        }
        for (id, digest, len) in done.left_out {
            let mut left_out = LeftOut::file();
            left_out.add(0, &digest);
            left_out.end(len, Some(digest));
            self.leave_out(id, left_out);
        }
        if let Some(id) = done.ended
            && done.restored.contains(&id)
        {
            // From now on its content is found under its name.
            self.open.remove(&id);
        }
        if let Some(entry) = done.link {
            self.link(&entry);
        }
    }
}

/// Leaves in one job.
const JOB_LEAVES: usize = 64;
/// What a leaf takes besides its bytes: the entry it is content of, and what is told of it.
const LEAF_COST: usize = 1 << 10;
/// Bytes in one job.
const JOB_BYTES: usize = 1 << 20;
/// Damaged files that stay open.
const MOST_GIVEN_UP: usize = 64;
