//! An inner node of a file that still takes children.

use std::io;

use carstone_car::Cid;

use crate::BlockSink;
use crate::dag_pb::{put_data, put_link};
use crate::decode::TYPE_FILE;
use crate::error::{Error, ErrorKind};
use crate::file::FileRoot;
use crate::inline;
use crate::metadata::Tail;
use crate::profile::Profile;
use crate::proto::put_number;

/// The children so far, in encoded pieces.
#[derive(Debug, Default)]
pub(crate) struct OpenNode {
    links: Vec<u8>,
    blocksizes: Vec<u8>,
    count: usize,
    size: u64,
    tsize: u64,
    last: Option<Cid>,
}

impl OpenNode {
    /// The number of children.
    pub(crate) fn count(&self) -> usize {
        self.count
    }

    pub(crate) fn add(&mut self, child: FileRoot) -> Result<(), Error> {
        let too_large = || Error::new(ErrorKind::TooLarge);
        self.size = self.size.checked_add(child.size).ok_or_else(too_large)?;
        self.tsize = self.tsize.checked_add(child.tsize).ok_or_else(too_large)?;
        // The name of a file's link is empty, and written all the same.
        put_link(&mut self.links, &child.cid, &[], child.tsize);
        put_number(&mut self.blocksizes, 4, child.size);
        self.last = Some(child.cid);
        self.count += 1;
        Ok(())
    }

    pub(crate) fn only_child(&self) -> Option<FileRoot> {
        let cid = self.last.filter(|_| self.count == 1)?;
        Some(FileRoot { cid, size: self.size, tsize: self.tsize })
    }

    /// Writes the node, `tail` at the end of its message, and leaves it without children.
    pub(crate) fn emit(
        &mut self,
        profile: &Profile,
        tail: &Tail,
        sink: &mut BlockSink<'_>,
    ) -> io::Result<FileRoot> {
        let mut data = Vec::with_capacity(self.blocksizes.len() + tail.bytes().len() + 16);
        put_number(&mut data, 1, TYPE_FILE);
        put_number(&mut data, 3, self.size);
        data.extend_from_slice(&self.blocksizes);
        data.extend_from_slice(tail.bytes());
        put_data(&mut self.links, &data);
        let (block, cid) = (&self.links, profile.node_cid(&self.links));
        inline::put(sink, &cid, block)?;
        let tsize = self.tsize.checked_add(block.len() as u64);
        let tsize = tsize.ok_or_else(|| Error::new(ErrorKind::TooLarge))?;
        let node = FileRoot { cid, size: self.size, tsize };
        self.links.clear(); // The allocations serve the next node.
        self.blocksizes.clear();
        (self.count, self.size, self.tsize, self.last) = (0, 0, 0, None);
        Ok(node)
    }
}
