"""Packets in a CAR: the block is the canonical payload, and the CID has its BLAKE3 digest."""

from carstone_format.car import HEADER, decode_section_head, encode_section
from carstone_format.cid import RAW, Cid, cid_from_digest, decode_varint

from . import packet, texts
from .errors import Bad, require
from .packet import Packet

BLAKE3 = 0x1E
FIRST = {b"Data-Length": "B", b"Group": "P", b"Seal-By": "S"}


def cid_of(text: str) -> Cid:
    """The CID of a hash text."""
    return cid_from_digest(RAW, texts.payload(text), BLAKE3)


def encode(packets: list[Packet]) -> bytes:
    """A CAR without roots."""
    return HEADER + b"".join(encode_section(cid_of(found.hash), found.payload()) for found in packets)


def decode(data: bytes) -> list[Packet]:
    """All packets of a CAR with any roots, verified."""
    length, at = decode_varint(data, 0)
    at += length
    found = []
    while at < len(data):
        _, begin = decode_varint(data, at)
        cid, end = decode_section_head(data, at)
        block = data[begin + len(cid.raw) : end]
        require((cid.version, cid.codec, cid.hash, len(cid.digest)) == (1, RAW, BLAKE3, 32), "cid", str(cid), at)
        found.append(_packet(cid, block, at))
        at = end
    return found


def _packet(cid: Cid, block: bytes, at: int) -> Packet:
    letter = FIRST.get(block.partition(b":")[0])
    if letter is None:
        raise Bad("block", "no packet starts like this", at)
    return packet.parse(packet.markline(texts.typed(letter, cid.digest)) + block)
