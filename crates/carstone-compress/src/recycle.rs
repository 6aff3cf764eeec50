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
    pub(crate) fn with<T>(&self, work: impl FnOnce(Recycler) -> T) -> T {
        let spare = self.0.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let shelf = Rc::new(RefCell::new(spare.unwrap_or_default()));
        let result = work(Recycler(Rc::clone(&shelf)));
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

/// Gives out what is on a shelf, and puts there what comes back.
#[derive(Clone)]
pub(crate) struct Recycler(Rc<RefCell<Shelf>>);

impl Recycler {
    /// Takes the shortest vector that has room for `len`, else the longest.
    fn take<T: 'static>(&self, len: usize) -> Option<Vec<T>> {
        let mut shelf = self.0.borrow_mut();
        let capacity = |item: &Box<dyn Any + Send>| item.downcast_ref().map(Vec::<T>::capacity);
        let there = shelf.iter().enumerate();
        let there = there.filter_map(|(place, item)| Some((capacity(item)?, place)));
        let rank = |&(capacity, _): &(usize, usize)| match capacity >= len {
            true => (0, capacity),
            false => (1, usize::MAX - capacity),
        };
        let (_, place) = there.min_by_key(rank)?;
        shelf.swap_remove(place).downcast().ok().map(|cells| *cells)
    }
}

impl<T: Clone + Default + Send + 'static> Allocator<T> for Recycler {
    type AllocatedMemory = Cells<T>;

    fn alloc_cell(&mut self, len: usize) -> Cells<T> {
        let mut cells = match self.take(len) {
            Some(cells) if cells.capacity() >= len => cells,
            // What is too short is dropped, so that the shelf holds no more than was in use at one time.
            _ => return Cells(vec![T::default(); len]),
        };
        // The encoder reads no command that it has not written, and its array of commands is the largest by far. All else it
        // may expect to be zero.
        if TypeId::of::<T>() != TypeId::of::<Command>() {
            cells.clear();
        }
        cells.resize(len, T::default());
        Cells(cells)
    }

    fn free_cell(&mut self, cells: Cells<T>) {
        if cells.0.capacity().saturating_mul(size_of::<T>()) >= SMALLEST {
            self.0.borrow_mut().push(Box::new(cells.0));
        }
    }
}

impl BrotliAlloc for Recycler {}

/// A piece of memory, as long as it was asked for.
pub(crate) struct Cells<T>(Vec<T>);

impl<T> Default for Cells<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T> SliceWrapper<T> for Cells<T> {
    fn slice(&self) -> &[T] {
        &self.0
    }
}

impl<T> SliceWrapperMut<T> for Cells<T> {
    fn slice_mut(&mut self) -> &mut [T] {
        &mut self.0
    }
}

/// Smaller pieces come from the heap at once.
const SMALLEST: usize = 4 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_back_is_given_out_again_as_zeros() {
        Shelves::default().with(|mut recycler| {
            let mut cells: Cells<u32> = recycler.alloc_cell(5_000);
            cells.slice_mut().fill(7);
            recycler.free_cell(cells);
            let longer: Cells<u32> = recycler.alloc_cell(6_000);
            assert_eq!(longer.slice(), [0; 6_000]);
            let other: Cells<u8> = recycler.alloc_cell(5_000);
            assert_eq!(other.slice(), [0; 5_000]);
            assert!(recycler.0.borrow().is_empty(), "what was too short is still there");
            recycler.free_cell(longer);
            let shorter: Cells<u32> = recycler.alloc_cell(4_000);
            assert_eq!(shorter.slice(), [0; 4_000]);
            assert!(recycler.0.borrow().is_empty(), "what was long enough was not taken");
        });
    }
}
