"""The position layer: the footer behind the CAR stream (format section 6)."""

import struct

from .checks import NONE64, crc64
from .errors import require

MAGIC = bytes.fromhex("894353504F0D0A1A")
FOOTER_LEN = 64


def encode_footer(length: int, mark: int | None, pack_id: bytes, segment: int = 0) -> bytes:
    """The 64 bytes of the footer."""
    mark = NONE64 if mark is None else mark
    body = MAGIC + struct.pack("<QQ16sI12x", length, mark, pack_id, segment)
    return body + struct.pack("<Q", crc64(body))


def split(stored: bytes, pack_id: bytes) -> tuple[bytes, int | None]:
    """The plain stream and the mark."""
    require(len(stored) >= FOOTER_LEN, "truncated", "6", "no position footer")
    plain, footer = stored[:-FOOTER_LEN], stored[-FOOTER_LEN:]
    return plain, decode_footer(footer, len(plain), pack_id)


def decode_footer(footer: bytes, plain_len: int, pack_id: bytes) -> int | None:
    """Check the footer behind `plain_len` bytes; returns the mark."""
    require(footer[:8] == MAGIC, "not-a-footer", "6", "no position magic")
    require(footer[56:] == struct.pack("<Q", crc64(footer[:56])), "corrupt", "6", "position footer CRC")
    length, mark, found, segment = struct.unpack_from("<QQ16sI", footer, 8)
    require(found == pack_id, "foreign", "6", "pack id of the position footer")
    require(not any(footer[44:56]), "reserved", "6", "position footer")
    require(segment == 0, "segment", "6", f"segment {segment}")
    require(length == plain_len, "length", "6", f"footer says {length} bytes, the stream has {plain_len}")
    require(mark == NONE64 or mark < length, "mark", "6", f"mark {mark} behind the end")
    return None if mark == NONE64 else mark
