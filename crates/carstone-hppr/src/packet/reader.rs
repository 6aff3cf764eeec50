//! Packets one behind the other, from a source of bytes.

use std::io::{Read, Write};

use blake3::Hasher;

use super::head::{Claim, Head, HeadParser};
use super::parse::{Hashes, ParseOptions, check_signature, mismatch};
use super::{Input, Packet};
use crate::error::{Error, ErrorKind, Result};
use crate::limits::MAX_LINE;
use crate::text::PacketHash;

/// Reads packets one behind the other. As an iterator it gives whole packets, each verified, up to the first error; [`next_packet`](Self::next_packet) hands out one whose data
/// is copied through, with no more memory than its head and a buffer need.
///
/// ```
/// use carstone_hppr::{Blob, Packet, PacketReader};
/// let [one, two] = [Packet::from(Blob::new("one")?), Packet::from(Blob::new("two")?)];
/// let stream = [one.encode(), two.encode()].concat();
///
/// let packets: Result<Vec<Packet>, _> = PacketReader::new(&stream[..]).collect();
/// assert_eq!(packets?, [one, two]);
///
/// let mut reader = PacketReader::new(&stream[..]);
/// while let Some(mut packet) = reader.next_packet()? {
///     assert_eq!(packet.head().data_len(), 3);
///     let mut data = Vec::new();
///     packet.copy_to(&mut data)?; // Not verified yet.
///     let hashes = packet.finish()?; // Now it is.
///     assert_eq!(hashes.blob(), Blob::new(data)?.hash());
/// }
/// # Ok::<(), carstone_hppr::Error>(())
/// ```
///
/// Errors are at bytes of the source, counted from where it was when the reader was made.
#[derive(Debug)]
pub struct PacketReader<R> {
    input: Input<R>,
    options: ParseOptions,
    /// Data of the last packet that is not taken.
    left: usize,
    /// What has made it impossible to say where the next packet begins.
    fault: Option<Error>,
    ended: bool,
}

impl<R: Read> PacketReader<R> {
    /// Reads from this source, which needs no buffer of its own.
    pub fn new(inner: R) -> Self {
        Self::with_options(inner, ParseOptions::default())
    }

    /// Takes what these options say.
    pub fn with_options(inner: R, options: ParseOptions) -> Self {
        Self { input: Input::new(inner), options, left: 0, fault: None, ended: false }
    }

    /// The source. The reader may have taken more than packets from it.
    pub fn into_inner(self) -> R {
        self.input.into_inner()
    }

    /// The head of the next packet, and what its data can be taken from; `None` behind the last one. Data of the packet before that nobody has taken is passed over, and not
    /// verified.
    ///
    /// # Errors
    /// At the byte where it shows: it is no head of a packet, or reading fails; the same again with each further call. After a hash or signature that is wrong, the next packet
    /// can be read.
    pub fn next_packet(&mut self) -> Result<Option<PacketStream<'_, R>>> {
        if let Some(fault) = &self.fault {
            return Err(fault.clone());
        }
        match self.next_head() {
            Ok(None) => Ok(None),
            Ok(Some((head, layers))) => Ok(Some(PacketStream { reader: self, head, layers })),
            Err(error) => Err(self.failed(error)),
        }
    }

    fn next_head(&mut self) -> Result<Option<(Head, Layers)>> {
        while self.left > 0 {
            self.take(|_| Ok(()))?;
        }
        if self.input.fill()?.is_empty() {
            return Ok(None);
        }
        let start = self.input.at();
        let mut parser = HeadParser::new(self.options.extras, start);
        let mut bytes = Vec::new();
        loop {
            let line = bytes.len();
            let at = self.input.at();
            let ended = self.input.line(&mut bytes, MAX_LINE + 1)?;
            if let Some(head) = parser.line(&bytes[line..], ended, at)? {
                bytes.push(b'\n');
                self.left = head.data_len;
                let layers = Layers::new(&head, &bytes);
                return Ok(Some((head, layers)));
            }
            bytes.push(b'\n');
        }
    }

    /// Hands out the next bytes of data, of which there are some.
    fn take(&mut self, with: impl FnOnce(&[u8]) -> Result<()>) -> Result<()> {
        let at = self.input.at();
        let chunk = self.input.fill()?;
        if chunk.is_empty() {
            return Err(Error::new(ErrorKind::Truncated).at(at));
        }
        let len = chunk.len().min(self.left);
        with(&chunk[..len])?;
        self.left -= len;
        self.input.consume(len);
        Ok(())
    }

    fn failed(&mut self, error: Error) -> Error {
        self.fault = Some(error.clone());
        error
    }
}

