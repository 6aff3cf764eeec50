//! The file system that lies in memory, where no disk decides how long something takes.

use std::fs;
use std::path::Path;

use anyhow::{Context, ensure};
use nix::sys::statvfs::statvfs;
use tempfile::TempDir;

const BASE: &str = "/dev/shm";

/// What programs need beside it.
const SPARE: u64 = 2 << 30;

/// The bytes that may be written to it.
pub fn room() -> anyhow::Result<u64> {
    let status = statvfs(BASE).with_context(|| format!("there is no {BASE}"))?;
    let free = status.blocks_available() * status.fragment_size();
    let text =
        fs::read_to_string("/proc/meminfo").context("cannot tell how much memory there is")?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"));
    let available = line.and_then(|line| line.trim().strip_suffix(" kB"));
    let available: u64 = available.context("/proc/meminfo does not tell it")?.parse()?;
    Ok(free.min((available * 1024).saturating_sub(SPARE)))
}

/// A folder in it that is removed with the value, if there is room for so many bytes.
pub fn folder(needs: u64) -> anyhow::Result<TempDir> {
    let room = room()?;
    ensure!(needs <= room, "{BASE} has room for {room} bytes, and {needs} are needed");
    Ok(tempfile::Builder::new().prefix("carstone-").tempdir_in(BASE)?)
}

/// Itself where there is room for so many bytes, else the other folder.
pub fn or_else(needs: u64, other: &Path) -> &Path {
    match room() {
        Ok(room) if needs <= room => Path::new(BASE),
        _ => other,
    }
}
