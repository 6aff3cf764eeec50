//! Whether a stream still is what was protected.

use carstone_layer::{ReadAt, read_full};

use crate::protect::BLOCK;
use crate::{Descriptor, Error, ErrorKind};

impl Descriptor {
    /// Whether `source` has the length and the BLAKE3 of the stream that was protected.
    ///
    /// Reads it once where the length agrees, else not at all. `progress` is told how many bytes were done since the last time.
    ///
    /// # Errors
    /// [`ErrorKind::Io`].
    pub fn fits<R: ReadAt + ?Sized>(
        &self,
        source: &R,
        progress: &dyn Fn(u64),
    ) -> Result<bool, Error> {
        if source.size()? != self.layout().stream_len() {
            return Ok(false);
        }
        let mut hasher = blake3::Hasher::new();
        let (mut block, mut at) = (vec![0; BLOCK], 0);
        loop {
            let read = read_full(source, &mut block, at)
                .map_err(|error| Error::new(ErrorKind::Io(error), at))?;
            hasher.update(&block[..read]);
            at += read as u64;
            progress(read as u64);
            if read < BLOCK {
                return Ok(at == self.layout().stream_len()
                    && hasher.finalize().as_bytes() == self.blake3());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::{Memory, Options, protect};

    #[test]
    fn a_stream_fits_until_any_byte_of_it_changes() {
        for len in [0, 1, 1 << 20, (1 << 20) + 1] {
            let stream: Vec<u8> = (0..len).map(|n: u32| n.to_le_bytes()[1]).collect();
            let made =
                protect(&stream, &Memory::new(), &Options::default(), &|_| ()).expect("memory");
            assert!(made.fits(&stream, &|_| ()).expect("memory"), "{len}");
            assert!(!made.fits(&[&stream[..], &[0]].concat(), &|_| ()).expect("memory"), "{len}");
            if let Some((_, rest)) = stream.split_last() {
                assert!(!made.fits(&rest.to_vec(), &|_| ()).expect("memory"), "{len}");
                let mut changed = stream.clone();
                changed[stream.len() / 2] ^= 1;
                assert!(!made.fits(&changed, &|_| ()).expect("memory"), "{len}");
            }
        }
    }
}
