//! Changing the roots of a CAR that has been written.

use std::io::{Read, Seek, SeekFrom, Write};

use crate::error::{Error, ErrorKind, Result};
use crate::{CarReader, Cid, Limits, ReaderOptions, header, writer};

/// Puts other roots into the header of a CAR, in place. The CAR starts at the first byte of `file`, and the sections behind the header
/// are neither read nor moved. In a CARv2 it is the header of the payload.
/// The counterpart of `updateRootsInBytes` and `updateRootsInFile` in @ipld/car, and of `ReplaceRootsInFile` in go-car.
///
/// The new header must have exactly the length of the old one, else [`ErrorKind::HeaderLength`] is given and nothing is written.
/// So write a placeholder first: as many roots as there will be, with CIDs as long as theirs. `file` is left standing behind the
/// header.
///
/// ```
/// use std::io::Cursor;
/// use carstone_car::{CarReader, CarWriter, cid_of, codec, replace_roots};
/// let placeholder = cid_of(codec::RAW, b"");
/// let mut writer = CarWriter::new(Cursor::new(Vec::new()), &[placeholder])?;
/// let root = writer.write_data(codec::RAW, b"hello")?.cid;
/// let mut file = writer.finish()?;
///
/// replace_roots(&mut file, &[root])?;
/// assert_eq!(CarReader::open(&file.get_ref()[..])?.roots(), [root]);
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn replace_roots<F: Read + Write + Seek>(mut file: F, roots: &[Cid]) -> Result<()> {
    writer::check_roots(roots, &Limits::default())?;
    let failed = |error| Error::at(ErrorKind::Io(error), 0);
    file.seek(SeekFrom::Start(0)).map_err(failed)?;
    // Reading it strictly makes sure that it is a header that gets overwritten.
    let reader = CarReader::open_seekable(&mut file, ReaderOptions::default())?;
    let (old, start) = (reader.position(), reader.payload_start());
    let header = header::encode(roots);
    let new = header.len() as u64;
    if old != new {
        return Err(Error::at(ErrorKind::HeaderLength { old, new }, 0).with_base(start));
    }
    file.seek(SeekFrom::Start(start)).map_err(failed)?;
    file.write_all(&header).and_then(|()| file.flush()).map_err(failed)
}
