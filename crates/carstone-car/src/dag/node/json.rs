//! dag-json, see <https://ipld.io/specs/codecs/dag-json/spec/>.

use super::Event;
use super::keys::Keys;
use super::text::{Text, cid, fail, is_base64};
use crate::dag::error::Result;

/// Goes through all values, without recursion.
pub(super) fn scan<'a>(
    data: &'a [u8],
    visit: &mut impl FnMut(Event<'a>, usize) -> Result<()>,
) -> Result<()> {
    if let Err(error) = std::str::from_utf8(data) {
        return fail("the text is not UTF-8", error.valid_up_to());
    }
    let mut text = Text { bytes: data, at: 0 };
    let mut open: Vec<Open<'a>> = Vec::new();
    loop {
        text.skip_space();
        let at = text.at;
        let event = value(&mut text)?;
        let opened = match event {
            Event::Map => Some(Open::Map(Keys::default())),
            Event::List => Some(Open::List),
            _ => None,
        };
        visit(event, at)?;
        let is_new = opened.is_some();
        open.extend(opened); // Not before its nesting has been counted.
        if !goes_on(&mut text, &mut open, is_new, visit)? {
            return Ok(());
        }
    }
}

/// A map or list that has not ended.
enum Open<'a> {
    Map(Keys<'a>),
    List,
}

/// Goes to where the next value starts, past commas, keys and ends. False at the end of the text. `is_new`: nothing of the innermost map or list
/// has been read.
fn goes_on<'a>(
    text: &mut Text<'a>,
    open: &mut Vec<Open<'a>>,
    mut is_new: bool,
    visit: &mut impl FnMut(Event<'a>, usize) -> Result<()>,
) -> Result<bool> {
    loop {
        text.skip_space();
        let at = text.at;
        let Some(last) = open.last_mut() else {
            return match text.peek() {
                None => Ok(false),
                Some(_) => fail("text follows the value", at),
            };
        };
        let end = match last {
            Open::Map(_) => b'}',
            Open::List => b']',
        };
        if text.takes(end) {
            if let Some(Open::Map(keys)) = open.pop()
                && !keys.are_distinct()
            {
                return fail("a map has a key twice", at);
            }
            visit(Event::End, at)?;
            is_new = false;
            continue;
        }
        if !is_new && !text.takes(b',') {
            return fail("a map or list does not go on with a comma", at);
        }
        if let Open::Map(keys) = last {
            text.skip_space();
            let at = text.at;
            if !text.takes(b'"') {
                return fail("a key is not a string", at);
            }
            let key = text.string()?;
            keys.add(key.clone());
            if !text.takes(b':') {
                return fail("there is no colon behind a key", text.at);
            }
            visit(Event::Key(key), at)?;
        }
        return Ok(true);
    }
}

/// The value that starts here; of a map or list only its start.
fn value<'a>(text: &mut Text<'a>) -> Result<Event<'a>> {
    let at = text.at;
    match text.peek() {
        Some(b'{') => {
            text.at += 1;
            Ok(reserved(text)?.unwrap_or(Event::Map))
        }
        Some(b'[') => {
            text.at += 1;
            Ok(Event::List)
        }
        Some(b'"') => {
            text.at += 1;
            Ok(Event::Text(text.string()?))
        }
        Some(b'-' | b'0'..=b'9') => Ok(text.number()?.map_or(Event::Other, Event::Int)),
        Some(_) if [&b"true"[..], b"false", b"null"].iter().any(|word| text.takes_word(word)) => {
            Ok(Event::Other)
        }
        Some(_) => fail("this is no value", at),
        None => fail("the text ends where a value should be", at),
    }
}

/// The link or bytes of a map whose brace has been taken. `None`, and nothing taken, if it is an ordinary map.
fn reserved<'a>(text: &mut Text<'a>) -> Result<Option<Event<'a>>> {
    const MORE: &str = "a map of a link or of bytes has something else in it";
    let mut ahead = *text;
    if !ahead.takes(b'"') || ahead.string()?.as_ref() != b"/" || !ahead.takes(b':') {
        return Ok(None);
    }
    if ahead.takes(b'"') {
        let at = ahead.at;
        let link = ahead.string()?;
        if !ahead.takes(b'}') {
            return fail(MORE, ahead.at);
        }
        *text = ahead;
        return Ok(Some(Event::Link(cid(&link, at)?)));
    }
    if !ahead.takes(b'{') || !ahead.takes(b'"') || ahead.string()?.as_ref() != b"bytes" {
        return Ok(None);
    }
    if !ahead.takes(b':') || !ahead.takes(b'"') {
        return Ok(None);
    }
    let at = ahead.at;
    if !is_base64(&ahead.string()?) {
        return fail("bytes are not in base64", at);
    }
    if !ahead.takes(b'}') || !ahead.takes(b'}') {
        return fail(MORE, ahead.at);
    }
    *text = ahead;
    Ok(Some(Event::Other))
}
