//! Bytes of a file that may be a CAR.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Read};
use std::ops::Range;
use std::sync::Arc;

use carstone::car::{
    self, AtReader, CarReader, Characteristics, Index, ReaderOptions, V2_PRAGMA, V2Header,
};
use carstone::layer;
use carstone::repair::CarGap;

use crate::signals;

/// Some bytes of a file. Reads fail once a signal has come.
#[derive(Clone)]
pub(super) struct Stored {
    pub(super) file: Arc<File>,
    /// Stands in front of them.
    pub(super) front: Arc<[u8]>,
    pub(super) start: u64,
    pub(super) end: u64,
}

impl Stored {
    /// Bytes between start and end.
    pub(super) fn len(&self) -> u64 {
        self.end.saturating_sub(self.start)
    }

    /// The header of a CARv2 that is sound, whatever the length of the file.
    pub(super) fn v2_header(&self) -> io::Result<Option<V2Header>> {
        Ok(self.v2_front()?.and_then(|header| V2Header::decode(&header, None).ok()))
    }

    /// The header of a CARv2 whose payload or index goes past the end of the file.
    pub(super) fn cut_v2(&self) -> io::Result<Option<V2Header>> {
        let cut =
            self.v2_front()?.filter(|header| V2Header::decode(header, Some(self.end)).is_err());
        let header = cut.and_then(|header| V2Header::decode(&header, None).ok());
        Ok(header.filter(|v2| v2.data_offset < self.end))
    }

    /// What is left of a CARv2 whose pragma or header is damaged: the header of a CARv1 right behind it. All that follows is taken for its payload.
    pub(super) fn headless_v2(&self) -> Option<V2Header> {
        let data_offset = (V2_PRAGMA.len() + V2Header::LEN) as u64;
        let payload = Self { start: data_offset, ..self.clone() };
        let reader = CarReader::open(AtReader::new(payload)).ok()?;
        (reader.version() == 1).then(|| V2Header {
            characteristics: Characteristics::default(),
            data_offset,
            data_size: self.end - data_offset,
            index_offset: Some(self.end),
        })
    }

    /// Where the payload of a CARv2 ends at the latest: where the index begins, if one stands where the header says.
    pub(super) fn payload_end(&self, v2: Option<&V2Header>, reading: ReaderOptions) -> u64 {
        let Some(v2) = v2 else { return self.end };
        let index = v2.index_offset.filter(|&place| {
            place < self.end && self.index(place..self.end, None, reading).is_ok()
        });
        index.unwrap_or(self.end)
    }

    /// The index that stands there, in a form that is accepted.
    pub(super) fn index(
        &self,
        place: Range<u64>,
        payload_len: Option<u64>,
        reading: ReaderOptions,
    ) -> car::Result<Index<Self>> {
        match reading.legacy_index {
            true => Index::open_legacy(self.clone(), place, payload_len),
            false => Index::open_range(self.clone(), place, payload_len),
        }
    }

    /// What stands behind the pragma.
    fn v2_front(&self) -> io::Result<Option<[u8; V2Header::LEN]>> {
        const PRAGMA: usize = V2_PRAGMA.len();
        let mut front = [0; PRAGMA + V2Header::LEN];
        let read = layer::read_full(&*self.file, &mut front, 0)?;
        let (pragma, header) = front.split_at(PRAGMA);
        let is_v2 = read == front.len() && pragma == V2_PRAGMA;
        Ok(header.first_chunk().copied().filter(|_| is_v2))
    }
}

/// The bytes of a payload without its gaps, one stretch behind the other.
pub(super) struct Stretches {
    left: VecDeque<Stored>,
    now: Option<AtReader<Stored>>,
}

impl Stretches {
    pub(super) fn between(payload: Stored, gaps: &[CarGap]) -> Self {
        let (mut left, mut at) = (VecDeque::new(), payload.start);
        let place = |offset: u64| payload.start.saturating_add(offset).min(payload.end);
        for gap in gaps {
            let end = place(gap.range.start);
            left.push_back(Stored { start: at, end, ..payload.clone() });
            at = place(gap.range.end);
        }
        left.push_back(Stored { start: at, ..payload.clone() });
        Self { left, now: None }
    }
}

impl Read for Stretches {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        loop {
            if let Some(now) = &mut self.now {
                let n = now.read(buf)?;
                if n > 0 || buf.is_empty() {
                    return Ok(n);
                }
            }
            match self.left.pop_front() {
                Some(next) => self.now = Some(AtReader::new(next)),
                None => return Ok(0),
            }
        }
    }
}

impl car::ReadAt for Stored {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        signals::check()?;
        let front = usize::try_from(offset).ok().and_then(|at| self.front.get(at..));
        if let Some(front) = front.filter(|front| !front.is_empty()) {
            let n = front.len().min(buf.len());
            buf[..n].copy_from_slice(&front[..n]);
            return Ok(n);
        }
        let inside = offset.saturating_sub(self.front.len() as u64);
        let at = self.start.saturating_add(inside);
        let most =
            usize::try_from(self.end.saturating_sub(at)).unwrap_or(usize::MAX).min(buf.len());
        layer::ReadAt::read_at(&*self.file, &mut buf[..most], at)
    }

    fn size(&self) -> io::Result<u64> {
        Ok(self.end.saturating_sub(self.start).saturating_add(self.front.len() as u64))
    }
}
