//! Blocks to which none links, since what linked to them is lost.

use std::collections::HashSet;
use std::sync::OnceLock;

use carstone::car::Cid;
use carstone::unixfs::Limits;

use super::PlainCar;
use super::searched::{Keep, Places, places};
use crate::names;
use crate::output::Output;

impl PlainCar {
    /// Good nodes and leaves to which no good node links, besides the roots. Goes over all bytes the first time.
    pub(crate) fn loose(&self) -> anyhow::Result<&[Cid]> {
        if let Some(loose) = self.loose.get() {
            return Ok(loose);
        }
        let Places { tops, loose, .. } = places(self.payload(), 0, Keep::TOPS)?;
        Ok(self.loose.get_or_init(|| besides(self.roots(), &tops, &loose)))
    }

    /// How far a walk over its files goes: a DAG may repeat a part of itself so often that it has more paths than anybody has time for.
    pub(crate) fn limits(&self) -> Limits {
        let links = self.payload().len() / SHORTEST_LINK;
        Limits::default().with_nodes(MOST_PATHS.saturating_add(links.saturating_mul(REPEATED)))
    }

    /// Bytes of a file that are read only to tell which of them are lost.
    pub(crate) fn most_to_read(&self) -> u64 {
        self.payload().len().saturating_mul(64).saturating_add(1 << 30)
    }

    /// Takes this block for the only root.
    pub(crate) fn start_at(&mut self, root: Cid) {
        (self.roots, self.implied) = (vec![root], false);
        self.loose = OnceLock::from(Vec::new());
    }

    /// Keeps what no other block links to, and takes the tops of it for roots where the header names none.
    pub(super) fn imply(&mut self, tops: Vec<Cid>, loose: Vec<Cid>) {
        if self.roots.is_empty() {
            self.implied = !tops.is_empty();
            self.roots.clone_from(&tops);
        }
        self.loose = OnceLock::from(besides(&self.roots, &tops, &loose));
    }

    /// Says how many there are.
    pub(crate) fn note_loose(&self, name: &str, output: &mut Output) -> anyhow::Result<()> {
        let count = self.loose()?.len();
        if count > 0 {
            output.note(&format!(
                "{}: nothing that is left links to {}, which stand{} under the CID",
                names::escaped(name.as_bytes()),
                names::counted(count as u64, "block"),
                if count == 1 { "s" } else { "" },
            ));
        }
        Ok(())
    }
}

/// Paths that there may be, and how many for each link.
const MOST_PATHS: u64 = 1 << 20;
const REPEATED: u64 = 1024;
/// Bytes of a link in its block.
const SHORTEST_LINK: u64 = 40;

fn besides(roots: &[Cid], tops: &[Cid], loose: &[Cid]) -> Vec<Cid> {
    let roots: HashSet<&Cid> = roots.iter().collect();
    tops.iter().chain(loose).filter(|cid| !roots.contains(cid)).copied().collect()
}
