//! The text taken apart.

use std::str::FromStr;

use anyhow::{Context, anyhow, bail};
use carstone::car::{Cid, hash_code};
use ipld_core::ipld::Ipld;

use super::value::{Form, from_json};
use crate::cli::codec_named;

/// What a text says.
#[derive(Debug)]
pub(super) struct Text {
    pub version: u64,
    pub roots: Vec<Cid>,
    pub blocks: Vec<Written>,
}

/// A block as the text has it.
#[derive(Debug)]
pub(super) struct Written {
    /// The line of its word, from 1.
    pub line: usize,
    /// The CID that it is called by, if it is not new.
    pub claimed: Option<Cid>,
    pub codec: u64,
    pub form: Form,
    pub value: Ipld,
}

impl Written {
    /// The hash function of its CID.
    pub(super) fn hash(&self) -> u64 {
        self.claimed.map_or(hash_code::SHA2_256, |cid| cid.hash().code())
    }
}

/// A block of which not all lines have been seen.
struct Open<'a> {
    line: usize,
    claimed: Option<Cid>,
    codec: u64,
    form: Form,
    json: Vec<&'a str>,
}

impl Text {
    /// Takes it apart.
    ///
    /// # Errors
    /// With the line, from 1.
    pub(super) fn parse(bytes: &[u8]) -> anyhow::Result<Self> {
        let text = std::str::from_utf8(bytes).map_err(|error| {
            let before = &bytes[..error.valid_up_to()];
            let line = 1 + before.iter().filter(|byte| **byte == b'\n').count();
            anyhow!("line {line}: is not UTF-8")
        })?;
        let mut found = Text { version: 1, roots: Vec::new(), blocks: Vec::new() };
        let mut open = None;
        for (number, line) in text.lines().enumerate() {
            found
                .line(number + 1, line, &mut open)
                .with_context(|| format!("line {}", number + 1))?;
        }
        found.close(open)?;
        Ok(found)
    }

    fn line<'a>(
        &mut self,
        number: usize,
        line: &'a str,
        open: &mut Option<Open<'a>>,
    ) -> anyhow::Result<()> {
        // No line of JSON starts with one of these words, or with a hash.
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        let rest = rest.trim();
        let form = match word {
            "block" => Form::Value,
            "data" => Form::Data,
            "root" => {
                self.close(open.take())?;
                self.roots.push(cid(rest)?);
                return Ok(());
            }
            "version" => {
                self.close(open.take())?;
                self.version = match rest {
                    "1" => 1,
                    "2" => 2,
                    _ => bail!("{rest:.20}: the version is 1 or 2"),
                };
                return Ok(());
            }
            _ if line.starts_with('#') => return Ok(()),
            _ => {
                match open {
                    Some(open) => open.json.push(line),
                    None if line.trim().is_empty() => {}
                    None => bail!("{line:.40}: expected `version`, `root`, `block` or `data`"),
                }
                return Ok(());
            }
        };
        self.close(open.take())?;
        let (claimed, codec) = match codec_named(rest) {
            Some(codec) => (None, codec),
            None => cid(rest).map(|cid| (Some(cid), cid.codec()))?,
        };
        *open = Some(Open { line: number, claimed, codec, form, json: Vec::new() });
        Ok(())
    }

    fn close(&mut self, open: Option<Open<'_>>) -> anyhow::Result<()> {
        let Some(Open { line, claimed, codec, form, json }) = open else { return Ok(()) };
        let value = from_json(json.join("\n").as_bytes())
            .with_context(|| format!("the JSON behind line {line}"))?;
        self.blocks.push(Written { line, claimed, codec, form, value });
        Ok(())
    }
}

fn cid(text: &str) -> anyhow::Result<Cid> {
    Cid::from_str(text).map_err(|error| anyhow!("{text:.100} is no CID: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_name_their_line() {
        let cid = carstone::car::cid_of(0x55, b"");
        for (text, says) in [
            ("version 3\n".to_owned(), "line 1"),
            ("\n\nroot bafy\n".to_owned(), "line 3"),
            ("# nothing\nhello\n".to_owned(), "line 2"),
            (format!("data {cid}\n\"\"\nblock x\n"), "line 3"),
            (format!("data {cid}\n\"\nroot {cid}\n"), "behind line 1"),
            (format!("data {cid}\n"), "behind line 1"),
        ] {
            let error = Text::parse(text.as_bytes()).expect_err(&text);
            assert!(format!("{error:#}").contains(says), "{text}: {error:#}");
        }
        let error = Text::parse(b"# fine\n\xff").expect_err("no text");
        assert!(format!("{error:#}").contains("line 2"), "{error:#}");
    }

    #[test]
    fn words_between_are_found() {
        let cid = carstone::car::cid_of(0x55, b"");
        let text = format!(
            "root {cid}\n# one\ndata {cid}\n\n{{\"/\":\n{{\"bytes\":\n\"\"}}}}\nversion 2\n\nblock dag-cbor\n[]"
        );
        let text = Text::parse(text.as_bytes()).expect("a text");
        assert_eq!((text.version, text.roots.len(), text.blocks.len()), (2, 1, 2));
        assert_eq!(text.blocks[0].value, Ipld::Bytes(Vec::new()));
        assert_eq!((text.blocks[1].line, text.blocks[1].claimed), (10, None));
    }
}
