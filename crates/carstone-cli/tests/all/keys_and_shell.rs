//! `keygen`, `completions`, help, and what happens on a signal.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::support::{self, Place, Run, noise};

#[test]
fn keygen_writes_what_age_keygen_writes() {
    let run = run!("keygen").exits(0);
    let lines = run.lines();
    assert_eq!(lines.len(), 3);
    assert!(lines[0].starts_with("# created: 20") && lines[0].ends_with('Z'), "{}", lines[0]);
    let public = lines[1].strip_prefix("# public key: ").expect("the second line");
    assert!(public.starts_with("age1"));
    assert!(lines[2].starts_with("AGE-SECRET-KEY-1"));
    assert_eq!(run.stderr, format!("Public key: {public}\n"));
}

#[test]
fn a_key_file_is_for_its_owner_only_and_never_replaced() {
    let place = Place::new();
    let public = place.key("key");
    let metadata = fs::metadata(place.path("key")).expect("there");
    assert_eq!(metadata.permissions().mode() & 0o777, 0o600);
    let before = fs::read(place.path("key")).expect("read");
    run!("keygen", "-o", place.path("key")).exits(2).one_line().says("key");
    assert_eq!(fs::read(place.path("key")).expect("read"), before);
    assert!(String::from_utf8_lossy(&before).contains(&public));
}

#[test]
fn keys_can_come_through_standard_input() {
    let place = Place::new();
    place.write("tree/file", b"content");
    let public = place.key("key");
    let pack = place.path("x.cstone");
    pipe!(format!("{public}\n").as_bytes(), "create", "-o", &pack, "-R", "-", place.path("tree"))
        .exits(0);
    let key = fs::read(place.path("key")).expect("read");
    assert_eq!(pipe!(&key, "cat", "-i", "-", &pack, "file").exits(0).stdout, b"content");
}

#[test]
fn standard_input_serves_one_purpose() {
    let place = Place::new();
    place.write("tree/file", b"content");
    place.write("tree/left.o", b"out");
    let (public, pack) = (place.key("key") + "\n", place.path("x.cstone"));
    let both = "standard input (-) can be given once only";
    let tree = place.path("tree");
    pipe!(public.as_bytes(), "create", "-o", &pack, "-R", "-", "--stdin-name", "a")
        .exits(2)
        .says(both);
    pipe!(public.as_bytes(), "create", "-o", &pack, "-R", "-", "-T", "-").exits(2).says(both);
    assert_eq!(place.names(), ["key", "tree"]);
    pipe!(b"*.o\n", "create", "-q", "-o", &pack, "--exclude-from", "-", tree).exits(0);
    assert_eq!(run!("list", &pack).exits(0).lines(), [".", "file"]);
    let made = fs::read(pack).expect("read");
    pipe!(&made, "list", "-i", "-", "-").exits(2).one_line().says(both);
}

#[test]
fn there_are_completions_and_help_for_everything() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = run!("completions", shell).exits(0).text();
        for word in ["carstone", "dry-run", "reproducible", "car-version", "profile"] {
            assert!(script.contains(word), "{shell}: {word}");
        }
    }
    run!("completions", "csh").exits(2);
    let help = run!("--help").exits(0).text();
    let commands = ["create", "list", "extract", "cat", "info", "verify", "keygen", "completions"];
    for command in commands.into_iter().chain(["man"]) {
        assert!(help.contains(command), "{command}");
        let own = run!(command, "--help").exits(0).text();
        assert!(own.contains("Usage: carstone"), "{own}");
        run!("help", command).exits(0);
    }
    assert!(run!("--version").exits(0).text().starts_with("carstone 0."));
}

#[track_caller]
fn signal(child: &std::process::Child) {
    let id = child.id().to_string();
    let sent = std::process::Command::new("kill").args(["-INT", &id]).status();
    assert!(sent.is_ok_and(|status| status.success()));
}

#[test]
fn an_interrupted_create_leaves_nothing_and_exits_130() {
    let place = Place::new();
    let mut child = support::command(["create", "-o"])
        .arg(place.path("x.cstone"))
        .args(["--stdin-name", "endless"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it runs");
    let mut stdin = child.stdin.take().expect("asked for");
    stdin.write_all(&noise(3_000_000, 5)).expect("it reads");
    let started = Instant::now();
    while place.names().is_empty() && started.elapsed() < Duration::from_secs(10) {
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(place.names().len(), 1, "a temporary file is there");
    signal(&child);
    // It waits for input that never comes, and must end all the same.
    let run = Run::from(child.wait_with_output().expect("it ends")).exits(130);
    assert!(run.stderr.contains("interrupted"), "{}", run.stderr);
    assert_eq!(place.names(), [] as [&str; 0]);
    drop(stdin);
}

#[test]
fn an_interrupted_extract_leaves_no_temporary_files() {
    let place = Place::new();
    place.write("tree/big", &noise(6_000_000, 5));
    let made = run!("create", "-o", "-", place.path("tree")).exits(0).stdout;
    let mut child = support::command(["extract", "-C"])
        .arg(place.path("out"))
        .arg("-")
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it runs");
    let mut stdin = child.stdin.take().expect("asked for");
    stdin.write_all(&made[..made.len() - 1_000_000]).expect("it reads");
    std::thread::sleep(Duration::from_millis(300));
    signal(&child);
    stdin.write_all(&made[made.len() - 1_000_000..made.len() - 400_000]).ok();
    drop(stdin);
    let mut stderr = String::new();
    child.stderr.take().expect("asked for").read_to_string(&mut stderr).expect("text");
    assert_eq!(child.wait().expect("it ends").code(), Some(130), "{stderr}");
    let left: Vec<_> = fs::read_dir(place.path("out")).map(Iterator::collect).unwrap_or_default();
    assert!(left.is_empty(), "{left:?}");
}

/// `2>&1 | head` closes standard error early, and a full disk behind it takes no line: neither stops the work.
#[test]
fn nobody_has_to_read_standard_error() {
    let place = Place::new();
    for number in 0..9 {
        place.write(&format!("tree/{number}"), b"content");
        place.write(&format!("out/{number}"), b"in the way");
    }
    run!("create", "-o", place.path("x.cstone"), place.path("tree")).exits(0);
    let full = || fs::File::options().write(true).open("/dev/full").expect("a device");
    let code = |args: &[std::ffi::OsString], stderr: Stdio| {
        let mut command = support::command(args);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(stderr);
        command.status().expect("it runs").code()
    };
    let extract = ["extract".into(), "-C".into(), place.path("out").into()];
    let extract = [&extract[..], &[place.path("x.cstone").into()]].concat();
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    assert_eq!(code(&extract, writer.into()), Some(1));
    assert_eq!(code(&extract, full().into()), Some(1));
    assert_eq!(code(&["list".into(), "missing".into()], full().into()), Some(2));
    assert_eq!(code(&["keygen".into()], full().into()), Some(0));
}

#[test]
fn help_tells_what_becomes_of_damage() {
    for (command, said) in [
        ("repair", "Where nothing is lost, the output is the original"),
        ("carve", "NUMBER-PACKID.frames"),
        ("extract", "what is not is named"),
        ("list", "all that is left is listed"),
        ("cat", "before the first hole"),
    ] {
        let text = run!(command, "--help").exits(0).text();
        let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(text.contains(said), "{command}: {text}");
    }
    let short = run!("carve", "-h").exits(0).text();
    assert!(!short.contains(".frames"), "{short}");
}
