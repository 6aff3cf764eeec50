//! Whether all content of a file is there, without reading what it repeats.

use std::collections::HashMap;
use std::ops::Range;

use carstone_car::Cid;

use crate::decode::{Node, decode};
use crate::error::{Error, ErrorKind};
use crate::limits::Limits;
use crate::source::{BlockSource, fetch_needed};

/// Fetches the blocks that hold a range of the content of a file, or all of it, parents before their children and each block once, and makes the checks
/// that [`FileReader`](crate::FileReader) makes. Gives the length of the whole file.
///
/// The time this takes is that of the blocks that there are, not of the content: a file may repeat a part of itself so often that it has more bytes than
/// anybody has time for.
///
/// ```
/// use std::collections::HashMap;
/// use carstone_unixfs::{Limits, Profile, check_file, write_file};
/// let mut blocks = HashMap::new();
/// let profile = Profile::default().with_chunk_size(4)?;
/// let root = write_file(&profile, &b"0123456789"[..], &mut |cid, data| {
///     blocks.insert(*cid, data.to_vec());
///     Ok(())
/// })?;
/// assert_eq!(check_file(&blocks, &root.cid, None, &Limits::default())?, 10);
/// blocks.retain(|_, data| data != b"4567");
/// assert!(check_file(&blocks, &root.cid, None, &Limits::default()).is_err());
/// assert_eq!(check_file(&blocks, &root.cid, Some(0..3), &Limits::default())?, 10);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// A block is missing, damaged, no part of a file, or of another size than its parent says; a limit, of which `depth` and `nodes` count.
pub fn check_file<S: BlockSource + ?Sized>(
    source: &S,
    root: &Cid,
    range: Option<Range<u64>>,
    limits: &Limits,
) -> Result<u64, Error> {
    let mut size_of_file = 0;
    let mut nodes = 0;
    // Sizes of those whose whole content has been looked at.
    let mut whole = HashMap::<Cid, u64>::new();
    let mut left =
        vec![Part { cid: *root, expected: None, range: range.unwrap_or(0..u64::MAX), depth: 1 }];
    while let Some(Part { cid, expected, range, depth }) = left.pop() {
        let refuse = |limit| Err(Error::new(ErrorKind::Limit(limit)).within(&cid));
        if let Some(&size) = whole.get(&cid) {
            check_size(&cid, expected, size)?;
            continue;
        }
        nodes += 1;
        if nodes > limits.nodes {
            return refuse("nodes");
        }
        if depth > limits.depth {
            return refuse("depth");
        }
        let block = fetch_needed(source, &cid)?;
        let file = match decode(&cid, &block)? {
            Node::Raw(data) => {
                let size = data.len() as u64;
                check_size(&cid, expected, size)?;
                whole.insert(cid, size);
                if depth == 1 {
                    size_of_file = size;
                }
                continue;
            }
            Node::File(file) => file,
            _ => return Err(Error::new(ErrorKind::NotAFile).within(&cid)),
        };
        check_size(&cid, expected, file.size)?;
        if depth == 1 {
            size_of_file = file.size;
        }
        if range.start == 0 && range.end >= file.size {
            whole.insert(cid, file.size);
        }
        let first = left.len();
        let mut start = file.data.len() as u64;
        for (size, link) in file.blocksizes.into_iter().zip(file.links) {
            // No sum can overflow: `decode` has added up the same numbers.
            let end = start + size;
            let inside = range.start.max(start)..range.end.min(end);
            if inside.start < inside.end {
                left.push(Part {
                    cid: link.cid,
                    expected: Some(size),
                    range: inside.start - start..inside.end - start,
                    depth: depth + 1,
                });
            }
            start = end;
        }
        left[first..].reverse();
    }
    Ok(size_of_file)
}

/// A block that is to be looked at.
struct Part {
    cid: Cid,
    /// Its size, as its parent says.
    expected: Option<u64>,
    /// Bytes of its content that are wanted.
    range: Range<u64>,
    depth: usize,
}

