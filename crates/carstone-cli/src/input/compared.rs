//! The index of a CARv2, compared with its blocks.

use carstone::car::ErrorKind;

use super::{PlainCar, chain};

/// What is said of an index.
#[derive(Default)]
pub(crate) struct Compared {
    /// Its entries; `None` where there is no index that can be compared.
    pub entries: Option<u64>,
    /// What is wrong with it, and where in the file.
    pub faults: Vec<(Option<u64>, String)>,
}

impl PlainCar {
    /// What is wrong with the header of a CARv2, and where.
    pub(crate) fn front_fault(&self) -> Option<(Option<u64>, String)> {
        self.cut_fault().map(|error| (error.file_offset(), chain(error)))
    }

    /// Whether every section is where the index says, and in the index.
    pub(crate) fn compare_index(&self) -> anyhow::Result<Compared> {
        let told = |error: &carstone::car::Error| (error.file_offset(), chain(error));
        let mut faults: Vec<_> = self.faults().map(told).collect();
        let report = match self.check_index() {
            Ok(Some(report)) => report,
            Ok(None) => return Ok(Compared { entries: None, faults }),
            Err(error) if matches!(error.kind(), ErrorKind::Io(_)) => return Err(error.into()),
            Err(error) => {
                faults.push(told(&error));
                return Ok(Compared { entries: None, faults });
            }
        };
        let start = self.v2().map_or(0, |v2| v2.data_offset);
        for (count, first, what) in [
            (report.missing, report.first_missing, "sections are not in the index"),
            (report.wrong, report.first_wrong, "entries of the index lead to no section of theirs"),
        ] {
            let first = first.map(|offset| offset.saturating_add(start));
            let at = first.map_or_else(String::new, |at| format!(", first at byte {at}"));
            if count > 0 {
                faults.push((first, format!("{count} {what}{at}")));
            }
        }
        Ok(Compared { entries: Some(report.entries), faults })
    }
}
