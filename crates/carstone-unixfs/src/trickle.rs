//! The right edge of a tree that grows from its root: leaves first, then higher and higher subtrees.

use std::io;

use crate::BlockSink;
use crate::file::FileRoot;
use crate::metadata::Tail;
use crate::open_node::OpenNode;
use crate::profile::Profile;

/// The open nodes from the root down, none but the root full, and the root never.
#[derive(Debug)]
pub(crate) struct Trickle {
    path: Vec<Subtree>,
    /// A node that was emitted: its allocations serve the next.
    spare: OpenNode,
}

#[derive(Debug, Default)]
struct Subtree {
    node: OpenNode,
    /// The most children it takes: as many leaves as the profile's width, and subtrees of every lower height.
    room: usize,
}

impl Trickle {
    pub(crate) fn new() -> Self {
        let root = Subtree { node: OpenNode::default(), room: usize::MAX };
        Self { path: vec![root], spare: OpenNode::default() }
    }

    pub(crate) fn add(
        &mut self,
        leaf: FileRoot,
        profile: &Profile,
        sink: &mut BlockSink<'_>,
    ) -> io::Result<()> {
        let subtrees = self.last().node.count().checked_sub(profile.width());
        if let Some(subtrees) = subtrees {
            // Of height 1, which have leaves only, are the first four, of height 2 the next, and so on.
            let lower_heights = subtrees / REPEAT;
            let room = profile.width() + lower_heights * REPEAT;
            self.path.push(Subtree { node: std::mem::take(&mut self.spare), room });
        }
        self.last().node.add(leaf)?;
        while self.last().is_full() {
            self.close(profile, sink)?;
        }
        Ok(())
    }

    /// Emits what is open, and returns the root.
    pub(crate) fn finish(
        mut self,
        profile: &Profile,
        tail: &Tail,
        sink: &mut BlockSink<'_>,
    ) -> io::Result<FileRoot> {
        while self.path.len() > 1 {
            self.close(profile, sink)?;
        }
        self.last().node.emit(profile, tail, sink)
    }

    /// Emits the lowest node, which is not the root.
    fn close(&mut self, profile: &Profile, sink: &mut BlockSink<'_>) -> io::Result<()> {
        let Some(mut lowest) = self.path.pop() else { return Ok(()) };
        let node = lowest.node.emit(profile, &Tail::NONE, sink)?;
        self.spare = lowest.node;
        Ok(self.last().node.add(node)?)
    }

    fn last(&mut self) -> &mut Subtree {
        self.path.last_mut().expect("the root is never taken off the path")
    }
}

impl Subtree {
    fn is_full(&self) -> bool {
        self.node.count() == self.room
    }
}

/// Subtrees of equal height in a node.
const REPEAT: usize = 4;
