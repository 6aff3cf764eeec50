"""The CARv1 stream: its header and its sections (format section 7)."""

from dataclasses import dataclass

from .cid import Cid, decode_cid, decode_varint, encode_varint, verify
from .errors import require

HEADER = bytes.fromhex("11a265726f6f7473806776657273696f6e01")
MAX_SECTION = 8 * 1024 * 1024


@dataclass(frozen=True)
class Section:
    """A section at its position in the stream."""

    position: int
    cid: Cid
    data: bytes
    end: int


def encode_section(cid: Cid, data: bytes) -> bytes:
    """The bytes of a section."""
    return encode_varint(len(cid.raw) + len(data)) + cid.raw + data


def decode_section_head(data: bytes, at: int) -> tuple[Cid, int]:
    """The CID of the section at `at`, whose data is not looked at, and the offset behind the section."""
    length, begin = decode_varint(data, at)
    require(0 < length <= len(data) - begin, "truncated", "7", f"section at {at}")
    return decode_cid(data[begin : begin + length])[0], begin + length


def sections(stream: bytes) -> list[Section]:
    """All sections of a stream, each block checked against its CID."""
    require(stream[: len(HEADER)] == HEADER, "car-header", "7", "not the header with zero roots")
    at = len(HEADER)
    found = []
    while at < len(stream):
        section = _section(stream, at)
        found.append(section)
        at = section.end
    return found


def _section(stream: bytes, at: int) -> Section:
    length, begin = decode_varint(stream, at)
    require(length <= MAX_SECTION, "limit", "1", f"section at {at} has {length} bytes")
    end = begin + length
    require(length > 0 and end <= len(stream), "truncated", "7", f"section at {at}")
    body = stream[begin:end]
    cid, split = decode_cid(body)
    verify(cid, body[split:])
    return Section(at, cid, body[split:], end)
