//! A server of files on loopback, as plain as they come: it has ranges, and lists nothing.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};

/// The server. It ends with this value.
pub struct Web {
    address: SocketAddr,
    is_over: Arc<AtomicBool>,
    serving: Option<JoinHandle<()>>,
}

impl Web {
    /// Gives out what is in a directory.
    pub fn serve(directory: PathBuf) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port is free");
        let address = listener.local_addr().expect("bound");
        let is_over = Arc::new(AtomicBool::new(false));
        let own = Arc::clone(&is_over);
        let serving = thread::spawn(move || {
            let directory = &directory;
            thread::scope(|scope| {
                for stream in listener.incoming() {
                    if own.load(Ordering::Relaxed) {
                        break;
                    }
                    let Ok(stream) = stream else { continue };
                    // What becomes of a connection is the client's to see.
                    scope.spawn(move || answer(&stream, directory));
                }
            });
        });
        Self { address, is_over, serving: Some(serving) }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

impl Drop for Web {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        // It waits for a connection.
        drop(TcpStream::connect(self.address));
        if let Some(serving) = self.serving.take() {
            let ended = serving.join();
            assert!(thread::panicking() || ended.is_ok(), "the server panicked");
        }
    }
}

/// Answers the one request of a connection.
fn answer(mut stream: &TcpStream, directory: &Path) -> Option<()> {
    let mut lines = BufReader::new(stream).lines().map_while(Result::ok);
    let line = lines.next()?;
    let (method, target) = line.split_once(' ')?;
    let path = target.split(' ').next()?.trim_start_matches('/').to_owned();
    let head: Vec<String> = lines.take_while(|line| !line.is_empty()).collect();
    let range = head.iter().find_map(|line| {
        let (name, value) = line.split_once(": ")?;
        let ends = value.strip_prefix("bytes=").filter(|_| name.eq_ignore_ascii_case("range"))?;
        let (first, last) = ends.split_once('-')?;
        Some((first.parse::<usize>().ok()?, last.parse::<usize>().ok()?))
    });
    let found = fs::read(directory.join(path));
    let (status, more, body) = match (method, found, range) {
        ("GET" | "HEAD", Err(_), _) => (404, String::new(), Vec::new()),
        ("GET", Ok(file), Some((first, last))) if first < file.len() => {
            let end = file.len().min(last.saturating_add(1));
            let more = format!("content-range: bytes {first}-{}/{}\r\n", end - 1, file.len());
            (206, more, file[first..end].to_vec())
        }
        ("GET", Ok(_), Some(_)) => (416, String::new(), Vec::new()),
        ("GET" | "HEAD", Ok(file), _) => (200, String::new(), file),
        _ => (405, String::new(), Vec::new()),
    };
    let len = body.len();
    let front =
        format!("HTTP/1.1 {status} -\r\ncontent-length: {len}\r\nconnection: close\r\n{more}\r\n");
    stream.write_all(front.as_bytes()).ok()?;
    if method != "HEAD" {
        stream.write_all(&body).ok()?;
    }
    stream.flush().ok()?;
    // Until the client has it all.
    stream.shutdown(std::net::Shutdown::Write).ok()?;
    stream.read(&mut [0]).ok().map(drop)
}
