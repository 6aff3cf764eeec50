//! Which parity is that of a stream, where there are several in one source.

use carstone_layer::{ReadAt, read_full};

use crate::find::Entry;
use crate::parity::front;
use crate::{Error, ErrorKind, Parity, find_descriptors};

impl<P: ReadAt + Sync> Parity<P> {
    /// Opens the parity of `stream`: of several in `source`, wherever they lie in it, the one whose table matches most of it. Where none matches, it is the one that
    /// [`Parity::open`] takes.
    ///
    /// Reads the source as that does where nothing else is in it; else once more, and once or twice for each of at most 64. Of the stream, some cells are read.
    ///
    /// # Errors
    /// As [`Parity::open`].
    pub fn open_for<S: ReadAt + ?Sized>(
        source: P,
        stream: &S,
        threads: usize,
    ) -> Result<Self, Error> {
        let front = front(&source)?;
        let size = source.size()?;
        if front.as_ref().is_some_and(|front| front.layout().parity_len() == size) {
            return Self::open(source, threads);
        }
        let mut found = find_descriptors(&source)?;
        // The order counts where they match equally well.
        found.sort_by_key(|(descriptor, _)| Some(descriptor) != front.as_ref());
        if found.len() < 2 {
            return Self::open(source, threads);
        }
        let mut best = None;
        for (descriptor, at) in found {
            let parity = Parity::open_with(&source, descriptor, at, threads)?;
            let matched = matched(&parity, stream)?;
            if best.as_ref().is_none_or(|(most, _)| matched > *most) {
                best = Some((matched, parity.with_source(())));
            }
        }
        let (_, parity) = best.ok_or_else(|| Error::new(ErrorKind::NoParity, 0))?;
        Ok(parity.with_source(source))
    }
}

/// How well the table of a parity matches a stream, by a few cells where they belong, counted from either end.
///
/// That is the number of bytes that match, so that what protects a part of it does not count as much, by the part of all that they are, so that what protects more does not
/// either; twice that where the stream is as long as it was.
fn matched<P, S>(parity: &Parity<P>, stream: &S) -> Result<u128, Error>
where
    P: ReadAt + Sync,
    S: ReadAt + ?Sized,
{
    let (layout, size) = (parity.descriptor().layout(), stream.size()?);
    let is_as_long = size == layout.stream_len();
    let entries = parity.entries()?;
    let known = entries.count();
    if known == 0 {
        // Nothing speaks against it.
        return Ok(u128::from(is_as_long));
    }
    // One of each `step`, at no regular distance: damage may be at one.
    let step = known.div_ceil(SAMPLES);
    let is_sample =
        |number: u64| ((number / step).wrapping_mul(GOLDEN) >> 32) % step == number % step;
    let all = (0..layout.cells()).filter_map(|cell| Some((cell, entries.get(cell)?)));
    let cell_len = u64::from(layout.cell_len());
    let mut bytes = vec![0; layout.cell_len() as usize];
    let (mut tried, mut equal) = (0_u128, 0_u128);
    for (_, (cell, entry)) in (0..).zip(all).filter(|(number, _)| is_sample(*number)) {
        tried += 1;
        let home = cell * cell_len;
        let len = layout.stream_len().saturating_sub(home).min(cell_len);
        let len = usize::try_from(len).unwrap_or(bytes.len());
        let from_end = (home + size).checked_sub(layout.stream_len()).filter(|_| !is_as_long);
        for at in [Some(home), from_end].into_iter().flatten() {
            let read = read_full(stream, &mut bytes[..len], at)
                .map_err(|error| Error::new(ErrorKind::Io(error), at))?;
            bytes[read..].fill(0);
            if read == len && Entry::of(&bytes) == entry {
                equal += 1;
                break;
            }
        }
    }
    let weight = u128::from(layout.stream_len()) * if is_as_long { 2 } else { 1 };
    Ok(weight * equal * equal * SCALE / (tried * tried).max(1))
}

/// Cells that are looked at.
const SAMPLES: u64 = 256;

/// 2⁶⁴ by the golden ratio: its multiples are spread evenly.
const GOLDEN: u64 = 0x9E37_79B9_7F4A_7C15;

/// So that quotients of short streams differ.
const SCALE: u128 = 1 << 16;
