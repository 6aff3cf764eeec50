//! Chunks under construction, of many open entries at once, under one memory budget.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Seek, SeekFrom, Write};

use carstone_layer::ReadAt;

/// The unfinished chunk of each open entry. Above the budget, chunks move to an unnamed temporary file.
pub(super) struct Buffers {
    chunk: usize,
    budget: usize,
    in_memory: usize,
    open: HashMap<u64, Chunk>,
    spool: Option<File>,
    slots: u64,
    free: Vec<u64>,
}

enum Chunk {
    Memory(Vec<u8>),
    Spooled { slot: u64, len: usize },
}

impl Buffers {
    pub(super) fn new(chunk: usize, budget: usize) -> Self {
        let (open, free) = (HashMap::new(), Vec::new());
        Self { chunk, budget, in_memory: 0, open, spool: None, slots: 0, free }
    }

    /// Starts with an empty chunk.
    pub(super) fn open(&mut self, id: u64) {
        self.open.insert(id, Chunk::Memory(Vec::new()));
    }

    /// Whether the entry has a chunk here.
    pub(super) fn contains(&self, id: u64) -> bool {
        self.open.contains_key(&id)
    }

    /// Bytes the chunk still takes.
    pub(super) fn room(&self, id: u64) -> usize {
        self.chunk.saturating_sub(match self.open.get(&id) {
            Some(Chunk::Memory(data)) => data.len(),
            Some(Chunk::Spooled { len, .. }) => *len,
            None => self.chunk,
        })
    }

    /// Appends `bytes`, which must fit into [`room`](Self::room).
    pub(super) fn append(&mut self, id: u64, bytes: &[u8]) -> io::Result<()> {
        match self.open.get_mut(&id) {
            Some(Chunk::Memory(data)) => {
                data.extend_from_slice(bytes);
                self.in_memory += bytes.len();
            }
            Some(Chunk::Spooled { slot, len }) => {
                let spool = self.spool.as_mut().ok_or(io::ErrorKind::NotFound)?;
                spool.seek(SeekFrom::Start(*slot * self.chunk as u64 + *len as u64))?;
                spool.write_all(bytes)?;
                *len += bytes.len();
                return Ok(());
            }
            None => return Err(io::ErrorKind::NotFound.into()),
        }
        match self.in_memory > self.budget {
            true => self.spool(id),
            false => Ok(()),
        }
    }

    /// Takes the chunk out, and leaves an empty one.
    pub(super) fn take(&mut self, id: u64) -> io::Result<Vec<u8>> {
        let data = self.close(id)?;
        self.open(id);
        Ok(data)
    }

    /// Takes the chunk out for good.
    pub(super) fn close(&mut self, id: u64) -> io::Result<Vec<u8>> {
        match self.open.remove(&id) {
            Some(Chunk::Memory(data)) => {
                self.in_memory -= data.len();
                Ok(data)
            }
            Some(Chunk::Spooled { slot, len }) => {
                let spool = self.spool.as_ref().ok_or(io::ErrorKind::NotFound)?;
                let mut data = vec![0; len];
                spool.read_exact_at(&mut data, slot * self.chunk as u64)?;
                self.free.push(slot);
                Ok(data)
            }
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }

    /// Moves the chunk that has just grown to the temporary file.
    fn spool(&mut self, id: u64) -> io::Result<()> {
        let slot = self.free.pop().unwrap_or(self.slots);
        let spool = match &mut self.spool {
            Some(spool) => spool,
            none => none.insert(tempfile::tempfile()?),
        };
        if let Some(chunk) = self.open.get_mut(&id)
            && let Chunk::Memory(data) = chunk
        {
            spool.seek(SeekFrom::Start(slot * self.chunk as u64))?;
            spool.write_all(data)?;
            self.in_memory -= data.len();
            *chunk = Chunk::Spooled { slot, len: data.len() };
            self.slots = self.slots.max(slot + 1);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_over_the_budget_come_back_unchanged() {
        let mut buffers = Buffers::new(10, 25);
        (0..9).for_each(|id| buffers.open(id));
        for round in 0..2_u8 {
            for id in 0..9_u8 {
                buffers.append(id.into(), &[id * 10 + round; 4]).expect("there is room");
            }
        }
        for id in 0..9_u8 {
            assert_eq!(buffers.room(id.into()), 2);
            let data = buffers.close(id.into()).expect("it is open");
            assert_eq!(data, [[id * 10; 4], [id * 10 + 1; 4]].concat());
            assert!(!buffers.contains(id.into()));
        }
        assert!(buffers.close(0).is_err());
    }
}
