"""CRC-32C, CRC-64/NVME, the BLAKE3 digest of frames, and the seeded byte generator of the vectors."""

from array import array
import sys

from blake3 import blake3

NONE32 = 0xFFFF_FFFF
NONE64 = 0xFFFF_FFFF_FFFF_FFFF


def _byte_table(polynomial: int) -> list[int]:
    """The reflected CRC table for one byte at a time."""
    table = []
    for value in range(256):
        for _ in range(8):
            value = (value >> 1) ^ (polynomial if value & 1 else 0)
        table.append(value)
    return table


def _pair_table(table: list[int]) -> list[int]:
    """The same for two bytes at a time, which halves the work of the interpreter."""
    return [table[table[low & 255] & 255 ^ low >> 8] ^ table[low & 255] >> 8 for low in range(65536)]


_CRC32C = _byte_table(0x82F63B78)
_CRC64 = _byte_table(0x9A6C_9329_AC4B_C9B5)
_CRC64_PAIRS = _pair_table(_CRC64)


def crc32c(data: bytes) -> int:
    """CRC-32C (Castagnoli)."""
    crc = NONE32
    for byte in data:
        crc = _CRC32C[(crc ^ byte) & 255] ^ (crc >> 8)
    return crc ^ NONE32


def crc64(data: bytes) -> int:
    """CRC-64/NVME."""
    crc = NONE64
    even = len(data) & ~1
    pairs = array("H", bytes(data[:even]))
    if sys.byteorder == "big":
        pairs.byteswap()
    table = _CRC64_PAIRS
    for pair in pairs:
        crc = table[(crc ^ pair) & 0xFFFF] ^ (crc >> 16)
    for byte in data[even:]:
        crc = _CRC64[(crc ^ byte) & 255] ^ (crc >> 8)
    return crc ^ NONE64


def b3(data: bytes) -> bytes:
    """The first 16 bytes of the BLAKE3 hash."""
    return blake3(data).digest(length=16)


def seeded(label: str, length: int) -> bytes:
    """The first `length` bytes of the BLAKE3 extended output for `label`: the vectors' random source."""
    return blake3(label.encode()).digest(length=length)
