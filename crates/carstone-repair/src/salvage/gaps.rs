//! Gaps that are one.

use carstone_layer::{Cause, Gap};

/// Whether `next` begins where `held` ends, with the same cause in the same layer.
pub(super) fn goes_on(held: &Gap, next: &Gap) -> bool {
    let follows = held.len.is_some_and(|len| held.at.checked_add(len) == Some(next.at));
    let (held, next) = (lowest(held), lowest(next));
    let is_behind = match (&held.stored, &next.stored) {
        // Holes may stand for one stretch.
        (Some(held), Some(next)) => held.end == next.start || held == next,
        (held, next) => held.is_none() && next.is_none(),
    };
    follows && is_behind && held.layer == next.layer && held.cause == next.cause
}

/// Adds `next` to the gap in front of it.
pub(super) fn extend(held: &mut Gap, next: Gap) {
    held.len = next.len.map(|len| len.saturating_add(held.len.unwrap_or(0)));
    let end = lowest(&next).stored.as_ref().map(|stored| stored.end);
    let mut held = held;
    while let Cause::Below(ref mut below) = held.cause {
        held = below;
    }
    if let (Some(stored), Some(end)) = (&mut held.stored, end) {
        stored.end = end;
    }
}

/// The gap that all those above follow from.
fn lowest(mut gap: &Gap) -> &Gap {
    while let Cause::Below(below) = &gap.cause {
        gap = below;
    }
    gap
}

#[cfg(test)]
mod tests {
    use carstone_layer::LayerId;

    use super::*;

    fn gap(at: u64, len: u64, stored: std::ops::Range<u64>) -> Gap {
        let below = Gap::new(LayerId::COMPRESSION, at + 9, Some(len), Cause::Missing);
        let cause = Cause::Below(Box::new(below.with_stored(stored)));
        Gap::new(LayerId::POSITION, at, Some(len), cause)
    }

    #[test]
    fn neighbours_with_one_cause_are_one() {
        let mut held = gap(100, 50, 10..20);
        assert!(goes_on(&held, &gap(150, 7, 20..30)));
        assert!(!goes_on(&held, &gap(151, 7, 20..30)), "something lies between");
        assert!(!goes_on(&held, &gap(150, 7, 21..30)), "something is stored between");
        let other = Gap::new(LayerId::POSITION, 150, Some(7), Cause::Corrupt).with_stored(20..30);
        assert!(!goes_on(&held, &other));
        extend(&mut held, gap(150, 7, 20..30));
        assert_eq!(held, {
            let mut whole = gap(100, 57, 10..30);
            let Cause::Below(below) = &mut whole.cause else { unreachable!() };
            below.len = Some(50);
            whole
        });
    }
}
