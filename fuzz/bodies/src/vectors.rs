//! The shared test vectors, as inputs to start from.

pub(crate) const CONTAINER: &str = include_str!("../../../tests/vectors/container.toml");
pub(crate) const ENCRYPTION: &str = include_str!("../../../tests/vectors/encryption.toml");
pub(crate) const ENVELOPE: &str = include_str!("../../../tests/vectors/envelope.toml");
pub(crate) const FRAMES: &str = include_str!("../../../tests/vectors/frames.toml");
pub(crate) const HPPR: &str = include_str!("../../../tests/vectors/hppr.toml");
pub(crate) const RECORDS: &str = include_str!("../../../tests/vectors/records.toml");

/// The smaller packs.
pub(crate) const PACKS: [&[u8]; 4] = [
    include_bytes!("../../../tests/vectors/packs/appendices.cstone"),
    include_bytes!("../../../tests/vectors/packs/bare.cstone"),
    include_bytes!("../../../tests/vectors/packs/empty.cstone"),
    include_bytes!("../../../tests/vectors/packs/passphrase.cstone"),
];

/// The values of `key` in a file of vectors, from hexadecimal. Long ones are left out.
pub(crate) fn values(file: &str, key: &str) -> Vec<Vec<u8>> {
    let start = format!("\n{key} = ");
    let values = file.split(&start).skip(1).filter_map(|rest| {
        let (quote, rest) = match rest.strip_prefix("'''") {
            Some(rest) => ("'''", rest),
            None => ("\"", rest.strip_prefix('"')?),
        };
        let (value, _) = rest.split_once(quote)?;
        let digits: Vec<u32> = value.chars().filter_map(|digit| digit.to_digit(16)).collect();
        let bytes = digits.chunks_exact(2).map(|pair| (pair[0] << 4 | pair[1]) as u8);
        Some(bytes.collect::<Vec<_>>())
    });
    values.filter(|value| value.len() < 5000).collect()
}

/// The values of `key` in a file of vectors, as they stand there between quotes. Long ones are left out.
pub(crate) fn texts(file: &str, key: &str) -> Vec<Vec<u8>> {
    let start = format!("\n{key} = \"");
    let values = file.split(&start).skip(1).filter_map(|rest| rest.split_once("\"\n"));
    let values = values.map(|(value, _)| value.as_bytes().to_vec());
    values.filter(|value| value.len() < 5000).collect()
}
