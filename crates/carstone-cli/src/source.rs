//! Where a pack is read from: a file, or a pipe. What it is, is told by its first bytes.

use std::collections::HashSet;
use std::fs::File;
use std::io::{self, Cursor, Read, Seek};
use std::path::Path;

use anyhow::{Context, bail};
use carstone::car::{AtReader, ReaderOptions};
use carstone::layer::{
    FRAME_HEADER_LEN, FRAME_MAGIC, FrameHeader, LayerId, PackId, ReadAt, read_full,
};
use carstone::raw::Edges;
use carstone::repair::{CarItem, CarSalvage};
use carstone::stack::{Format, detect};

use crate::keys::is_stdin;
use crate::output::Output;

mod watched;

pub(crate) use watched::Watched;

/// Something to read, and what it is.
pub(crate) struct Source {
    /// How messages call it.
    pub name: String,
    /// A pack, or a plain CAR.
    pub format: Format,
    /// The bytes.
    pub bytes: Bytes,
    /// It is a pipe that lacks what stands at the front of a pack, and was kept because of that.
    pub is_kept: bool,
    /// What is accepted of a plain CAR.
    pub reading: ReaderOptions,
}

/// The bytes of a source.
pub(crate) enum Bytes {
    /// Read at any offset.
    File(File),
    /// Read once, front to back.
    Pipe(Box<dyn Read + Send>),
}

impl Source {
    /// Opens `path`; `-` is standard input.
    ///
    /// # Errors
    /// It cannot be read, or is neither a pack nor a plain CAR.
    pub(crate) fn open(path: &Path) -> anyhow::Result<Self> {
        Self::recognised_by(recognised, path)
    }

    /// Sets what is accepted of a plain CAR.
    #[must_use]
    pub(crate) fn accepting(self, reading: ReaderOptions) -> Self {
        Self { reading, ..self }
    }

    /// Opens what may be a damaged pack or plain CAR: its first bytes need not tell.
    ///
    /// # Errors
    /// It cannot be read, is empty, or clearly something else.
    pub(crate) fn open_damaged(path: &Path) -> anyhow::Result<Self> {
        Self::recognised_by(perhaps_damaged, path)
    }

    /// What may be a damaged pack or plain CAR, in a file that is open already.
    ///
    /// # Errors
    /// It cannot be read, is empty, or clearly something else.
    pub(crate) fn damaged_file(file: File, name: &str) -> anyhow::Result<Self> {
        let source = Self::file(file, name.to_owned(), perhaps_damaged);
        source.with_context(|| name.to_owned())
    }

    /// A pack or a plain CAR in a file that is open already.
    ///
    /// # Errors
    /// It cannot be read, or is neither.
    pub(crate) fn sound_file(file: File, name: &str) -> anyhow::Result<Self> {
        let source = Self::file(file, name.to_owned(), recognised);
        source.with_context(|| name.to_owned())
    }

    fn recognised_by(recognise: Recognise, path: &Path) -> anyhow::Result<Self> {
        let name = match is_stdin(path) {
            true => "standard input".to_owned(),
            false => path.display().to_string(),
        };
        let source = Self::of(path, name.clone(), recognise);
        source.with_context(|| name)
    }

    fn of(path: &Path, name: String, recognise: Recognise) -> anyhow::Result<Self> {
        if is_stdin(path) {
            return Self::pipe(io::stdin(), name, recognise);
        }
        let file = File::open(path).context("cannot open")?;
        let kind = file.metadata().context("cannot open")?.file_type();
        if kind.is_dir() {
            bail!("is a directory, not a pack");
        }
        if !kind.is_file() && (&file).stream_position().is_err() {
            return Self::pipe(file, name, recognise);
        }
        Self::file(file, name, recognise)
    }

    fn file(file: File, name: String, recognise: Recognise) -> anyhow::Result<Self> {
        let mut front = [0; FRONT];
        let n = read_full(&file, &mut front, 0).context("cannot read at byte 0")?;
        let format = match recognise(&front[..n]) {
            Err(error) if detect(&front[..n]) == Format::Unknown => {
                headless(&file, may_lack_header(&front[..n]))?.ok_or(error)?
            }
            recognised => recognised?,
        };
        Ok(Self::new(name, format, Bytes::File(file)))
    }

    fn pipe(
        mut pipe: impl Read + Send + 'static,
        name: String,
        recognise: Recognise,
    ) -> anyhow::Result<Self> {
        let mut front = Vec::with_capacity(FRONT);
        pipe.by_ref()
            .take(FRONT as u64)
            .read_to_end(&mut front)
            .context("cannot read at byte 0")?;
        let recognised = recognise(&front);
        let is_unknown = !front.is_empty() && detect(&front) == Format::Unknown;
        let may_be_car = may_lack_header(&front);
        let pipe = Watched(Cursor::new(front).chain(pipe));
        match recognised {
            Err(_) if is_unknown => Self::kept(pipe, name, recognise, may_be_car),
            recognised => {
                let bytes = Bytes::Pipe(Box::new(pipe));
                Ok(Self::new(name, recognised?, bytes))
            }
        }
    }

