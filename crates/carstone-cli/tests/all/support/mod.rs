//! Runs the real command, makes trees with odd names, and compares trees.

pub mod web;

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::Write;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

pub use tempfile::TempDir;

/// What a run gave.
pub struct Run {
    pub code: i32,
    pub stdout: Vec<u8>,
    pub stderr: String,
}

impl Run {
    /// Fails unless the exit status is `code`.
    #[track_caller]
    pub fn exits(self, code: i32) -> Self {
        let out = String::from_utf8_lossy(&self.stdout);
        assert_eq!(self.code, code, "stdout: {out}\nstderr: {}", self.stderr);
        self
    }

    /// Fails unless standard error holds `text`.
    #[track_caller]
    pub fn says(self, text: &str) -> Self {
        assert!(self.stderr.contains(text), "{text:?} is not in {:?}", self.stderr);
        self
    }

    /// Fails unless standard error is one line that starts with the command's name.
    #[track_caller]
    pub fn one_line(self) -> Self {
        let lines: Vec<&str> = self.stderr.lines().collect();
        assert_eq!(lines.len(), 1, "{lines:?}");
        assert!(lines[0].starts_with("carstone: "), "{lines:?}");
        self
    }

    pub fn text(&self) -> String {
        String::from_utf8(self.stdout.clone()).expect("the output is text")
    }

    pub fn lines(&self) -> Vec<String> {
        self.text().lines().map(str::to_owned).collect()
    }

    pub fn json(&self) -> Vec<serde_json::Value> {
        let lines = self.lines().into_iter();
        lines.map(|line| serde_json::from_str(&line).expect("each line is JSON")).collect()
    }
}

impl From<Output> for Run {
    fn from(output: Output) -> Self {
        let stderr = String::from_utf8(output.stderr).expect("messages are text");
        assert!(!stderr.contains("panicked"), "{stderr}");
        let code = output.status.code().unwrap_or(-1);
        Self { code, stdout: output.stdout, stderr }
    }
}

pub fn command<S: AsRef<OsStr>>(args: impl IntoIterator<Item = S>) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_carstone"));
    // What stands there is the user's.
    command.args(args).env_remove("CARSTONE_IDENTITY");
    command
}

/// Runs `carstone` with these arguments.
macro_rules! run {
    ($($arg:expr),* $(,)?) => {
        $crate::support::run_args(&[$(std::ffi::OsString::from($arg)),*], None)
    };
}

/// The same, with bytes on standard input.
macro_rules! pipe {
    ($input:expr, $($arg:expr),* $(,)?) => {
        $crate::support::run_args(&[$(std::ffi::OsString::from($arg)),*], Some($input))
    };
}

pub fn run_args(args: &[OsString], input: Option<&[u8]>) -> Run {
    let mut command = command(args);
    let Some(input) = input else {
        return command.stdin(Stdio::null()).output().expect("it runs").into();
    };
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("it runs");
    let mut stdin = child.stdin.take().expect("it was asked for");
    std::thread::scope(|scope| {
        // It may end before it has read everything.
        scope.spawn(move || stdin.write_all(input).ok());
        child.wait_with_output().expect("it ends").into()
    })
}

/// A directory for one test, with a key in it.
pub struct Place {
    pub dir: TempDir,
}

impl Place {
    pub fn new() -> Self {
        Self { dir: tempfile::tempdir().expect("a temporary directory") }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Makes a key file and gives the public key.
    pub fn key(&self, name: &str) -> String {
        let run = run!("keygen", "-o", self.path(name)).exits(0);
        run.stderr.trim().strip_prefix("Public key: ").expect("it says so").to_owned()
    }

    pub fn write(&self, name: &str, content: &[u8]) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(path.parent().expect("it lies in the directory")).expect("made");
        fs::write(&path, content).expect("written");
        path
    }

    /// A pack `name` of a small tree with a file of several leaves; not compressed, so that it can be patched.
    pub fn pack(&self, name: &str) -> PathBuf {
        small_tree(&self.path("tree"));
        let pack = self.path(name);
        run!("create", "--compress", "none", "-o", &pack, self.path("tree")).exits(0);
        pack
    }

    /// Names that lie in the directory.
    pub fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.dir.path()).expect("it can be listed");
        let mut names: Vec<String> = entries
            .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    }
}

/// Bytes that do not compress, the same each time.
pub fn noise(len: usize, seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state as u8
    };
    (0..len).map(|_| next()).collect()
}

/// A few files, one of three leaves.
pub fn small_tree(root: &Path) {
    fs::create_dir_all(root.join("docs/deep")).expect("made");
    fs::write(root.join("hello.txt"), "hello\n").expect("written");
    fs::write(root.join("docs/guide.md"), "# Guide\n".repeat(100)).expect("written");
    fs::write(root.join("docs/deep/note.md"), "hello\n").expect("written");
    fs::write(root.join("big.bin"), noise(2_500_000, 7)).expect("written");
}

