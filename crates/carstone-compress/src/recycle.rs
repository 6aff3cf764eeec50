//! Memory for the brotli decoder that outlives a block: what one block gave back, the next takes.
//!
//! The decoder asks for a window and some tables for each block. Fresh pages for them cost as much as a tenth of the time that it takes.

use std::any::Any;
use std::cell::RefCell;
use std::fmt;
use std::rc::Rc;
use std::sync::{Mutex, PoisonError};

use brotli::enc::{Allocator, SliceWrapper, SliceWrapperMut};

/// Shelves that no thread uses now.
#[derive(Default)]
pub(crate) struct Shelves(Mutex<Vec<Shelf>>);

impl Shelves {
    /// Runs `work` with an allocator over one of the shelves.
    pub(crate) fn with<T>(&self, work: impl FnOnce(Recycler) -> T) -> T {
        let spare = self.0.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let shelf = Rc::new(RefCell::new(spare.unwrap_or_default()));
        let result = work(Recycler { shelf: Rc::clone(&shelf) });
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
pub(crate) struct Recycler {
    shelf: Rc<RefCell<Shelf>>,
}

impl Recycler {
    /// Takes the shortest vector that has room for `len` and not for much more: what is far too long is wanted for something else. Where
    /// there is none, one that is not much too short is taken for its forerunner, and dropped.
    fn take<T: 'static>(&self, len: usize) -> Option<Vec<T>> {
        let most = len.saturating_mul(2);
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
        let Some(mut cells) = self.take(len) else {
            return Cells { cells: vec![T::default(); len], len };
        };
        let used = cells.len().min(len);
        cells[..used].fill(T::default());
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

/// Pieces that a thread keeps. The decoder uses a few at a time.
const MOST: usize = 16;
/// Smaller pieces come from the heap at once.
const SMALLEST: usize = 4 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_back_is_given_out_again_as_zeros() {
        Shelves::default().with(|mut recycler| {
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
}
