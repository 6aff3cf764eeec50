//! Between the two versions.

use std::io::{Read, Seek, SeekFrom, Write};

use super::edit::{copy_range, io_error};
use crate::CarReader;
use crate::error::{Error, ErrorKind, Part, Result};
use crate::index::IndexBuilder;
use crate::options::ReaderOptions;
use crate::v2::{FileOptions, V2_PRAGMA, V2Header, frame, write_zeros};

/// Makes a CARv2 of a CARv1, whose bytes become the payload as they are. The counterpart of `WrapV1` in go-car.
///
/// `source` is gone over twice, from its first byte: for the index without the data of blocks, and to be copied. Nothing is verified but that it
/// is a CARv1 to its end; what an option lets stand behind the last section is left out. `sink` need not seek. What `options` say of
/// limits has no meaning.
///
/// ```
/// use std::io::Cursor;
/// use carstone_car::{CarWriter, FileOptions, IndexedCar, ReaderOptions, codec, extract_payload, wrap};
/// let mut writer = CarWriter::new(Vec::new(), &[])?;
/// let cid = writer.write_data(codec::RAW, b"hello")?.cid;
/// let v1 = writer.finish()?;
///
/// let mut v2 = Vec::new();
/// wrap(Cursor::new(&v1), &mut v2, FileOptions::v2(), ReaderOptions::default())?;
/// assert_eq!(IndexedCar::open(&v2)?.get(&cid)?.as_deref(), Some(&b"hello"[..]));
///
/// let mut payload = Vec::new();
/// extract_payload(Cursor::new(&v2), &mut payload)?;
/// assert_eq!(payload, v1);
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// # Errors
/// [`ErrorKind::UnsupportedVersion`] if it is a CARv2 already, and what a reader without verification finds; then nothing has been
/// written.
pub fn wrap<R: Read + Seek, W: Write>(
    mut source: R,
    mut sink: W,
    options: FileOptions,
    reader: ReaderOptions,
) -> Result<V2Header> {
    source.seek(SeekFrom::Start(0)).map_err(io_error)?;
    let mut car = CarReader::open_seekable(&mut source, reader.only_v1(true))?;
    let options = options.as_v2();
    let index = match options.index {
        Some(codec) => {
            let builder = IndexBuilder::with_budget(codec, options.index_budget);
            let mut builder = builder.with_identity(options.index_identity);
            builder.add_all(&mut car)?;
            Some(builder.finish()?)
        }
        None => {
            while car.skip_section()?.is_some() {}
            None
        }
    };
    let payload_len = car.position();
    let header = frame(&options, payload_len);
    sink.write_all(&V2_PRAGMA)
        .and_then(|()| sink.write_all(&header.encode()))
        .and_then(|()| write_zeros(&mut sink, options.data_padding))
        .map_err(io_error)?;
    copy_range(source, 0, payload_len, Part::Payload, &mut sink)?;
    let ended = match &index {
        Some(index) => {
            write_zeros(&mut sink, options.index_padding).and_then(|()| index.write(&mut sink))
        }
        None => Ok(()),
    };
    ended.and_then(|()| sink.flush()).map_err(io_error)?;
    Ok(header)
}

/// Copies the payload of a CARv2, which is a CARv1, as it is. The counterpart of `ExtractV1File` in go-car.
///
/// The CAR starts at the first byte of `source`. Nothing is verified but its headers.
///
/// # Errors
/// [`ErrorKind::UnsupportedVersion`] if it is a CARv1 already; then nothing has been written.
pub fn extract_payload<R: Read + Seek, W: Write>(source: R, mut sink: W) -> Result<V2Header> {
    let (source, v2) = open_v2(source, ReaderOptions::default())?;
    copy_range(source, v2.data_offset, v2.data_size, Part::Payload, &mut sink)?;
    sink.flush().map_err(io_error)?;
    Ok(v2)
}

/// Reads the headers of a CARv2 that starts at the first byte.
pub(super) fn open_v2<R: Read + Seek>(
    mut source: R,
    options: ReaderOptions,
) -> Result<(R, V2Header)> {
    source.seek(SeekFrom::Start(0)).map_err(io_error)?;
    let reader = CarReader::open_seekable(source, options)?;
    match reader.v2_header().copied() {
        Some(v2) => Ok((reader.into_inner(), v2)),
        None => Err(Error::at(ErrorKind::UnsupportedVersion(1), 0)),
    }
}
