//! What stands in the memory of the command once it has done its work: neither a passphrase nor a content key.

#![cfg(target_os = "linux")]

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use carstone::keys::secrecy::SecretString;
use carstone::keys::{Envelope, Identities};
use carstone::stack::{self, OpenOptions};
use hkdf::Hkdf;
use sha2::Sha256;

use crate::support::{Place, command, small_tree};

/// The halves of every secret are looked for alone: a copy that is partly overwritten counts too.
const PASSPHRASE: &str = "correct-horse-9fQ2x battery-staple-7Lm4z";

#[test]
fn a_passphrase_create_leaves_no_secret_in_memory() {
    let place = Place::new();
    small_tree(&place.path("tree"));
    check(&place, &[]);
}

/// Little is allocated behind the secrets, so that little could cover what they left by chance.
#[test]
fn a_passphrase_create_of_next_to_nothing_leaves_no_secret_in_memory() {
    let place = Place::new();
    place.write("tree/a", b"a");
    check(&place, &["--threads", "1", "--compress", "none"]);
}

/// A pack for the key in the file `key`, and the public key of another one.
fn scene() -> (Place, PathBuf, String) {
    let place = Place::new();
    small_tree(&place.path("tree"));
    let (public, other) = (place.key("key"), place.key("other"));
    let pack = place.path("old.cstone");
    let tree = place.path("tree");
    run!("create", "-q", "--compress", "none", "-r", public, "-o", &pack, tree).exits(0);
    (place, pack, other)
}

#[test]
fn rekey_leaves_no_secret_in_memory() {
    let (place, pack, other) = scene();
    let to = place.path("distinctive-name-5tR8w.cstone");
    let (key, new) = (by_key(&place.path("key")), by_key(&place.path("other")));
    let words = |word: &str| OsString::from(word);
    let arguments = [words("rekey"), words("-q"), words("-i"), place.path("key").into()];
    let arguments = [&arguments[..], &[pack.clone().into(), words("-o"), to.clone().into()]];
    let arguments = [&arguments.concat()[..], &[words("-r"), other.into()]].concat();
    check_secrets(&arguments, &to, || [keys(&pack, &key), keys(&to, &new)].concat());
    let fresh = [&arguments[..], &[words("--fresh"), words("--force")]].concat();
    check_secrets(&fresh, &to, || [keys(&pack, &key), keys(&to, &new)].concat());
}

#[test]
fn repair_to_a_clean_pack_leaves_no_secret_in_memory() {
    let (place, pack, _) = scene();
    let key = by_key(&place.path("key"));
    let old = keys(&pack, &key);
    let mut bytes = fs::read(&pack).expect("read");
    let middle = bytes.len() / 2;
    bytes[middle..middle + 5000].fill(0);
    fs::write(&pack, bytes).expect("written");
    let to = place.path("distinctive-name-5tR8w.cstone");
    let arguments = ["repair", "-q", "-i"].map(OsString::from);
    let paths = [place.path("key"), pack, "-o".into(), to.clone()].map(OsString::from);
    check_secrets(&[&arguments[..], &paths].concat(), &to, || {
        [old.clone(), keys(&to, &key)].concat()
    });
}

/// Commands that read have done their work when they say what came of it.
#[test]
fn verify_and_list_leave_no_content_key_in_memory() {
    let (place, pack, _) = scene();
    let key = by_key(&place.path("key"));
    let renamed = place.path("distinctive-name-5tR8w.cstone");
    fs::rename(&pack, &renamed).expect("renamed");
    for command in ["verify", "list"] {
        let words = [command, "-i"].map(OsString::from);
        let paths = [place.path("key"), renamed.clone()].map(OsString::from);
        check_secrets(&[words, paths].concat(), &renamed, || keys(&renamed, &key));
    }
}

/// Fails if the command, stopped behind its work, still has one of these keys.
#[track_caller]
fn check_secrets(arguments: &[OsString], name: &Path, secrets: impl FnOnce() -> Vec<[u8; 32]>) {
    let stopped = Stopped::start(command(arguments), name);
    let Some(memory) = stopped.memory() else {
        let told = "the memory of another process cannot be read here: nothing was checked";
        writeln!(io::stderr(), "{told}").expect("told");
        return;
    };
    stopped.finish();
    assert!(!memory.find("name of the pack", name.as_os_str().as_encoded_bytes()).is_empty());
    let secrets = secrets();
    let found = secrets.iter().zip(0..).flat_map(|(secret, number)| {
        let what = if number % 2 == 0 { "content key" } else { "payload key" };
        memory.find_halves(&format!("{what} of pack {}", number / 2), secret)
    });
    let found: Vec<String> = found.collect();
    assert!(found.is_empty(), "{arguments:?}: {found:#?}");
}

#[track_caller]
fn check(place: &Place, more: &[&str]) {
    let secret = place.write("passphrase", format!("{PASSPHRASE}\n").as_bytes());
    let pack = place.path("distinctive-name-5tR8w.cstone");
    let tree = place.path("tree");
    let paths = [&secret, &pack, &tree].map(|path| path.as_os_str());
    let words = ["create", "--passphrase-file", "-o"].map(OsStr::new);
    let arguments = [words[0], words[1], paths[0], words[2], paths[1], paths[2]];
    let arguments = arguments.into_iter().chain(more.iter().map(OsStr::new));

    let stopped = Stopped::start(command(arguments), &pack);
    let Some(memory) = stopped.memory() else {
        let told = "the memory of another process cannot be read here: nothing was checked";
        writeln!(io::stderr(), "{told}").expect("told");
        return;
    };
    stopped.finish();

    // The scan can find something: a name that the command still knows, on the heap as well as among its arguments.
    let name = pack.as_os_str().as_encoded_bytes();
    let found = memory.find("name of the pack", name);
    assert!(found.iter().any(|place| place.contains("[stack]")), "{found:?}");
    assert!(found.iter().any(|place| !place.contains("[stack]")), "{found:?}");

    let mut identities = Identities::new();
    identities.passphrase(SecretString::from(PASSPHRASE));
    let [content_key, payload_key] = keys(&pack, &identities)[..] else { panic!("two keys") };
    let mut left = memory.find_halves("passphrase", PASSPHRASE.as_bytes());
    left.extend(memory.find_halves("content key", &content_key));
    left.extend(memory.find_halves("payload key", &payload_key));
    assert!(left.is_empty(), "{left:#?}");
}

