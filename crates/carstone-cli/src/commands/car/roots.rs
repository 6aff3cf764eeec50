//! `carstone car roots`: where a CAR is to be read from.

use anyhow::Context;
use carstone::car::dag::{WalkLimits, implicit_roots};
use carstone::car::{Cid, ReaderOptions};
use serde_json::Map;

use super::files::streamed;
use crate::cli::RootsArgs;
use crate::exit::Exit;
use crate::output::Output;

/// Prints one root a line.
pub(super) fn run(
    args: &RootsArgs,
    reading: ReaderOptions,
    output: &mut Output,
) -> anyhow::Result<Exit> {
    let mut input = streamed(&args.input.car, reading)?;
    let roots = match args.implicit {
        true => {
            implicit_roots(&mut input.car, &WalkLimits::default()).with_context(|| input.name)?
        }
        false => input.car.roots().to_vec(),
    };
    for root in roots {
        let root = if args.cid_v1 { Cid::new_v1(root.codec(), *root.hash()) } else { root };
        if output.is_json() {
            let fields = Map::from_iter([("cid".to_owned(), root.to_string().into())]);
            output.object("root", fields)?;
        } else {
            output.line(root.to_string().as_bytes())?;
        }
    }
    Ok(Exit::Intact)
}
