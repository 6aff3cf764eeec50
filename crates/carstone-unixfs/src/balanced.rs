//! The right edge of a tree whose leaves all have the same depth.

use std::io;

use crate::BlockSink;
use crate::file::FileRoot;
use crate::metadata::Tail;
use crate::open_node::OpenNode;
use crate::profile::Profile;

/// One open node per level, from the nodes above the leaves up to the root.
#[derive(Debug, Default)]
pub(crate) struct Balanced {
    levels: Vec<OpenNode>,
    /// The root will get metadata: a full node that may be the root waits for what comes.
    keeps_root: bool,
}

impl Balanced {
    pub(crate) fn new(tail: &Tail) -> Self {
        Self { levels: Vec::new(), keeps_root: !tail.is_empty() }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.levels.is_empty()
    }

    pub(crate) fn add(
        &mut self,
        leaf: FileRoot,
        profile: &Profile,
        sink: &mut BlockSink<'_>,
    ) -> io::Result<()> {
        self.push(0, leaf, profile, sink)
    }

    /// Emits what is open, and returns the root. There is a leaf.
    pub(crate) fn finish(
        mut self,
        profile: &Profile,
        tail: &Tail,
        sink: &mut BlockSink<'_>,
    ) -> io::Result<FileRoot> {
        let mut level = 0;
        loop {
            let (is_top, node) = (level + 1 == self.levels.len(), &mut self.levels[level]);
            match node.only_child().filter(|_| tail.is_empty()) {
                Some(root) if is_top => return Ok(root),
                _ if is_top => return node.emit(profile, tail, sink),
                _ if node.count() > 0 => {
                    let node = node.emit(profile, &Tail::NONE, sink)?;
                    self.push(level + 1, node, profile, sink)?;
                }
                _ => {}
            }
            level += 1;
        }
    }

    fn push(
        &mut self,
        mut level: usize,
        mut child: FileRoot,
        profile: &Profile,
        sink: &mut BlockSink<'_>,
    ) -> io::Result<()> {
        loop {
            self.make_room(level, profile, sink)?;
            self.levels[level].add(child)?;
            let may_wait = self.keeps_root && level + 1 == self.levels.len();
            if self.levels[level].count() < profile.width() || may_wait {
                return Ok(());
            }
            child = self.levels[level].emit(profile, &Tail::NONE, sink)?;
            level += 1;
        }
    }

    /// Makes the level where there is none. A full node that has waited there is the root no longer.
    fn make_room(
        &mut self,
        level: usize,
        profile: &Profile,
        sink: &mut BlockSink<'_>,
    ) -> io::Result<()> {
        if level == self.levels.len() {
            self.levels.push(OpenNode::default());
        }
        if self.levels[level].count() == profile.width() {
            let full = self.levels[level].emit(profile, &Tail::NONE, sink)?;
            let mut above = OpenNode::default();
            above.add(full)?;
            self.levels.push(above);
        }
        Ok(())
    }
}
