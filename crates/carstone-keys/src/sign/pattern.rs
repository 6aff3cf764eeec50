//! Lists of patterns as OpenSSH has them: `ssh_config(5)`, section *PATTERNS*.

/// Whether `text` matches a list of patterns: one of them, and none of those behind a `!`.
pub(super) fn matches_list(text: &str, list: &str) -> bool {
    let mut is_matched = false;
    for pattern in list.split(',') {
        match pattern.strip_prefix('!') {
            Some(pattern) if matches(text, pattern) => return false,
            Some(_) => {}
            None => is_matched |= matches(text, pattern),
        }
    }
    is_matched
}

/// `*` is any characters, `?` is one. In the worst case as many steps as the product of both lengths.
fn matches(text: &str, pattern: &str) -> bool {
    let (text, pattern): (Vec<char>, Vec<char>) =
        (text.chars().collect(), pattern.chars().collect());
    let (mut at, mut place) = (0, 0);
    // The last star, and where what it stands for ends.
    let mut star: Option<(usize, usize)> = None;
    while at < text.len() {
        match pattern.get(place) {
            Some('*') => {
                star = Some((place, at));
                place += 1;
            }
            Some(c) if *c == '?' || text.get(at) == Some(c) => {
                at += 1;
                place += 1;
            }
            _ => match &mut star {
                Some((before, end)) => {
                    *end += 1;
                    (place, at) = (*before + 1, *end);
                }
                None => return false,
            },
        }
    }
    pattern.iter().skip(place).all(|c| *c == '*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(list: &str, yes: &[&str], no: &[&str]) {
        for text in yes {
            assert!(matches_list(text, list), "{list} matches {text}");
        }
        for text in no {
            assert!(!matches_list(text, list), "{list} does not match {text}");
        }
    }

    #[test]
    fn stars_and_question_marks_stand_for_characters() {
        check("alice@example.org", &["alice@example.org"], &["", "alice", "Alice@example.org"]);
        check("*@example.org", &["@example.org", "a@b@example.org"], &["a@example.orgs"]);
        check("a?c", &["abc", "aäc"], &["ac", "abbc"]);
        check("*a*b*", &["ab", "xxaxxbxx", "aab"], &["ba", "a"]);
        check("*", &["", "anything"], &[]);
        check("", &[""], &["a"]);
    }

    #[test]
    fn what_is_negated_is_never_matched() {
        check("*,!eve", &["alice"], &["eve"]);
        check("!eve,*", &["alice"], &["eve"]);
        check("!eve", &[], &["eve", "alice"]);
        check("a,b", &["a", "b"], &["a,b", "c"]);
    }
}
