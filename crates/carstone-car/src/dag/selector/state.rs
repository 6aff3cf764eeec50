//! Where in a selector a walk stands.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Part, Selector};

/// The parts of a selector that apply to a value, at least one. Each stands there once, so that unions cannot multiply.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct State(Arc<[At]>);

/// A part that applies, and how often the recursion around it may still go round: `None` for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct At {
    part: usize,
    left: Option<u64>,
}

/// A step from a map or list to what is in it.
#[derive(Clone, Copy, Debug)]
pub(super) enum Step<'a> {
    /// To the value of this key of a map.
    Key(&'a [u8]),
    /// To this value of a list.
    Index(u64),
}

impl State {
    /// What applies to a root.
    pub(crate) fn start(selector: &Selector) -> Option<State> {
        let mut reached = Reached::new(selector);
        reached.arrive(0, None);
        reached.state()
    }

    /// What applies behind a step. `None`: nothing does, it is not made.
    pub(super) fn explore(&self, selector: &Selector, step: Step<'_>) -> Option<State> {
        let mut reached = Reached::new(selector);
        for &At { part, left } in self.0.iter() {
            match (selector.parts.get(part), step) {
                (Some(Part::All { next }), _) => reached.arrive(*next, left),
                (Some(Part::Index { index, next }), Step::Index(at)) if *index == at => {
                    reached.arrive(*next, left);
                }
                (Some(Part::Range { start, end, next }), Step::Index(at))
                    if (*start..*end).contains(&at) =>
                {
                    reached.arrive(*next, left);
                }
                (Some(Part::Fields { fields }), step) => {
                    let next = fields.iter().find(|(key, _)| step.is(key));
                    if let Some((_, next)) = next {
                        reached.arrive(*next, left);
                    }
                }
                _ => {}
            }
        }
        reached.state()
    }

    /// Bytes that are different for states that are.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let bytes = self.0.iter().flat_map(|at| {
            let left = at.left.map_or([0xff; 9], |left| {
                let mut bytes = [0; 9];
                bytes[..8].copy_from_slice(&left.to_le_bytes());
                bytes
            });
            (at.part as u64).to_le_bytes().into_iter().chain(left)
        });
        bytes.collect()
    }
}

impl Step<'_> {
    fn is(self, key: &[u8]) -> bool {
        match self {
            Step::Key(step) => step == key,
            // A field of a list is its index.
            Step::Index(index) => index.to_string().as_bytes() == key,
        }
    }
}

/// The parts that apply, as they are found.
struct Reached<'s> {
    selector: &'s Selector,
    /// Those that have been come through, and how often their recursion may go round.
    passed: BTreeMap<usize, Option<u64>>,
}

impl<'s> Reached<'s> {
    fn new(selector: &'s Selector) -> Self {
        Reached { selector, passed: BTreeMap::new() }
    }

    /// Adds a part, or those that it stands for.
    fn arrive(&mut self, part: usize, left: Option<u64>) {
        let mut todo = vec![(part, left)];
        while let Some((number, left)) = todo.pop() {
            let Some(part) = self.selector.parts.get(number) else { continue };
            if !self.passes(number, left) {
                continue;
            }
            match part {
                Part::Union { members } => {
                    todo.extend(members.iter().map(|&member| (member, left)));
                }
                Part::Recursive { limit, body } => todo.push((*body, *limit)),
                Part::Edge { recursive } => {
                    let left = match left {
                        None => None,
                        Some(0..=1) => continue,
                        Some(left) => Some(left - 1),
                    };
                    if let Some(Part::Recursive { body, .. }) = self.selector.parts.get(*recursive)
                    {
                        todo.push((*body, left));
                    }
                }
                _ => {}
            }
        }
    }

    /// Notes a part, with the larger of two counts: that reaches all that the smaller does. False if nothing is new.
    fn passes(&mut self, part: usize, left: Option<u64>) -> bool {
        let rank = |left: Option<u64>| (left.is_none(), left);
        match self.passed.get(&part) {
            Some(&before) if rank(before) >= rank(left) => false,
            _ => {
                self.passed.insert(part, left);
                true
            }
        }
    }

    fn state(self) -> Option<State> {
        let stays = |part: &usize| {
            let part = self.selector.parts.get(*part);
            let passed = matches!(
                part,
                Some(Part::Union { .. } | Part::Recursive { .. } | Part::Edge { .. })
            );
            !passed
        };
        let parts = self.passed.into_iter().filter(|(part, _)| stays(part));
        let parts: Arc<[At]> = parts.map(|(part, left)| At { part, left }).collect();
        (!parts.is_empty()).then_some(State(parts))
    }
}
