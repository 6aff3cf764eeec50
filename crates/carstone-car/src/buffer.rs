//! Writing a CAR into memory of a fixed size.

use crate::Cid;
use crate::error::{Error, ErrorKind, Result};
use crate::hash::{cid_of, verify};
use crate::header::{self, Header};
use crate::options::WriterOptions;
use crate::section::{Section, section_len};
use crate::writer::{self, CarWriter};

/// Writes a CARv1 into a buffer that somebody else has made, and never grows it. Roots may be added until the end.
/// The counterpart of `CarBufferWriter` in @ipld/car.
///
/// The header stands in front of the sections, and so room is kept for it. [`add_root`](Self::add_root) stays within that room;
/// [`add_root_resized`](Self::add_root_resized) makes some by moving the sections. What is too large for the buffer is refused with
/// [`ErrorKind::NoRoom`], and nothing has changed then.
///
/// ```
/// use carstone_car::{CarBufferWriter, CarSlice, codec, estimated_header_len};
/// let mut buffer = [0; 256];
/// let mut writer = CarBufferWriter::with_header_room(&mut buffer, estimated_header_len(1))?;
/// let section = writer.write_data(codec::RAW, b"hello")?;
/// writer.add_root(section.cid)?;
/// let car = writer.finish()?;
///
/// assert_eq!(CarSlice::parse(car)?.roots(), [section.cid]);
/// # Ok::<(), carstone_car::Error>(())
/// ```
#[derive(Debug)]
pub struct CarBufferWriter<'a> {
    buffer: &'a mut [u8],
    header: Header,
    /// Where the sections begin.
    room: usize,
    /// Where they end.
    end: usize,
    options: WriterOptions,
}

impl<'a> CarBufferWriter<'a> {
    /// Keeps room for a header with these roots, of which there may be none. The counterpart of `createWriter` in @ipld/car.
    ///
    /// # Errors
    /// [`ErrorKind::NoRoom`] if the buffer is too small for it.
    pub fn new(buffer: &'a mut [u8], roots: &[Cid]) -> Result<Self> {
        let header = Header { roots: roots.to_vec() };
        let room = header.encoded_len();
        Self::start(buffer, header, room)
    }

    /// Keeps this much room for the header, which has no roots yet: see [`estimated_header_len`] and [`Header::encoded_len`].
    /// The counterpart of `createWriter` in @ipld/car with `headerSize`.
    ///
    /// # Errors
    /// As with [`new`](Self::new).
    pub fn with_header_room(buffer: &'a mut [u8], header_len: usize) -> Result<Self> {
        Self::start(buffer, Header::default(), header_len)
    }

    fn start(buffer: &'a mut [u8], header: Header, room: usize) -> Result<Self> {
        let options = WriterOptions::default();
        writer::check_roots(&header.roots, &options.limits)?;
        if room > buffer.len() {
            return Err(no_room(room, buffer.len(), 0));
        }
        Ok(Self { buffer, header, room, end: room, options })
    }

    /// Sets the largest sizes that are written. Nothing else of the options counts here.
    #[must_use]
    pub fn options(mut self, options: WriterOptions) -> Self {
        self.options = options;
        self
    }

    /// Writes a block, after verifying that its data hashes to its CID. Offsets are those with the header as long as it is now.
    /// The counterpart of `write` in @ipld/car.
    ///
    /// # Errors
    /// In the block, over a limit, or [`ErrorKind::NoRoom`]: nothing has been written.
    pub fn write_block(&mut self, cid: &Cid, data: &[u8]) -> Result<Section> {
        verify(cid, data).map_err(|error| error.with_offset(self.end as u64))?;
        self.danger_write_unverified(cid, data)
    }

    /// Writes a block of this data, under its CIDv1 with sha2-256, and returns it in the section.
    ///
    /// # Errors
    /// As with [`write_block`](Self::write_block).
    pub fn write_data(&mut self, codec: u64, data: &[u8]) -> Result<Section> {
        self.danger_write_unverified(&cid_of(codec, data), data)
    }

    /// Writes a block without hashing its data, for callers who have just made the CID from the data.
    ///
    /// # Errors
    /// As with [`write_block`](Self::write_block).
    pub fn danger_write_unverified(&mut self, cid: &Cid, data: &[u8]) -> Result<Section> {
        let len = section_len(cid, data.len() as u64);
        let left = self.left();
        if len > left as u64 {
            return Err(no_room(usize::try_from(len).unwrap_or(usize::MAX), left, self.end));
        }
        let sink = self.buffer.get_mut(self.end..).unwrap_or_default();
        let options = WriterOptions::default().limits(self.options.limits);
        let mut car = CarWriter::append(sink, self.end as u64).options(options);
        let section = car.danger_write_unverified(cid, data)?;
        self.end += section.len() as usize; // What has been written fits.
        Ok(section)
    }

