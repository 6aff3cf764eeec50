//! Puts a container around a file, or takes it off: `frame_a_file wrap|unwrap FROM TO`.

use std::error::Error;
use std::fs::File;
use std::io::{self, BufWriter, Write};

use carstone_layer::{LayerId, LayerList, LayerSlot};
use carstone_raw::{RawReader, RawWriter};

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [task, from, to] = args.as_slice() else {
        return Err("usage: frame_a_file wrap|unwrap FROM TO".into());
    };
    let mut from = File::open(from)?;
    let mut to = BufWriter::new(File::create(to)?);
    match task.as_str() {
        "wrap" => {
            // A list names the layers of the bytes, outermost first; 64 is a private one of this program.
            let own = LayerSlot { id: LayerId(64), algorithm: 0, unit: 0 };
            let position = LayerSlot { id: LayerId::POSITION, algorithm: 0, unit: 0 };
            let mut writer = RawWriter::new(to, LayerList::new(vec![own, position])?)?;
            io::copy(&mut from, &mut writer)?;
            let id = writer.pack_id();
            writer.finish()?;
            writeln!(io::stdout(), "pack {id}")?;
        }
        "unwrap" => {
            let mut reader = RawReader::open(from)?;
            io::copy(&mut reader, &mut to)?;
            to.flush()?;
        }
        other => return Err(format!("unknown task {other}").into()),
    }
    Ok(())
}
