//! Rows of cells that are missing.

use std::ops::Range;

/// Says whether a cell is missing.
pub(crate) type IsMissing<'a> = &'a dyn Fn(u64) -> bool;

/// Rows of cells that are missing, each as long as possible.
pub(crate) fn missing_rows(cells: u64, is_missing: IsMissing<'_>) -> Vec<Range<u64>> {
    let mut rows: Vec<Range<u64>> = Vec::new();
    for cell in (0..cells).filter(|cell| is_missing(*cell)) {
        match rows.last_mut() {
            Some(row) if row.end == cell => row.end += 1,
            _ => rows.push(cell..cell + 1),
        }
    }
    rows
}

/// Cells that a row has at most unless it is long: what took more of them was a burst.
pub(crate) const LONG_ROW: u64 = 64;