impl<R: Read> Iterator for PacketReader<R> {
    type Item = Result<Packet>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let packet = self.next_packet();
        let packet = packet.and_then(|packet| packet.map(PacketStream::into_packet).transpose());
        self.ended = !matches!(packet, Ok(Some(_)));
        packet.transpose()
    }
}

/// A packet whose head has been read. Nothing of it is verified before [`finish`](Self::finish) or [`into_packet`](Self::into_packet) says so.
#[derive(Debug)]
#[must_use = "nothing of the packet is verified yet"]
pub struct PacketStream<'r, R> {
    reader: &'r mut PacketReader<R>,
    head: Head,
    layers: Layers,
}

impl<R: Read> PacketStream<'_, R> {
    /// What the packet says of itself, which is not verified.
    pub fn head(&self) -> &Head {
        &self.head
    }

    /// Writes the data that has not been taken, and tells how many bytes they are. They are not verified: what is written is not to be used before [`finish`](Self::finish)
    /// has returned `Ok`.
    ///
    /// # Errors
    /// Reading or writing fails, or the source ends.
    pub fn copy_to(&mut self, sink: &mut impl Write) -> Result<u64> {
        let before = self.reader.left;
        let mut sink_failed = false;
        while self.reader.left > 0 {
            let layers = &mut self.layers;
            let taken = self.reader.take(|chunk| {
                // Bytes that the sink has not taken stay in the source.
                sink.write_all(chunk).map_err(|error| {
                    sink_failed = true;
                    Error::io(error)
                })?;
                layers.update(chunk);
                Ok(())
            });
            if let Err(error) = taken {
                return Err(if sink_failed { error } else { self.reader.failed(error) });
            }
        }
        Ok(before as u64)
    }

    /// Reads what is left of the data, and verifies the packet.
    ///
    /// # Errors
    /// Reading fails, the source ends, or a hash or the signature is wrong.
    pub fn finish(mut self) -> Result<Hashes> {
        self.copy_to(&mut std::io::sink())?;
        self.layers.finish()?;
        check_signature(&self.head)?;
        Ok(Hashes::of_head(&self.head))
    }

    /// The whole packet, verified. Nothing of its data may have been taken before.
    ///
    /// # Errors
    /// As [`finish`](Self::finish), or [`ErrorKind::DataTaken`].
    pub fn into_packet(mut self) -> Result<Packet> {
        if self.reader.left != self.head.data_len {
            return Err(Error::new(ErrorKind::DataTaken).at(self.head.data_at));
        }
        let mut data = Vec::new();
        while self.reader.left > 0 {
            let (old, step) = (data.len(), self.reader.left.min(STEP));
            if data.capacity() - old < step {
                // No more memory is taken for what is said to follow than has come so far, or little.
                data.reserve_exact(self.reader.left.min(old.max(FIRST)));
            }
            let read = self.reader.input.append(&mut data, step);
            self.reader.left -= data.len() - old;
            self.layers.update(&data[old..]);
            let read = read.and_then(|()| match data.len() - old == step {
                true => Ok(()),
                false => Err(Error::new(ErrorKind::Truncated).at(self.reader.input.at())),
            });
            read.map_err(|error| self.reader.failed(error))?;
        }
        self.layers.finish()?;
        check_signature(&self.head)?;
        Ok(self.head.into_packet(data.into()))
    }
}

/// The digests of a packet and those in it, all at once.
#[derive(Debug)]
pub(crate) struct Layers(Vec<(Claim, Hasher)>);

impl Layers {
    /// Those behind this head, which has these bytes.
    pub(crate) fn new(head: &Head, bytes: &[u8]) -> Self {
        let layer = |claim: Claim| {
            let mut hasher = Hasher::new();
            hasher.update(&bytes[(claim.payload_at - head.start) as usize..]);
            (claim, hasher)
        };
        Self(head.claims().map(layer).collect())
    }

    pub(crate) fn update(&mut self, data: &[u8]) {
        for (_, hasher) in &mut self.0 {
            hasher.update(data);
        }
    }

    /// Whether all of them are as claimed.
    pub(crate) fn finish(&self) -> Result<()> {
        for (claim, hasher) in &self.0 {
            let digest = *hasher.finalize().as_bytes();
            if PacketHash::new(claim.hash.kind(), digest) != claim.hash {
                return Err(mismatch(claim.hash, claim.hash_at));
            }
        }
        Ok(())
    }
}

/// Bytes of data that memory is taken for before any of them has come.
const FIRST: usize = 1 << 20;
/// Bytes of data that are hashed at once: many, as the hash is slow where a piece begins or ends.
const STEP: usize = 1 << 20;
