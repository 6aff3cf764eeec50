//! A pack that is read front to back, past whatever is damaged.

use carstone::pack::{Error, Event};
use carstone::repair::Item;
use carstone::stack::Salvaged;

use crate::input::{chain, damage};

/// What stands in a pack, in the order of its stream.
pub(crate) struct Front(Salvaged<'static>);

impl Front {
    pub(crate) fn new(salvaged: Salvaged<'static>) -> Self {
        Self(salvaged)
    }

    /// What comes next. `heard` hears what is damaged before it.
    ///
    /// # Errors
    /// The source cannot be read, or needs a newer program.
    pub(crate) fn next(&mut self, heard: &mut dyn FnMut(&str)) -> Result<Option<Event>, Error> {
        while let Some(item) = self.0.next()? {
            match item {
                Item::Event(event) => return Ok(Some(event)),
                Item::Gap(gap) => heard(&damage(&gap)),
                Item::Fault(error) => heard(&chain(&error)),
                // Later versions may tell more.
                _ => {}
            }
        }
        Ok(None)
    }

    /// What comes next, damage and all.
    ///
    /// # Errors
    /// As [`next`](Self::next).
    pub(crate) fn item(&mut self) -> Result<Option<Item>, Error> {
        self.0.next()
    }

    /// Blocks of content that belong to no entry, and their bytes.
    pub(crate) fn nameless(&self) -> (u64, u64) {
        self.0.nameless()
    }
}
