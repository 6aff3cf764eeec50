//! CRC-64/NVME as a rolling sum: the raw register, which begins with 0 and is given as it stands.
//!
//! That register is linear, and the CRC of `S` bytes differs from it by a constant for each `S`.

/// The effect of bytes that enter and leave a window.
pub(super) struct Roll {
    /// Of a byte that leaves.
    out: [u64; 256],
    /// The same, one byte later.
    out_next: [u64; 256],
}

impl Roll {
    /// For windows of `window` bytes. Takes the time of some sums of them.
    pub(super) fn new(window: usize) -> Self {
        let mut bits = [0; 8];
        for (bit, effect) in bits.iter_mut().enumerate() {
            *effect = (0..window).fold(IN[1 << bit], |register, _| zero(register));
        }
        let mut out = [0; 256];
        for (byte, effect) in out.iter_mut().enumerate() {
            for (bit, of_bit) in bits.iter().enumerate() {
                if byte >> bit & 1 == 1 {
                    *effect ^= of_bit;
                }
            }
        }
        Self { out, out_next: out.map(zero) }
    }

    /// Moves a window on while bytes come, until `stop` agrees to a register. `outs` are the bytes that leave, `ins` those that enter. Returns
    /// how far it was moved.
    pub(super) fn until(
        &self,
        register: &mut u64,
        outs: &[u8],
        ins: &[u8],
        stop: impl Fn(u64) -> bool,
    ) -> Option<usize> {
        let len = outs.len().min(ins.len());
        let (out_pairs, in_pairs) = (outs[..len].chunks_exact(2), ins[..len].chunks_exact(2));
        let last = out_pairs.remainder().first().zip(in_pairs.remainder().first());
        let mut at = *register;
        // Two bytes in a step: the register in between is not on the way to the next.
        for (step, (outs, ins)) in out_pairs.zip(in_pairs).enumerate() {
            let (first, second) = (usize::from(outs[0]), usize::from(outs[1]));
            let between = byte(at, ins[0]) ^ self.out[first];
            let effect = self.out_next[first] ^ self.out[second];
            let low = IN_NEXT[usize::from(at.to_le_bytes()[0] ^ ins[0])];
            let high = IN[usize::from(at.to_le_bytes()[1] ^ ins[1])];
            at = (at >> 16) ^ low ^ high ^ effect;
            if stop(between) {
                *register = between;
                return Some(2 * step + 1);
            }
            if stop(at) {
                *register = at;
                return Some(2 * step + 2);
            }
        }
        *register = at;
        let (leaves, enters) = last?;
        *register = byte(at, *enters) ^ self.out[usize::from(*leaves)];
        stop(*register).then_some(len)
    }
}

/// The register one bit of zero later; that of an error one bit earlier in the code word.
pub(super) const fn zero_bit(register: u64) -> u64 {
    if register & 1 == 1 { (register >> 1) ^ CRC64_POLY } else { register >> 1 }
}

/// The register before `bytes` bytes of zero.
pub(super) fn before_zeros(register: u64, bytes: usize) -> u64 {
    (0..8 * bytes).fold(register, |register, _| {
        if register >> 63 == 1 { ((register ^ CRC64_POLY) << 1) | 1 } else { register << 1 }
    })
}

fn byte(register: u64, byte: u8) -> u64 {
    (register >> 8) ^ IN[usize::from(register.to_le_bytes()[0] ^ byte)]
}

const fn zero(register: u64) -> u64 {
    (register >> 8) ^ IN[(register & 0xFF) as usize]
}

/// The effect of a byte that enters.
const IN: [u64; 256] = {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let mut register = byte as u64;
        let mut bit = 0;
        while bit < 8 {
            register = zero_bit(register);
            bit += 1;
        }
        table[byte] = register;
        byte += 1;
    }
    table
};

/// The same, one byte later.
const IN_NEXT: [u64; 256] = {
    let mut table = IN;
    let mut byte = 0;
    while byte < 256 {
        table[byte] = zero(table[byte]);
        byte += 1;
    }
    table
};

const CRC64_POLY: u64 = 0x9A6C_9329_AC4B_C9B5;

#[cfg(test)]
mod tests {
    use super::*;
    use carstone_layer::crc64;

    #[test]
    fn a_window_that_moves_has_the_sum_of_its_bytes() {
        let bytes: Vec<u8> = (0..400_u32).map(|i| (i * i / 3).to_le_bytes()[0]).collect();
        for window in [1, 2, 63, 64, 256] {
            let roll = Roll::new(window);
            let constant = crc64(&[&vec![0; window]]);
            let mut register = crc64(&[&bytes[..window]]) ^ constant;
            let mut at = 0;
            while let Some(by) =
                roll.until(&mut register, &bytes[at..], &bytes[at + window..], |_| true)
            {
                assert_eq!(by, 1);
                at += 1;
                assert_eq!(register ^ constant, crc64(&[&bytes[at..at + window]]));
            }
            assert_eq!(at, bytes.len() - window);
            // Shorter windows are not all different.
            for skip in [0, 1, 2, 5].into_iter().filter(|_| window > 2) {
                let mut register = crc64(&[&bytes[skip..skip + window]]) ^ constant;
                let end = crc64(&[&bytes[bytes.len() - window..]]) ^ constant;
                let by = roll
                    .until(&mut register, &bytes[skip..], &bytes[skip + window..], |at| at == end);
                assert_eq!(by, Some(bytes.len() - window - skip));
            }
        }
    }

    #[test]
    fn zeros_are_taken_back() {
        let register = 0x1234_5678_9ABC_DEF1;
        let later = (0..77).fold(register, |register, _| zero(register));
        assert_eq!(before_zeros(later, 77), register);
    }
}
