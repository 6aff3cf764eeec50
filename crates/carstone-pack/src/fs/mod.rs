//! Trees of the file system: into a pack, and out of one again.

mod add;
mod compare;
mod extract;
mod metadata;
mod restore;
mod walk;

pub use add::{SkipReason, TreeSummary, WalkEvent, add_tree, dry_run_tree};
pub use walk::{FileId, Order, TreeOptions, read_names};

pub use compare::{
    CompareObserver, CompareOptions, CompareReport, Difference, DifferenceKind, compare_dag,
    compare_tree,
};
pub use extract::{
    ExtractOptions, ExtractReport, Selection, extract_dag, extract_damaged, extract_events,
    extract_reader, extract_stream,
};
pub use restore::{
    NewFile, Overwrite, RestoreError, RestoreErrorKind, RestoreEvent, RestoreObserver,
    RestoreOptions, Restorer, Skip,
};