/// Everything that a pack keeps: odd names, links, modes, times, attributes.
pub fn odd_tree(root: &Path) {
    small_tree(root);
    let name = |bytes: &[u8]| root.join(OsStr::from_bytes(bytes));
    fs::create_dir_all(root.join("empty")).expect("made");
    fs::write(name(b"new\nline"), "1").expect("written");
    fs::write(name(b"not\xff\xfeutf8"), "2").expect("written");
    fs::write(name(&[b'n'; 250]), "3").expect("written");
    fs::write(name(b"-rf"), "4").expect("written");
    fs::write(name(b" space "), "5").expect("written");
    fs::write(name(b"back\\slash"), "6").expect("written");
    fs::write(name(b".hidden"), "").expect("written");
    fs::write(name(b"*.glob[x]"), "7").expect("written");
    let mut deep = root.to_owned();
    for level in 0..40 {
        deep.push(format!("level{level}"));
    }
    fs::create_dir_all(&deep).expect("made");
    fs::write(deep.join("bottom"), "deep").expect("written");
    symlink("hello.txt", root.join("link")).expect("linked");
    symlink("nowhere/at all", root.join("dangling")).expect("linked");
    symlink("/etc", root.join("absolute")).expect("linked");
    fs::hard_link(root.join("hello.txt"), root.join("docs/same")).expect("linked");
    fs::hard_link(root.join("big.bin"), root.join("big2.bin")).expect("linked");
    let mut twice = noise(1 << 20, 7);
    twice.extend_from_slice(&twice.clone());
    fs::write(root.join("twice.bin"), twice).expect("written");
    for (file, mode) in [("hello.txt", 0o640), ("docs/guide.md", 0o444), ("-rf", 0o755)] {
        fs::set_permissions(root.join(file), fs::Permissions::from_mode(mode)).expect("set");
    }
    // Some file systems have no attributes of users; then both sides have none.
    let _ = xattr::set(root.join("hello.txt"), "user.note", b"a\0b");
    let time = |path: &Path, seconds: u64, nanos: u32| {
        let time = std::time::UNIX_EPOCH + std::time::Duration::new(seconds, nanos);
        fs::File::open(path).and_then(|file| file.set_modified(time)).expect("set");
    };
    time(&root.join("hello.txt"), 1_000_000_000, 123_456_789);
    time(&root.join("docs/guide.md"), 5, 1);
    time(&root.join("empty"), 1_234_567_890, 999_999_999);
    fs::set_permissions(root.join("docs/deep"), fs::Permissions::from_mode(0o555)).expect("set");
    time(&root.join("docs/deep"), 77, 7);
    time(&root.join("docs"), 78, 8);
    time(root, 79, 9);
}

/// All that is compared of an entry.
#[derive(Debug, PartialEq, Eq)]
pub struct Seen {
    mode: u32,
    mtime: (i64, i64),
    pub content: Vec<u8>,
    xattrs: Vec<(OsString, Option<Vec<u8>>)>,
    /// The first path that is the same file.
    pub same_as: Vec<u8>,
}

/// Looks at a tree.
pub fn look(root: &Path) -> BTreeMap<Vec<u8>, Seen> {
    let (mut found, mut inodes) = (BTreeMap::new(), BTreeMap::new());
    let mut pending = vec![root.to_owned()];
    let mut paths = Vec::new();
    while let Some(path) = pending.pop() {
        let metadata = fs::symlink_metadata(&path).expect("it is there");
        if metadata.is_dir() {
            let entries = fs::read_dir(&path).expect("it can be listed");
            pending.extend(entries.map(|entry| entry.expect("an entry").path()));
        }
        paths.push(path);
    }
    paths.sort();
    for path in paths {
        let metadata = fs::symlink_metadata(&path).expect("it is there");
        let below = path.strip_prefix(root).expect("it lies below").to_owned();
        let below = below.into_os_string().into_vec();
        let content = match metadata.file_type() {
            kind if kind.is_symlink() => {
                fs::read_link(&path).expect("read").into_os_string().into_vec()
            }
            kind if kind.is_file() => fs::read(&path).expect("read"),
            _ => Vec::new(),
        };
        let mut xattrs: Vec<_> = match metadata.is_symlink() {
            true => Vec::new(),
            false => xattr::list(&path).map(|names| names.collect()).unwrap_or_default(),
        };
        xattrs.retain(|name| name.as_bytes().starts_with(b"user."));
        xattrs.sort();
        let xattrs = xattrs
            .into_iter()
            .map(|name| (name.clone(), xattr::get(&path, &name).ok().flatten()))
            .collect();
        let same_as = match metadata.is_dir() {
            true => below.clone(),
            false => inodes.entry(metadata.ino()).or_insert_with(|| below.clone()).clone(),
        };
        let mtime = (metadata.mtime(), metadata.mtime_nsec());
        found.insert(below, Seen { mode: metadata.mode(), mtime, content, xattrs, same_as });
    }
    found
}

/// Fails unless both trees are the same in all that is kept.
#[track_caller]
pub fn same_trees(expected: &Path, found: &Path) {
    let (expected, found) = (look(expected), look(found));
    let name = |path: &Vec<u8>| path.escape_ascii().to_string();
    let names = |tree: &BTreeMap<Vec<u8>, Seen>| tree.keys().map(name).collect::<Vec<_>>();
    assert_eq!(names(&expected), names(&found));
    for (path, entry) in &expected {
        assert!(found[path] == *entry, "{} differs", name(path));
    }
}
