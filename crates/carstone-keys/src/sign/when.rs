//! Times in lists of signers: `ssh-keygen(1)`, section *ALLOWED SIGNERS*.

use chrono::{Local, NaiveDate, NaiveDateTime, TimeZone};

use super::{Error, ErrorKind};

/// Seconds since 1970 of `YYYYMMDD` or `YYYYMMDDHHMM[SS]`: UTC with a `Z` behind it, else local time. Of two moments that a clock shows
/// alike, the `late` one or the other.
pub(super) fn parse(text: &str, late: bool) -> Result<i64, Error> {
    let wrong = || Error::new(ErrorKind::BadTime(text.to_owned()));
    let universal = text.strip_suffix(['Z', 'z']).or_else(|| text.strip_suffix("UTC"));
    let time = clock(universal.unwrap_or(text)).ok_or_else(wrong)?;
    if universal.is_some() {
        return Ok(time.and_utc().timestamp());
    }
    let local = Local.from_local_datetime(&time);
    let local = if late { local.latest() } else { local.earliest() };
    Ok(local.ok_or_else(wrong)?.timestamp())
}

fn clock(digits: &str) -> Option<NaiveDateTime> {
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) || !matches!(digits.len(), 8 | 12 | 14) {
        return None;
    }
    let number = |from: usize, to: usize| match digits.get(from..to) {
        // What is left out is zero.
        None => Some(0),
        Some(digits) => digits.parse::<u32>().ok(),
    };
    let year = i32::try_from(number(0, 4)?).ok()?;
    let day = NaiveDate::from_ymd_opt(year, number(4, 6)?, number(6, 8)?)?;
    day.and_hms_opt(number(8, 10)?, number(10, 12)?, number(12, 14)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Option<i64>) {
        match (parse(text, false), expected) {
            (Ok(time), Some(expected)) => assert_eq!(time, expected, "{text}"),
            (Err(error), None) => {
                assert_eq!(*error.kind(), ErrorKind::BadTime(text.to_owned()));
            }
            (outcome, _) => panic!("{text}: {outcome:?}"),
        }
    }

    /// Compared with `date -u -d '2026-02-03 04:05:06' +%s`.
    #[test]
    fn times_have_three_forms() {
        check("20260203Z", Some(1_770_076_800));
        check("202602030405Z", Some(1_770_091_500));
        check("20260203040506Z", Some(1_770_091_506));
        check("20260203040506UTC", Some(1_770_091_506));
        check("19700101Z", Some(0));
    }

    #[test]
    fn what_is_no_time_is_an_error() {
        for text in ["", "Z", "2026", "20260230Z", "20261301Z", "202602032405Z", "+2026020Z"] {
            check(text, None);
        }
        for text in
            ["2026020304Z", "20260203 Z", "20260203T", "２０２６０２０３", "20260203040560Z"]
        {
            check(text, None);
        }
    }

    #[test]
    fn local_times_are_near_universal_ones() {
        let (local, universal) = (parse("20260203", false), parse("20260203Z", false));
        let apart = local.expect("a time").abs_diff(universal.expect("a time"));
        assert!(apart <= 15 * 3600 && apart.is_multiple_of(60), "{apart}");
    }
}
