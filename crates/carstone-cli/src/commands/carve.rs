//! `carstone carve`: finds packs and plain CARs in anything.

use std::fs::{self, File};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use anyhow::Context;
use carstone::layer::ReadAt;
use carstone::stack::{self, Carved, CarvedCar, CarvedPack, Carving, Conflict};
use serde_json::{Map, Value, json};

use crate::cli::CarveArgs;
use crate::exit::Exit;
use crate::input::{chain, explained};
use crate::keys::is_stdin;
use crate::losses::object;
use crate::names::{self, counted, escaped, hex, human};
use crate::output::Output;
use crate::progress::Progress;
use crate::signals;
use crate::sink::OutFile;
use crate::source::Watched;

/// Carves.
pub(crate) fn run(args: CarveArgs, output: &mut Output) -> anyhow::Result<Exit> {
    let name = match is_stdin(&args.image) {
        true => "standard input".to_owned(),
        false => args.image.display().to_string(),
    };
    let source = Watched(open(&args.image).with_context(|| name.clone())?);
    let directory = args.directory.filter(|_| !args.dry_run);
    let directory = directory.as_deref();
    let mut job = Job { source, directory, force: args.force, output, found: 0, whole: 0 };
    let (mut next, mut searched_on) = (Some(0), Vec::new());
    while let Some(start) = next {
        let carving = job.search(start).with_context(|| name.clone())?;
        job.take(&carving.found)?;
        next = carving.next;
        searched_on.extend(next);
        if let Some(at) = next {
            // A pack that lies on both sides comes out in two files, which is no damage of it.
            job.output.note(&format!("{name}: {TOO_MANY} {at} is found again behind it"));
        }
    }
    let Job { found, whole, output, .. } = job;
    if found == 0 {
        output.problem(name.as_bytes(), &"holds no pack and no CAR, nor a fragment of one")?;
    }
    if output.is_json() {
        let fields = json!({
            "found": found,
            "whole": whole,
            "damaged": found - whole,
            "searched_on": searched_on,
            "dry_run": args.dry_run,
        });
        output.object("summary", object(fields))?;
    }
    Ok(Exit::found(found == 0 || whole < found))
}

/// The image. Standard input, and whatever else cannot seek, is kept in a temporary file.
fn open(path: &Path) -> anyhow::Result<File> {
    if is_stdin(path) {
        return spooled(io::stdin());
    }
    let file = File::open(path).context("cannot open")?;
    let kind = file.metadata().context("cannot open")?.file_type();
    if kind.is_dir() {
        anyhow::bail!("is a directory, not an image");
    }
    match !kind.is_file() && io::Seek::stream_position(&mut &file).is_err() {
        true => spooled(file),
        false => Ok(file),
    }
}

fn spooled(pipe: impl io::Read) -> anyhow::Result<File> {
    let mut file = tempfile::tempfile().context("cannot make a temporary file")?;
    io::copy(&mut Watched(pipe), &mut file).context("cannot keep it in a temporary file")?;
    Ok(file)
}

struct Job<'a> {
    source: Watched<File>,
    /// `None`: nothing is written.
    directory: Option<&'a Path>,
    force: bool,
    output: &'a mut Output,
    /// How many were found, and how many of them are whole.
    found: usize,
    whole: usize,
}

/// What is told of one find.
struct Told {
    is_whole: bool,
    /// The file that it is written to, or would be.
    name: Option<String>,
    text: String,
    fields: Map<String, Value>,
}

