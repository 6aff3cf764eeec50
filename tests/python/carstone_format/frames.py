"""Frames: header, digest and the order of data frames (format section 3)."""

from bisect import bisect_left
from dataclasses import dataclass, replace
import struct

from .checks import NONE32, b3, crc32c, crc64
from .container import COMPRESSION, ENCRYPTION, ENCRYPTION_UNIT, MAX_BLOCK
from .errors import Newer, require

MAGIC = bytes.fromhex("F44353460D0A1AC1")
HEADER_LEN = 96
DATA, LAYER_HEADER, FOOTER, HOLE, ANCHOR = 1, 2, 3, 4, 5
FIRST_ANCILLARY = 128
LAST = 1
MAX_ENVELOPE = 1_048_576


@dataclass(frozen=True)
class Frame:
    """A frame: the fields of its header and its stored payload."""

    layer: int
    kind: int
    pack_id: bytes
    sequence: int
    plain_offset: int
    payload: bytes
    plain_len: int = 0
    codec: int = 0
    flags: int = 0
    first_boundary: int = NONE32
    segment: int = 0
    version: int = 1
    reserved: int = 0

    @property
    def last(self) -> bool:
        """Whether the *last* flag is set."""
        return bool(self.flags & LAST)

    def authenticated(self, stored_len: int | None = None) -> bytes:
        """Header bytes 12 to 71."""
        stored = len(self.payload) if stored_len is None else stored_len
        return struct.pack(
            "<BBBBI16sIQQIIII", self.version, self.layer, self.kind, self.codec, self.flags, self.pack_id, self.segment,
            self.sequence, self.plain_offset, self.plain_len, stored, self.first_boundary, self.reserved,
        )

    def header(self) -> bytes:
        """The 96 bytes of the header."""
        fields = self.authenticated()
        checks = struct.pack("<Q", crc64(self.payload)) + b3(fields + self.payload)
        return seal_header(fields + checks)

    def encode(self) -> bytes:
        """Header and payload."""
        return self.header() + self.payload


def seal_header(body: bytes) -> bytes:
    """Put magic and header CRC before header bytes 12 to 95."""
    return MAGIC + struct.pack("<I", crc32c(MAGIC + body)) + body


def decode(data: bytes, at: int, pack_id: bytes | None = None, block: int = MAX_BLOCK) -> tuple[Frame, int]:
    """Read the frame at `at` strictly; returns it and the offset behind it."""
    where = f"frame at {at}"
    head = data[at : at + HEADER_LEN]
    require(len(head) == HEADER_LEN, "truncated", "3.1", f"{where}: header")
    require(head[:8] == MAGIC, "not-a-frame", "3.1", where)
    require(head[8:12] == struct.pack("<I", crc32c(head[:8] + head[12:])), "header-crc", "3.1", where)
    (version, layer, kind, codec, flags, found_id, segment, sequence, offset, plain, stored, boundary, reserved, crc) = (
        struct.unpack_from("<BBBBI16sIQQIIIIQ", head, 12)
    )
    require(pack_id is None or found_id == pack_id, "foreign", "3.1", f"{where}: pack id {found_id.hex()}")
    frame = Frame(layer, kind, found_id, sequence, offset, b"", plain, codec, flags, boundary, segment, version, reserved)
    _check_identifiers(frame, where)
    _check_fields(frame, where)
    _check_limits(frame, stored, block, where)
    payload = data[at + HEADER_LEN : at + HEADER_LEN + stored]
    require(len(payload) == stored, "truncated", "3.1", f"{where}: payload")
    require(crc64(payload) == crc, "payload-crc", "3.1", where)
    require(b3(head[12:72] + payload) == head[80:], "digest", "3.1", where)
    whole = replace(frame, payload=payload)
    return whole, at + HEADER_LEN + stored