    fn new(name: String, format: Format, bytes: Bytes) -> Self {
        Self { name, format, bytes, is_kept: false, reading: ReaderOptions::default() }
    }

    /// A pipe whose first bytes tell nothing. If frames or blocks follow, all of it is kept in a temporary file: what its layers are, its end may tell.
    fn kept(
        mut pipe: impl Read,
        name: String,
        recognise: Recognise,
        may_be_car: bool,
    ) -> anyhow::Result<Self> {
        let mut file = tempfile::tempfile().context("cannot make a temporary file")?;
        let again = file.try_clone().context("cannot open it again")?;
        let mut keep = |most: u64| {
            let kept = io::copy(&mut pipe.by_ref().take(most), &mut file);
            kept.context("cannot keep it in a temporary file").map(drop)
        };
        keep(LONGEST_FRAME)?;
        if headless(&again, may_be_car)?.is_some() {
            keep(u64::MAX)?;
        }
        let source = Self::file(again, name, recognise)?;
        Ok(Self { is_kept: true, ..source })
    }

    /// Says that a pipe was kept, and why.
    pub(crate) fn tell_kept(&self, output: &mut Output) {
        if self.is_kept {
            let why = "no container header at byte 0: it is kept in a temporary file, to be read from both ends";
            output.note(&format!("{}: {why}", self.name));
        }
    }

    /// The file once more, to read it in another way if this one fails; `None` of a pipe.
    pub(crate) fn again(&self) -> anyhow::Result<Option<File>> {
        match &self.bytes {
            Bytes::File(file) => file.try_clone().context("cannot open it again").map(Some),
            Bytes::Pipe(_) => Ok(None),
        }
    }

    /// Whether it is a plain CAR in a file, if only by its blocks.
    ///
    /// # Errors
    /// It cannot be read.
    pub(crate) fn is_car(&self) -> anyhow::Result<bool> {
        let Bytes::File(file) = &self.bytes else { return Ok(false) };
        if self.format != Format::Unknown {
            return Ok(self.format == Format::Car);
        }
        let mut front = [0; FRONT];
        let n = read_full(file, &mut front, 0).context("cannot read at byte 0")?;
        Ok(headless(file, may_lack_header(&front[..n]))? == Some(Format::Car))
    }

    /// Makes a file of a pipe, in an unnamed temporary file.
    pub(crate) fn spooled(mut self) -> anyhow::Result<Self> {
        if let Bytes::Pipe(pipe) = &mut self.bytes {
            let mut file = tempfile::tempfile().context("cannot make a temporary file")?;
            io::copy(pipe, &mut file)
                .with_context(|| format!("{}: cannot keep it in a temporary file", self.name))?;
            self.bytes = Bytes::File(file);
        }
        Ok(self)
    }
}

/// Any file, whatever is in it; a pipe is kept in an unnamed temporary file. The name is that for messages.
///
/// # Errors
/// It cannot be read, or is a directory.
pub(crate) fn any_file(path: &Path) -> anyhow::Result<(File, String)> {
    let keep = |pipe: &mut dyn Read| {
        let mut file = tempfile::tempfile()?;
        io::copy(&mut Watched(pipe), &mut file)?;
        Ok::<_, io::Error>(file)
    };
    let kept = "cannot keep it in a temporary file";
    if is_stdin(path) {
        let name = "standard input";
        let file = keep(&mut io::stdin().lock()).context(kept).context(name)?;
        return Ok((file, name.to_owned()));
    }
    let name = path.display().to_string();
    let open = || {
        let mut file = File::open(path).context("cannot open")?;
        let kind = file.metadata().context("cannot open")?.file_type();
        if kind.is_dir() {
            bail!("is a directory, not a file");
        }
        match kind.is_file() || (&file).stream_position().is_ok() {
            true => Ok(file),
            false => keep(&mut file).context(kept),
        }
    };
    let file = open().with_context(|| name.clone())?;
    Ok((file, name))
}

type Recognise = fn(&[u8]) -> anyhow::Result<Format>;

/// What may be a pack whose first bytes are damaged or gone.
fn perhaps_damaged(front: &[u8]) -> anyhow::Result<Format> {
    match detect(front) {
        Format::Unknown if !front.is_empty() => Ok(Format::Unknown),
        _ => recognised(front),
    }
}

/// What a file whose first bytes tell nothing is, if frames or blocks stand in its first bytes. `may_be_car`: it may lack the header of a CAR.
fn headless(file: &File, may_be_car: bool) -> anyhow::Result<Option<Format>> {
    let frames = frames(file)?;
    if may_be_car && holds_blocks(file, &frames)? {
        // A pack without frames has blocks too, and its trailer tells.
        let edges = Edges::find(file, 0..file.size()?).ok();
        let container = edges.as_ref().and_then(Edges::container);
        let outermost = container.and_then(|container| container.layers.slots().first());
        return Ok(Some(match outermost.is_some_and(|slot| slot.id == LayerId::POSITION) {
            true => Format::Unknown,
            false => Format::Car,
        }));
    }
    Ok((!frames.is_empty()).then_some(Format::Unknown))
}

