//! `carstone create --dry-run`: what would be packed.

use std::fs;

use carstone::pack::EntryKind;
use carstone::pack::fs::{FileId, Order, WalkEvent};
use serde_json::Map;

use super::settings::Settings;
use super::tree::Tree;
use super::{parity, report};
use crate::cli::CreateArgs;
use crate::exit::Exit;
use crate::keys::is_stdin;
use crate::names::human;
use crate::output::Output;
use crate::progress::Progress;
use crate::rows::{Row, Style};
use crate::sink;

/// Prints the names of what would be packed, as `list` does.
pub(super) fn run(
    args: &CreateArgs,
    settings: &Settings,
    output: &mut Output,
) -> anyhow::Result<Exit> {
    parity::Plan::of(args, settings.plain)?;
    let mut tree = Tree::new(args, settings)?;
    tree.options = tree.options.order(Order::Path);
    if let Some(path) = args.output.as_deref().filter(|path| !is_stdin(path)) {
        sink::check(path, args.force)?;
        if let Ok(replaced) = fs::metadata(path) {
            tree.options = tree.options.own_output(FileId::from(&replaced));
        }
    }
    let progress = Progress::new(output, "looking", None);
    let told = tree.dry_run(settings.plain, &mut |event| match event {
        WalkEvent::Entry { path, kind, size } => {
            let row = row(path, kind, size);
            progress.suspend(|| row.print(Style::Names, output))
        }
        event => report::tell(event, output, &progress),
    });
    progress.finish();
    let told = told.map_err(|failed| failed.into_any("dry run"))?;
    if output.is_json() {
        let mut fields = Map::new();
        fields.insert("dry_run".to_owned(), true.into());
        report::counts(&told, told.bytes, &mut fields);
        fields.insert("problems".to_owned(), output.problems().into());
        output.object("summary", fields)?;
    } else {
        output.note(&format!("{} files, {} would be packed", told.files, human(told.bytes)));
    }
    Ok(Exit::found(output.problems() > 0))
}

fn row(path: &[u8], kind: EntryKind, size: u64) -> Row {
    Row {
        path: path.to_vec(),
        kind,
        mode: None,
        mtime: None,
        size: (kind == EntryKind::File).then_some(size),
        sha256: None,
        target: None,
        complete: true,
        cid: None,
    }
}
