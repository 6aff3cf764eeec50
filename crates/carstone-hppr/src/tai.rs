//! Time as packets have it: seconds of international atomic time, and nanoseconds.

use std::fmt;
use std::str::FromStr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::error::{Error, ErrorKind, Result};

/// A time of a packet, counted like Unix time, but with leap seconds. Its text is `seconds:subseconds`, ten digits and nine, so that texts sort as times do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tai {
    seconds: u64,
    nanos: u32,
}

impl Tai {
    /// One of so many seconds and nanoseconds; `None` if the text of one of them would be too long.
    pub fn new(seconds: u64, nanos: u32) -> Option<Self> {
        (seconds <= MOST_SECONDS && nanos < NANOS).then_some(Self { seconds, nanos })
    }

    /// Now.
    ///
    /// # Errors
    /// [`ErrorKind::BadTime`] where the clock is before 1970, or far behind 2200.
    pub fn now() -> Result<Self> {
        let unix = SystemTime::now().duration_since(UNIX_EPOCH);
        let unix = unix.map_err(|_| Error::new(ErrorKind::BadTime))?;
        Self::from_unix(unix).ok_or_else(|| Error::new(ErrorKind::BadTime))
    }

    /// That of a Unix time, with the offset of that instant; `None` where the text would be too long.
    ///
    /// ```
    /// use std::time::Duration;
    /// use carstone_hppr::Tai;
    /// let time = Tai::from_unix(Duration::from_secs(1_767_225_600)).expect("it is near");
    /// assert_eq!(time.to_string(), "1767225637:000000000");
    /// assert_eq!(time.to_unix().as_secs(), 1_767_225_600);
    /// ```
    pub fn from_unix(unix: Duration) -> Option<Self> {
        let offset = TAI_OFFSETS.iter().rev().find(|(start, _)| *start <= unix.as_secs());
        let offset = offset.map_or(FIRST_TAI_OFFSET, |(_, offset)| *offset);
        Self::new(unix.as_secs().checked_add(offset)?, unix.subsec_nanos())
    }

    /// The Unix time; that of an instant within a leap second is the one of the second behind it.
    pub fn to_unix(self) -> Duration {
        let offset =
            TAI_OFFSETS.iter().rev().find(|(start, offset)| start + offset <= self.seconds);
        let offset = offset.map_or(FIRST_TAI_OFFSET, |(_, offset)| *offset);
        Duration::new(self.seconds.saturating_sub(offset), self.nanos)
    }

    /// Seconds.
    pub fn seconds(self) -> u64 {
        self.seconds
    }

    /// Nanoseconds behind them.
    pub fn nanos(self) -> u32 {
        self.nanos
    }

    /// Reads its text.
    ///
    /// # Errors
    /// [`ErrorKind::BadTime`], at the byte that is wrong.
    pub fn parse(text: &[u8]) -> Result<Self> {
        let bad = |at: usize| Error::new(ErrorKind::BadTime).at(at as u64);
        let digits = |start: usize, len: usize| {
            (start..start + len).try_fold(0_u64, |sum, at| match text.get(at) {
                Some(digit @ b'0'..=b'9') => Ok(sum * 10 + u64::from(digit - b'0')),
                _ => Err(bad(at)),
            })
        };
        let seconds = digits(0, 10)?;
        if text.get(10) != Some(&b':') {
            return Err(bad(10));
        }
        let nanos = digits(11, 9)? as u32; // Nine digits fit.
        match text.len() {
            20 => Ok(Self { seconds, nanos }),
            _ => Err(bad(20)),
        }
    }
}

impl fmt::Display for Tai {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:010}:{:09}", self.seconds, self.nanos)
    }
}

impl FromStr for Tai {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::parse(text.as_bytes())
    }
}

const MOST_SECONDS: u64 = 9_999_999_999;
const NANOS: u32 = 1_000_000_000;
/// Seconds that TAI is ahead of Unix time before the first of [`TAI_OFFSETS`].
pub const FIRST_TAI_OFFSET: u64 = 10;
/// From which Unix time on TAI is how many seconds ahead of it: one more with each leap second. The last of them still holds, as far as is known.
pub const TAI_OFFSETS: [(u64, u64); 28] = [
    (63_072_000, 10),
    (78_796_800, 11),
    (94_694_400, 12),
    (126_230_400, 13),
    (157_766_400, 14),
    (189_302_400, 15),
    (220_924_800, 16),
    (252_460_800, 17),
    (283_996_800, 18),
    (315_532_800, 19),
    (362_793_600, 20),
    (394_329_600, 21),
    (425_865_600, 22),
    (489_024_000, 23),
    (567_993_600, 24),
    (631_152_000, 25),
    (662_688_000, 26),
    (709_948_800, 27),
    (741_484_800, 28),
    (773_020_800, 29),
    (820_454_400, 30),
    (867_715_200, 31),
    (915_148_800, 32),
    (1_136_073_600, 33),
    (1_230_768_000, 34),
    (1_341_100_800, 35),
    (1_435_708_800, 36),
    (1_483_228_800, 37),
];

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_no_time_is_refused_at_its_place() {
        for (text, at) in [
            ("", 0),
            ("164099520:123000000", 9),
            ("1640995200 123000000", 10),
            ("1640995200:12300000", 19),
            ("1640995200:1230000000", 20),
            ("1640995200:12300000x", 19),
            ("+640995200:123000000", 0),
        ] {
            let error = Tai::parse(text.as_bytes()).expect_err(text);
            assert_eq!((error.kind(), error.offset()), (&ErrorKind::BadTime, Some(at)), "{text}");
        }
    }

    #[test]
    fn around_each_leap_second() {
        for (number, (start, offset)) in TAI_OFFSETS.into_iter().enumerate().skip(1) {
            assert_eq!(offset, TAI_OFFSETS[number - 1].1 + 1);
            let tai =
                |unix: u64| Tai::from_unix(Duration::from_secs(unix)).expect("near").seconds();
            assert_eq!(tai(start), start + offset);
            assert_eq!(tai(start - 1), start - 1 + offset - 1);
            // Two seconds have passed.
            assert_eq!(tai(start) - tai(start - 1), 2);
        }
        assert_eq!(Tai::from_unix(Duration::ZERO).expect("near").seconds(), 10);
    }

    proptest! {
        #[test]
        fn times_come_back(seconds in 0..=MOST_SECONDS, nanos in 0..NANOS, unix in 0..9_000_000_000_u64) {
            let time = Tai::new(seconds, nanos).expect("short");
            prop_assert_eq!(Tai::parse(time.to_string().as_bytes()).expect("a time"), time);
            let unix = Duration::new(unix, nanos);
            prop_assert_eq!(Tai::from_unix(unix).expect("near").to_unix(), unix);
        }
    }
}
