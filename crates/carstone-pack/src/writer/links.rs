//! What the open directories link to so far: a stack that holds little of itself in memory.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom, Write};

use carstone_car::Cid;
use carstone_unixfs::Link;

/// Names and links, those of the innermost directory last. Above a budget they move to an unnamed temporary file.
pub(super) struct LinkStack {
    /// What is not in the file, as records of [`encode`].
    memory: Vec<u8>,
    budget: usize,
    file: Option<File>,
    /// Bytes in the file that count; they lie below those in memory.
    spilled: u64,
}

impl LinkStack {
    /// Keeps about `budget` bytes in memory.
    pub(super) fn new(budget: usize) -> Self {
        Self { memory: Vec::new(), budget, file: None, spilled: 0 }
    }

    /// Where the next record will begin.
    pub(super) fn top(&self) -> u64 {
        self.spilled + self.memory.len() as u64
    }

    pub(super) fn push(&mut self, name: &str, link: &Link) -> io::Result<()> {
        encode(&mut self.memory, name, link)?;
        if self.memory.len() <= self.budget {
            return Ok(());
        }
        let file = match &mut self.file {
            Some(file) => file,
            none => none.insert(tempfile::tempfile()?),
        };
        file.seek(SeekFrom::Start(self.spilled))?;
        file.write_all(&self.memory)?;
        self.spilled += self.memory.len() as u64;
        self.memory.clear();
        Ok(())
    }

    /// Takes off all records from `start` on, and hands them to `take` in the order in which they came.
    pub(super) fn pop(
        &mut self,
        start: u64,
        mut take: impl FnMut(&str, Link) -> io::Result<()>,
    ) -> io::Result<()> {
        let in_file = self.spilled.saturating_sub(start);
        if in_file > 0
            && let Some(mut file) = self.file.as_ref()
        {
            file.seek(SeekFrom::Start(start))?;
            decode_all(BufReader::with_capacity(READ_AHEAD, file.take(in_file)), &mut take)?;
        }
        // No record lies across the two: the memory is written out whole.
        let from = usize::try_from(start.saturating_sub(self.spilled)).unwrap_or(usize::MAX);
        decode_all(self.memory.get(from..).unwrap_or_default(), &mut take)?;
        self.memory.truncate(from);
        self.spilled = self.spilled.min(start);
        Ok(())
    }
}

/// Appends `u64 tsize ‖ u32 length of the name ‖ u32 length of the CID ‖ name ‖ CID`.
pub(super) fn encode(out: &mut Vec<u8>, name: &str, link: &Link) -> io::Result<()> {
    let lengths = u32::try_from(name.len()).ok().zip(u32::try_from(link.cid.encoded_len()).ok());
    let (name_len, cid_len) = lengths.ok_or(io::ErrorKind::FileTooLarge)?;
    out.extend_from_slice(&link.tsize.to_le_bytes());
    out.extend_from_slice(&name_len.to_le_bytes());
    out.extend_from_slice(&cid_len.to_le_bytes());
    out.extend_from_slice(name.as_bytes());
    link.cid.write_bytes(out).map(drop).map_err(io::Error::other)
}

/// Reads what [`encode`] wrote, record by record.
pub(super) fn decode_all(
    mut input: impl Read,
    take: &mut dyn FnMut(&str, Link) -> io::Result<()>,
) -> io::Result<()> {
    let (mut head, mut body) = ([0; 16], Vec::new());
    loop {
        match input.read(&mut head[..1])? {
            0 => return Ok(()),
            _ => input.read_exact(&mut head[1..])?,
        }
        let [mut tsize, mut name_len, mut cid_len] = [[0; 8]; 3];
        tsize.copy_from_slice(&head[..8]);
        name_len[..4].copy_from_slice(&head[8..12]);
        cid_len[..4].copy_from_slice(&head[12..]);
        let [name_len, cid_len] = [name_len, cid_len].map(|len| u64::from_le_bytes(len) as usize);
        body.resize(name_len + cid_len, 0); // These lengths are our own.
        input.read_exact(&mut body)?;
        let (name, cid) = body.split_at(name_len);
        let name = std::str::from_utf8(name).map_err(io::Error::other)?;
        let cid = Cid::read_bytes(cid).map_err(io::Error::other)?;
        take(name, Link { cid, tsize: u64::from_le_bytes(tsize) })?;
    }
}

/// How much is read at once from the file.
const READ_AHEAD: usize = 256 << 10;

#[cfg(test)]
mod tests {
    use super::*;
    use carstone_unixfs::{Profile, leaf_cid};

    fn link(n: u64) -> Link {
        let cid = match n % 2 {
            0 => leaf_cid(&n.to_le_bytes()),
            _ => Profile::unixfs_v0_2015().node_cid(&n.to_le_bytes()),
        };
        Link { cid, tsize: n }
    }

    #[test]
    fn what_was_pushed_comes_off_in_order_whether_it_was_spilled_or_not() {
        for budget in [0, 1, 100, 500, 1 << 20] {
            let mut stack = LinkStack::new(budget);
            // Directories within directories, as a tree of this shape makes them.
            let (mut starts, mut expected, mut n) = (Vec::new(), Vec::new(), 0);
            for depth in 0..20_u64 {
                starts.push(stack.top());
                expected.push(Vec::new());
                for _ in 0..depth % 5 {
                    stack.push(&n.to_string(), &link(n)).expect("memory or a temporary file");
                    expected[depth as usize].push(n);
                    n += 1;
                }
            }
            while let (Some(start), Some(expected)) = (starts.pop(), expected.pop()) {
                let mut came = Vec::new();
                let take = |name: &str, found: Link| {
                    assert_eq!(
                        (name, found),
                        (found.tsize.to_string().as_str(), link(found.tsize))
                    );
                    came.push(found.tsize);
                    Ok(())
                };
                stack.pop(start, take).expect("memory or a temporary file");
                assert_eq!(came, expected, "budget {budget}");
                assert_eq!(stack.top(), start);
            }
        }
    }
}
