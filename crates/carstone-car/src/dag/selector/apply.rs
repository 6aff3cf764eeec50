//! Goes through a node as a selector says.

use super::Selector;
use super::state::{State, Step};
use crate::Cid;
use crate::dag::error::Result;
use crate::dag::node::{Event, scan};
use crate::dag::options::NodeLimits;

/// A link to be followed, and what of the selector applies behind it.
#[derive(Clone, Debug)]
pub(crate) struct Link {
    pub(crate) cid: Cid,
    pub(crate) state: Option<State>,
}

/// The links of a node that are followed from this state.
pub(crate) fn select(
    selector: &Selector,
    state: &State,
    cid: &Cid,
    data: &[u8],
    limits: &NodeLimits,
) -> Result<Vec<Link>> {
    let mut links = Vec::new();
    let mut open: Vec<Level> = Vec::new();
    let mut next = Some(state.clone());
    scan(cid.codec(), data, limits, &mut |event, _| {
        match event {
            Event::End => {
                open.pop();
                return Ok(());
            }
            Event::Key(key) => {
                next = open.last().and_then(|level| level.explore(selector, Step::Key(&key)));
                return Ok(());
            }
            _ => {}
        }
        if let Some(level @ Level { index: Some(_), .. }) = open.last_mut() {
            next = level.next(selector);
        }
        match event {
            Event::Map => open.push(Level { state: next.take(), index: None }),
            Event::List => open.push(Level { state: next.take(), index: Some(0) }),
            // A block that is nothing but a link ends the way: no step leads through it.
            Event::Link(cid) if !open.is_empty() => {
                links.extend(next.take().map(|state| Link { cid, state: Some(state) }));
            }
            _ => next = None,
        }
        Ok(())
    })?;
    Ok(links)
}

/// A map or list that has not ended.
struct Level {
    state: Option<State>,
    /// Of a list: the number of its next value.
    index: Option<u64>,
}

impl Level {
    fn explore(&self, selector: &Selector, step: Step<'_>) -> Option<State> {
        self.state.as_ref()?.explore(selector, step)
    }

    /// What applies to the next value of a list.
    fn next(&mut self, selector: &Selector) -> Option<State> {
        let index = self.index.as_mut()?;
        let step = Step::Index(*index);
        *index += 1;
        self.explore(selector, step)
    }
}
