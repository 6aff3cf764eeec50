"""The manifest of a pack in a store (format section 12)."""

from dataclasses import dataclass

from . import dagcbor
from .cid import DAG_CBOR, Cid, cid_of

KIND = "carstone/pack@0.1"


@dataclass(frozen=True)
class Block:
    """A block, and the CIDs that are linked in it; those with identity hashes are left out."""

    cid: Cid
    data: bytes
    links: tuple[Cid, ...] = ()


def manifest(blocks: list[Block], number: int, root: Cid | None, previous: Cid | None) -> Block:
    """The manifest of a pack with these blocks."""
    whole: set[Cid] = set()
    below: set[Cid] = set()
    order: list[Cid] = []
    for block in blocks:
        if block.cid in order:
            continue
        order.append(block.cid)
        if all(link in whole for link in block.links):
            whole.add(block.cid)
            below.update(block.links)
    fields = {
        "links": [cid for cid in order if cid in whole and cid not in below],
        "number": number,
        "open": [cid.raw for cid in order if cid not in whole],
        "previous": previous.raw if previous else None,
        "root": root.raw if root else None,
    }
    data = dagcbor.encode({KIND: fields})
    return Block(cid_of(DAG_CBOR, data), data)