/// Content key and payload key of a pack, from its envelope.
fn keys(pack: &Path, identities: &Identities) -> Vec<[u8; 32]> {
    let stored = File::open(pack).expect("it was made");
    let found = stack::inspect(stored, &OpenOptions::default()).expect("a pack");
    let header = found.encryption.expect("it is encrypted");
    let envelope = Envelope::from_bytes(&header.envelope).expect("an envelope");
    let content_key = *identities.open(&envelope).expect("the key fits").as_bytes();
    let derive = |info: &[&[u8]]| {
        let mut out = [0; 32];
        let prk = Hkdf::<Sha256>::new(Some(header.pack_id.as_bytes()), &content_key);
        prk.expand_multi_info(info, &mut out).expect("short");
        out
    };
    // As `docs/format.md` has it, section 4.1; that the commitment comes out right shows that the other does too.
    let layers = found.container.layers.canonical();
    let commitment = derive(&[b"carstone/1 commit", &[1, 0, 0, 0, 0], &layers]);
    assert_eq!(commitment, header.commitment);
    vec![content_key, derive(&[b"carstone/1 payload", &[1, 0, 0, 0, 0]])]
}

fn by_key(file: &Path) -> Identities {
    let mut identities = Identities::new();
    identities.add_file(file).expect("a key file");
    identities
}

/// A command that is stopped where it writes its summary, since nobody reads it.
struct Stopped {
    child: Child,
    summary: io::PipeReader,
}

impl Stopped {
    /// Starts it, and waits until it has made `pack` and stands.
    fn start(mut command: std::process::Command, pack: &Path) -> Self {
        let (summary, mut full) = io::pipe().expect("a pipe");
        // What a pipe of Linux holds. One byte more would stop this test.
        full.write_all(&vec![b'\n'; 64 << 10]).expect("the pipe takes it");
        command.stdin(Stdio::null()).stdout(full).stderr(Stdio::null());
        let stopped = Self { child: command.spawn().expect("it runs"), summary };
        drop(command); // It holds the writing end.
        let status = format!("/proc/{}/syscall", stopped.child.id());
        let begun = Instant::now();
        loop {
            // Number 1 is `write` on x86-64, 64 on AArch64; the first argument is standard output.
            let call = fs::read_to_string(&status).unwrap_or_default();
            let waits = call.starts_with("1 0x1 ") || call.starts_with("64 0x1 ");
            if pack.exists() && waits {
                return stopped;
            }
            assert!(begun.elapsed() < Duration::from_secs(120), "it does not stop: {call}");
            thread::sleep(Duration::from_millis(10));
        }
    }

    /// All that it can write to. `None` where that is not permitted.
    fn memory(&self) -> Option<Memory> {
        let folder = format!("/proc/{}", self.child.id());
        let maps = fs::read_to_string(format!("{folder}/maps")).expect("it is there");
        let mut file = match File::open(format!("{folder}/mem")) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => return None,
            Err(error) => panic!("{error}"),
        };
        let mut regions = Vec::new();
        for line in maps.lines().filter(|line| line.contains(" rw")) {
            let (range, rest) = line.split_once(' ').expect("a range and what is there");
            let (start, end) = range.split_once('-').expect("two addresses");
            let address = |text| u64::from_str_radix(text, 16).expect("an address");
            let (start, end) = (address(start), address(end));
            let name =
                format!("{start:x} {}", rest.split_whitespace().nth(4).unwrap_or("anonymous"));
            let mut bytes = vec![0; (end - start) as usize];
            file.seek(SeekFrom::Start(start)).expect("an address");
            file.read_exact(&mut bytes).expect("mapped memory can be read");
            regions.push((name, bytes));
        }
        assert!(!regions.is_empty(), "a process has memory");
        Some(Memory { regions })
    }

    /// Lets it go on to its end.
    fn finish(mut self) {
        let mut said = Vec::new();
        self.summary.read_to_end(&mut said).expect("read");
        // Of a damaged pack it says that it was.
        let code = self.child.wait().expect("it ends").code();
        assert!(matches!(code, Some(0 | 1)), "{code:?}");
        assert!(said.len() > 64 << 10, "the summary comes behind what filled the pipe");
    }
}

impl Drop for Stopped {
    /// Leaves nothing behind where the test fails.
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A copy of what a process could write to.
struct Memory {
    regions: Vec<(String, Vec<u8>)>,
}

impl Memory {
    fn find(&self, what: &str, bytes: &[u8]) -> Vec<String> {
        let finder = |region: &[u8]| memchr::memmem::find_iter(region, bytes).collect::<Vec<_>>();
        let mut found = Vec::new();
        for (name, region) in &self.regions {
            found.extend(finder(region).iter().map(|at| format!("{what} in {name} at {at:#x}")));
        }
        found
    }

    fn find_halves(&self, what: &str, secret: &[u8]) -> Vec<String> {
        let (first, second) = secret.split_at(secret.len() / 2);
        let mut found = self.find(&format!("first half of the {what}"), first);
        found.extend(self.find(&format!("second half of the {what}"), second));
        found
    }
}
