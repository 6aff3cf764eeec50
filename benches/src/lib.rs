//! Throughput benchmarks of the carstone layers: what they measure, and on which bytes.
//!
//! `cargo bench -p carstone-benches` runs all of them in less than three minutes.

/// Bytes that no codec makes smaller, the same for the same seed.
pub fn noise(seed: u64, len: usize) -> Vec<u8> {
    let mut state = seed ^ 0x9e37_79b9_7f4a_7c15;
    let mut bytes = Vec::with_capacity(len.saturating_add(8));
    while bytes.len() < len {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(len);
    bytes
}

/// Bytes that compress about as well as source code: words in an order that does not repeat.
pub fn text(seed: u64, len: usize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(len.saturating_add(16));
    for pick in noise(seed, len / 3 + 16) {
        bytes.extend_from_slice(WORDS[usize::from(pick) % WORDS.len()]);
        if bytes.len() >= len {
            break;
        }
    }
    bytes.resize(len, b'.');
    bytes
}

/// Three parts of text and one of noise, in pieces of 64 KiB.
pub fn mixed(len: usize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(len.saturating_add(PIECE));
    let mut seed = 0;
    while bytes.len() < len {
        seed += 1;
        bytes.extend(if seed % 4 == 0 { noise(seed, PIECE) } else { text(seed, PIECE) });
    }
    bytes.truncate(len);
    bytes
}

const PIECE: usize = 64 << 10;

const WORDS: [&[u8]; 31] = [
    b"sand ", b"silt ", b"lime", b"stone ", b"bed ", b"upon ", b"layer", b"(", b");\n", b"    ",
    b"let ", b"fn ", b"self.", b"read", b"write", b"_at", b"0x", b"17", b"return ", b"offset",
    b", ", b" = ", b"::", b"len", b"\n", b"// ", b"frame", b"&mut ", b"u64", b"e", b"A",
];
