"""Parity of a stream (format, sections 14.2, 14.3 and 14.5)."""

import hashlib
from functools import lru_cache
from typing import Callable, Iterator

from blake3 import blake3

from carstone_format.checks import crc64

from .layout import DESCRIPTOR_KIND, RECOVERY_KIND, Layout
from .reed_solomon import Code

MAGIC = b"\xf5CSP"


@lru_cache(maxsize=4096)
def entry(cell: bytes) -> bytes:
    """The 16 bytes that stand for a cell."""
    return crc64(cell).to_bytes(8, "little") + blake3(cell).digest(length=8)


def frame(kind: int, identity: bytes, first: int, second: int, payload: bytes) -> bytes:
    """One frame."""
    head = MAGIC + bytes([1, kind, len(payload).bit_length() - 1, 0]) + identity
    head += first.to_bytes(4, "little") + second.to_bytes(4, "little")
    return head + entry(head + payload) + payload


def padded(data: bytes, length: int) -> bytes:
    """The data and zeros behind it."""
    return data + bytes(length - len(data))


class Parity:
    """The parity of a stream whose cells `read` gives by their numbers; the last one may be short."""

    def __init__(self, length: int, read: Callable[[int], bytes], share: int, identity: bytes) -> None:
        self.layout = layout = Layout.of(length, share)
        self._identity = identity
        self._read = read
        blake, sha = blake3(), hashlib.sha256()
        for number in range(layout.cells):
            cell = read(number)
            blake.update(cell)
            sha.update(cell)
        self._hashes = blake.digest() + sha.digest()
        self._tables = [self._table(group, *counts) for group, counts in enumerate(layout.tables())]

    @staticmethod
    def of(stream: bytes, share: int, identity: bytes) -> "Parity":
        """The parity of a stream in memory."""
        cell = Layout.of(len(stream), share).cell
        return Parity(len(stream), lambda number: stream[number * cell : (number + 1) * cell], share, identity)

    def frames(self) -> Iterator[bytes]:
        """All frames in their order."""
        made = {zone: self._recovery(zone, None) for zone in range(self.layout.zones)}
        for kind, first, second in self.layout.order():
            yield self._frame(kind, first, second, made[first][second] if kind == RECOVERY_KIND else None)

    def some(self, wanted: set[int]) -> Iterator[tuple[int, bytes]]:
        """The frames of some numbers, counted from 0 in the order of the parity, and where each begins."""
        begin = 0
        for number, (kind, first, second) in enumerate(self.layout.order()):
            if number in wanted:
                payload = self._recovery(first, [second])[0] if kind == RECOVERY_KIND else None
                yield begin, self._frame(kind, first, second, payload)
            begin += self.layout.frame_length(kind)

    def _frame(self, kind: int, first: int, second: int, recovery: bytes | None) -> bytes:
        payload = recovery or (self._descriptor() if kind == DESCRIPTOR_KIND else self._tables[first][second])
        return frame(kind, self._identity, first, second, payload)

    def _cell(self, number: int) -> bytes:
        return padded(self._read(number), self.layout.cell)

    def _recovery(self, zone: int, wanted: list[int] | None) -> list[bytes]:
        """Recovery cells of a zone, all or those of these numbers."""
        cells = [self._cell(number) for number in self.layout.zone_cells(zone)]
        return Code(len(cells), self.layout.recovery).recover(cells, wanted)

    def _descriptor(self) -> bytes:
        """The payload of the descriptor."""
        layout = self.layout
        numbers = (layout.cell, layout.share, layout.recovery, layout.copies)
        head = layout.length.to_bytes(8, "little") + b"".join(number.to_bytes(4, "little") for number in numbers)
        return padded(head, 64) + self._hashes

    def _table(self, group: int, shards: int, checks: int) -> list[bytes]:
        """The table shards and the check shards of a group."""
        cell = self.layout.cell
        entries = b"".join(entry(self._cell(number)) for number in self.layout.group_cells(group))
        entries = padded(entries, shards * cell)
        originals = [entries[at : at + cell] for at in range(0, len(entries), cell)]
        return originals + Code(shards, checks).recover(originals)


def parity(stream: bytes, share: int, identity: bytes) -> bytes:
    """The bytes of a whole parity."""
    return b"".join(Parity.of(stream, share, identity).frames())
