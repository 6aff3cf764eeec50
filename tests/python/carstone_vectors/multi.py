"""Vectors of indexes over many CARs."""

import hashlib
import struct
from typing import Any

from blake3 import blake3

from carstone_format import multi_index
from carstone_format.car import HEADER, encode_section
from carstone_format.cid import DAG_CBOR, DAG_PB, RAW, Cid, cid_of, encode_varint, node_cid
from carstone_format.multi_index import PAGE, PRAGMA, File

from .layers import Case
from .toml import document


def _cid(codec: int, code: int, digest: bytes) -> Cid:
    raw = b"\x01" + encode_varint(codec) + encode_varint(code) + encode_varint(len(digest)) + digest
    return Cid(raw, 1, codec, code, digest)


def _car(blocks: list[tuple[Cid, bytes]]) -> bytes:
    return HEADER + b"".join(encode_section(cid, data) for cid, data in blocks)


def _wrapped(payload: bytes, padding: int) -> bytes:
    header = bytes(16) + struct.pack("<QQQ", 51 + padding, len(payload), 0)
    return PRAGMA + header + bytes(padding) + payload


def _numbered(first: int, count: int) -> bytes:
    data = [struct.pack(">Q", number) for number in range(first, first + count)]
    return _car([(cid_of(RAW, block), block) for block in data])


def _mixed() -> list[tuple[bytes, bytes]]:
    one, empty, node = (cid_of(RAW, b"one"), b"one"), (cid_of(RAW, b""), b""), b"\x0a\x02\x08\x01"
    blocks = [
        one, empty, (_cid(DAG_CBOR, 0x1E, blake3(b"two").digest()), b"two"),
        (_cid(RAW, 0x13, hashlib.sha512(b"three").digest()), b"three"), (_cid(RAW, 0, b"inline"), b"inline"),
    ]
    version_0 = (node_cid(0, node), node)
    return [
        (b"one.car", _car(blocks)),
        ("zwei ü.car".encode(), _car([version_0, (cid_of(DAG_PB, node), node), one, one])),
        (b"\xff\x00", _wrapped(_car([one, empty]), 13)),
        (b"", _car([])),
    ]


def _pages(data: bytes) -> list[Case]:
    pages = [data[at : at + PAGE] for at in range(0, len(data), PAGE)]
    return [{"content": page[:-16].rstrip(b"\0"), "sum": page[-16:]} for page in pages]


def _case(name: str, why: str, cars: list[tuple[bytes, bytes]], given: list[Case] | None, **more: Any) -> Case:
    index = multi_index.encode([File(*car) for car in cars])
    return {"name": name, "why": why, "length": len(index), "sha256": hashlib.sha256(index).digest(), **more,
            "file": given, "page": _pages(index) if len(index) <= 8 * PAGE else None}


def _given(name: str, why: str, files: list[tuple[bytes, bytes]]) -> Case:
    return _case(name, why, files, [{"name": name, "car": car} for name, car in files] or None)


def _ruled(name: str, why: str, count: int, step: int, blocks: int) -> Case:
    cars = [(f"{number}.car".encode(), _numbered(number * step, blocks)) for number in range(count)]
    return _case(name, why, cars, None, files=count, step=step, blocks=blocks)


ABOUT = """
Indexes over many CARs. `file`: their names and bytes, in order. Where there are none, `files`, `step` and
`blocks` say what they are: file N is called `N.car`; its header names no root, and its blocks are the numbers from
N × step on, each as 8 bytes, big-endian, under a CIDv1 of codec raw with SHA-256.
`page`: each page without the zeros in front of its checksum, and the checksum.
"""


def indexes() -> str:
    """`multi_index.toml`."""
    return document(ABOUT, {"index": [
        _given("no file", "a head page and a footer", []),
        _given("mixed", "both versions of CARs and CIDs, several functions, an identity CID that is left out, repeated blocks, "
               "a name that is no text, one that is empty", _mixed()),
        _ruled("one page", "84 entries of SHA-256 fill a page", 1, 0, 84),
        _ruled("two pages", "one entry more", 1, 0, 85),
        _ruled("ties", "each block in each of 300 files, whose list takes several pages", 300, 0, 3),
        _ruled("levels", "more than 256 pages of entries", 3, 7000, 14_000),
    ]})
