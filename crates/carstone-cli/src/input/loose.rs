//! Blocks to which none links, since what linked to them is lost.

use carstone::car::Cid;

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
        let mut loose = [tops, loose].concat();
        loose.retain(|cid| !self.roots().contains(cid));
        Ok(self.loose.get_or_init(|| loose))
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
