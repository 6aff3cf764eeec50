"""Content-defined chunks: FastCDC (design page, "Content-defined chunks").

Written a byte at a time, after the definition; two bytes at a time, as the paper of 2020 has it, gives the same boundaries.
"""

from hashlib import md5

_MASK64 = (1 << 64) - 1
# The first eight bytes of the MD5 of 64 times the byte.
_GEAR = [int.from_bytes(md5(bytes([byte]) * 64).digest()[:8], "big") for byte in range(256)]
# By the binary logarithm of the size that a mask aims at, from 128 bytes on.
_MASKS = {
    7: 0x0000000018035100, 8: 0x0000001800035300, 9: 0x0000019000353000, 10: 0x0000590003530000,
    11: 0x0000D90003530000, 12: 0x0000D90103530000, 13: 0x0000D90303530000, 14: 0x0000D90313530000,
    15: 0x0000D90F03530000, 16: 0x0000D90303537000, 17: 0x0000D90703537000, 18: 0x0000D90707537000,
    19: 0x0000D91707537000, 20: 0x0000D91747537000, 21: 0x0000D91767537000, 22: 0x0000D93767537000,
    23: 0x0000D93777537000,
}
MAX_CHUNK = (8 << 20) - 256


def chunks(data: bytes, average: int) -> list[bytes]:
    """The chunks of the whole content; `average` is a power of two."""
    found = []
    while data:
        end = _cut(data, average)
        found.append(data[:end])
        data = data[end:]
    return found


def _cut(data: bytes, average: int) -> int:
    bits = average.bit_length() - 1
    strict, loose = _MASKS[bits + 1], _MASKS[bits - 1]
    least, most = average // 4, min(average * 4, MAX_CHUNK)
    end = min(len(data), most)
    value = 0
    # What does not fill a pair is not looked at.
    for at in range(least, end - end % 2):
        value = ((value << 1) + _GEAR[data[at]]) & _MASK64
        if not value & (strict if at < min(average, end) else loose):
            return at
    return end
