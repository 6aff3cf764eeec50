"""The compression layer: blocks, footer pages and tail (format section 5)."""

from dataclasses import dataclass, replace
import struct

import brotli
import zstandard

from . import frames
from .checks import NONE32
from .container import COMPRESSION
from .encryption import check_anchor
from .errors import Broken, require
from .frames import ANCHOR, DATA, FOOTER, LAST, Frame

STORED, BROTLI, ZSTD = 0, 1, 2
PAGE_ENTRIES = 4096
ANCHOR_BYTES = 67_108_864
MAX_WINDOW = 1 << 24


def pack_block(plain: bytes, codec: int, level: int) -> tuple[int, bytes]:
    """Compress a block; stored where that gains less than 3 %."""
    if codec == BROTLI:
        packed = brotli.compress(plain, quality=level, lgwin=22)
    elif codec == ZSTD:
        packed = zstandard.ZstdCompressor(level=level, write_checksum=False).compress(plain)
    else:
        return STORED, plain
    if len(packed) * 100 > len(plain) * 97:
        return STORED, plain
    return codec, packed


def unpack_block(frame: Frame) -> bytes:
    """The plain bytes of a data frame."""
    where = f"data frame {frame.sequence}"
    if frame.codec == STORED:
        require(len(frame.payload) == frame.plain_len, "length", "5", f"{where}: stored block")
        return frame.payload
    require(len(frame.payload) < frame.plain_len, "length", "5", f"{where}: compression gained nothing")
    plain = _unbrotli(frame.payload, where) if frame.codec == BROTLI else _unzstd(frame.payload, frame.plain_len, where)
    require(len(plain) == frame.plain_len, "codec", "5", f"{where}: {len(plain)} plain bytes")
    return plain


def _unbrotli(payload: bytes, where: str) -> bytes:
    try:
        return brotli.decompress(payload)
    except brotli.error as error:
        raise Broken("codec", "5", f"{where}: brotli: {error}") from None


def _unzstd(payload: bytes, plain_len: int, where: str) -> bytes:
    try:
        parameters = zstandard.get_frame_parameters(payload)
        require(parameters.dict_id == 0, "codec", "5", f"{where}: zstd dictionary")
        require(parameters.window_size <= MAX_WINDOW, "codec", "5", f"{where}: zstd window")
        inflater = zstandard.ZstdDecompressor().decompressobj(read_across_frames=False)
        plain = inflater.decompress(payload)
    except zstandard.ZstdError as error:
        raise Broken("codec", "5", f"{where}: zstd: {error}") from None
    complete = inflater.eof and not inflater.unused_data
    require(complete, "codec", "5", f"{where}: not one complete zstd frame of {plain_len} bytes")
    return plain


@dataclass(frozen=True)
class Plan:
    """How the writer compresses: the codec, its level, the block size, and where smaller frames begin."""

    codec: int = STORED
    level: int = 0
    block: int = 4_194_304
    far_at: int | None = None
    far_block: int = 262_144

    def cuts(self, length: int) -> list[tuple[int, int]]:
        """The plain ranges of the data frames."""
        if length == 0:
            return [(0, 0)]
        far = length if self.far_at is None else self.far_at
        small = min(self.block, self.far_block)
        near = [(at, min(at + self.block, far)) for at in range(0, far, self.block)]
        return near + [(at, min(at + small, length)) for at in range(far, length, small)]


def compress(plain: bytes, pack_id: bytes, plan: Plan, *, header: bytes | None = None,
             boundaries: list[int] | None = None) -> bytes:
    """The stored stream of the layer. `header` only where the layer is the outermost framed one."""
    out = bytearray()
    table: list[tuple[int, int]] = []
    anchors, anchor_end = 0, 0
    cuts = plan.cuts(len(plain))
    for index, (start, end) in enumerate(cuts):
        codec, payload = pack_block(plain[start:end], plan.codec, plan.level)
        boundary = frames.first_boundary(boundaries, start, end - start) if boundaries is not None else NONE32
        last = index + 1 == len(cuts)
        table.append((start, len(out)))
        out += Frame(COMPRESSION, DATA, pack_id, index, start, payload, end - start, codec, LAST if last else 0,
                     boundary).encode()
        if header and not last and len(out) - anchor_end >= ANCHOR_BYTES:
            out += Frame(COMPRESSION, ANCHOR, pack_id, anchors, end, frames.anchor_payload(header, b"")).encode()
            anchors, anchor_end = anchors + 1, len(out)
    return bytes(out) + footer(table, len(plain), len(out), pack_id)


def footer(table: list[tuple[int, int]], plain_len: int, first_page: int, pack_id: bytes) -> bytes:
    """Footer pages and tail for the table of data frames."""
    pages = [table[at : at + PAGE_ENTRIES] for at in range(0, len(table), PAGE_ENTRIES)]
    out = bytearray()
    for sequence, page in enumerate(pages):
        payload = b"".join(struct.pack("<QQ", *entry) for entry in page)
        out += Frame(COMPRESSION, FOOTER, pack_id, sequence, plain_len, payload).encode()
    tail = struct.pack("<QQQQII", plain_len, len(table), len(pages), first_page, PAGE_ENTRIES, 0)
    return bytes(out) + Frame(COMPRESSION, FOOTER, pack_id, len(pages), plain_len, tail, flags=LAST).encode()


@dataclass(frozen=True)
class Opened:
    """A decompressed stream and the frames it came from."""

    plain: bytes
    data: list[Frame]
    anchors: int


def decompress(stored: bytes, pack_id: bytes, block: int, *, outermost: bool, header: bytes | None) -> Opened:
    """Read a stored stream strictly; the footer must be the one that follows from the data frames."""
    data: list[Frame] = []
    table: list[tuple[int, int]] = []
    plain = bytearray()
    at = anchors = anchor_end = data_end = 0
    may_anchor = outermost and header is not None
    while not (data and data[-1].last):
        begin = at
        frame, at = frames.decode(stored, at, pack_id, block)
        if frame.kind >= frames.FIRST_ANCILLARY:
            continue
        require(frame.layer == COMPRESSION, "layer", "5", f"frame of layer {frame.layer} in the compression layer")
        require(frame.kind != frames.HOLE, "missing", "3.4", f"plain bytes from {frame.plain_offset} are a hole")
        due = may_anchor and bool(data) and data_end - anchor_end >= ANCHOR_BYTES
        if frame.kind == ANCHOR:
            require(due, "anchor", "3.5", f"anchor after {len(data)} data frames")
            check_anchor(frame, anchors, len(plain), frames.anchor_payload(header, b""))
            anchors, anchor_end = anchors + 1, at
            continue
        require(frame.kind == DATA, "order", "5", f"frame of kind {frame.kind} between data frames")
        require(not due, "anchor", "3.5", f"no anchor after {len(data)} data frames")
        table.append((len(plain), begin))
        plain += unpack_block(frame)
        data.append(replace(frame, payload=b""))
        data_end = at
    frames.data_order(data)
    _check_footer(stored, at, table, len(plain), pack_id)
    return Opened(bytes(plain), data, anchors)


def _check_footer(stored: bytes, at: int, table: list[tuple[int, int]], plain_len: int, pack_id: bytes) -> None:
    require(at < len(stored), "truncated", "5", "no footer behind the data frames")
    expected = footer(table, plain_len, at, pack_id)
    if stored[at:] == expected:
        return
    while at < len(stored):
        frame, at = frames.decode(stored, at, pack_id)
        require(frame.kind == FOOTER, "order", "5", f"frame of kind {frame.kind} behind the data frames")
    raise Broken("footer", "5", "pages or tail do not follow from the data frames")
