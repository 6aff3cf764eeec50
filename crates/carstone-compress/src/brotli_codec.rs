//! Brotli (RFC 7932) with windows up to 2^24.

use brotli::enc::StandardAlloc;
use brotli::enc::encode::{
    BrotliEncoderDestroyInstance, BrotliEncoderOperation, BrotliEncoderParameter,
    BrotliEncoderStateStruct,
};
use brotli::{BrotliDecompressStream, BrotliResult, BrotliState};

/// Compresses `plain` into at most `limit` bytes; `None` where that is not enough.
pub(crate) fn encode(plain: &[u8], quality: u32, limit: usize) -> Option<Vec<u8>> {
    let mut state = BrotliEncoderStateStruct::new(StandardAlloc::default());
    state.set_parameter(BrotliEncoderParameter::BROTLI_PARAM_QUALITY, quality);
    state.set_parameter(BrotliEncoderParameter::BROTLI_PARAM_LGWIN, window_bits(plain.len()));
    let hint = u32::try_from(plain.len()).unwrap_or(u32::MAX);
    state.set_parameter(BrotliEncoderParameter::BROTLI_PARAM_SIZE_HINT, hint);

    let mut payload = vec![0; limit];
    let (mut left, mut taken) = (plain.len(), 0);
    let (mut room, mut filled) = (limit, 0);
    // One call takes the whole block, or stops as soon as the room is filled.
    let sound = state.compress_stream(
        BrotliEncoderOperation::BROTLI_OPERATION_FINISH,
        &mut left,
        plain,
        &mut taken,
        &mut room,
        &mut payload,
        &mut filled,
        &mut None,
        &mut |_, _, _, _| (),
    );
    let whole = sound && state.is_finished();
    BrotliEncoderDestroyInstance(&mut state);
    payload.truncate(filled);
    whole.then_some(payload)
}

/// Fills `plain` from exactly one stream.
pub(crate) fn decode(payload: &[u8], plain: &mut [u8]) -> bool {
    let mut stream = Stream::new();
    let result = stream.feed(payload, plain);
    matches!(result, BrotliResult::ResultSuccess)
        && stream.filled == plain.len()
        && stream.taken == payload.len()
}

/// The plain bytes up to the first fault that shows, at most `len`.
pub(crate) fn decode_prefix(payload: &[u8], len: usize) -> Vec<u8> {
    let mut plain = vec![0; len];
    let mut stream = Stream::new();
    // What is decoded when a fault shows is lost; so the payload is given in small pieces.
    for end in (STEP..payload.len()).step_by(STEP).chain([payload.len()]) {
        match stream.feed(&payload[..end], &mut plain) {
            BrotliResult::NeedsMoreInput => {}
            _ => break,
        }
    }
    plain.truncate(stream.filled);
    plain
}

struct Stream {
    state: BrotliState<StandardAlloc, StandardAlloc, StandardAlloc>,
    taken: usize,
    filled: usize,
}

impl Stream {
    fn new() -> Self {
        let alloc = StandardAlloc::default();
        // Strict: large windows, which RFC 7932 does not have, are refused.
        Self { state: BrotliState::new_strict(alloc, alloc, alloc), taken: 0, filled: 0 }
    }

    /// Decodes what `payload` holds behind the bytes taken so far.
    fn feed(&mut self, payload: &[u8], plain: &mut [u8]) -> BrotliResult {
        let mut left = payload.len().saturating_sub(self.taken);
        let mut room = plain.len().saturating_sub(self.filled);
        BrotliDecompressStream(
            &mut left,
            &mut self.taken,
            payload,
            &mut room,
            &mut self.filled,
            plain,
            &mut 0,
            &mut self.state,
        )
    }
}

/// The smallest window that spans the block.
fn window_bits(len: usize) -> u32 {
    len.max(1).next_power_of_two().ilog2().clamp(10, 24)
}

const STEP: usize = 256;
