//! Writes a pack of very many small entries, opens it, lists and reads it, streams it; prints times and peaks of memory.
//!
//! `cargo run --release -p carstone-benches --bin many_entries -- [ENTRIES] [--flat] [--size BYTES] [--budget MIB] [--threads N]
//! [--file PATH] [--encrypt]`. By default 5,000,000 entries of one byte, with two threads. Each step runs in a process of its own, since a peak is that of a process. Linux only.

use std::error::Error;
use std::fs::File;
use std::io::{self, BufWriter, Read, Write};
use std::path::PathBuf;
use std::process::Command;
use std::time::Instant;

use carstone::pack::{
    Event, Metadata, PackOptions, PackStream, PackWriter, StreamOptions, Timestamp,
};
use carstone::stack::{self, OpenOptions, Protection, WriteOptions};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let asked = Asked::parse(&args)?;
    let Some(step) = asked.step.as_deref() else {
        let made = asked.file.is_none();
        let file = asked.file.clone().unwrap_or_else(|| std::env::temp_dir().join(pack_name()));
        for step in ["write", "read", "stream"] {
            let mut command = Command::new(std::env::current_exe()?);
            command.args(&args).args(["--step", step, "--file"]).arg(&file);
            if !command.status()?.success() {
                return Err(format!("{step} failed").into());
            }
        }
        if made {
            std::fs::remove_file(file)?;
        }
        return Ok(());
    };
    let start = Instant::now();
    let done = match step {
        "write" => write(&asked)?,
        "read" => read(&asked)?,
        "stream" => stream(&asked)?,
        other => return Err(format!("no such step: {other}").into()),
    };
    let seconds = start.elapsed().as_secs_f64();
    let (peak, cpu) = (status("VmHWM:")? / 1024, cpu_seconds()?);
    writeln!(
        io::stdout(),
        "{step:6} {seconds:7.1} s, {cpu:7.1} s of CPU, peak {peak:4} MiB: {done}"
    )?;
    Ok(())
}

struct Asked {
    entries: u64,
    flat: bool,
    size: usize,
    budget: Option<usize>,
    threads: usize,
    file: Option<PathBuf>,
    encrypt: bool,
    step: Option<String>,
}

impl Asked {
    fn parse(args: &[String]) -> Result<Self> {
        let (entries, flat, size, budget, threads) = (5_000_000, false, 1, None, 2);
        let (file, encrypt, step) = (None, false, None);
        let mut asked = Self { entries, flat, size, budget, threads, file, encrypt, step };
        let mut args = args.iter();
        while let Some(arg) = args.next() {
            let mut value = || args.next().ok_or_else(|| format!("{arg} needs a value"));
            match arg.as_str() {
                "--flat" => asked.flat = true,
                "--encrypt" => asked.encrypt = true,
                "--size" => asked.size = value()?.parse()?,
                "--budget" => asked.budget = Some(value()?.parse::<usize>()? << 20),
                "--threads" => asked.threads = value()?.parse()?,
                "--file" => asked.file = Some(value()?.into()),
                "--step" => asked.step = Some(value()?.clone()),
                entries => asked.entries = entries.parse()?,
            }
        }
        Ok(asked)
    }

    fn open_options(&self) -> OpenOptions {
        OpenOptions::default().threads(self.threads)
    }

    fn path(&self, entry: u64) -> String {
        match self.flat {
            true => format!("{entry:07}"),
            false => {
                format!("d{:03}/{:03}/{:03}", entry / 1_000_000, entry / 1000 % 1000, entry % 1000)
            }
        }
    }

    fn file(&self) -> Result<File> {
        Ok(File::open(self.file.as_deref().ok_or("no file")?)?)
    }
}

fn write(asked: &Asked) -> Result<String> {
    let mut options = WriteOptions::default().threads(asked.threads);
    if asked.encrypt {
        options = options.protection(Protection::content_key(KEY));
    }
    let sink = BufWriter::new(File::create(asked.file.as_deref().ok_or("no file")?)?);
    let pipe = stack::write(sink, options)?;
    let id = pipe.pack_id();
    let mut options = PackOptions::default().threads(asked.threads);
    if let Some(budget) = asked.budget {
        options = options.budget(budget);
    }
    let mut writer = PackWriter::with_options(pipe, id, options)?;
    for entry in 0..asked.entries {
        let (content, size) = (content(entry, asked.size), asked.size);
        let mtime = Timestamp { seconds: 1_700_000_000 + entry as i64 % 1000, nanos: 0 };
        let path = asked.path(entry);
        let metadata = Metadata::new(0o644, mtime);
        writer.add_small_file(path.as_bytes(), metadata, size, move || Ok((content, false)))?;
    }
    let (pipe, summary) = writer.finish()?;
    let stored = pipe.finish()?.into_inner()?.metadata()?.len();
    Ok(format!(
        "{} entries, {} blocks, {} MiB of stream stored in {} MiB",
        summary.entries,
        summary.blocks,
        summary.stream_len >> 20,
        stored >> 20
    ))
}

fn read(asked: &Asked) -> Result<String> {
    let opened = stack::open(asked.file()?, &KEY, &asked.open_options())?;
    let reader = opened.pack()?;
    let mut listed = 0_u64;
    for entry in reader.entries() {
        entry?;
        listed += 1;
    }
    let mut read = 0;
    for entry in (0..asked.entries).step_by(asked.entries as usize / 50 + 1) {
        let listed = reader.find(asked.path(entry).as_bytes())?.ok_or("an entry is missing")?;
        let mut found = Vec::new();
        reader.open_file(&listed)?.read_to_end(&mut found)?;
        if found != content(entry, asked.size) {
            return Err("an entry has other content".into());
        }
        read += 1;
    }
    Ok(format!("{listed} listed, {read} files read"))
}

fn stream(asked: &Asked) -> Result<String> {
    let source = stack::stream(asked.file()?, &KEY, &asked.open_options())?;
    let id = source.pack_id();
    let options = StreamOptions::default().threads(asked.threads);
    let mut stream = PackStream::with_options(source, id, options)?;
    let (mut entries, mut leaves) = (0_u64, 0_u64);
    while let Some(event) = stream.next()? {
        match event {
            Event::Entry(_) => entries += 1,
            Event::Leaf { .. } => leaves += 1,
            _ => {}
        }
    }
    Ok(format!("{entries} entries, {leaves} leaves"))
}

/// Content of an entry: with one byte only 256 differ, with eight all.
fn content(entry: u64, size: usize) -> Vec<u8> {
    match size {
        0..=8 => entry.to_le_bytes()[..size].to_vec(),
        _ => carstone_benches::noise(entry, size),
    }
}

/// A number of `/proc/self/status`, in KiB.
fn status(name: &str) -> Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix(name)).ok_or("no such line")?;
    Ok(line.trim().trim_end_matches(" kB").parse()?)
}

/// Time that all threads of this process took: fields 14 and 15, in hundredths of a second on Linux.
fn cpu_seconds() -> Result<f64> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let behind = stat.rsplit_once(')').ok_or("no name")?.1;
    let mut ticks = 0;
    for field in behind.split_whitespace().skip(11).take(2) {
        ticks += field.parse::<u64>()?;
    }
    Ok(ticks as f64 / 100.0)
}

fn pack_name() -> String {
    format!("many-entries-{}.cstone", std::process::id())
}

const KEY: [u8; 32] = [7; 32];
