//! Parity in an appendix behind a pack (`docs/format.md`, sections 2.3 and 14).

use std::io;
use std::ops::Range;

use carstone_layer::{PackId, ReadAt, read_full};
use carstone_parity::{
    Descriptor, Error, Options, Parity, ProtectionId, Section, WriteAt, find_descriptors, protect,
};
use carstone_raw::{Appendix, Edges, RawReader};

/// Parity that lies behind a pack, in the same source.
#[derive(Clone, Debug)]
pub struct PackParity {
    place: Place,
    stream: Range<u64>,
    behind: [Range<u64>; 2],
}

#[derive(Clone, Debug)]
enum Place {
    /// The body of an appendix.
    Appendix(Range<u64>),
    /// Frames of this parity, which should begin there: what says where the pack ends is damaged.
    Frames(Box<Descriptor>, u64),
}

/// Parity behind the pack that `source` begins with, the likeliest first.
///
/// Where header, trailer or appendices of the pack are damaged, frames of parity are searched for in all of the source. Such frames may also be content of
/// the pack: what is healed with them must be asked about, with [`PackParity::is_of`].
///
/// # Errors
/// Whatever the source gives.
pub fn find_parity<R: ReadAt + ?Sized>(source: &R) -> Result<Vec<PackParity>, Error> {
    let size = source.size()?;
    match RawReader::open_at(source) {
        Ok(raw) => {
            let end = raw.stored_len();
            let is_parity = |appendix: &&Appendix| appendix.kind == Appendix::PARITY;
            let found = raw.appendices().iter().filter(is_parity).map(|appendix| PackParity {
                place: Place::Appendix(appendix.body()),
                stream: 0..end,
                behind: [end..appendix.range.start, appendix.range.end..size],
            });
            Ok(found.collect())
        }
        Err(error) => match io::Error::from(error) {
            error if has_cause(&error) => Err(error.into()),
            _ => loose(source, size),
        },
    }
}

/// Whether the source itself failed.
fn has_cause(error: &io::Error) -> bool {
    let raw = error.get_ref().and_then(|inner| inner.downcast_ref::<carstone_raw::Error>());
    raw.is_none_or(|raw| matches!(raw.kind(), carstone_raw::ErrorKind::Io(_)))
}

/// Parity of which only frames tell.
fn loose<R: ReadAt + ?Sized>(source: &R, size: u64) -> Result<Vec<PackParity>, Error> {
    let mut found = find_descriptors(source)?;
    // Frames in a file of the pack stand elsewhere: not as far from the start as what they protect is long.
    found.sort_by_key(|(descriptor, at)| {
        at.abs_diff(descriptor.layout().stream_len().saturating_add(Appendix::EDGE_LEN))
    });
    found.truncate(MOST_TRIED);
    let parity = found.into_iter().map(|(descriptor, at)| PackParity {
        place: Place::Frames(Box::new(descriptor), at),
        stream: 0..size,
        behind: [size..size, size..size],
    });
    Ok(parity.collect())
}

/// Whether nothing says that the first `len` bytes of `healed` are another pack than the one of which `source` is left: they are no pack, or their ids are the same, or none is
/// left.
///
/// # Errors
/// Whatever the sources give.
pub fn may_be_of<S, R>(source: &S, healed: &R, len: u64) -> Result<bool, Error>
where
    S: ReadAt + ?Sized,
    R: ReadAt + ?Sized,
{
    let Some(made) = pack_id(&healed, len)? else { return Ok(true) };
    Ok(pack_id(&source, source.size()?)?.is_none_or(|was| was == made))
}

/// The pack id that the ends of a pack state.
fn pack_id(source: &dyn ReadAt, len: u64) -> Result<Option<PackId>, Error> {
    match Edges::find(source, 0..len) {
        Ok(edges) => Ok(edges.container().map(|container| container.pack_id)),
        Err(error) if has_cause(&error) => Err(Error::from(error)),
        Err(_) => Ok(None),
    }
}

impl PackParity {
    /// Opens it. `source` is the one in which it was found.
    ///
    /// # Errors
    /// As [`Parity::open`].
    pub fn open<R: ReadAt + Sync>(
        &self,
        source: R,
        threads: usize,
    ) -> Result<Parity<Section<R>>, Error> {
        match &self.place {
            Place::Appendix(body) => Parity::open(Section::new(source, body.clone()), threads),
            Place::Frames(descriptor, at) => {
                let all = Section::new(source, self.stream.clone());
                Parity::open_with(all, (**descriptor).clone(), *at, threads)
            }
        }
    }

