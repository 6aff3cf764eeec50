//! How entries are shown: a name a line, a table, or JSON.

use carstone::car::Cid;
use carstone::pack::{EntryKind, Timestamp};
use serde_json::{Map, Value};

use crate::names;
use crate::output::Output;

/// What is shown of an entry.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    /// Path in the pack; empty for the root directory.
    pub path: Vec<u8>,
    /// What it is.
    pub kind: EntryKind,
    /// Permission bits.
    pub mode: Option<u32>,
    /// Modification time.
    pub mtime: Option<Timestamp>,
    /// Bytes of content.
    pub size: Option<u64>,
    /// SHA-256 of the content.
    pub sha256: Option<[u8; 32]>,
    /// Target of a link.
    pub target: Option<Vec<u8>>,
    /// Whether all its content is known to be there.
    pub complete: bool,
    /// Its root block, where that is known without a search.
    pub cid: Option<Cid>,
}

/// How rows are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Style {
    /// Names only.
    Names,
    /// Names that end with a NUL byte.
    Nul,
    /// Everything, in columns.
    Long,
}

impl Row {
    /// Prints the row.
    pub(crate) fn print(&self, style: Style, output: &mut Output) -> anyhow::Result<()> {
        if output.is_json() {
            return output.object("entry", self.fields());
        }
        match style {
            Style::Names => {
                output.name(self.name())?;
                output.bytes(b"\n")
            }
            Style::Nul => {
                output.bytes(self.name())?;
                output.bytes(b"\0")
            }
            Style::Long => self.long(output),
        }
    }

    /// The root directory has no name of its own.
    fn name(&self) -> &[u8] {
        if self.path.is_empty() { b"." } else { &self.path }
    }

    fn long(&self, output: &mut Output) -> anyhow::Result<()> {
        let size = self.size.map_or_else(|| "-".to_owned(), |size| size.to_string());
        let time = self.mtime.map_or_else(|| "-".to_owned(), |time| civil(time.seconds));
        let sha256 = self.sha256.map_or_else(|| "-".to_owned(), |digest| names::hex(&digest));
        let mode = mode_text(self.kind, self.mode);
        output.bytes(format!("{mode} {size:>12} {time:>19} {sha256:>64} ").as_bytes())?;
        output.name(self.name())?;
        if let Some(target) = &self.target {
            let arrow: &[u8] =
                if self.kind == EntryKind::HardLink { b" link to " } else { b" -> " };
            output.bytes(arrow)?;
            output.name(target)?;
        }
        if !self.complete {
            output.bytes(b" (incomplete)")?;
        }
        output.bytes(b"\n")
    }

    fn fields(&self) -> Map<String, Value> {
        let mut fields = Map::new();
        let mut put = |key: &str, value: Value| fields.insert(key.to_owned(), value);
        put("kind", self.kind.to_string().into());
        if let Some(mode) = self.mode {
            put("mode", format!("{mode:04o}").into());
        }
        if let Some(mtime) = self.mtime {
            put("mtime", time(mtime).into());
        }
        if let Some(size) = self.size {
            put("size", size.into());
        }
        if let Some(sha256) = self.sha256 {
            put("sha256", names::hex(&sha256).into());
        }
        if !self.complete {
            put("complete", false.into());
        }
        if let Some(cid) = &self.cid {
            put("cid", cid.to_string().into());
        }
        names::put(&mut fields, "path", &self.path);
        if let Some(target) = &self.target {
            names::put(&mut fields, "target", target);
        }
        fields
    }
}

/// Kind and permissions as `ls -l` shows them.
fn mode_text(kind: EntryKind, mode: Option<u32>) -> String {
    let mut text = String::with_capacity(10);
    text.push(match kind {
        EntryKind::Directory => 'd',
        EntryKind::Symlink => 'l',
        EntryKind::HardLink => 'h',
        _ => '-',
    });
    let Some(mode) = mode else {
        text.push_str("?????????");
        return text;
    };
    for (shift, special, letter) in [(6, 0o4000, 's'), (3, 0o2000, 's'), (0, 0o1000, 't')] {
        let bits = mode >> shift;
        text.push(if bits & 4 != 0 { 'r' } else { '-' });
        text.push(if bits & 2 != 0 { 'w' } else { '-' });
        text.push(match (mode & special != 0, bits & 1 != 0) {
            (false, false) => '-',
            (false, true) => 'x',
            (true, true) => letter,
            (true, false) => letter.to_ascii_uppercase(),
        });
    }
    text
}

/// A point in time as RFC 3339 has it, with nanoseconds.
pub(crate) fn time(time: Timestamp) -> String {
    format!("{}.{:09}Z", civil(time.seconds).replace(' ', "T"), time.nanos)
}

/// A point in time in UTC: `2026-01-02 03:04:05`.
fn civil(seconds: i64) -> String {
    let days = seconds.div_euclid(86_400);
    let of_day = seconds.rem_euclid(86_400);
    // Days are counted from 1 March of year 0 in eras of 400 years, so that leap days come last.
    let shifted = i128::from(days) + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_index = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_index + 2) / 5 + 1;
    let month = if month_index < 10 { month_index + 3 } else { month_index - 9 };
    let year = year_of_era + era * 400 + i128::from(month <= 2);
    let (hour, minute, second) = (of_day / 3600, of_day / 60 % 60, of_day % 60);
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_civil_in_utc() {
        assert_eq!(civil(0), "1970-01-01 00:00:00");
        assert_eq!(civil(-1), "1969-12-31 23:59:59");
        assert_eq!(civil(951_782_400), "2000-02-29 00:00:00");
        assert_eq!(civil(4_107_542_399), "2100-02-28 23:59:59");
        assert_eq!(civil(4_107_542_400), "2100-03-01 00:00:00");
        assert!(civil(i64::MIN).starts_with('-') && civil(i64::MAX).len() > 19);
    }

    #[test]
    fn modes_look_like_those_of_ls() {
        assert_eq!(mode_text(EntryKind::File, Some(0o644)), "-rw-r--r--");
        assert_eq!(mode_text(EntryKind::Directory, Some(0o1777)), "drwxrwxrwt");
        assert_eq!(mode_text(EntryKind::File, Some(0o4711)), "-rws--x--x");
        assert_eq!(mode_text(EntryKind::File, Some(0o6600)), "-rwS--S---");
        assert_eq!(mode_text(EntryKind::Symlink, None), "l?????????");
    }
}
