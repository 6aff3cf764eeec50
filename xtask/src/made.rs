//! Large trees that are made up, the same on every machine.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::Context;

use crate::seeded::Random;

const MEGABYTE: u64 = 1_000_000;

/// Where the n-th file of [`small_files`] stands.
pub fn small_file(number: u64) -> PathBuf {
    let (group, folder) = (number / 100_000, number / 1000 % 100);
    format!("{group:03}/{folder:02}/{number:08}.txt").into()
}

/// Files of about 100 bytes, all different, in folders of at most 1000 entries.
pub fn small_files(tree: &Path, files: u64) -> anyhow::Result<()> {
    let mut random = Random::new(files);
    for number in 0..files {
        let path = tree.join(small_file(number));
        if number % 1000 == 0 {
            fs::create_dir_all(path.parent().context("it has a parent")?)?;
        }
        let length = usize::try_from(50 + random.below(100))?;
        let mut content = format!("{number:08} ").into_bytes();
        content.extend(random.text(length));
        fs::write(&path, content)?;
    }
    Ok(())
}

/// Where the n-th file of about a megabyte stands.
pub fn megabyte_file(number: u64) -> PathBuf {
    format!("{:03}/{number:06}.dat", number / 1000).into()
}

/// Files of about a megabyte, and one that has a quarter of all bytes. Returns the number of the former.
pub fn large_files(tree: &Path, bytes: u64) -> anyhow::Result<u64> {
    fs::create_dir_all(tree)?;
    one_file(&tree.join("large.dat"), bytes / 4)?;
    let mut random = Random::new(bytes);
    let mut left = bytes - bytes / 4;
    let mut number = 0;
    while left > 0 {
        let length = (MEGABYTE / 2 + random.below(MEGABYTE)).min(left);
        let path = tree.join(megabyte_file(number));
        fs::create_dir_all(path.parent().context("it has a parent")?)?;
        fs::write(path, random.file(usize::try_from(length)?).1)?;
        left -= length;
        number += 1;
    }
    Ok(number)
}

/// One file of text, records and noise in turn.
pub fn one_file(path: &Path, bytes: u64) -> anyhow::Result<()> {
    let file = File::create(path).with_context(|| format!("cannot create {}", path.display()))?;
    let mut file = BufWriter::new(file);
    let mut random = Random::new(bytes);
    let mut left = bytes;
    while left > 0 {
        let length = left.min(MEGABYTE);
        file.write_all(&random.file(usize::try_from(length)?).1)?;
        left -= length;
    }
    Ok(file.flush()?)
}

/// Files of noise, of a megabyte each.
pub fn noise(tree: &Path, bytes: u64) -> anyhow::Result<()> {
    let (mut random, mut left, mut number) = (Random::new(bytes), bytes, 0);
    while left > 0 {
        let length = left.min(MEGABYTE);
        fs::write(tree.join(format!("{number:06}.bin")), random.noise(usize::try_from(length)?))?;
        (left, number) = (left - length, number + 1);
    }
    Ok(())
}
