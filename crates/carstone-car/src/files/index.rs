//! The index of a CARv2: made, put in, taken out, left out.

use std::io::{self, Read, Seek, SeekFrom, Write};

use super::edit::{Editable, copy_range, io_error};
use super::payload::open_v2;
use crate::CarReader;
use crate::error::{Error, ErrorKind, Part, Result};
use crate::index::{Index, IndexBuilder, IndexCodec, SortedIndex};
use crate::indexed::compare;
use crate::options::ReaderOptions;
use crate::read_at::{ReadAt, SeekSource};
use crate::v2::{Characteristics, FileOptions, V2_PRAGMA, V2Header, write_zeros};

/// Makes the index of a CAR of either version, which starts at the first byte of `source`, without reading the data of its blocks. The
/// counterpart of `GenerateIndex` in go-car.
///
/// It has no identity CIDs, and takes 16 MiB of memory at most: [`IndexBuilder`] has options.
///
/// ```
/// use std::io::Cursor;
/// use carstone_car::{CarWriter, Index, IndexCodec, ReaderOptions, codec, generate_index};
/// let mut writer = CarWriter::new(Cursor::new(Vec::new()), &[])?;
/// let section = writer.write_data(codec::RAW, b"hello")?;
/// let car = writer.finish()?;
///
/// let mut index = Vec::new();
/// generate_index(car, IndexCodec::default(), ReaderOptions::default())?.write(&mut index)?;
/// assert_eq!(Index::open(index)?.find(&section.cid)?, Some(section.offset));
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// # Errors
/// What a reader without verification finds.
pub fn generate_index<R: Read + Seek>(
    source: R,
    codec: IndexCodec,
    options: ReaderOptions,
) -> Result<SortedIndex> {
    generate(source, IndexBuilder::new(codec), options)
}

/// Copies the index that a CARv2 has inside, with its codec in front, and says how many bytes that was. `None` if there is none. The CAR
/// starts at the first byte of `source`, and stays as it is. The counterpart of the command `car detach-index` of go-car.
///
/// An old index without a codec, if [that](ReaderOptions::legacy_index) is accepted, is given its codec.
///
/// # Errors
/// Where the heads of its buckets are not right. Its entries are not looked at.
pub fn detach_index<R: Read + Seek, W: Write>(
    source: R,
    mut sink: W,
    options: ReaderOptions,
) -> Result<Option<u64>> {
    let (mut source, v2) = open_v2(source, options)?;
    let Some(start) = v2.index_offset else {
        return Ok(None);
    };
    let end = source.seek(SeekFrom::End(0)).map_err(io_error)?;
    let source = SeekSource::new(source);
    let open = |legacy| Index::read(&source, start..end, Some(v2.data_size), legacy);
    let prefix = match open(false) {
        Ok(_) => None,
        Err(error) if matches!(error.kind(), ErrorKind::UnknownIndex(_)) => {
            let legacy = if options.legacy_index { open(true)? } else { return Err(error) };
            Some(legacy.codec().prefix())
        }
        Err(error) => return Err(error),
    };
    let prefix = prefix.as_ref().map_or(&[][..], |prefix| &prefix[..]);
    sink.write_all(prefix).map_err(io_error)?;
    copy_range(source.into_inner(), start, end - start, Part::Index, &mut sink)?;
    sink.flush().map_err(io_error)?;
    Ok(Some((end - start).saturating_add(prefix.len() as u64)))
}

/// Puts an index into a CARv2 that starts at the first byte of `file`, in place of the one that it may have, with so many zeros in front. The
/// counterpart of `AttachIndex` in go-car, which leaves the header as it is.
///
/// The index is compared with the payload first, entry by entry. It is written behind the payload, and then the header is made to say so: a
/// crash leaves a file that reads as before, or as one without an index, or as one with the new index. (It is taken for granted that
/// the 40 bytes of a header, which lie next to each other at the start of the file, are written all or not.) Whatever else stood
/// behind the payload is lost. Where writing fails, the file has no index.
///
/// Nobody else may change the file meanwhile. That is for the caller to see to: a file is not locked here, and a
/// [`CarStore`](crate::CarStore) must not have it open.
///
/// The header says that the file is [fully indexed](Characteristics::FULLY_INDEXED) if the index has identity CIDs, and all of
/// them.
///
/// ```
/// use std::io::Cursor;
/// use carstone_car::{
///     CarFileWriter, FileOptions, Index, IndexedCar, ReaderOptions, attach_index, codec, detach_index, remove_index,
/// };
/// let mut writer = CarFileWriter::new(Cursor::new(Vec::new()), &[])?;
/// writer.write_data(codec::RAW, b"hello")?;
/// let mut file = writer.finish()?;
/// let whole = file.clone();
///
/// let (mut index, options) = (Vec::new(), ReaderOptions::default());
/// detach_index(&mut file, &mut index, options)?;
/// assert!(remove_index(&mut file)?);
/// assert!(file.get_ref().len() < whole.get_ref().len());
/// attach_index(&mut file, &Index::open(index)?, 0, options)?;
/// assert_eq!(file.get_ref(), whole.get_ref());
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// # Errors
/// [`ErrorKind::StaleIndex`] if an entry is wrong, [`ErrorKind::BadIndex`] if one is missing or their order is wrong, and what a
/// reader without verification finds. Then nothing has been changed.
pub fn attach_index<F: Editable, I: ReadAt>(
    mut file: F,
    index: &Index<I>,
    padding: u64,
    options: ReaderOptions,
) -> Result<V2Header> {
    let (file, v2) = open_v2(&mut file, options)?;
    file.seek(SeekFrom::Start(0)).map_err(io_error)?;
    let mut reader = CarReader::open_seekable(&mut *file, options)?;
    let report = compare(&mut reader, index.codec(), index.entries(), false)?;
    let wrong =
        |kind, offset: Option<u64>| Error::at(kind, offset.unwrap_or(0)).with_base(v2.data_offset);
    if report.wrong > 0 {
        return Err(wrong(ErrorKind::StaleIndex, report.first_wrong));
    }
    if report.missing > 0 {
        let kind = ErrorKind::BadIndex("a section of the payload is not in it");
        return Err(wrong(kind, report.first_missing));
    }
    let is_full = report.identity > 0 && report.identity_missing == 0;
    let sorted = index.sorted()?;
    put_index(file, v2, padding, is_full, &sorted)
}

