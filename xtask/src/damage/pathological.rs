//! `cargo xtask damage --pathological`: large files that are no packs, and look like some from everywhere. Searching them takes no more than a few
//! times what reading a good pack takes.

#![expect(clippy::print_stdout, reason = "the table is the result")]

use std::fs::{self, File};
use std::io::{BufWriter, Read, Write};
use std::path::Path;
use std::time::Duration;

use anyhow::ensure;

use crate::made;
use crate::measure::{Job, Usage};
use crate::rig::mib;
use crate::seeded::Random;

/// Fails when one takes more than 256 MiB, or more than three times as long as reading a good pack of the same size.
pub fn run(carstone: &Path, folder: &Path, size: u64) -> anyhow::Result<()> {
    let (tree, pack, file) = (folder.join("tree"), folder.join("good.cstone"), folder.join("file"));
    fs::create_dir(&tree)?;
    made::noise(&tree, size)?;
    println!(
        "{size} bytes each; time as a multiple of that of `verify` for good packs of as many\n"
    );
    println!(
        "{:<40}{:<20}{:>8}{:>8}{:>8}{:>8}",
        "file", "command", "wall s", "CPU s", "MiB", "times"
    );
    let mut good = Duration::ZERO;
    for compress in ["brotli:5", "none"] {
        let create = Job::new(carstone).args(["create", "-q", "--force", "--compress", compress]);
        create.arg("-o").arg(&pack).arg(&tree).measure()?;
        let verify = Job::new(carstone).args(["verify", "-q"]).arg(&pack);
        let runs = (0..3).map(|_| verify.measure()).collect::<anyhow::Result<Vec<_>>>()?;
        let Some(usage) = Usage::median(&runs) else { continue };
        // The last is what all is measured by.
        good = usage.wall;
        row(&format!("a good pack, {compress}"), "verify", &usage, good);
    }
    fs::remove_dir_all(&tree)?;
    let mut container = [0; 256];
    File::open(&pack)?.read_exact(&mut container)?;
    let mut passed = true;
    for (name, make) in FILES {
        make(&mut Maker { file: BufWriter::new(File::create(&file)?), left: size, container })?;
        for (command, options) in COMMANDS {
            let out = folder.join("out");
            let mut job = Job::new(carstone).arg(*command).args(options.iter().copied());
            job = match *command {
                "extract" => job.arg("-C").arg(&out),
                "repair" => job.arg("-o").arg(&out),
                _ => job,
            };
            let usage = job.arg(&file).may_find().measure()?;
            row(name, &[&[*command], *options].concat().join(" "), &usage, good);
            passed &= usage.memory <= MOST_MEMORY && usage.wall <= good * MOST_TIMES;
            if out.is_dir() {
                fs::remove_dir_all(&out)?;
            } else if out.exists() {
                fs::remove_file(&out)?;
            }
        }
    }
    ensure!(passed, "more than {} MiB, or {MOST_TIMES} times as long", MOST_MEMORY >> 20);
    Ok(())
}

fn row(file: &str, command: &str, usage: &Usage, good: Duration) {
    let (wall, cpu) = (usage.wall.as_secs_f64(), usage.cpu.as_secs_f64());
    let (memory, times) = (mib(usage.memory), wall / good.as_secs_f64());
    println!("{file:<40}{command:<20}{wall:>8.2}{cpu:>8.2}{memory:>8.0}{times:>8.2}");
}

const COMMANDS: &[(&str, &[&str])] = &[
    ("verify", &["-q"]),
    ("extract", &["--salvage", "-q"]),
    ("carve", &["-n", "-q"]),
    ("repair", &["-q"]),
];

/// A file of which some bytes are left to be written.
struct Maker {
    file: BufWriter<File>,
    left: u64,
    /// The header of a pack with frames that are not encrypted.
    container: [u8; 256],
}

impl Maker {
    /// Writes as much as there is room for.
    fn put(&mut self, bytes: &[u8]) -> anyhow::Result<()> {
        let len = self.left.min(bytes.len() as u64);
        self.file.write_all(&bytes[..usize::try_from(len)?])?;
        self.left -= len;
        Ok(())
    }