def _check_identifiers(frame: Frame, where: str) -> None:
    if frame.version != 1:
        raise Newer("3.1", f"{where}: frame version {frame.version}")
    if frame.layer not in (ENCRYPTION, COMPRESSION):
        raise Newer("1", f"{where}: layer id {frame.layer}")
    if frame.kind not in (DATA, LAYER_HEADER, FOOTER, HOLE, ANCHOR) and frame.kind < FIRST_ANCILLARY:
        raise Newer("1", f"{where}: kind {frame.kind}")
    if frame.kind in (DATA, LAYER_HEADER):
        known = (1,) if frame.layer == ENCRYPTION else (0, 1, 2)
        if frame.codec not in known:
            raise Newer("3.1", f"{where}: codec {frame.codec}")


def _check_fields(frame: Frame, where: str) -> None:
    if frame.kind >= FIRST_ANCILLARY:
        return
    require(frame.flags & ~LAST == 0 and frame.reserved == 0, "reserved", "3.1", where)
    require(frame.segment == 0, "segment", "3.1", where)
    if frame.kind in (FOOTER, HOLE, ANCHOR):
        require(frame.codec == 0, "codec", "3.1", f"{where}: codec {frame.codec} in kind {frame.kind}")
    if frame.kind not in (DATA, HOLE):
        require(frame.plain_len == 0, "plain-length", "3.1", f"{where}: kind {frame.kind} with a plain length")
    if frame.kind != DATA:
        require(frame.first_boundary == NONE32, "boundary", "3.1", f"{where}: kind {frame.kind} with a boundary")
    if frame.kind == FOOTER or (frame.kind == LAYER_HEADER and frame.layer == COMPRESSION):
        require(frame.kind == FOOTER and frame.layer == COMPRESSION, "kind", "4", f"{where}: kind not of this layer")
    if frame.kind in (LAYER_HEADER, ANCHOR):
        require(frame.flags == 0, "flags", "3.1", f"{where}: kind {frame.kind} with flags")
    if frame.kind == DATA:
        inside = frame.first_boundary < frame.plain_len or frame.first_boundary == NONE32
        require(inside, "boundary", "3.1", f"{where}: first boundary behind the plain bytes")


def _check_limits(frame: Frame, stored: int, block: int, where: str) -> None:
    plain_limit = ENCRYPTION_UNIT if frame.layer == ENCRYPTION else block
    limits = {
        DATA: frame.plain_len + (16 if frame.layer == ENCRYPTION else 0),
        LAYER_HEADER: 44 + MAX_ENVELOPE,
        FOOTER: 65_536,
        HOLE: 0,
        ANCHOR: 8 + 256 + 44 + MAX_ENVELOPE,
    }
    require(frame.plain_len <= plain_limit, "limit", "1", f"{where}: plain length {frame.plain_len}")
    if frame.kind in limits:
        require(stored <= limits[frame.kind], "limit", "1", f"{where}: stored length {stored}")
    require(frame.sequence < 2**32, "limit", "1", f"{where}: sequence {frame.sequence}")


def data_order(frames: list[Frame]) -> int:
    """Check sequence, plain offset and last flag of all data frames of a layer; returns the total plain length."""
    total = 0
    require(bool(frames), "order", "3.2", "no data frame")
    for index, frame in enumerate(frames):
        require(frame.sequence == index, "order", "3.2", f"data frame {index} has sequence {frame.sequence}")
        require(frame.plain_offset == total, "order", "3.2", f"data frame {index}: plain offset {frame.plain_offset}")
        require(frame.last == (index + 1 == len(frames)), "last", "3.2", f"data frame {index}: last flag")
        require(frame.plain_len > 0 or len(frames) == 1, "empty", "3.2", f"data frame {index} is empty")
        total += frame.plain_len
    return total


def first_boundary(boundaries: list[int], start: int, length: int) -> int:
    """The offset, from `start`, of the first section start among the next `length` bytes."""
    at = bisect_left(boundaries, start)
    if at < len(boundaries) and boundaries[at] < start + length:
        return boundaries[at] - start
    return NONE32


def anchor_payload(header: bytes | None, layer_header: bytes) -> bytes:
    """The payload of an anchor."""
    header = header or b""
    return struct.pack("<I", len(header)) + header + struct.pack("<I", len(layer_header)) + layer_header
