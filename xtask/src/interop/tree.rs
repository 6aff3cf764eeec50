//! The tree that goes back and forth: what plain CARs keep, and all lengths around a chunk.

use std::fs;
use std::path::Path;

use crate::seeded::Random;

const MIB: usize = 1 << 20;

/// Writes the tree into a new folder: no empty directory and no symlink, which ipfs-car leaves out.
pub fn make(folder: &Path, quick: bool) -> anyhow::Result<()> {
    let mut random = Random::new(7);
    for length in [0, 1, 255, 256, 65_537, MIB - 1, MIB, MIB + 1, 2 * MIB, 5 * MIB / 2 + 3] {
        write(folder, &format!("lengths/{length}.bin"), &random.noise(length))?;
    }
    write(folder, "twice/one.txt", b"the same content\n")?;
    write(folder, "twice/two.txt", b"the same content\n")?;
    write(folder, "twice/zeros", &vec![0; 3 * MIB])?;
    write(folder, ".hidden", b"hidden\n")?;
    write(folder, "a/.hidden folder/b/c/d/e/f/deep.txt", b"deep\n")?;
    // ipfs-car leaves out the folders that all files have in common.
    write(folder, "a/beside.txt", b"beside\n")?;
    for name in
        ["ü", "日本語", "space in name", "emoji 🪨", "quote\"s", "per%cent", "-dash", "#hash"]
    {
        write(folder, &format!("names/{name}"), name.as_bytes())?;
    }
    // Composed and decomposed: two names, and neither may become the other.
    write(folder, "names/caf\u{e9}", b"composed\n")?;
    write(folder, "names/cafe\u{301}", b"decomposed\n")?;
    for number in 0..900 {
        let length = usize::try_from(random.below(2000))?;
        write(folder, &format!("many/{number:03}.txt"), &random.text(length))?;
    }
    if !quick {
        write(folder, "large.bin", &random.noise(40 * MIB + 17))?;
        write(folder, "large.txt", &random.text(40 * MIB))?;
    }
    Ok(())
}

/// A directory whose node is larger than 256 KiB, which carstone writes as a HAMT.
pub fn make_wide(folder: &Path) -> anyhow::Result<()> {
    for number in 0..6000 {
        write(
            folder,
            &format!("a rather long name {number:06}.txt"),
            number.to_string().as_bytes(),
        )?;
    }
    Ok(())
}

fn write(folder: &Path, name: &str, content: &[u8]) -> anyhow::Result<()> {
    let path = folder.join(name);
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    Ok(fs::write(path, content)?)
}
