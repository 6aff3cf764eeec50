//! Inputs as the user gives them, and the paths they get in the pack.

use std::fs;
use std::io::{self, BufRead};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use super::options::TreeOptions;
use super::{bytes_path, reach};
use crate::error::Error;
use crate::fs::add::WalkEvent;
use crate::path::PathFault;

/// One input.
pub(super) struct Argument {
    pub(super) given: PathBuf,
    pub(super) disk: PathBuf,
    pub(super) pack: Vec<u8>,
}

/// Gives each input its path in the pack.
pub(super) fn resolve(
    inputs: &[PathBuf],
    options: &TreeOptions,
    observer: &mut dyn FnMut(WalkEvent<'_>),
) -> io::Result<Vec<Argument>> {
    if let [given] = inputs
        && options.unwrap_single
        && is_directory(given, options)
    {
        let disk = options.base.join(given);
        return Ok(vec![Argument { given: given.clone(), disk, pack: Vec::new() }]);
    }
    inputs
        .iter()
        .map(|given| {
            let bytes = given.as_os_str().as_bytes();
            let mut pack = Vec::with_capacity(bytes.len());
            for component in bytes.split(|&byte| byte == b'/') {
                match component {
                    b"" | b"." => continue,
                    b".." => return Err(Error::bad_path(bytes, PathFault::DotComponent, 0).into()),
                    _ if pack.is_empty() => {}
                    _ => pack.push(b'/'),
                }
                pack.extend_from_slice(component);
            }
            if given.is_absolute() {
                observer(WalkEvent::Stripped { given, path: &pack });
            }
            Ok(Argument { given: given.clone(), disk: options.base.join(given), pack })
        })
        .collect()
}

fn is_directory(given: &PathBuf, options: &TreeOptions) -> bool {
    let disk = options.base.join(given);
    reach(&disk)
        .and_then(|at| fs::symlink_metadata(at.path()))
        .is_ok_and(|metadata| metadata.is_dir())
}

/// Reads a list of inputs, each ended by `separator` (`b'\n'` or 0). Empty names are passed over.
///
/// ```
/// let names = carstone_pack::fs::read_names(&b"a b\0c\n"[..], 0)?;
/// assert_eq!(names, [std::path::Path::new("a b"), std::path::Path::new("c\n")]);
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// # Errors
/// Whatever `reader` gives.
pub fn read_names(reader: impl BufRead, separator: u8) -> io::Result<Vec<PathBuf>> {
    let names = reader.split(separator).filter(|name| !name.as_ref().is_ok_and(Vec::is_empty));
    names.map(|name| Ok(bytes_path(&name?))).collect()
}
