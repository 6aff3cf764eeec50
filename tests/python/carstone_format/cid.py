"""Varints and CIDs."""

import base64
from dataclasses import dataclass
import hashlib

from blake3 import blake3

from .errors import require

RAW, DAG_PB, DAG_CBOR = 0x55, 0x70, 0x71
SHA2_256 = 0x12
MAX_CID = 2048


def encode_varint(value: int) -> bytes:
    """Unsigned LEB128."""
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


def decode_varint(data: bytes, at: int) -> tuple[int, int]:
    """A strict varint: at most 9 bytes, shortest form; returns it and the offset behind it."""
    value = 0
    for count in range(9):
        require(at + count < len(data), "truncated", "7", f"varint at {at}")
        byte = data[at + count]
        value |= (byte & 127) << (7 * count)
        if byte < 128:
            require(byte != 0 or count == 0, "varint", "0", f"varint at {at} is not of the shortest form")
            return value, at + count + 1
    require(False, "varint", "0", f"varint at {at} is longer than 9 bytes")
    raise AssertionError("unreachable")


@dataclass(frozen=True, order=True)
class Cid:
    """A CID as its parts; `raw` are its bytes."""

    raw: bytes
    version: int
    codec: int
    hash: int
    digest: bytes

    def __str__(self) -> str:
        if self.version == 0:
            return _base58(self.raw)
        return "b" + base64.b32encode(self.raw).decode().lower().rstrip("=")


def _base58(raw: bytes) -> str:
    """Base58 as Bitcoin has it. CIDs of version 0 have no leading zero bytes."""
    value, text = int.from_bytes(raw, "big"), ""
    while value:
        value, digit = divmod(value, 58)
        text = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"[digit] + text
    return text


def cid_of(codec: int, data: bytes, function: int = SHA2_256) -> Cid:
    """The CIDv1 of a block, with sha2-256 or another function."""
    return cid_from_digest(codec, _HASHES[function](data, 32), function)


def cid_from_digest(codec: int, digest: bytes, function: int = SHA2_256) -> Cid:
    """The CIDv1 with this digest."""
    numbers = encode_varint(codec) + encode_varint(function) + encode_varint(len(digest))
    return Cid(b"\x01" + numbers + digest, 1, codec, function, digest)


def node_cid(version: int, data: bytes, function: int = SHA2_256) -> Cid:
    """The CID of a dag-pb block, of either version. Only sha2-256 has CIDs of version 0."""
    cid = cid_of(DAG_PB, data, function)
    is_short = version == 0 and function == SHA2_256
    return Cid(b"\x12\x20" + cid.digest, 0, DAG_PB, SHA2_256, cid.digest) if is_short else cid


def decode_cid(data: bytes, at: int = 0) -> tuple[Cid, int]:
    """The CID at `at` and the offset behind it."""
    if data[at : at + 2] == b"\x12\x20":
        require(len(data) >= at + 34, "truncated", "7", f"CIDv0 at {at}")
        raw = data[at : at + 34]
        return Cid(raw, 0, DAG_PB, SHA2_256, raw[2:]), at + 34
    version, pos = decode_varint(data, at)
    require(version == 1, "cid", "7", f"CID version {version}")
    codec, pos = decode_varint(data, pos)
    function, pos = decode_varint(data, pos)
    length, pos = decode_varint(data, pos)
    require(pos + length - at <= MAX_CID, "limit", "1", f"CID of {pos + length - at} bytes")
    require(pos + length <= len(data), "truncated", "7", f"CID at {at}")
    return Cid(data[at : pos + length], 1, codec, function, data[pos : pos + length]), pos + length


_HASHES = {
    0x00: lambda data, length: data,
    0x11: lambda data, length: hashlib.sha1(data).digest(),
    SHA2_256: lambda data, length: hashlib.sha256(data).digest(),
    0x13: lambda data, length: hashlib.sha512(data).digest(),
    0x16: lambda data, length: hashlib.sha3_256(data).digest(),
    0x1E: lambda data, length: blake3(data).digest(length=length),
    0xB220: lambda data, length: hashlib.blake2b(data, digest_size=32).digest(),
}


def verify(cid: Cid, data: bytes) -> None:
    """Require that a block hashes to its CID."""
    require(cid.hash in _HASHES, "unverifiable", "7", f"hash function {cid.hash:#x}")
    digest = _HASHES[cid.hash](data, len(cid.digest))
    full = len(cid.digest) == len(digest)
    require(full and digest == cid.digest, "block-hash", "7", f"block {cid}")
