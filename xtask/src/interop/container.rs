//! The key envelope of a pack, found by the text of `docs/format.md` alone: this shares no code with the crates.

use anyhow::{Context, ensure};
use hkdf::Hkdf;
use sha2::Sha256;

/// What stands in front of the data of an encrypted pack.
pub struct Sealed {
    /// An age file.
    pub envelope: Vec<u8>,
    pack_id: [u8; 16],
    segment: [u8; 4],
    layers: Vec<u8>,
    algorithm: u8,
    commitment: Vec<u8>,
}

const HEADER_LEN: usize = 256;
const FRAME_LEN: usize = 96;
const CONTAINER_MAGIC: [u8; 8] = *b"\x89CSTN\x0d\x0a\x1a";
const FRAME_MAGIC: [u8; 8] = *b"\xf4CSF\x0d\x0a\x1a\xc1";

impl Sealed {
    /// Sections 2.1, 3.1 and 4.2.
    pub fn read(pack: &[u8]) -> anyhow::Result<Self> {
        let header = pack.get(..HEADER_LEN).context("there is no container header")?;
        ensure!(header[..8] == CONTAINER_MAGIC, "it does not begin as a pack");
        let count = usize::from(header[48]);
        let layers = header[48..].get(..1).into_iter().chain(header[56..].get(..16 * count));
        let layers = layers.flatten().copied().collect();
        ensure!(header[56] == 1, "its outermost layer is not encryption");

        let frame = pack.get(HEADER_LEN..).and_then(|rest| rest.get(..FRAME_LEN));
        let frame = frame.context("there is no frame")?;
        ensure!(frame[..8] == FRAME_MAGIC, "its first frame does not begin as one");
        ensure!((frame[13], frame[14]) == (1, 2), "its first frame is no layer header");
        ensure!(frame[20..36] == header[32..48], "its first frame has another pack id");
        let stored = length(frame, 60)?;
        let payload = pack.get(HEADER_LEN + FRAME_LEN..).and_then(|rest| rest.get(..stored));
        let payload = payload.context("its first frame is cut")?;
        let envelope = payload.get(44..44 + length(payload, 40)?).context("its envelope is cut")?;
        ensure!(44 + envelope.len() == stored, "bytes follow the envelope");
        Ok(Self {
            envelope: envelope.to_vec(),
            pack_id: header[32..48].try_into()?,
            segment: header[12..16].try_into()?,
            layers,
            algorithm: payload[2],
            commitment: payload[8..40].to_vec(),
        })
    }

    /// Section 8: what an envelope holds; and section 4.1: whether it is the key of this pack.
    pub fn check_key(&self, plain: &[u8]) -> anyhow::Result<()> {
        ensure!(plain.len() == 33, "the envelope holds {} bytes", plain.len());
        ensure!(plain[0] == 1, "the envelope begins with {:02x}", plain[0]);
        let prk = Hkdf::<Sha256>::new(Some(&self.pack_id), &plain[1..]);
        let mut info = b"carstone/1 commit".to_vec();
        info.push(self.algorithm);
        info.extend(self.segment);
        info.extend(&self.layers);
        let mut commitment = [0; 32];
        prk.expand(&info, &mut commitment).map_err(|error| anyhow::anyhow!("{error}"))?;
        ensure!(commitment[..] == self.commitment, "it is not the key that the pack commits to");
        Ok(())
    }
}

/// A little-endian u32.
fn length(bytes: &[u8], at: usize) -> anyhow::Result<usize> {
    let field = bytes.get(at..at + 4).context("a length is cut")?;
    Ok(usize::try_from(u32::from_le_bytes(field.try_into()?))?)
}
