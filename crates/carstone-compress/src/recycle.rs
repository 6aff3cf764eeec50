//! Memory for brotli that outlives a block: what one block gave back, the next takes.
//!
//! The codec asks for some 30 MiB in a hundred pieces for each block. Fresh pages for them take a tenth of the time that
//! compression takes.

use std::any::{Any, TypeId};
use std::cell::RefCell;
use std::fmt;
use std::rc::Rc;
use std::sync::{Mutex, PoisonError};

use brotli::enc::command::Command;
use brotli::enc::{Allocator, BrotliAlloc, SliceWrapper, SliceWrapperMut};

/// Shelves that no thread uses now.
#[derive(Default)]
pub(crate) struct Shelves(Mutex<Vec<Shelf>>);

impl Shelves {
    /// Runs `work` with an allocator over one of the shelves.
    pub(crate) fn with<T>(&self, fill: Fill, work: impl FnOnce(Recycler) -> T) -> T {
        let spare = self.0.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let shelf = Rc::new(RefCell::new(spare.unwrap_or_default()));
        let result = work(Recycler { shelf: Rc::clone(&shelf), fill });
        let used = shelf.take();
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(used);
        result
    }
}

impl fmt::Debug for Shelves {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shelves").finish_non_exhaustive()
    }
}

/// Vectors of any type.
type Shelf = Vec<Box<dyn Any + Send>>;

/// What memory that is used again holds.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fill {
    /// Zeros, as fresh memory does.
    Zeros,
    /// For the encoder: bytes and commands are what they were, all else is zero. It reads none of them that it has not written, and
    /// most of the bytes it never touches.
    Encoder,
}

/// Gives out what is on a shelf, and puts there what comes back.
#[derive(Clone)]
pub(crate) struct Recycler {
    shelf: Rc<RefCell<Shelf>>,
    fill: Fill,
}

impl Recycler {
    /// Takes the shortest vector that has room for `len` and not for much more: what is far too long is wanted for something else. Where
    /// there is none, one that is not much too short is taken for its forerunner, and dropped.
    fn take<T: 'static>(&self, len: usize) -> Option<Vec<T>> {
        let most = if is::<T, Command>() { usize::MAX } else { len.saturating_mul(2) };
        let mut shelf = self.shelf.borrow_mut();
        let capacity = |item: &Box<dyn Any + Send>| item.downcast_ref().map(Vec::<T>::capacity);
        let there = shelf.iter().enumerate();
        let there = there.filter_map(|(place, item)| Some((capacity(item)?, place)));
        let fits = |&(capacity, _): &(usize, usize)| (len..=most).contains(&capacity);
        if let Some((_, place)) = there.clone().filter(fits).min() {
            return shelf.swap_remove(place).downcast().ok().map(|cells| *cells);
        }
        let forerunner = there.filter(|&(capacity, _)| capacity < len && capacity >= len / 2).max();
        if let Some((_, place)) = forerunner {
            shelf.swap_remove(place);
        }
        None
    }
}

impl<T: Clone + Default + Send + 'static> Allocator<T> for Recycler {
    type AllocatedMemory = Cells<T>;

    fn alloc_cell(&mut self, len: usize) -> Cells<T> {
        let Some(mut cells) = self.take(len) else { return Cells { cells: fresh(len), len } };
        let used = cells.len().min(len);
        if self.fill == Fill::Zeros || !(is::<T, Command>() || is::<T, u8>()) {
            cells[..used].fill(T::default());
        }
        if cells.len() < len {
            cells.resize(len, T::default());
        }
        Cells { cells, len }
    }

    fn free_cell(&mut self, cells: Cells<T>) {
        if cells.cells.capacity().saturating_mul(size_of::<T>()) >= SMALLEST {
            let mut shelf = self.shelf.borrow_mut();
            if shelf.len() == MOST {
                shelf.remove(0); // Of a length that is not wanted any more.
            }
            shelf.push(Box::new(cells.cells));
        }
    }
}

impl BrotliAlloc for Recycler {}

fn fresh<T: Clone + Default + 'static>(len: usize) -> Vec<T> {
    if !is::<T, Command>() {
        return vec![T::default(); len]; // Zeros come from the system untouched.
    }
    // The array of commands grows step by step. What is not used of it is not touched; and that pieces of megabytes are never given
    // back keeps the allocator from carving small pieces out of their place.
    let mut cells = Vec::with_capacity(len.max(COMMANDS));
    cells.resize(len, T::default());
    cells
}

fn is<T: 'static, U: 'static>() -> bool {
    TypeId::of::<T>() == TypeId::of::<U>()
}

/// A piece of memory: the first `len` of its cells. The others keep what they hold, so that they need not be filled again.
pub(crate) struct Cells<T> {
    cells: Vec<T>,
    len: usize,
}

impl<T> Default for Cells<T> {
    fn default() -> Self {
        Self { cells: Vec::new(), len: 0 }
    }
}

impl<T> SliceWrapper<T> for Cells<T> {
    fn slice(&self) -> &[T] {
        &self.cells[..self.len]
    }
}

impl<T> SliceWrapperMut<T> for Cells<T> {
    fn slice_mut(&mut self) -> &mut [T] {
        &mut self.cells[..self.len]
    }
}

/// As many commands as a block of 4 MiB hardly has.
const COMMANDS: usize = 1 << 20;
/// Pieces that a thread keeps. The codec uses some twenty-five at a time.
const MOST: usize = 64;
/// Smaller pieces come from the heap at once.
const SMALLEST: usize = 4 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_back_is_given_out_again_as_zeros() {
        Shelves::default().with(Fill::Zeros, |mut recycler| {
            let mut cells: Cells<u8> = recycler.alloc_cell(5_000);
            cells.slice_mut().fill(7);
            recycler.free_cell(cells);
            let other: Cells<u32> = recycler.alloc_cell(5_000);
            assert_eq!(other.slice(), [0; 5_000]);
            let far_shorter: Cells<u8> = recycler.alloc_cell(2_000);
            assert_eq!(far_shorter.slice(), [0; 2_000]);
            assert_eq!(recycler.shelf.borrow().len(), 1, "none could use what is there");
            let longer: Cells<u8> = recycler.alloc_cell(6_000);
            assert_eq!(longer.slice(), [0; 6_000]);
            assert!(recycler.shelf.borrow().is_empty(), "what has become too short is still there");
            recycler.free_cell(longer);
            let shorter: Cells<u8> = recycler.alloc_cell(4_000);
            assert_eq!(shorter.slice(), [0; 4_000]);
            assert!(recycler.shelf.borrow().is_empty(), "what was long enough was not taken");
            recycler.free_cell(shorter);
            let again: Cells<u8> = recycler.alloc_cell(5_000);
            assert_eq!(again.slice(), [0; 5_000], "what lay behind its end shows");
        });
    }

    #[test]
    fn the_encoder_gets_counters_as_zeros_only() {
        Shelves::default().with(Fill::Encoder, |mut recycler| {
            let mut counters: Cells<u16> = recycler.alloc_cell(5_000);
            counters.slice_mut().fill(7);
            recycler.free_cell(counters);
            let counters: Cells<u16> = recycler.alloc_cell(5_000);
            assert_eq!(counters.slice(), [0; 5_000]);
        });
    }
}
