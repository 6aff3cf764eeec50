//! A plain CARv1 in a file: its blocks by CID.

use std::fs::File;
use std::io::{self, BufReader, Seek, SeekFrom};
use std::sync::Arc;

use anyhow::bail;
use carstone::car::{self, CarReader, Cid, Limits, parse_section, verify};
use carstone::layer::{ReadAt, read_full};
use carstone::unixfs::BlockSource;

use crate::signals;

/// The blocks of a CAR, found by one pass over its section heads. Sixteen bytes a block are in memory.
#[derive(Clone)]
pub(crate) struct PlainCar {
    file: Arc<File>,
    roots: Vec<Cid>,
    /// Prefix of the digest and offset of the section, sorted.
    index: Arc<Vec<(u64, u64)>>,
    fault: Option<Arc<car::Error>>,
}

impl PlainCar {
    /// Reads the header and finds all blocks. A CAR that is cut keeps the blocks before the cut, and a
    /// [`fault`](Self::fault).
    pub(crate) fn open(file: File) -> anyhow::Result<Self> {
        (&file).seek(SeekFrom::Start(0))?;
        let mut reader = CarReader::open(BufReader::with_capacity(64 << 10, &file))?;
        let roots = reader.roots().to_vec();
        if roots.is_empty() {
            bail!("the CAR has no root, so it holds no files");
        }
        let (mut index, mut fault) = (Vec::new(), None);
        loop {
            match reader.skip_section() {
                Ok(Some(section)) => index.push((prefix(&section.cid), section.offset)),
                Ok(None) => break,
                Err(error) => {
                    fault = Some(Arc::new(error));
                    break;
                }
            }
        }
        drop(reader);
        index.sort_unstable();
        Ok(Self { file: Arc::new(file), roots, index: Arc::new(index), fault })
    }

    /// The root CIDs.
    pub(crate) fn roots(&self) -> &[Cid] {
        &self.roots
    }

    /// How many blocks there are.
    pub(crate) fn blocks(&self) -> usize {
        self.index.len()
    }

    /// What stopped the pass over the blocks.
    pub(crate) fn fault(&self) -> Option<&car::Error> {
        self.fault.as_deref()
    }

    /// The file.
    pub(crate) fn file(&self) -> &File {
        &self.file
    }

    /// Offset and length of a block's data.
    fn locate(&self, cid: &Cid) -> io::Result<Option<(u64, usize)>> {
        let wanted = prefix(cid);
        let from = self.index.partition_point(|(prefix, _)| *prefix < wanted);
        for &(_, offset) in self.index[from..].iter().take_while(|(prefix, _)| *prefix == wanted) {
            // The longest head that carstone's hash functions need is far below this.
            let mut head = [0; 256];
            let n = read_full(&*self.file, &mut head, offset)?;
            let Ok(head) = parse_section(&head[..n], &Limits::default()) else { continue };
            if head.cid.hash() == cid.hash() {
                return Ok(Some((offset.saturating_add(head.head_len as u64), head.data_len)));
            }
        }
        Ok(None)
    }
}

impl BlockSource for PlainCar {
    fn block(&self, cid: &Cid) -> io::Result<Option<Vec<u8>>> {
        signals::check()?;
        let Some((at, len)) = self.locate(cid)? else { return Ok(None) };
        // `len` is at most the limit of a section, 8 MiB.
        let mut data = vec![0; len];
        match self.file.read_exact_at(&mut data, at) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
            other => other?,
        }
        // A block that is not what its CID says is as good as absent.
        Ok(verify(cid, &data).is_ok().then_some(data))
    }

    fn size(&self, cid: &Cid) -> io::Result<Option<u64>> {
        Ok(self.locate(cid)?.map(|(_, len)| len as u64))
    }
}

fn prefix(cid: &Cid) -> u64 {
    let digest = cid.hash().digest();
    let mut bytes = [0; 8];
    let n = digest.len().min(8);
    bytes[..n].copy_from_slice(&digest[..n]);
    u64::from_be_bytes(bytes)
}
