//! Extraction of hostile packs: nothing is written outside the target.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use carstone::pack::fs::{
    ExtractOptions, Overwrite, RestoreEvent, RestoreOptions, Selection, extract_dag,
    extract_reader, extract_stream,
};
use carstone::pack::{PackReader, PackStream, StreamOptions};
use carstone::unixfs::{Cid, Profile, symlink, write_file};
use tempfile::TempDir;

use crate::built::{self, PACK};
use crate::folder::folder;
use crate::input::Input;
use crate::unixfs::hostile;

/// Packs with names and links that lead out, extracted in both ways.
pub fn packs(data: &[u8]) {
    let mut input = Input::new(data);
    let cell = Cell::new(&mut input);
    let (options, mut told) = options(&mut input);
    let selection = match input.one_in(4) {
        true => Selection::patterns([input.text(9), b"d/*"]),
        false => Selection::all(),
    };
    let is_random = input.flag();
    let pack = built::build(&mut input);
    if is_random {
        if let Ok(reader) = PackReader::open(Arc::new(pack.bytes), PACK, pack.tail) {
            let _ = extract_reader(&reader, cell.target(), &selection, &options, &mut told);
        }
    } else {
        let threads = StreamOptions::default().threads(1);
        if let Ok(stream) = PackStream::with_options(&pack.bytes[..], PACK, threads) {
            let _ = extract_stream(stream, cell.target(), &selection, &options, &mut told);
        }
    }
    cell.check();
}

/// DAGs with names and links that lead out.
pub fn dags(data: &[u8]) {
    let mut input = Input::new(data);
    let cell = Cell::new(&mut input);
    let (options, mut told) = options(&mut input);
    let name = input.flag().then(|| input.pick(&[&b"x"[..], b"..", b"/etc", b"a/b"]));
    let (root, mut blocks) = hostile(&mut input);
    let mut keep = |cid: &Cid, data: &[u8]| {
        blocks.insert(*cid, data.to_vec());
        Ok(())
    };
    let target = input.pick(&[&b".."[..], b"../..", b"a", b"/tmp"]);
    let link = symlink(&Profile::unixfs_v1_2025(), target, &mut keep).expect("memory").cid;
    let file = write_file(&Profile::unixfs_v1_2025(), &b"x"[..], &mut keep).expect("memory").cid;
    let roots = [root, link, file];
    let roots = &roots[..1 + input.below(3)];
    let all = Selection::all();
    let _ = extract_dag(&blocks, roots, name, cell.target(), &all, &options, &mut told);
    cell.check();
}

/// Options, and an observer that ends it after some entries: a few blocks make trees that no disk holds.
fn options(input: &mut Input<'_>) -> (ExtractOptions, impl FnMut(RestoreEvent) + use<>) {
    let overwrite = input.pick(&[Overwrite::Never, Overwrite::Always, Overwrite::IfNewer]);
    let restore = RestoreOptions::default().overwrite(overwrite);
    let restore = restore.strip_components(input.pick(&[0, 0, 1]));
    let restore = restore.same_permissions(input.flag());
    let stop = Arc::new(AtomicBool::new(false));
    let options = ExtractOptions::default().restore(restore).threads(1).budget(1 << 20);
    let options = options.cancel(Arc::clone(&stop));
    let mut left = 50_u32;
    let told = move |_| {
        left = left.saturating_sub(1);
        stop.store(left == 0, Ordering::Relaxed);
    };
    (options, told)
}

/// A directory four levels deep, in memory where there is such a file system, in which nothing but the innermost may change.
struct Cell(TempDir);

const WAY: [&str; 4] = ["a", "b", "c", "target"];

impl Cell {
    fn new(input: &mut Input<'_>) -> Self {
        let cell = Self(folder());
        fs::create_dir_all(cell.target()).expect("a temporary directory");
        // What stands there already may lead out too, but not through the names in the pack.
        if input.one_in(4) {
            fs::write(cell.target().join("f0"), b"old").expect("a new file");
        }
        cell
    }

    fn target(&self) -> std::path::PathBuf {
        WAY.iter().fold(self.0.path().to_owned(), |path, name| path.join(name))
    }

    fn check(self) {
        let mut folder = self.0.path().to_owned();
        for name in WAY {
            let found: Vec<_> = fs::read_dir(&folder)
                .expect("it is there")
                .map(|item| item.expect("it is there").file_name())
                .collect();
            assert_eq!(found, [name], "something was written outside the target");
            folder.push(name);
        }
        make_removable(&folder);
        drop(self.0);
    }
}

/// Directories without permissions cannot be removed by everybody.
fn make_removable(folder: &Path) {
    let _ = fs::set_permissions(folder, fs::Permissions::from_mode(0o700));
    for item in fs::read_dir(folder).into_iter().flatten().flatten() {
        if item.file_type().is_ok_and(|kind| kind.is_dir()) {
            make_removable(&item.path());
        }
    }
}
