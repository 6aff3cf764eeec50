//! Names on their way to people and programs: escaped on a terminal, raw in a pipe, JSON either way.

use std::borrow::Cow;

use serde_json::{Map, Value};

/// A name for a terminal or a message: control characters, backslashes and invalid UTF-8 escaped.
pub(crate) fn escaped(name: &[u8]) -> Cow<'_, str> {
    if let Ok(text) = std::str::from_utf8(name)
        && !text.chars().any(needs_escape)
    {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(name.len() + 8);
    for chunk in name.utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                '\\' => out.push_str("\\\\"),
                c if needs_escape(c) => out.extend(c.escape_default()),
                c => out.push(c),
            }
        }
        for byte in chunk.invalid() {
            out.push_str(&format!("\\x{byte:02x}"));
        }
    }
    Cow::Owned(out)
}

/// A path for a message; the root directory has no name of its own.
pub(crate) fn shown(path: &[u8]) -> Cow<'_, str> {
    escaped(if path.is_empty() { b"." } else { path })
}

/// Puts a name under `key`, as text; where it is not UTF-8, its bytes stand under `key_base64` too.
pub(crate) fn put(map: &mut Map<String, Value>, key: &str, name: &[u8]) {
    map.insert(key.to_owned(), String::from_utf8_lossy(name).into());
    if std::str::from_utf8(name).is_err() {
        map.insert(format!("{key}_base64"), base64(name).into());
    }
}

/// Lower-case hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Standard base64 with padding.
pub(crate) fn base64(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let mut group = [0; 3];
        group[..chunk.len()].copy_from_slice(chunk);
        let bits = u32::from_be_bytes([0, group[0], group[1], group[2]]);
        for place in 0..4 {
            let digit = (bits >> (18 - 6 * place)) & 63;
            out.push(if place <= chunk.len() { ALPHABET[digit as usize].into() } else { '=' });
        }
    }
    out
}

/// Bytes as people read them: `512 B`, `1.5 KiB`, `22.0 MiB`.
pub(crate) fn human(bytes: u64) -> String {
    let mut value = bytes as f64;
    let mut unit = "B";
    for next in ["KiB", "MiB", "GiB", "TiB"] {
        if value < 1024.0 {
            break;
        }
        value /= 1024.0;
        unit = next;
    }
    if unit == "B" { format!("{bytes} B") } else { format!("{value:.1} {unit}") }
}

/// So many of something.
pub(crate) fn counted(number: u64, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

fn needs_escape(c: char) -> bool {
    // Marks of writing direction can make a terminal show a name in another order.
    c.is_control()
        || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_escaped_where_they_could_do_harm() {
        assert_eq!(escaped(b"plain name"), "plain name");
        assert_eq!(escaped("müde".as_bytes()), "müde");
        assert_eq!(escaped(b"a\nb"), "a\\nb");
        assert_eq!(escaped(b"\x1b[2J"), "\\u{1b}[2J");
        assert_eq!(escaped(b"a\\b\xff"), "a\\\\b\\xff");
        assert_eq!(escaped("\u{202e}gpj".as_bytes()), "\\u{202e}gpj");
    }

    #[test]
    fn base64_pads_short_groups() {
        assert_eq!(base64(b""), "");
        assert_eq!(base64(b"f"), "Zg==");
        assert_eq!(base64(b"fo"), "Zm8=");
        assert_eq!(base64(b"foo"), "Zm9v");
        assert_eq!(base64(b"foob\xff\xfe"), "Zm9vYv/+");
    }

    #[test]
    fn sizes_have_one_decimal() {
        assert_eq!(human(0), "0 B");
        assert_eq!(human(1023), "1023 B");
        assert_eq!(human(1536), "1.5 KiB");
        assert_eq!(human(5 << 40), "5.0 TiB");
    }
}