/// Makes the index that the options ask for and puts it into a CARv2, as [`attach_index`] does. Without an index in the options it does what
/// [`remove_index`] does. The counterpart of `car index` in go-car, which writes a new file.
///
/// # Errors
/// What a reader without verification finds; then nothing has been changed.
pub fn make_index<F: Editable>(
    mut file: F,
    options: FileOptions,
    reader: ReaderOptions,
) -> Result<V2Header> {
    let (file, v2) = open_v2(&mut file, reader)?;
    let Some(codec) = options.index else {
        return cut_index(file, v2);
    };
    let builder = IndexBuilder::with_budget(codec, options.index_budget);
    let builder = builder.with_identity(options.index_identity);
    let index = generate(&mut *file, builder, reader)?;
    put_index(file, v2, options.index_padding, options.index_identity, &index)
}

/// Leaves the index of a CARv2 out of it, with all else that stands behind the payload, and says whether there was one. The CAR
/// starts at the first byte of `file`. A crash leaves a file that reads as before, or as one without an index.
///
/// # Errors
/// Where the headers are not right; then nothing has been changed.
pub fn remove_index<F: Editable>(mut file: F) -> Result<bool> {
    let (file, v2) = open_v2(&mut file, ReaderOptions::default())?;
    cut_index(file, v2)?;
    Ok(v2.index_offset.is_some())
}

/// Leaves out what stands behind the payload, after the header has ceased to speak of it.
fn cut_index<F: Editable>(file: &mut F, v2: V2Header) -> Result<V2Header> {
    let header = without_index(v2);
    let mut cut = || -> io::Result<()> {
        if v2.index_offset.is_some() {
            write_header(file, header)?;
        }
        file.set_len(v2.data_end())?;
        file.sync()
    };
    cut().map_err(io_error)?;
    Ok(header)
}

fn generate<R: Read + Seek>(
    mut source: R,
    mut builder: IndexBuilder,
    options: ReaderOptions,
) -> Result<SortedIndex> {
    source.seek(SeekFrom::Start(0)).map_err(io_error)?;
    builder.add_all(&mut CarReader::open_seekable(source, options)?)?;
    builder.finish()
}

fn put_index<F: Editable>(
    file: &mut F,
    v2: V2Header,
    padding: u64,
    is_full: bool,
    index: &SortedIndex,
) -> Result<V2Header> {
    let mut header = without_index(v2);
    header.index_offset = Some(v2.data_end().saturating_add(padding));
    if is_full {
        header.characteristics.0[0] |= Characteristics::FULLY_INDEXED.0[0];
    }
    cut_index(file, v2)?;
    let mut put = || -> io::Result<()> {
        file.seek(SeekFrom::Start(v2.data_end()))?;
        write_zeros(file, padding)?;
        index.write(file)?;
        file.flush()?;
        file.sync() // What the header speaks of is there before it does.
    };
    if let Err(error) = put() {
        let _ = file.set_len(v2.data_end()); // The half of an index is of no use. The first error counts.
        return Err(io_error(error));
    }
    write_header(file, header).map_err(io_error)?;
    Ok(header)
}

/// The same header of a file without an index.
fn without_index(mut v2: V2Header) -> V2Header {
    v2.characteristics.0[0] &= !Characteristics::FULLY_INDEXED.0[0];
    v2.index_offset = None;
    v2
}

fn write_header<F: Editable>(file: &mut F, header: V2Header) -> io::Result<()> {
    file.seek(SeekFrom::Start(V2_PRAGMA.len() as u64))?;
    file.write_all(&header.encode())?;
    file.flush()?;
    file.sync()
}
