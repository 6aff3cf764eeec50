"""A whole pack, read strictly through all layers."""

from dataclasses import dataclass
from typing import Callable

from . import car, compression, container, encryption, position
from .container import COMPRESSION, ENCRYPTION, Container
from .errors import Broken, require
from .far import Far
from .frames import Frame, first_boundary
from .walk import Walk

KeySource = Callable[[bytes], bytes]


@dataclass(frozen=True)
class Pack:
    """A pack that passed every check."""

    container: Container
    appendices: int
    frames: dict[str, int]
    car: bytes
    walk: Walk
    far: Far


def open_pack(data: bytes, key: KeySource | None = None) -> Pack:
    """Read a pack. `key` makes the content key out of the key envelope."""
    described, header, stream, appendices = container.open_pack(data)
    pack_id = described.pack_id
    counts: dict[str, int] = {}
    innermost: list[Frame] | None = None
    if described.layer(ENCRYPTION):
        if key is None:
            raise Broken("no-key", "4.1", "the pack is encrypted and no key is given")
        content_key = key(encryption.read_envelope(stream, pack_id))
        sealed = encryption.decrypt(stream, content_key, pack_id, described.layer_list(), header)
        stream, innermost = sealed.plain, sealed.data
        counts |= {"encryption data frames": len(sealed.data), "encryption anchors": sealed.anchors}
        if described.layer(COMPRESSION):
            _check_boundaries(sealed.data, [])
    if slot := described.layer(COMPRESSION):
        outermost = described.layer(ENCRYPTION) is None
        packed = compression.decompress(stream, pack_id, slot.unit, outermost=outermost, header=header)
        stream, innermost = packed.plain, packed.data
        counts |= {"compression data frames": len(packed.data), "compression anchors": packed.anchors}
    plain, mark = position.split(stream, pack_id)
    sections = car.sections(plain)
    if innermost is not None:
        _check_boundaries(innermost, [section.position for section in sections])
    walk = Walk(pack_id, sections)
    far = Far(walk, mark)
    if described.layer(COMPRESSION):
        _check_far_frames(innermost or [], far.start)
    return Pack(described, appendices, counts, plain, walk, far)


def _check_boundaries(data: list[Frame], boundaries: list[int]) -> None:
    for frame in data:
        expected = first_boundary(boundaries, frame.plain_offset, frame.plain_len)
        right = frame.first_boundary == expected
        where = f"layer {frame.layer}, data frame {frame.sequence}"
        require(right, "boundary", "3.1", f"{where}: {frame.first_boundary:#x}, not {expected:#x}")


def _check_far_frames(data: list[Frame], start: int) -> None:
    """A frame starts where the far region starts, and the frames from there on are small."""
    behind = [frame for frame in data if frame.plain_offset >= start]
    begins = bool(behind) and behind[0].plain_offset == start
    require(begins, "far-frames", "7.6", f"no compression frame starts at {start}")
    small = all(frame.plain_len <= 262_144 for frame in behind)
    require(small, "far-frames", "7.6", "a frame of the far region has more than 262,144 plain bytes")
