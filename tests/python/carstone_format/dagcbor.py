"""Canonical DAG-CBOR: only what records need, decoded strictly."""

import struct
from typing import Any

from .cid import Cid, decode_cid
from .errors import require

MAX_DEPTH = 32


def _head(major: int, value: int) -> bytes:
    if value < 24:
        return bytes([major << 5 | value])
    for code, form, limit in ((24, ">B", 2**8), (25, ">H", 2**16), (26, ">I", 2**32)):
        if value < limit:
            return bytes([major << 5 | code]) + struct.pack(form, value)
    return bytes([major << 5 | 27]) + struct.pack(">Q", value)


def encode(value: Any) -> bytes:
    """Encode a value of None, bool, int, bytes, str, list, dict and `Cid`."""
    if value is None or isinstance(value, bool):
        return {None: b"\xf6", False: b"\xf4", True: b"\xf5"}[value]
    if isinstance(value, int):
        return _head(0, value) if value >= 0 else _head(1, -1 - value)
    if isinstance(value, bytes):
        return _head(2, len(value)) + value
    if isinstance(value, str):
        return _head(3, len(value.encode())) + value.encode()
    if isinstance(value, (list, tuple)):
        return _head(4, len(value)) + b"".join(encode(item) for item in value)
    if isinstance(value, Cid):
        return _head(6, 42) + encode(b"\0" + value.raw)
    if isinstance(value, dict):
        keys = sorted(value, key=lambda key: (len(key.encode()), key.encode()))
        return _head(5, len(keys)) + b"".join(encode(key) + encode(value[key]) for key in keys)
    raise TypeError(f"cannot encode {type(value)}")


def decode(data: bytes) -> Any:
    """Decode one value and nothing behind it."""
    value, at = _decode(data, 0, 0)
    require(at == len(data), "cbor", "7.1", f"{len(data) - at} bytes behind the value")
    return value


def _take(data: bytes, at: int, length: int) -> tuple[bytes, int]:
    require(at + length <= len(data), "cbor", "7.1", f"value cut at byte {at}")
    return data[at : at + length], at + length


def _decode_head(data: bytes, at: int) -> tuple[int, int, int]:
    first, at = _take(data, at, 1)
    major, info = first[0] >> 5, first[0] & 31
    if info < 24:
        return major, info, at
    require(info <= 27, "cbor", "7.1", f"additional information {info} at byte {at - 1}")
    width = 1 << (info - 24)
    raw, at = _take(data, at, width)
    value = int.from_bytes(raw, "big")
    if major != 7:
        shortest = value >= (24 if width == 1 else 1 << (4 * width))
        require(shortest, "cbor", "7.1", f"number not of the shortest form at byte {at - width}")
    return major, value, at


def _decode(data: bytes, at: int, depth: int) -> tuple[Any, int]:
    require(depth < MAX_DEPTH, "cbor", "7.1", "nested too deeply")
    begin = at
    major, value, at = _decode_head(data, at)
    if major == 0:
        return value, at
    if major == 1:
        return -1 - value, at
    if major == 2:
        return _take(data, at, value)
    if major == 3:
        raw, at = _take(data, at, value)
        return _text(raw, at), at
    if major == 4:
        items = []
        for _ in range(value):
            item, at = _decode(data, at, depth + 1)
            items.append(item)
        return items, at
    if major == 5:
        return _decode_map(data, at, value, depth)
    if major == 6:
        require(value == 42, "cbor", "7.1", f"tag {value}")
        raw, at = _decode(data, at, depth + 1)
        require(isinstance(raw, bytes) and raw[:1] == b"\0", "cbor", "7.1", "link without its leading zero")
        cid, end = decode_cid(raw, 1)
        require(end == len(raw), "cbor", "7.1", "bytes behind the CID of a link")
        return cid, at
    simple = {0xF4: False, 0xF5: True, 0xF6: None}
    if data[begin] in simple:
        return simple[data[begin]], at
    require(data[begin] == 0xFB, "cbor", "7.1", f"simple value {data[begin]:#x}")
    return struct.unpack(">d", data[begin + 1 : begin + 9])[0], at


def _decode_map(data: bytes, at: int, count: int, depth: int) -> tuple[dict[str, Any], int]:
    result: dict[str, Any] = {}
    before: tuple[int, bytes] | None = None
    for _ in range(count):
        key, at = _decode(data, at, depth + 1)
        require(isinstance(key, str), "cbor", "7.1", "map key is not text")
        order = (len(key.encode()), key.encode())
        require(before is None or before < order, "cbor", "7.1", f"map key {key!r} out of order")
        before = order
        result[key], at = _decode(data, at, depth + 1)
    return result, at


def _text(raw: bytes, at: int) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        require(False, "cbor", "7.1", f"text before byte {at} is not UTF-8")
        raise AssertionError("unreachable") from None
