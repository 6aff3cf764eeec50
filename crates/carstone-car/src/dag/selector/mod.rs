//! Selectors: which links of a DAG are followed.

mod apply;
mod parse;
mod state;

use std::sync::Arc;

pub(crate) use apply::{Link, select};
pub(crate) use state::State;

/// An expression that says which links of a DAG are followed, see <https://ipld.io/specs/selectors/>. Counterpart of what go-car takes after
/// `get-dag --selector`.
///
/// Nodes are as the IPLD data model has them. A dag-pb node is a map of `Links`, a list of maps of `Hash`, `Name` and `Tsize`, and `Data`, so
/// that the way to its first child is `Links/0/Hash`.
///
/// These parts are known: *matcher* `.`, *explore all* `a`, *explore fields* `f`, *explore index* `i`, *explore range* `r`, *explore recursive*
/// `R` with the limits `none` and `depth`, its *edge* `@`, *explore union* `|`. All others are an
/// [error](super::DagErrorKind::UnsupportedSelector): conditions and `stopAt`, *interpret as*, subsets of matchers.
///
/// As it is blocks that are wanted, a matcher does nothing but end a branch: what counts is which links are gone through.
///
/// Two things differ from go-ipld-prime. Links are followed in the order in which they stand in the node, not in that of the fields of the
/// selector. And a `depth` is counted on each way, not for all branches of a union together.
///
/// ```
/// use carstone_car::dag::Selector;
/// let two_levels = r#"{"R": {"l": {"depth": 2}, ":>": {"a": {">": {"@": {}}}}}}"#;
/// Selector::parse(two_levels.as_bytes())?;
/// # Ok::<(), carstone_car::dag::DagError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Selector {
    parts: Arc<[Part]>,
}

/// A part of a selector. Others are told by their number in the list.
#[derive(Clone, Debug, PartialEq)]
enum Part {
    Matcher,
    All { next: usize },
    Fields { fields: Vec<(Vec<u8>, usize)> },
    Index { index: u64, next: usize },
    Range { start: u64, end: u64, next: usize },
    Recursive { limit: Option<u64>, body: usize },
    Edge { recursive: usize },
    Union { members: Vec<usize> },
}

impl Selector {
    /// The selector that follows every link: `{"R": {"l": {"none": {}}, ":>": {"a": {">": {"@": {}}}}}}`.
    pub fn all() -> Self {
        let parts = [
            Part::Recursive { limit: None, body: 1 },
            Part::All { next: 2 },
            Part::Edge { recursive: 0 },
        ];
        Selector { parts: Arc::new(parts) }
    }
}

const _: fn() = || {
    fn shared<T: Send + Sync>() {}
    shared::<Selector>();
};