    /// Where the pack that it protects lies in the source; up to its end where nobody can say.
    pub fn stream(&self) -> Range<u64> {
        self.stream.clone()
    }

    /// Whether header and trailer of the pack and all appendices are where they belong.
    pub fn is_in_place(&self) -> bool {
        matches!(self.place, Place::Appendix(_))
    }

    /// Whether what was healed, the first `len` bytes of `healed`, is the pack of which `source` is left: it is a pack, and nothing in `source` says that it is
    /// another one.
    ///
    /// # Errors
    /// Whatever the sources give.
    pub fn is_of<S, R>(&self, source: &S, healed: &R, len: u64) -> Result<bool, Error>
    where
        S: ReadAt + ?Sized,
        R: ReadAt + ?Sized,
    {
        Ok(pack_id(&healed, len)?.is_some() && may_be_of(source, healed, len)?)
    }

    /// Writes what stood behind the pack in `source` behind the `len` bytes of the healed one in `file`: the parity, made again, and appendices of other kinds as they are, as
    /// far as they were found. Gives the length of it all.
    ///
    /// # Errors
    /// As [`append_parity`].
    pub fn restore<S, F>(
        &self,
        source: &S,
        file: &F,
        made: &Descriptor,
        threads: usize,
        progress: &(dyn Fn(u64) + Sync),
    ) -> Result<u64, Error>
    where
        S: ReadAt + ?Sized,
        F: ReadAt + WriteAt + Sync + ?Sized,
    {
        let [before, after] = &self.behind;
        let mut at = made.layout().stream_len();
        let pack = 0..at;
        at = copy(source, before, file, at)?;
        let options = Options::default()
            .with_share(made.layout().share())
            .with_id(made.id())
            .with_threads(threads);
        at = put(file, pack, at, &options, progress)?.1;
        copy(source, after, file, at)
    }
}

/// Puts parity behind the pack that fills the first `len` bytes of `file`, and says what it protects and where it ends. The pack stays as it is.
///
/// # Errors
/// As [`protect`].
pub fn append_parity<F: ReadAt + WriteAt + Sync + ?Sized>(
    file: &F,
    len: u64,
    options: &Options,
    progress: &(dyn Fn(u64) + Sync),
) -> Result<(Descriptor, u64), Error> {
    put(file, 0..len, len, options, progress)
}

/// Writes the appendix from `at` on, and gives its end.
fn put<F: ReadAt + WriteAt + Sync + ?Sized>(
    file: &F,
    pack: Range<u64>,
    at: u64,
    options: &Options,
    progress: &(dyn Fn(u64) + Sync),
) -> Result<(Descriptor, u64), Error> {
    let id = options.id.map_or_else(ProtectionId::random, Ok)?;
    let body = at.saturating_add(Appendix::EDGE_LEN);
    let options = options.clone().with_id(id).with_at(body);
    let made = protect(&Section::new(file, pack), file, &options, progress)?;
    let len = made.layout().parity_len();
    let edges = Appendix::edges(Appendix::PARITY, *id.as_bytes(), len);
    let (header, footer) = edges.ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
    file.write_all_at(&header, at)?;
    let end = body.saturating_add(len);
    file.write_all_at(&footer, end)?;
    Ok((made, end.saturating_add(Appendix::EDGE_LEN)))
}

/// Writes a part of a source to `file` from `at` on, and gives where that ends.
fn copy<S, F>(source: &S, part: &Range<u64>, file: &F, mut at: u64) -> Result<u64, Error>
where
    S: ReadAt + ?Sized,
    F: WriteAt + ?Sized,
{
    let (mut buf, mut from) = (vec![0; COPY], part.start);
    while from < part.end {
        let room = usize::try_from(part.end - from).unwrap_or(COPY).min(COPY);
        let read = read_full(source, &mut buf[..room], from)?;
        if read == 0 {
            break;
        }
        file.write_all_at(&buf[..read], at)?;
        (from, at) = (from + read as u64, at + read as u64);
    }
    Ok(at)
}

/// So many that may be parity of a damaged pack are tried.
const MOST_TRIED: usize = 4;
const COPY: usize = 1 << 20;
