//! The table of decisions in `docs/hppr.md` against the constants that it names.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

const PAGE: &str = include_str!("../../../../docs/hppr.md");

/// Constants whose value the table gives in words, as it is a table or a limit of what cannot come.
const NOT_SHOWN: [&str; 1] = ["TAI_OFFSETS"];

/// A number or a text.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Token {
    Number(u64),
    Text(String),
}

/// What a constant is declared as, in all of the sources.
struct Sources {
    files: Vec<String>,
    /// Expressions, of which a name may have several.
    constants: BTreeMap<String, Vec<String>>,
}

impl Sources {
    /// Those of the crate, without its tests.
    fn read() -> Self {
        let mut left = vec![PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src")];
        let (mut files, mut constants) = (Vec::new(), BTreeMap::<_, Vec<_>>::new());
        while let Some(path) = left.pop() {
            if path.is_dir() {
                let inside = fs::read_dir(&path).expect("a folder");
                let inside = inside.map(|item| item.expect("an item").path());
                left.extend(inside.filter(|path| !path.ends_with("tests")));
            } else if !path.ends_with(Path::new("tests.rs")) {
                let text = fs::read_to_string(&path).expect("a source file");
                let text = text.split("#[cfg(test)]").next().unwrap_or_default().to_owned();
                for declared in text.split("const ").skip(1) {
                    let name = declared.split(':').next().unwrap_or_default();
                    if let Some((_, value)) = declared.split_once(" =")
                        && let Some((value, _)) = value.split_once(";\n")
                        && name.chars().all(|c| c.is_ascii_uppercase() || c == '_')
                    {
                        constants.entry(name.to_owned()).or_default().push(value.trim().to_owned());
                    }
                }
                files.push(text);
            }
        }
        Self { files, constants }
    }

    /// Whether the sources declare a type, or a type with such a variant, field or function.
    fn has(&self, path: &str) -> bool {
        let (of, member) = path.split_once("::").unwrap_or((path, ""));
        let declares = |text: &String| {
            ["enum", "struct", "trait"].iter().any(|what| {
                [" ", "<"].iter().any(|end| text.contains(&format!("pub {what} {of}{end}")))
            })
        };
        let shows = |text: &String| {
            let ways =
                [format!("    {member},\n"), format!("    {member}("), format!("    {member} {{")];
            let public = [format!("pub fn {member}("), format!("pub {member}:")];
            member.is_empty() || ways.iter().chain(&public).any(|way| text.contains(way))
        };
        self.files.iter().any(|text| declares(text) && shows(text))
    }

    /// The value of a constant.
    fn value(&self, name: &str) -> Result<Vec<Token>, String> {
        match self.constants.get(name).map(Vec::as_slice) {
            Some([value]) => self.evaluate(value),
            Some(_) => Err(format!("{name} is declared more than once")),
            None => Err(format!("{name} is declared nowhere")),
        }
    }

    fn evaluate(&self, value: &str) -> Result<Vec<Token>, String> {
        let value = value.trim();
        let digits = |text: &str| text.trim().replace('_', "").parse::<u64>().ok();
        if let Some(list) = value.strip_prefix('[').and_then(|list| list.strip_suffix(']')) {
            let parts = list.split(',').filter(|part| !part.trim().is_empty());
            return Ok(parts
                .map(|part| self.evaluate(part))
                .collect::<Result<Vec<_>, _>>()?
                .concat());
        }
        if let Some(number) = digits(value) {
            return Ok(vec![Token::Number(number)]);
        }
        if let Some((number, shift)) = value.split_once("<<")
            && let (Some(number), Some(shift)) = (digits(number), digits(shift))
        {
            return Ok(vec![Token::Number(number << shift)]);
        }
        let text = value.trim_end_matches(".as_bytes()").trim_matches(['"', '\'']);
        match value.strip_prefix('b').unwrap_or(value).starts_with(['"', '\'']) {
            // Bytes are told by how many they are.
            true if value.starts_with('b') => {
                let text = text.trim_start_matches(['b', '"']);
                Ok(vec![Token::Number(unescaped(text).len() as u64)])
            }
            true => Ok(vec![Token::Text(unescaped(text))]),
            false => self.value(value),
        }
    }
}

fn unescaped(text: &str) -> String {
    let mut parts = text.split("\\u{");
    let mut whole = parts.next().unwrap_or_default().replace("\\n", "\n");
    for part in parts {
        let (code, rest) = part.split_once('}').expect("a character by its number");
        let code = u32::from_str_radix(code, 16).expect("hexadecimal");
        whole.push(char::from_u32(code).expect("a character"));
        whole.push_str(rest);
    }
    whole
}

/// The rows of the table: what each is about, its constants, and its value.
fn rows() -> Vec<[String; 3]> {
    let table = PAGE.lines().skip_while(|line| !line.starts_with("| about | decision | constant"));
    let rows = table.skip(2).take_while(|line| line.starts_with('|'));
    rows.map(|row| {
        let row = row.replace("\\|", "\u{1}");
        let cells: Vec<String> =
            row.split('|').map(|cell| cell.trim().replace('\u{1}', "|")).collect();
        let [_, about, _, constants, value, _] = &cells[..] else {
            panic!("no row of four cells: {row}");
        };
        [about.clone(), constants.clone(), value.clone()]
    })
    .collect()
}

/// Texts in backticks.
fn quoted(cell: &str) -> Vec<String> {
    cell.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

/// The texts in backticks and the numbers of a cell, in their order. What is in parentheses says the same once more.
fn tokens(cell: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    for (place, part) in cell.split('`').enumerate() {
        if place % 2 == 1 {
            tokens.push(Token::Text(part.to_owned()));
            continue;
        }
        let part = part.split('(').next().unwrap_or_default().replace(", ", " ");
        let words = part.split_whitespace().map(|word| word.trim_matches(',').replace(',', ""));
        tokens.extend(words.filter_map(|word| word.parse().ok()).map(Token::Number));
    }
    tokens
}

fn is_constant(name: &str) -> bool {
    !name.contains(|c: char| c.is_ascii_lowercase())
}

/// What is wrong with a row.
fn fault(sources: &Sources, constants: &str, value: &str) -> Option<String> {
    let names = quoted(constants);
    let (constants, paths): (Vec<_>, Vec<_>) =
        names.into_iter().partition(|name| is_constant(name));
    if let Some(path) = paths.iter().find(|path| !sources.has(path)) {
        return Some(format!("{path} is nowhere"));
    }
    let mut expected = Vec::new();
    for name in constants.iter() {
        match sources.value(name) {
            _ if NOT_SHOWN.contains(&&**name) && sources.constants.contains_key(name) => {}
            Ok(tokens) => expected.extend(tokens),
            Err(error) => return Some(error),
        }
    }
    let found = tokens(value);
    (found != expected).then(|| format!("{found:?} in the table, {expected:?} in the crate"))
}

#[test]
fn constants_of_the_table_are_there_and_have_its_values() {
    let (sources, rows) = (Sources::read(), rows());
    assert!(rows.len() > 50, "{} rows", rows.len());
    let faults: Vec<String> = rows
        .iter()
        .filter_map(|[about, constants, value]| {
            fault(&sources, constants, value).map(|fault| format!("{about}: {fault}"))
        })
        .collect();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn rows_that_say_something_else_are_found() {
    let sources = Sources::read();
    for (constants, value) in [
        ("`MAX_SEGMENT`", "256 bytes"),
        ("`MAX_SEGMENT`", ""),
        ("", "255 bytes"),
        ("`MAX_SEGMENTS`", "255 bytes"),
        ("`MAX_EXTRAS_READ`, `MAX_EXTRAS_WRITTEN`", "256 and 1,024"),
        ("`MARK_CHARACTER`", "`⋯`"),
        ("`NEEDED`", "`hash`"),
        ("`ErrorKind::NotFounded`", ""),
        ("`OpenOption`", ""),
    ] {
        assert!(fault(&sources, constants, value).is_some(), "{constants} {value}");
    }
}

/// The values that the sources are read to have are those that they have.
#[test]
fn values_are_read_as_the_compiler_reads_them() {
    let sources = Sources::read();
    let number = |number: usize| vec![Token::Number(number as u64)];
    for (name, value) in [
        ("DIGEST", number(carstone_hppr::DIGEST)),
        ("TYPED", number(carstone_hppr::TYPED)),
        ("MAX_SEGMENT", number(carstone_hppr::MAX_SEGMENT)),
        ("MAX_EXTRAS_READ", number(carstone_hppr::MAX_EXTRAS_READ)),
        ("MAX_EXTRAS_WRITTEN", number(carstone_hppr::MAX_EXTRAS_WRITTEN)),
        ("MAX_PACKET", number(carstone_hppr::MAX_PACKET)),
        ("BATCH", number(carstone_hppr::BATCH)),
        ("BATCH_BYTES", number(carstone_hppr::BATCH_BYTES)),
        ("FIRST_TAI_OFFSET", vec![Token::Number(carstone_hppr::FIRST_TAI_OFFSET)]),
        ("MARK_CHARACTER", vec![Token::Text(carstone_hppr::MARK_CHARACTER.to_string())]),
        ("EMPTY_BLOB", vec![Token::Text(carstone_hppr::EMPTY_BLOB.to_owned())]),
        (
            "RESERVED_HEADERS",
            carstone_hppr::RESERVED_HEADERS.map(|name| Token::Text(name.to_owned())).to_vec(),
        ),
    ] {
        assert_eq!(sources.value(name), Ok(value), "{name}");
    }
}
