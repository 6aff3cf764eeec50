//! Packs made by the `carstone` command must be right for the independent reader, and give the tree back.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, ensure};

use super::python::Python;
use super::{remove_tree, tree};
use crate::process::carstone;
use crate::process::{checked, output};

/// The layer combinations: each with and without encryption.
const COMPRESS: [&str; 3] = ["none", "brotli:5", "zstd:3"];

/// Packs a small tree in every combination and reads each pack with `read_pack.py`, encrypted ones again after they have got other readers. Without a `program`
/// the command is built.
pub fn check(
    root: &Path,
    work: &Path,
    python: &Python,
    program: Option<&Path>,
) -> anyhow::Result<()> {
    let carstone = carstone(root, program)?;
    let folder = work.join("command");
    remove_tree(&folder)?;
    fs::create_dir_all(&folder)?;
    let original = folder.join("tree");
    tree::make(&original)?;

    let identity = folder.join("identity.txt");
    let recipient = keygen(&carstone, &identity)?;
    let other = folder.join("other.txt");
    let other_recipient = keygen(&carstone, &other)?;
    for compress in COMPRESS {
        for encrypted in [false, true] {
            let name =
                format!("{}{}", compress.replace(':', "-"), if encrypted { "-age" } else { "" });
            let pack = folder.join(format!("{name}.cstone"));
            let mut create = Command::new(&carstone);
            create.arg("create").arg("-o").arg(&pack).args(["--compress", compress]);
            if encrypted {
                create.args(["-r", &recipient]);
            }
            checked(create.arg("-C").arg(&folder).arg("tree"))?;

            let reader = encrypted.then_some(identity.as_path());
            gives_back(python, &original, &pack, reader, &folder.join(&name))?;
            protects(python, &carstone, &pack)?;
            if encrypted {
                let copy = folder.join(format!("{name}-rekeyed.cstone"));
                let mut rekey = Command::new(&carstone);
                rekey.args(["rekey", "-q", "-r", &other_recipient]).arg("-i").arg(&identity);
                checked(rekey.arg(&pack).arg("-o").arg(&copy))?;
                let extracted = folder.join(format!("{name}-rekeyed"));
                gives_back(python, &original, &copy, Some(&other), &extracted)?;
            }
        }
    }
    eprintln!("vectors: {} packs of the command are right", 3 * COMPRESS.len());
    Ok(())
}

/// Fails unless the independent program takes the parity that the command makes of the front of `pack`, finds it to be what it would make itself, and heals
/// by it. Its code is a textbook's, and takes minutes for a mebibyte.
fn protects(python: &Python, carstone: &Path, pack: &Path) -> anyhow::Result<()> {
    let piece = pack.with_extension("piece");
    let mut bytes = fs::read(pack)?;
    bytes.truncate(PIECE);
    fs::write(&piece, &bytes)?;
    let name = piece.display();
    checked(Command::new(carstone).args(["protect", "-q", "--force"]).arg(&piece))?;
    let sidecar = pack.with_extension("piece.par");
    let read = |stream: &Path, healed: &Path| {
        let mut read = python.script("read_parity.py");
        checked(read.arg(stream).arg(&sidecar).arg("-o").arg(healed))
            .with_context(|| format!("the parity of {name} breaks the format"))
    };
    let healed = pack.with_extension("healed");
    read(&piece, &healed)?;
    let damaged = pack.with_extension("damaged");
    let whole = bytes.clone();
    let middle = bytes.len() / 2;
    bytes[middle..middle + 40].iter_mut().for_each(|byte| *byte = !*byte);
    fs::write(&damaged, bytes)?;
    read(&damaged, &healed)?;
    ensure!(fs::read(&healed)? == whole, "{name} is not healed by its parity");
    Ok(())
}

/// Fails unless the independent reader takes `pack`, with this identity, and gets the tree from it.
fn gives_back(
    python: &Python,
    original: &Path,
    pack: &Path,
    identity: Option<&Path>,
    extracted: &Path,
) -> anyhow::Result<()> {
    let name = pack.display();
    let mut read = python.script("read_pack.py");
    read.arg(pack).arg("--extract").arg(extracted);
    if let Some(identity) = identity {
        read.arg("--identity").arg(identity);
    }
    checked(&mut read).with_context(|| format!("the pack {name} breaks the format"))?;
    let differences = tree::differences(original, extracted)?;
    ensure!(
        differences.is_empty(),
        "the tree of the pack {name} differs:\n  {}",
        differences.join("\n  ")
    );
    Ok(())
}

/// Makes an identity file; returns its recipient.
fn keygen(carstone: &Path, identity: &Path) -> anyhow::Result<String> {
    let text = output(Command::new(carstone).arg("keygen"))?;
    let recipient = text
        .lines()
        .find_map(|line| line.strip_prefix("# public key: "))
        .context("`carstone keygen` prints no line `# public key: …`")?
        .trim()
        .to_owned();
    fs::write(identity, text)?;
    Ok(recipient)
}

/// Bytes of a pack whose parity is judged.
const PIECE: usize = 70_000;
