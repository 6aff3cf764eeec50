//! A large buffer.

use std::ops::{Deref, DerefMut};

use memmap2::MmapMut;

/// Bytes, zeros at first, in huge pages where the system has them: touching each small page once takes as long as the work in it.
#[derive(Debug, Default)]
pub(crate) struct Pages {
    held: Held,
    len: usize,
}

#[derive(Debug)]
enum Held {
    Mapped(MmapMut),
    Heap(Vec<u8>),
}

impl Default for Held {
    fn default() -> Self {
        Self::Heap(Vec::new())
    }
}

impl Pages {
    /// Makes it `len` bytes long; what is in it afterwards is not said.
    pub(crate) fn resize(&mut self, len: usize) {
        if self.all().len() < len {
            // The old one goes first.
            self.held = Held::default();
            self.held = match MmapMut::map_anon(len) {
                Ok(map) => {
                    #[cfg(target_os = "linux")]
                    let _ = map.advise(memmap2::Advice::HugePage); // Without it all takes longer, and nothing else.
                    Held::Mapped(map)
                }
                Err(_) => Held::Heap(vec![0; len]),
            };
        }
        self.len = len;
    }

    fn all(&self) -> &[u8] {
        match &self.held {
            Held::Mapped(map) => map,
            Held::Heap(bytes) => bytes,
        }
    }
}

impl Deref for Pages {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.all()[..self.len]
    }
}

impl DerefMut for Pages {
    fn deref_mut(&mut self) -> &mut [u8] {
        let all: &mut [u8] = match &mut self.held {
            Held::Mapped(map) => map,
            Held::Heap(bytes) => bytes,
        };
        &mut all[..self.len]
    }
}
