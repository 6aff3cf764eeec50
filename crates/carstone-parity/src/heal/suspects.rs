//! Cells that are only assumed to be right, and are not.

use std::collections::BTreeMap;
use std::sync::Mutex;

use carstone_layer::ReadAt;

use super::Heal;
use crate::desk::Desk;
use crate::find::State;
use crate::locate::{Code, locate};
use crate::survey::Zone;
use crate::workers::{into_inner, lock};
use crate::{Error, WriteAt};

impl<S, P, W> Heal<'_, S, P, W>
where
    S: ReadAt + Sync + ?Sized,
    P: ReadAt + Sync,
    W: WriteAt + ReadAt + Sync + ?Sized,
{
    /// Finds out which of the assumed cells of a zone are wrong, where it lost fewer than it has recovery cells and has too few to restore all of them: those
    /// count as lost from then on. Says what the zone lacks.
    ///
    /// Where that cannot be told the stream is not whole, so that less `effort` is made for zones behind.
    pub(super) fn suspect(
        &self,
        number: u32,
        zone: Zone,
        effort: &mut usize,
        desk: &mut Desk,
    ) -> Result<Zone, Error> {
        let lacks = zone.lost.saturating_add(zone.assumed);
        if zone.assumed == 0 || zone.lost >= zone.left || lacks <= zone.left {
            return Ok(zone);
        }
        let layout = self.parity.descriptor().layout();
        let (cell_len, all) = (layout.cell_len() as usize, layout.recovery() as usize);
        let cells: Vec<u64> = layout.cells_of_zone(number).collect();
        let assumed = Mutex::new(Vec::new());
        desk.load(cells.len(), cell_len, &[], |shards, bytes, lost| {
            for (shard, bytes) in shards.zip(bytes.chunks_exact_mut(cell_len)) {
                if !self.read(cells[shard], bytes)? {
                    bytes.fill(0);
                    lost.push(shard);
                } else if matches!(self.survey.found.state(cells[shard]), State::Assumed(_)) {
                    lock(&assumed).push(shard);
                }
            }
            Ok(())
        })?;
        let mut assumed = into_inner(assumed);
        assumed.sort_unstable();
        let syndromes: BTreeMap<usize, Mutex<Vec<u8>>> = self
            .recovery(number, zone.left, desk.threads())?
            .into_iter()
            .map(|(number, cell)| (number, Mutex::new(cell)))
            .collect();
        desk.each_made(&desk.encode(all)?, |number, made| {
            if let Some(syndrome) = syndromes.get(&number) {
                lock(syndrome).iter_mut().zip(made).for_each(|(byte, made)| *byte ^= made);
            }
            Ok(())
        })?;
        let syndromes: Vec<(usize, Vec<u8>)> =
            syndromes.into_iter().map(|(number, cell)| (number, into_inner(cell))).collect();
        let code = Code { originals: cells.len(), recoveries: all };
        let Some(wrong) = locate(code, &syndromes, desk.lost(), &assumed, *effort, desk.threads())?
        else {
            *effort = LITTLE;
            return Ok(zone);
        };
        self.outcomes.lose(wrong.iter().filter_map(|shard| cells.get(*shard)).copied());
        let wrong = u32::try_from(wrong.len()).unwrap_or(0);
        Ok(Zone { lost: zone.lost + wrong, assumed: zone.assumed - wrong, ..zone })
    }
}

/// What is computed for a zone at most: a second or three where a zone has 1,400 recovery cells, and some ten where it has ten times as many.
pub(super) const MUCH: usize = 4_000_000_000;

/// The same in a tenth of the time: at 1,400 recovery cells, 98 % of what could be told still is.
const LITTLE: usize = 100_000_000;
