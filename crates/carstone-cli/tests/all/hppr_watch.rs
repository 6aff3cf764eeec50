//! `carstone hppr watch`: lines of new tips, as another process stores them.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

use crate::support::{self, Place};

/// More than a system needs that is busy.
const LONG: Duration = Duration::from_secs(30);
/// Enough to see that nothing comes.
const SHORT: Duration = Duration::from_millis(500);

/// A watch that is under way, and its lines.
struct Watch {
    child: Child,
    lines: Receiver<String>,
    notes: Receiver<String>,
}

impl Watch {
    /// One that watches already.
    fn start(repo: &str, arguments: &[&str]) -> Self {
        let mut child = support::command(["hppr", "--repo", repo, "watch"])
            .args(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("it runs");
        let lines = lines_of(child.stdout.take().expect("asked for"));
        let notes = lines_of(child.stderr.take().expect("asked for"));
        Self { child, lines, notes }
    }

    /// The same, when it has said that it does.
    fn ready(repo: &str, path: &str) -> Self {
        let watch = Self::start(repo, &[path]);
        let note = watch.notes.recv_timeout(LONG).expect("a note");
        assert_eq!(note, format!("watching {path}"));
        watch
    }

    fn next(&self) -> String {
        self.lines.recv_timeout(LONG).expect("a line")
    }

    #[track_caller]
    fn is_silent(&self) {
        assert_eq!(self.lines.recv_timeout(SHORT), Err(RecvTimeoutError::Timeout));
    }

    /// Sends a signal, and gives the status and what else was written.
    fn ends(mut self, signal: &str) -> (Option<i32>, Vec<String>) {
        let id = self.child.id().to_string();
        let sent = Command::new("kill").args([signal, &id]).status().expect("it runs");
        assert!(sent.success());
        let status = self.child.wait().expect("it ends");
        (status.code(), self.lines.iter().collect())
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        // It has ended, unless the test has failed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn lines_of(from: impl std::io::Read + Send + 'static) -> Receiver<String> {
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        let mut lines = BufReader::new(from).lines().map_while(Result::ok);
        lines.try_for_each(|line| sender.send(line))
    });
    receiver
}

fn place() -> (Place, String) {
    let place = Place::new();
    let repo = place.path("repo").to_str().expect("text").to_owned();
    run!("hppr", "--repo", &repo, "init").exits(0);
    (place, repo)
}

/// Adds a packet, and gives its hash.
fn add(repo: &str, at: &str, tai: &str, more: &[&str]) -> String {
    let mut arguments = vec!["hppr", "--repo", repo, "add", "--tai", tai];
    arguments.extend(more);
    arguments.push(at);
    let arguments: Vec<_> = arguments.into_iter().map(Into::into).collect();
    support::run_args(&arguments, Some(b"some data")).exits(0).lines()[0].clone()
}

const EARLY: &str = "1640995200:000000000";
const LATE: &str = "1640995300:000000000";

#[test]
fn each_new_tip_is_a_line() {
    let (place, repo) = place();
    let before = add(&repo, "//g/a/old", EARLY, &[]);
    run!("hppr", "keygen", "-o", place.path("key.txt")).exits(0);
    let key = place.path("key.txt").to_str().expect("text").to_owned();
    let public = run!("hppr", "id", &key).exits(0).text().trim().to_owned();
    let watch = Watch::ready(&repo, "//g/");
    // What was there is not told, nor is what belongs elsewhere.
    add(&repo, "//other/a/l", LATE, &[]);
    let plex = add(&repo, "//g/a/new/place", LATE, &[]);
    assert_eq!(watch.next(), format!("//g/a/new/place/|/plex/{LATE}/{plex}"));
    // One that is older than the tip is none; a Seal is, and its Plex is not.
    add(&repo, "//g/a/new/place", EARLY, &[]);
    let seal = add(&repo, "//g/a/old", LATE, &["-k", &key]);
    let line = watch.next();
    assert_eq!(line, format!("//g/a/old/|/seal/{public}/{LATE}/{seal}"));
    watch.is_silent();
    assert_eq!(run!("hppr", "--repo", &repo, "tips", "//g/a/old/").exits(0).lines(), [line]);
    // What is the tip again is told, too.
    run!("hppr", "--repo", &repo, "detach", &seal).exits(0);
    assert_eq!(watch.next(), format!("//g/a/old/|/plex/{EARLY}/{before}"));
    let (status, rest) = watch.ends("-INT");
    assert_eq!((status, rest), (Some(130), vec![]));
}

#[test]
fn lines_of_json_are_those_of_tips() {
    let (_place, repo) = place();
    let mut watch = Watch::start(&repo, &["--json"]);
    // It says nothing of itself then: packets are stored until one is told.
    let mut told = None;
    for number in 0..600 {
        add(&repo, &format!("//g/a/{number}"), EARLY, &[]);
        if let Ok(line) = watch.lines.recv_timeout(Duration::from_millis(50)) {
            told = Some(line);
            break;
        }
        assert_eq!(watch.child.try_wait().expect("asked"), None);
    }
    let told: serde_json::Value = serde_json::from_str(&told.expect("a line")).expect("JSON");
    assert_eq!(told["type"], "tip");
    let tips = run!("hppr", "--repo", &repo, "--json", "tips").exits(0).json();
    assert!(tips.contains(&told), "{told} in {tips:?}");
    assert_eq!(watch.notes.try_recv().ok(), None);
    assert_eq!(watch.ends("-TERM").0, Some(130));
}

#[test]
fn a_watch_of_no_repository_is_an_error() {
    let place = Place::new();
    run!("hppr", "--repo", place.path("none"), "watch").exits(2).one_line().says("no repository");
    run!("hppr", "--repo", place.path("none"), "watch", "//g").exits(2);
}