    /// Adds a root, if the room for the header is large enough. The counterpart of `addRoot` in @ipld/car.
    ///
    /// # Errors
    /// [`ErrorKind::NoRoom`] if it is not; [`add_root_resized`](Self::add_root_resized) may still do it.
    pub fn add_root(&mut self, root: Cid) -> Result<()> {
        self.add(root, |writer, needed| Err(no_room(needed, writer.room, 0)))
    }

    /// Adds a root, and moves the sections where the room for the header is too small.
    /// The counterpart of `addRoot` in @ipld/car with `resize`.
    ///
    /// # Errors
    /// [`ErrorKind::NoRoom`] if the buffer is too small for that.
    pub fn add_root_resized(&mut self, root: Cid) -> Result<()> {
        self.add(root, Self::set_room)
    }

    /// Writes the header, and gives the part of the buffer that the CAR fills. The counterpart of `close` in @ipld/car.
    ///
    /// # Errors
    /// [`ErrorKind::HeaderLength`] if the header is shorter than its room.
    pub fn finish(self) -> Result<&'a mut [u8]> {
        let (old, new) = (self.room as u64, self.header.encoded_len() as u64);
        if old != new {
            return Err(Error::at(ErrorKind::HeaderLength { old, new }, 0));
        }
        let header = self.header.encode();
        let car = self.buffer.get_mut(..self.end).unwrap_or_default();
        car[..header.len()].copy_from_slice(&header);
        Ok(car)
    }

    /// Like [`finish`](Self::finish), but moves the sections to where the header ends.
    /// The counterpart of `close` in @ipld/car with `resize`.
    ///
    /// # Errors
    /// [`ErrorKind::NoRoom`], which cannot come of a header that is shorter than its room.
    pub fn finish_resized(mut self) -> Result<&'a mut [u8]> {
        self.set_room(self.header.encoded_len())?;
        self.finish()
    }

    /// The roots so far.
    pub fn roots(&self) -> &[Cid] {
        &self.header.roots
    }

    /// Bytes that the CAR takes so far, with the room for its header.
    pub fn len(&self) -> usize {
        self.end
    }

    /// Whether there are no blocks yet.
    pub fn is_empty(&self) -> bool {
        self.end == self.room
    }

    /// Bytes that are left for sections.
    pub fn left(&self) -> usize {
        self.buffer.len() - self.end
    }

    /// Adds a root, if `make_room` can do so where there is too little for the header.
    fn add(
        &mut self,
        root: Cid,
        make_room: impl FnOnce(&mut Self, usize) -> Result<()>,
    ) -> Result<()> {
        self.header.roots.push(root);
        let needed = self.header.encoded_len();
        let checked = writer::check_roots(&self.header.roots, &self.options.limits);
        let added = checked.and_then(|()| match needed > self.room {
            true => make_room(self, needed),
            false => Ok(()),
        });
        if added.is_err() {
            self.header.roots.pop();
        }
        added
    }

    /// Moves the sections.
    fn set_room(&mut self, room: usize) -> Result<()> {
        let end = (self.end - self.room).saturating_add(room);
        if end > self.buffer.len() {
            return Err(no_room(room, self.buffer.len() - (self.end - self.room), 0));
        }
        self.buffer.copy_within(self.room..self.end, room);
        (self.room, self.end) = (room, end);
        Ok(())
    }
}

/// The length of a header with so many roots that are CIDv1 with a codec of one byte and a hash of 256 bits, as most are.
/// [`Header::encoded_len`] tells it of any. The counterpart of `estimateHeaderLength` in @ipld/car.
///
/// ```
/// use carstone_car::{Header, cid_of, codec, estimated_header_len};
/// let roots = vec![cid_of(codec::RAW, b"hello"); 3];
/// assert_eq!(estimated_header_len(3), Header { roots }.encoded_len());
/// ```
pub fn estimated_header_len(roots: usize) -> usize {
    header::encoded_len_of(roots, 36)
}

fn no_room(needed: usize, left: usize, at: usize) -> Error {
    let (needed, left) = (needed as u64, left as u64);
    Error::at(ErrorKind::NoRoom { needed, left }, at as u64)
}