fn check_size(cid: &Cid, expected: Option<u64>, actual: u64) -> Result<(), Error> {
    match expected {
        Some(expected) if expected != actual => {
            Err(Error::new(ErrorKind::SizeMismatch { expected, actual }).within(cid))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use proptest::prelude::*;

    use super::*;
    use crate::{FileReader, Layout, Profile, write_file};

    type Blocks = HashMap<Cid, Vec<u8>>;

    fn file(content: &[u8], profile: &Profile) -> (Blocks, Cid) {
        let mut blocks = Blocks::new();
        let root = write_file(profile, content, &mut |cid, data| {
            blocks.insert(*cid, data.to_vec());
            Ok(())
        });
        (blocks, root.expect("written").cid)
    }

    proptest! {
        #[test]
        fn it_is_whole_exactly_if_it_can_be_read(
            content in prop::collection::vec(0_u8..4, 0..200),
            chunk in 1_usize..9,
            trickle in any::<bool>(),
            lost in any::<prop::sample::Index>(),
            from in 0_u64..200,
            len in 1_u64..60,
        ) {
            let layout = if trickle { Layout::Trickle } else { Layout::Balanced };
            let profile = Profile::default().with_chunk_size(chunk).expect("fine");
            let profile = profile.with_width(3).expect("fine").with_layout(layout);
            let (mut blocks, root) = file(&content, &profile);
            let mut cids: Vec<_> = blocks.keys().copied().collect();
            cids.sort();
            let size = check_file(&blocks, &root, None, &Limits::default()).expect("whole");
            prop_assert_eq!(size, content.len() as u64);
            blocks.remove(&cids[lost.index(cids.len())]);
            let mut read = Vec::new();
            let all = FileReader::open(&blocks, &root).is_ok_and(|mut file| file.read_to_end(&mut read).is_ok());
            prop_assert_eq!(check_file(&blocks, &root, None, &Limits::default()).is_ok(), all);
            let range = from.min(size)..(from + len).min(size);
            let part = FileReader::open(&blocks, &root).is_ok_and(|mut file| {
                std::io::Seek::seek(&mut file, std::io::SeekFrom::Start(range.start)).is_ok()
                    && file.take(range.end - range.start).read_to_end(&mut read).is_ok()
            });
            let checked = check_file(&blocks, &root, Some(range), &Limits::default());
            prop_assert_eq!(checked.is_ok(), part);
        }
    }

    #[test]
    fn what_repeats_itself_takes_no_longer_for_that() {
        // 2⁶⁰ bytes of one leaf, each node twice in the one above.
        let profile = Profile::default().with_chunk_size(1).expect("fine");
        let profile = profile.with_width(2).expect("fine");
        let mut blocks = Blocks::new();
        let (leaf, _) = file(b"x", &profile);
        let mut child = *leaf.keys().next().expect("a leaf");
        blocks.extend(leaf);
        for level in 0..60 {
            let size = 1_u64 << level;
            let mut node = crate::open_node::OpenNode::default();
            for _ in 0..2 {
                node.add(crate::FileRoot { cid: child, size, tsize: size }).expect("small");
            }
            let mut sink = |cid: &Cid, data: &[u8]| {
                blocks.insert(*cid, data.to_vec());
                Ok(())
            };
            let tail = crate::metadata::Tail::default();
            child = node.emit(&profile, &tail, &mut sink).expect("a node").cid;
        }
        let size = check_file(&blocks, &child, None, &Limits::default()).expect("whole");
        assert_eq!(size, 1 << 60);
        let part = Some((1 << 59) - 5..(1 << 59) + 5);
        assert_eq!(check_file(&blocks, &child, part, &Limits::default()).expect("whole"), size);
        let few = Limits::default().with_nodes(30);
        assert!(check_file(&blocks, &child, None, &few).is_err());
    }
}
