//! A tree of 300 MB and a file of 2 GB, into a directory, into memory and into a service, and out again; CARs of them are judged by the programs of others.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, ensure};

use super::server::Server;
use crate::interop::{Tools, run_program as run, text};
use crate::made;
use crate::process::{build_example, output};
use crate::snapshot::{Compare, compare, snapshot};

const TREE: u64 = 300_000_000;
const FILE: u64 = 2_000_000_000;

/// Tries all stores; fails when something does not hold.
pub(super) fn try_all(
    root: &Path,
    server: &Server,
    command: Option<&Path>,
    folder: &Path,
) -> anyhow::Result<u64> {
    let tools = Tools::prepare(root, command)?;
    let (tree, file) = (folder.join("tree"), folder.join("file"));
    eprintln!("s3: making a tree of {TREE} bytes and a file of {FILE}");
    made::large_files(&tree, TREE)?;
    made::one_file(&file, FILE)?;
    let mut passed = 0;
    let mut held = |what: &str, holds: bool| {
        ensure!(holds, "{what}: does not hold");
        eprintln!("s3: {what}");
        passed += 1;
        anyhow::Ok(())
    };
    let theirs = |path: &Path| -> anyhow::Result<String> {
        let (car, name) = (folder.join("theirs.car"), path.file_name().context("a name")?);
        let mut pack = tools.ipfs_car("pack");
        pack.arg("--no-wrap").arg(name).arg("-o").arg(&car);
        let root = text(pack.current_dir(folder))?;
        fs::remove_file(car)?;
        Ok(root.trim().to_owned())
    };
    let due = [theirs(&tree)?, theirs(&file)?];
    let before = snapshot(&tree)?;
    let directory = folder.join("store").display().to_string();
    for place in [directory.as_str(), "s3://carstone/large"] {
        let store = |arguments: &[&str]| {
            let mut command = tools.carstone("store");
            server.env(&mut command);
            command.args(["--store", place]).args(arguments);
            command
        };
        let path = |path: &Path| path.display().to_string();
        run(&mut store(&["init"]))?;
        let told = text(&mut store(&["put", "-q", &path(&tree), &path(&file)]))?;
        let roots: Vec<&str> = told.lines().collect();
        held(&format!("{place}: the roots are those of ipfs-car"), roots == due)?;
        let [of_tree, of_file] = roots[..] else { anyhow::bail!("{place}: two roots") };
        let out = folder.join("out");
        run(&mut store(&["extract", "-q", of_tree, "-C", &path(&out)]))?;
        compare(&before, &snapshot(&out)?, Compare::Content)?;
        held(&format!("{place}: the tree comes back"), true)?;
        fs::remove_dir_all(&out)?;
        run(&mut store(&["get", "-q", of_file, "-o", &path(&out)]))?;
        held(
            &format!("{place}: the file comes back"),
            same(&file, &mut File::open(&out)?, 0, FILE)?,
        )?;
        fs::remove_file(&out)?;
        for (first, last) in [(0, 0), (1_048_575, 1_048_576), (FILE - 3_000_000, FILE - 1)] {
            let range = format!("{first}-{last}");
            let mut cat = store(&["cat", "--range", &range, of_file]);
            let mut cat = cat.stdout(Stdio::piped()).spawn()?;
            let mut given = cat.stdout.take().context("a pipe")?;
            let holds = same(&file, &mut given, first, last - first + 1)? && cat.wait()?.success();
            held(&format!("{place}: so do bytes {range}"), holds)?;
        }
        for (root, name) in [(of_tree, "the tree"), (of_file, "the file")] {
            let dump = folder.join("dump.car");
            run(&mut store(&["dump", "-q", root, "-o", &path(&dump)]))?;
            let judged = tools.judge(&dump)?;
            let holds = judged["roots"][0] == root;
            held(&format!("{place}: @ipld/car reads the dump of {name}"), holds)?;
            let unpacked = folder.join("unpacked");
            let mut unpack = tools.ipfs_car("unpack");
            run(unpack.arg(&dump).arg("--output").arg(&unpacked))?;
            let holds = match name {
                "the tree" => compare(&before, &snapshot(&unpacked)?, Compare::Content).is_ok(),
                _ => same(&file, &mut File::open(only_file(&unpacked)?)?, 0, FILE)?,
            };
            held(&format!("{place}: ipfs-car unpacks the dump of {name}"), holds)?;
            remove(&unpacked)?;
            fs::remove_file(&dump)?;
        }
    }
    remove(Path::new(&directory))?;
    let round = build_example(root, "store_round")?;
    let told = output(Command::new(round).arg("memory:").arg(&file))?;
    held("memory: the file comes back, and its root is that of ipfs-car", told.trim() == due[1])?;
    Ok(passed)
}

/// Whether a stream gives so many bytes of a file from an offset on, and no more.
fn same(file: &Path, given: &mut impl Read, offset: u64, len: u64) -> anyhow::Result<bool> {
    use std::io::{Seek, SeekFrom};
    let mut file = File::open(file)?;
    file.seek(SeekFrom::Start(offset))?;
    let (mut due, mut found) = (vec![0; 1 << 20], vec![0; 1 << 20]);
    let mut left = len;
    while left > 0 {
        let step = usize::try_from(left.min(1 << 20))?;
        file.read_exact(&mut due[..step])?;
        if given.read_exact(&mut found[..step]).is_err() || due[..step] != found[..step] {
            return Ok(false);
        }
        left -= step as u64;
    }
    Ok(given.read(&mut found)? == 0)
}

/// What `ipfs-car unpack` makes of a lone file: that, or a directory with it.
fn only_file(path: &Path) -> anyhow::Result<PathBuf> {
    match path.is_dir() {
        true => Ok(fs::read_dir(path)?.next().context("it is empty")??.path()),
        false => Ok(path.to_owned()),
    }
}

fn remove(path: &Path) -> anyhow::Result<()> {
    match path.is_dir() {
        true => Ok(fs::remove_dir_all(path)?),
        false => Ok(fs::remove_file(path)?),
    }
}
