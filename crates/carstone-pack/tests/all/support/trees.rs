//! Makes trees on disk, and packs them.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use carstone_pack::Listed;
use carstone_pack::fs::{TreeOptions, TreeSummary, WalkEvent, add_tree};

use crate::support::{Packed, pack};

/// A directory that is removed in the end.
pub struct Tree(tempfile::TempDir);

impl Tree {
    pub fn new() -> Self {
        Self(tempfile::tempdir().expect("a temporary directory"))
    }

    pub fn root(&self) -> &Path {
        self.0.path()
    }

    pub fn path(&self, name: impl AsRef<[u8]>) -> PathBuf {
        self.root().join(OsStr::from_bytes(name.as_ref()))
    }

    /// Writes a file, and the directories it needs.
    #[track_caller]
    pub fn file(&self, name: impl AsRef<[u8]>, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(path.parent().expect("it is below the root")).expect("a directory");
        fs::write(&path, content).expect("a file");
        path
    }

    #[track_caller]
    pub fn directory(&self, name: impl AsRef<[u8]>) {
        fs::create_dir_all(self.path(name)).expect("a directory");
    }

    /// Packs the whole tree.
    #[track_caller]
    pub fn pack(&self, options: &TreeOptions) -> Told {
        self.pack_while(options, |_| {})
    }

    /// Packs the whole tree while something happens.
    #[track_caller]
    pub fn pack_while(
        &self,
        options: &TreeOptions,
        mut happens: impl FnMut(&WalkEvent<'_>),
    ) -> Told {
        pack_inputs(&[self.root()], options, &mut happens).expect("a tree that can be packed")
    }
}

/// A pack, and what was told while it was made.
pub struct Told {
    pub packed: Packed,
    pub summary: TreeSummary,
    /// One line for each event that is not mere progress.
    pub lines: Vec<String>,
}

impl Told {
    /// All paths but the root's, in manifest order.
    pub fn paths(&self) -> Vec<String> {
        let escaped = |entry: Listed| entry.path.escape_ascii().to_string();
        self.entries().into_iter().map(escaped).filter(|path| !path.is_empty()).collect()
    }

    pub fn entries(&self) -> Vec<Listed> {
        self.packed.reader().entries().collect::<Result<_, _>>().expect("a sound pack")
    }

    #[track_caller]
    pub fn entry(&self, path: impl AsRef<[u8]>) -> Listed {
        self.packed.reader().find(path.as_ref()).expect("a sound pack").expect("it is listed")
    }

    #[track_caller]
    pub fn content(&self, path: impl AsRef<[u8]>) -> Vec<u8> {
        let mut content = Vec::new();
        let mut file = self.packed.reader().open_file(&self.entry(path)).expect("a file");
        io::Read::read_to_end(&mut file, &mut content).expect("a sound pack");
        content
    }
}

pub fn pack_inputs(
    inputs: &[&Path],
    options: &TreeOptions,
    happens: &mut dyn FnMut(&WalkEvent<'_>),
) -> io::Result<Told> {
    let inputs: Vec<PathBuf> = inputs.iter().map(|input| input.to_path_buf()).collect();
    let (mut lines, mut summary) = (Vec::new(), Err(io::ErrorKind::Other.into()));
    let packed = pack(|writer| {
        summary = add_tree(writer, &inputs, options, &mut |event| {
            happens(&event);
            match event {
                WalkEvent::Skipped { path, reason } => {
                    lines.push(format!("{}: {reason:?}", name(path)))
                }
                WalkEvent::Unreadable { path, error } => {
                    lines.push(format!("{}: {:?}", name(path), error.kind()))
                }
                WalkEvent::Problem(problem) => {
                    let kind = format!("{:?}", problem.kind);
                    let kind = kind.split('(').next().unwrap_or_default().to_owned();
                    lines.push(format!("{}: {kind}", problem.path.escape_ascii()))
                }
                WalkEvent::Stripped { path, .. } => {
                    lines.push(format!("stripped {}", path.escape_ascii()))
                }
                _ => {}
            }
        });
        Ok(())
    });
    let summary = summary?;
    packed.verify_is_clean();
    Ok(Told { packed, summary, lines })
}

fn name(path: &Path) -> String {
    path.file_name().unwrap_or_default().as_bytes().escape_ascii().to_string()
}