/// Where frames begin, and of which packs: where none does in so many bytes, none is there.
fn frames(file: &File) -> anyhow::Result<Vec<(u64, PackId)>> {
    let (mut at, mut chunk, mut found) = (0, vec![0; SEARCH_CHUNK], Vec::new());
    while at < LONGEST_FRAME {
        let n =
            read_full(file, &mut chunk, at).with_context(|| format!("cannot read at byte {at}"))?;
        for (place, window) in chunk[..n].windows(FRAME_HEADER_LEN).enumerate() {
            if window.starts_with(&FRAME_MAGIC)
                && let Some(header) = window.first_chunk().and_then(FrameHeader::probe)
            {
                found.push((at + place as u64, header.pack));
            }
        }
        if n < chunk.len() {
            break;
        }
        // A header may begin in the last bytes.
        at += (n - (FRAME_HEADER_LEN - 1)) as u64;
    }
    Ok(found)
}

/// Whether nothing tells that the file is something else than a CAR that lacks its header.
fn may_lack_header(front: &[u8]) -> bool {
    // What looks like text may be content of a file.
    let is_other = looks_like(front).is_some_and(|what| !matches!(what, ZEROS | TEXT));
    detect(front) == Format::Unknown && !is_other
}

/// Whether sound blocks stand in the first bytes, and the frames are content of theirs: where a frame stands in a block, all of its pack do, also those in
/// blocks that are damaged.
fn holds_blocks(file: &File, frames: &[(u64, PackId)]) -> anyhow::Result<bool> {
    let front = AtReader::new(file).take(LONGEST_FRAME);
    let mut salvage = CarSalvage::new(Watched(front));
    let (mut has_blocks, mut inside, mut outside) = (false, HashSet::new(), HashSet::new());
    let mut next = frames.iter().peekable();
    while let Some(item) = salvage.next()? {
        let CarItem::Block { section, .. } = item else { continue };
        has_blocks = true;
        if frames.is_empty() {
            break;
        }
        while let Some((at, pack)) = next.next_if(|(at, _)| *at < section.end()) {
            match *at > section.offset {
                true => inside.insert(*pack),
                false => outside.insert(*pack),
            };
        }
    }
    outside.extend(next.map(|(_, pack)| *pack));
    Ok(has_blocks && outside.is_subset(&inside))
}

/// A format that this program reads, or an error that says what else it is.
fn recognised(front: &[u8]) -> anyhow::Result<Format> {
    match detect(front) {
        // What reads CARs tells their versions apart.
        Format::Pack => Ok(Format::Pack),
        Format::Car | Format::CarV2 => Ok(Format::Car),
        Format::Age => bail!("not a pack: it is an age file; decrypt it with age first"),
        _ if front.is_empty() => bail!("not a pack: it is empty (0 bytes)"),
        _ => match looks_like(front) {
            Some(what) => bail!("not a pack: no container header at byte 0; it looks like {what}"),
            None => bail!("not a pack: no container header at byte 0"),
        },
    }
}

fn looks_like(front: &[u8]) -> Option<&'static str> {
    const KNOWN: [(&[u8], &str); 12] = [
        (b"\x1f\x8b", "gzip data"),
        (b"PK\x03\x04", "a zip archive"),
        (b"\x28\xb5\x2f\xfd", "zstd data"),
        (b"\xfd7zXZ\0", "xz data"),
        (b"BZh", "bzip2 data"),
        (b"7z\xbc\xaf\x27\x1c", "a 7z archive"),
        (b"\x7fELF", "a program"),
        (b"MLAFAAAA", "an MLA archive"),
        (b"-----BEGIN AGE", "an armoured age file"),
        (b"# created: ", "an age identity"),
        (b"AGE-SECRET-KEY-", "an age identity"),
        (b"%PDF-", "a PDF"),
    ];
    let known = KNOWN.iter().find(|(magic, _)| front.starts_with(magic)).map(|(_, what)| *what);
    let text = || {
        let valid = front.utf8_chunks().next().map_or(0, |chunk| chunk.valid().len());
        // The last character may be cut.
        (valid + 3 >= front.len() && !front.contains(&0)).then_some(TEXT)
    };
    let zeros = || front.iter().all(|byte| *byte == 0).then_some(ZEROS);
    known.or_else(zeros).or_else(text)
}

const ZEROS: &str = "nothing but zeros";
const TEXT: &str = "text";
const FRONT: usize = 64;
const SEARCH_CHUNK: usize = 1 << 20;
const LONGEST_FRAME: u64 = 17 << 20;