impl Job<'_> {
    fn search(&self, start: u64) -> anyhow::Result<Carving> {
        let progress = Progress::new(self.output, "searching", self.source.size().ok());
        let carving = stack::carve(&self.source, start, &mut |at| progress.at(at));
        progress.finish();
        signals::check()?;
        carving.map_err(explained)
    }

    /// Writes what was found, and tells of it.
    fn take(&mut self, found: &[Carved]) -> anyhow::Result<()> {
        if let Some(directory) = self.directory.filter(|_| !found.is_empty()) {
            fs::create_dir_all(directory)
                .with_context(|| format!("{}: cannot make the directory", directory.display()))?;
        }
        for found in found {
            let number = self.found + 1;
            let told = match found {
                Carved::Pack(pack) => self.pack(number, pack)?,
                Carved::Car(car) => self.car(number, car)?,
                _ => continue,
            };
            self.found = number;
            self.whole += usize::from(told.is_whole);
            self.tell(&told)?;
        }
        Ok(())
    }

    fn pack(&mut self, number: usize, pack: &CarvedPack) -> anyhow::Result<Told> {
        let id = hex(pack.pack_id().as_bytes());
        let mut fields = object(json!({
            "kind": "pack",
            "pack_id": id,
            "fragments": pack.fragments(),
            "whole": false,
        }));
        place(&mut fields, &pack.range(), pack.bytes());
        let about = format!("pack {id}{}", shown(&pack.range(), pack.bytes()));
        let progress = Progress::new(self.output, "checking frames", None);
        let mended = pack.mend(&self.source, &mut |at| progress.at(at));
        progress.finish();
        signals::check()?;
        let mended = match mended {
            Ok(mended) => mended,
            Err(error) if matches!(error.kind(), stack::ErrorKind::Io(_)) => {
                return Err(error.into());
            }
            Err(error) => return self.scattered(number, pack, &error, &about, fields),
        };
        let name = format!("{number:04}-{id}.cstone");
        let copy = |file: &File, progress: &mut dyn FnMut(u64)| mended.copy_to(file, progress);
        write(self.directory, self.force, self.output, &name, mended.len(), copy)?;
        let is_whole = mended.is_whole();
        let lost: Option<u64> = mended.report().lost.iter().map(|gap| gap.len).sum();
        fields.insert("whole".to_owned(), is_whole.into());
        fields.insert("encrypted".to_owned(), mended.is_encrypted().into());
        fields.insert("inferred".to_owned(), mended.is_inferred().into());
        fields.insert("holes".to_owned(), mended.holes().into());
        fields.insert("lost".to_owned(), lost.into());
        fields.insert("stored".to_owned(), mended.len().into());
        let state = match (is_whole, mended.holes(), lost) {
            (true, _, _) => "whole".to_owned(),
            (false, 0, _) => "nobody can say that it is whole".to_owned(),
            (false, holes, Some(0)) => counted(holes, "hole"),
            (false, holes, Some(lost)) => {
                format!("{}, {} lost", counted(holes, "hole"), human(lost))
            }
            (false, holes, None) => format!("{}, its end is lost", counted(holes, "hole")),
        };
        let inferred = match mended.is_inferred() {
            true => "; its layers are told by its frames alone",
            false => "",
        };
        let all = mended.report().conflicts.iter();
        let conflicts = all.filter(|conflict| **conflict != Conflict::NoFrames);
        let conflicts: Vec<String> = conflicts.map(ToString::to_string).collect();
        let mut text = format!("{about}, {state}{inferred}");
        for conflict in &conflicts {
            text = format!("{text}; {conflict}");
        }
        fields.insert("conflicts".to_owned(), conflicts.into());
        Ok(Told { is_whole, name: Some(name), text, fields })
    }

    /// A pack that cannot be put together: what there is of it is kept as it is, since it may help where more of the pack turns up.
    fn scattered(
        &mut self,
        number: usize,
        pack: &CarvedPack,
        error: &stack::Error,
        about: &str,
        mut fields: Map<String, Value>,
    ) -> anyhow::Result<Told> {
        let why = match (pack.fragments(), error.kind()) {
            (0, _) => "none of its frames are left".to_owned(),
            (_, stack::ErrorKind::ContainerLost) => {
                "no header, trailer or anchor is left to say what it is made of".to_owned()
            }
            _ => chain(error),
        };
        fields.insert("message".to_owned(), why.clone().into());
        let text = format!("{about}: cannot be put together: {why}");
        if pack.fragments() == 0 {
            return Ok(Told { is_whole: false, name: None, text, fields });
        }
        let name = format!("{number:04}-{}.frames", hex(pack.pack_id().as_bytes()));
        let source = &self.source;
        let copy =
            |file: &File, progress: &mut dyn FnMut(u64)| pack.copy_parts_to(source, file, progress);
        write(self.directory, self.force, self.output, &name, pack.bytes(), copy)?;
        let text = format!("{text}; its frames are kept as they are, to be carved with more of it");
        Ok(Told { is_whole: false, name: Some(name), text, fields })
    }

    fn car(&mut self, number: usize, car: &CarvedCar) -> anyhow::Result<Told> {
        let (range, is_whole) = (car.range(), car.is_whole());
        let name = format!("{number:04}-{}.car", range.start);
        let source = &self.source;
        let copy = |file: &File, progress: &mut dyn FnMut(u64)| car.copy_to(source, file, progress);
        write(self.directory, self.force, self.output, &name, car.bytes(), copy)?;
        let mut fields = object(json!({
            "kind": "car",
            "blocks": car.blocks(),
            "header": car.has_header(),
            "holes": car.holes(),
            "whole": is_whole,
        }));
        place(&mut fields, &range, car.bytes());
        let holes = match car.holes() {
            0 => String::new(),
            holes => format!(", {}", counted(holes, "hole")),
        };
        let state = match (is_whole, car.has_header()) {
            (true, _) => ", whole",
            (false, true) => "",
            (false, false) => ", its header is lost and with it its roots",
        };
        let blocks = counted(car.blocks(), "block");
        let text = format!("CAR{}, {blocks}{holes}{state}", shown(&range, car.bytes()));
        Ok(Told { is_whole, name: Some(name), text, fields })
    }

    fn tell(&mut self, told: &Told) -> anyhow::Result<()> {
        let path = told.name.as_ref().map(|name| match self.directory {
            Some(directory) => directory.join(name),
            None => name.into(),
        });
        if self.output.is_json() {
            let mut fields = told.fields.clone();
            if let Some(path) = path {
                names::put(&mut fields, "output", path.as_os_str().as_bytes());
            }
            return self.output.object("carved", fields);
        }
        let line = match path {
            Some(path) => format!("{}: {}", escaped(path.as_os_str().as_bytes()), told.text),
            None => told.text.clone(),
        };
        self.output.line(line.as_bytes())
    }
}

/// Writes a file that appears under its name only when it is complete.
fn write(
    directory: Option<&Path>,
    force: bool,
    output: &Output,
    name: &str,
    len: u64,
    copy: impl FnOnce(&File, &mut dyn FnMut(u64)) -> io::Result<()>,
) -> anyhow::Result<()> {
    let Some(directory) = directory else { return Ok(()) };
    let path = directory.join(name);
    let file = OutFile::create(&path, force)?;
    let progress = Progress::new(output, "writing", Some(len));
    let written = copy(file.file(), &mut |at| progress.at(at));
    progress.finish();
    signals::check()?;
    written.with_context(|| format!("{}: cannot write", path.display()))?;
    file.finish()
}

fn place(fields: &mut Map<String, Value>, range: &std::ops::Range<u64>, bytes: u64) {
    fields.insert("offset".to_owned(), range.start.into());
    fields.insert("end".to_owned(), range.end.into());
    fields.insert("bytes".to_owned(), bytes.into());
}

fn shown(range: &std::ops::Range<u64>, bytes: u64) -> String {
    format!(" at bytes {}–{}, {}", range.start, range.end, human(bytes))
}

const TOO_MANY: &str =
    "more was found than is kept track of at a time; a pack that goes on at byte";
