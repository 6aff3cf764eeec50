//! Which entries are meant.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};

use globset::{Candidate, GlobBuilder, GlobSet, GlobSetBuilder};

use crate::path::split_path;

/// A choice of entries by patterns, or all of them.
///
/// A pattern selects the paths it matches and everything below them: `docs` is the directory with all that is in it. `*` and `?` stop at
/// `/`, `**` does not. Whatever a pattern means as a glob, it also stands for the path that is spelt like it. Threads may share a selection.
#[derive(Debug)]
pub struct Selection {
    patterns: Option<Patterns>,
}

#[derive(Debug)]
struct Patterns {
    given: Vec<Pattern>,
    /// Patterns under how they are spelt.
    spelt: HashMap<Vec<u8>, usize>,
    globs: GlobSet,
    /// The pattern that each glob of the set is.
    glob_of: Vec<usize>,
}

#[derive(Debug)]
struct Pattern {
    text: Vec<u8>,
    matched: AtomicBool,
}

impl Selection {
    /// Everything.
    pub fn all() -> Self {
        Self { patterns: None }
    }

    /// What at least one pattern matches. `./` before and `/` behind a pattern do not count. A pattern that is no valid glob stands for
    /// itself only. Without any pattern nothing is selected.
    pub fn patterns<P: AsRef<[u8]>>(patterns: impl IntoIterator<Item = P>) -> Self {
        let mut given: Vec<Pattern> = Vec::new();
        let mut spelt = HashMap::new();
        let (mut builder, mut glob_of) = (GlobSetBuilder::new(), Vec::new());
        for pattern in patterns {
            let text = trimmed(pattern.as_ref()).to_vec();
            let number = *spelt.entry(text.clone()).or_insert(given.len());
            if number < given.len() {
                continue; // The same pattern again.
            }
            let has_meta = text.iter().any(|byte| META.contains(byte));
            if let Some(glob) = std::str::from_utf8(&text).ok().filter(|_| has_meta)
                && let Ok(glob) = GlobBuilder::new(glob).literal_separator(true).build()
            {
                builder.add(glob);
                glob_of.push(number);
            }
            given.push(Pattern { text, matched: AtomicBool::new(false) });
        }
        // A set fails to build only when it is too large; its patterns then stand for themselves.
        let globs = builder.build().unwrap_or_else(|_| GlobSet::empty());
        Self { patterns: Some(Patterns { given, spelt, globs, glob_of }) }
    }

    /// Whether everything is selected.
    pub fn is_all(&self) -> bool {
        self.patterns.is_none()
    }

    /// Whether the entry at `path` is selected; notes which patterns it matches.
    pub fn selects(&self, path: &[u8]) -> bool {
        let Some(patterns) = &self.patterns else { return true };
        let (mut selected, mut found) = (false, Vec::new());
        let mut at = Some(path);
        while let Some(path) = at {
            if let Some(&number) = patterns.spelt.get(path) {
                selected |= patterns.note(number);
            }
            if !patterns.globs.is_empty() {
                patterns.globs.matches_candidate_into(&Candidate::from_bytes(path), &mut found);
                for glob in &found {
                    if let Some(&number) = patterns.glob_of.get(*glob) {
                        selected |= patterns.note(number);
                    }
                }
            }
            at = split_path(path).map(|(parent, _)| parent);
        }
        selected
    }

    /// The patterns that nothing has matched so far, as they were given.
    pub fn unmatched(&self) -> Vec<Vec<u8>> {
        let given = self.patterns.iter().flat_map(|patterns| &patterns.given);
        let idle = given.filter(|pattern| !pattern.matched.load(Ordering::Relaxed));
        idle.map(|pattern| pattern.text.clone()).collect()
    }

    /// The paths at and below which all lies that is selected, sorted and apart from each other; `None` when it may lie
    /// anywhere.
    pub(super) fn places(&self) -> Option<Vec<Vec<u8>>> {
        let patterns = self.patterns.as_ref()?;
        if !patterns.glob_of.is_empty() {
            return None;
        }
        let mut places: Vec<Vec<u8>> =
            patterns.given.iter().map(|pattern| pattern.text.clone()).collect();
        places.sort_by(|a, b| crate::path::compare_paths(a, b));
        // What lies below a place comes right behind it.
        places.dedup_by(|next, place| crate::path::is_within(next, place));
        Some(places)
    }
}

impl Patterns {
    fn note(&self, number: usize) -> bool {
        if let Some(pattern) = self.given.get(number)
            && !pattern.matched.load(Ordering::Relaxed)
        {
            pattern.matched.store(true, Ordering::Relaxed);
        }
        true
    }
}

fn trimmed(mut pattern: &[u8]) -> &[u8] {
    while let Some(rest) = pattern.strip_prefix(b"./") {
        pattern = rest;
    }
    while let Some(rest) = pattern.strip_suffix(b"/") {
        pattern = rest;
    }
    match pattern {
        b"." => b"",
        other => other,
    }
}

/// What makes a pattern more than a path.
const META: &[u8] = b"*?[]{}\\";

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(pattern: &[u8], path: &[u8], expected: bool) {
        let selection = Selection::patterns([pattern]);
        assert_eq!(selection.selects(path), expected);
        assert_eq!(selection.unmatched().is_empty(), expected);
    }

    #[test]
    fn a_pattern_selects_what_it_names_and_all_below() {
        check(b"docs", b"docs", true);
        check(b"docs", b"docs/a/b", true);
        check(b"docs", b"docs2", false);
        check(b"docs", b"x/docs", false);
        check(b"./docs/", b"docs/a", true);
        check(b".", b"anything", true);
    }

    #[test]
    fn stars_stop_at_slashes_unless_doubled() {
        check(b"*.txt", b"a.txt", true);
        check(b"*.txt", b"d/a.txt", false);
        check(b"**/*.txt", b"d/e/a.txt", true);
        check(b"d?/*", b"d1/x/y", true);
        check(b"{a,b}/c", b"b/c", true);
    }

    #[test]
    fn names_that_are_no_text_or_look_like_globs_can_be_named() {
        check(b"caf\xe9", b"caf\xe9/menu", true);
        check(b"caf*", b"caf\xe9", true);
        check(b"a[", b"a[", true);
        check(b"[draft]", b"[draft]", true);
        check(b"[draft]", b"d", true);
    }

    #[test]
    fn patterns_that_match_nothing_are_told() {
        let selection = Selection::patterns(["a", "b/*", "c"]);
        assert!(selection.selects(b"a/x") && !selection.selects(b"b"));
        assert_eq!(selection.unmatched(), [b"b/*".to_vec(), b"c".to_vec()]);
        assert!(Selection::all().unmatched().is_empty());
        assert!(!Selection::patterns::<&str>([]).selects(b"a"));
    }

    #[test]
    fn plain_paths_tell_where_to_look() {
        let places = Selection::patterns(["b/c", "a", "b", "a-b"]).places();
        assert_eq!(places, Some(vec![b"a".to_vec(), b"a-b".to_vec(), b"b".to_vec()]));
        assert_eq!(Selection::patterns(["a", "*"]).places(), None);
        assert_eq!(Selection::all().places(), None);
    }
}
