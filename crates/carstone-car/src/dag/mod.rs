//! DAGs: their links, walks through them, and CARs made of them, or of parts of them.
//!
//! ```
//! use carstone_car::{CarWriter, IndexedCar, cid_of, codec};
//! use carstone_car::dag::{ExportOptions, WalkOptions, check_complete, export};
//!
//! let leaf = cid_of(codec::RAW, b"hello");
//! let node = format!(r#"{{"greeting": {{"/": "{leaf}"}}}}"#);
//! let root = cid_of(codec::DAG_JSON, node.as_bytes());
//! let mut writer = CarWriter::new(Vec::new(), &[root])?;
//! writer.write_block(&leaf, b"hello")?;
//! writer.write_data(codec::RAW, b"nothing links to this")?;
//! writer.write_block(&root, node.as_bytes())?;
//! let car = IndexedCar::open(writer.finish()?)?;
//!
//! assert!(check_complete(&car, &[root], &WalkOptions::default(), 100)?.is_complete());
//! let (dag, done) = export(&car, &[root], Vec::new(), &ExportOptions::default())?; // The root first, then the leaf.
//! assert_eq!((done.blocks, done.len), (2, dag.len() as u64));
//! # Ok::<(), std::io::Error>(())
//! ```
//!
//! - [`Walk`] goes through a DAG depth-first, all of it or what a [`Selector`] says. Blocks come from any [`Blocks`].
//! - [`check_complete`] says what is missing, [`implicit_roots`] which blocks nothing links to.
//! - [`export`] writes a DAG as a CAR; [`split`] and [`split_dag`] cut a CAR or DAG into CARs of limited size, [`join`] puts them together;
//!   [`filter`] keeps some blocks of a CAR.
//! - [`links`] reads the links of one block.
//!
//! Links are found in dag-pb, dag-cbor and dag-json. What is not known is reported, not guessed: it is an error that says in which block, on which
//! way, at which byte. Nothing recurses on what is read, and every walk has [budgets](WalkLimits).
//!
//! Nothing here knows of files and directories; `carstone-unixfs` does.

mod blocks;
mod complete;
mod error;
mod export;
mod filter;
mod implicit;
mod node;
mod options;
mod seen;
mod selector;
mod split;
mod walk;

pub use blocks::{Blocks, BlocksFromFn, blocks_from_fn};
pub use complete::{Completeness, check_complete};
pub use error::{Budget, DagError, DagErrorKind, Result};
pub use export::{ExportOptions, Exported, export, export_to, measure};
pub use filter::{CidFilter, Filtered, filter, filter_to};
pub use implicit::implicit_roots;
pub use node::{can_have_links, links};
pub use options::{NodeLimits, WalkLimits, WalkOptions};
pub use selector::Selector;
pub use split::{
    JoinOptions, Joined, Parts, Split, SplitOptions, join, joined_roots, no_root, split, split_dag,
};
pub use walk::{Visit, Walk};
