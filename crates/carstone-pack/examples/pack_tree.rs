//! Packs files and directories into a plain CAR: `pack_tree OUTPUT.car INPUT...`.

use std::fs::File;
use std::io::{self, BufWriter};
use std::path::PathBuf;
use std::process::ExitCode;

use carstone_pack::PlainWriter;
use carstone_pack::fs::{FileId, TreeOptions, WalkEvent, add_tree};

fn main() -> io::Result<ExitCode> {
    let mut arguments = std::env::args_os().skip(1).map(PathBuf::from);
    let Some(output) = arguments.next() else {
        eprintln!("usage: pack_tree OUTPUT.car INPUT...");
        return Ok(ExitCode::from(2));
    };
    let inputs: Vec<PathBuf> = arguments.collect();
    let file = File::create(output)?;
    let options = TreeOptions::default().own_output(FileId::of(&file)?);
    let mut writer = PlainWriter::new(BufWriter::with_capacity(1 << 18, file))?;
    let told = add_tree(&mut writer, &inputs, &options, &mut |event| match event {
        WalkEvent::Unreadable { path, error } => eprintln!("{}: {error}", path.display()),
        WalkEvent::Skipped { path, reason } => eprintln!("{}: {reason:?}", path.display()),
        WalkEvent::Problem(problem) => {
            eprintln!("{}: {:?}", problem.path.escape_ascii(), problem.kind);
        }
        _ => {}
    })?;
    let (_, summary) = writer.finish()?;
    eprintln!("{} files, {} bytes, root {}", told.files, told.bytes, summary.root);
    Ok(if told.is_complete() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