    fn fill(&mut self, mut next: impl FnMut() -> Vec<u8>) -> anyhow::Result<()> {
        while self.left > 0 {
            self.put(&next())?;
        }
        Ok(self.file.flush()?)
    }

    /// The header alone.
    fn begin(&mut self) -> anyhow::Result<()> {
        self.put(&self.container.clone())
    }

    /// Heads of data frames, one after the other, each with the largest payload there may be.
    fn heads(&mut self, stored: u32) -> anyhow::Result<()> {
        let (mut number, mut random) = (0, Random::new(5));
        let pack: [u8; 16] = std::array::from_fn(|n| self.container[32 + n]);
        self.fill(|| {
            let mut head = [0; 96];
            head[..8].copy_from_slice(&MAGIC);
            // Version, layer, kind.
            head[12..15].copy_from_slice(&[1, 2, 1]);
            head[20..36].copy_from_slice(&pack);
            head[40..48].copy_from_slice(&u64::to_le_bytes(number));
            head[48..56].copy_from_slice(&u64::to_le_bytes(number * u64::from(stored)));
            head[56..60].copy_from_slice(&stored.to_le_bytes());
            head[60..64].copy_from_slice(&stored.to_le_bytes());
            head[64..68].fill(0xff);
            head[72..].copy_from_slice(&random.noise(24));
            let sum = crc32c(&[&head[..8], &head[12..]]);
            head[8..12].copy_from_slice(&sum.to_le_bytes());
            number += 1;
            head.to_vec()
        })
    }

    /// Heads of sections, each 64 bytes behind the last, of 8 MiB each.
    fn sections(&mut self) -> anyhow::Result<()> {
        self.put(b"\x11\xa2\x65roots\x80\x67version\x01")?;
        let mut random = Random::new(6);
        self.fill(|| {
            let mut section = vec![0x80, 0x80, 0x80, 0x04, 0x01, 0x55, 0x12, 0x20];
            section.extend(random.noise(56));
            section
        })
    }
}

type Make = fn(&mut Maker) -> anyhow::Result<()>;

const FILES: &[(&str, Make)] = &[
    ("zeros", |file| file.fill(|| vec![0; 1 << 16])),
    ("noise", |file| {
        let mut random = Random::new(4);
        file.fill(|| random.noise(1 << 16))
    }),
    ("marks of frames", |file| file.fill(|| MAGIC.repeat(1 << 13))),
    ("heads of frames", |file| file.heads(16 << 20)),
    ("a pack header, then zeros", |file| {
        file.begin()?;
        file.fill(|| vec![0; 1 << 16])
    }),
    ("a pack header, then noise", |file| {
        file.begin()?;
        let mut random = Random::new(4);
        file.fill(|| random.noise(1 << 16))
    }),
    ("a pack header, then marks of frames", |file| {
        file.begin()?;
        file.fill(|| MAGIC.repeat(1 << 13))
    }),
    ("a pack header, then its heads, 4 MiB", |file| {
        file.begin()?;
        file.heads(4 << 20)
    }),
    ("a pack header, then its heads, 4 KiB", |file| {
        file.begin()?;
        file.heads(4 << 10)
    }),
    ("a CAR of section heads", Maker::sections),
];

/// What all frames begin with.
pub const MAGIC: [u8; 8] = *b"\xf4CSF\r\n\x1a\xc1";

/// CRC-32C, bit by bit.
fn crc32c(parts: &[&[u8]]) -> u32 {
    let step = |sum: u32, byte: &u8| {
        let round = |sum: u32, _| (sum >> 1) ^ (0x82f6_3b78 * (sum & 1));
        (0..8).fold(sum ^ u32::from(*byte), round)
    };
    !parts.iter().copied().flatten().fold(!0, step)
}

const MOST_MEMORY: u64 = 256 << 20;
const MOST_TIMES: u32 = 3;

#[cfg(test)]
mod tests {
    #[test]
    fn the_checksum_is_that_of_the_standard() {
        assert_eq!(super::crc32c(&[b"1234", b"56789"]), 0xe306_9283);
    }
}
