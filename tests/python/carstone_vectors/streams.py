"""Vectors of whole encryption and compression streams, and of keys and sealed frames."""

from dataclasses import replace
import hashlib
from typing import Any

import brotli

from carstone_format import compression, encryption, frames
from carstone_format.checks import NONE32, seeded
from carstone_format.compression import BROTLI, STORED, ZSTD, Plan
from carstone_format.container import Container, layer_list, position_layer
from carstone_format.frames import DATA, LAST, Frame

from .layers import CONTENT_KEY, FULL, PACK_ID, Case, outcome
from .toml import document

UNIT = 131_072
INLINE = 1200


def plain_of(label: str, length: int) -> tuple[bytes, Case]:
    """Plain bytes, and how the vector describes them."""
    data = seeded(label, length)
    return data, {"plain_label": label, "plain_length": length}


def stored_of(stored: bytes) -> Case:
    """Stored bytes: inline when short, else length and SHA-256."""
    digest = {"stored_length": len(stored), "stored_sha256": hashlib.sha256(stored).digest()}
    return digest | ({"stored": stored} if len(stored) <= INLINE else {})


def keys() -> list[Case]:
    """Key derivation."""
    rows = []
    alone = encryption.lone_layer_list()
    lists = (("alone", alone), ("full", layer_list(FULL)), ("without compression", layer_list((FULL[0], position_layer()))))
    for name, layers in lists:
        derived = encryption.derive(CONTENT_KEY, PACK_ID, layers)
        rows.append({"name": name, "content_key": CONTENT_KEY, "pack_id": PACK_ID, "algorithm": 1, "segment": 0,
                     "layer_list": layers, "prk": derived.prk, "payload_key": derived.payload_key,
                     "commitment": derived.commitment})
    return rows


def sealed() -> list[Case]:
    """Single data frames."""
    key = encryption.derive(CONTENT_KEY, PACK_ID, layer_list(FULL)).payload_key
    rows = []
    for name, why, sequence, length, last, boundary in (
        ("first", "a full frame", 0, UNIT, False, NONE32),
        ("last", "the last flag is in the nonce", 7, 5, True, NONE32),
        ("not last", "the same bytes without the flag", 7, 5, False, NONE32),
        ("empty", "the only frame of an empty stream", 0, 0, True, NONE32),
        ("one byte", "", 1, 1, True, NONE32),
        ("boundary", "the boundary is authenticated", 2, 64, True, 33),
        ("last sequence", "2^32 - 1, the last one allowed", 2**32 - 1, 20, True, NONE32),
    ):
        plain, described = plain_of(f"sealed {name}", length)
        frame = Frame(1, DATA, PACK_ID, sequence, sequence * UNIT, b"", flags=LAST if last else 0, first_boundary=boundary)
        frame = encryption.seal(frame, plain, key)
        rows.append({"name": name, "why": why or None, "payload_key": key, "sequence": sequence, "last": last,
                     "first_boundary": boundary, **described, "nonce": encryption.nonce(frame),
                     "aad": frame.authenticated(), **stored_of(frame.encode())})
    return rows


def encrypted_streams() -> list[Case]:
    """Whole stored streams."""
    rows = []
    header = Container(PACK_ID, FULL).encode()
    for name, why, length, envelope, packed in (
        ("short", "one frame between two layer headers", 100, b"", False),
        ("empty", "an empty last frame", 0, b"", False),
        ("envelope", "a key envelope in both layer headers", 10, b"not a real envelope", False),
        ("exactly one frame", "a full last frame", UNIT, b"", False),
        ("one byte more", "two frames", UNIT + 1, b"", False),
        ("two frames", "an exact multiple", 2 * UNIT, b"", False),
        ("in a pack", "the commitment covers the pack's layer list", 2 * UNIT + 77, b"envelope", True),
        ("512 frames", "no anchor behind the last frame", 512 * UNIT, b"", False),
        ("anchor", "one byte behind 512 frames: an anchor with C = 0", 512 * UNIT + 1, b"", False),
        ("anchor in a pack", "the anchor repeats the container header", 512 * UNIT + 1, b"envelope", True),
    ):
        layers = layer_list(FULL) if packed else encryption.lone_layer_list()
        derived = encryption.derive(CONTENT_KEY, PACK_ID, layers)
        plain, described = plain_of("encryption stream", length)
        given = header if packed else None
        stored = encryption.encrypt(plain, derived, PACK_ID, envelope=envelope, header=given)
        rows.append({"name": name, "why": why, "content_key": CONTENT_KEY, "pack_id": PACK_ID, "layer_list": layers,
                     "envelope": envelope, "container_header": given, **described, **stored_of(stored)})
    return rows


def damaged_encryption() -> list[Case]:
    """Streams whose frames are right by their checksums and wrong all the same."""
    layers = encryption.lone_layer_list()
    derived = encryption.derive(CONTENT_KEY, PACK_ID, layers)
    stored = encryption.encrypt(seeded("short", 50), derived, PACK_ID)
    first, at = frames.decode(stored, 0)
    data, end = frames.decode(stored, at)
    head, tail = stored[:at], stored[end:]
    other = encryption.encrypt(seeded("short", 50), encryption.derive(seeded("k", 32), PACK_ID, layers), PACK_ID)
    forged = replace(data, payload=bytes([data.payload[0] ^ 1]) + data.payload[1:])
    changed = replace(first, sequence=1, plain_offset=50, payload=first.payload[:8] + bytes(32) + first.payload[40:])
    streams = (
        ("other key", "the commitment is compared first", other),
        ("forged payload", "digest and CRCs are made anew, the tag is not", head + forged.encode() + tail),
        ("last flag removed", "a short frame that is not last; its tag fails too: either error is right", head + replace(data, flags=0).encode() + tail),
        ("layer headers differ", "both payloads are identical", stored[:end] + changed.encode()),
        ("no closing header", "cut behind the last data frame", stored[:end]),
        ("data only", "no layer header at the front", stored[at:]),
        ("sequence from 1", "sequences count from 0", head + replace(data, sequence=1).encode() + tail),
    )
    return [{"name": name, "why": why, "content_key": CONTENT_KEY, "pack_id": PACK_ID, "layer_list": layers,
             "expect": outcome(lambda: encryption.decrypt(bad, CONTENT_KEY, PACK_ID, layers, None)), "stored": bad}
            for name, why, bad in streams]


def encryptions() -> str:
    """`encryption.toml`."""
    about = """The encryption layer: keys, single data frames (header and payload), whole streams, damaged streams.
Plain bytes are the first `plain_length` bytes seeded from `plain_label` (see checks.toml).
Long stored streams are given by length and SHA-256. Data frames carry no boundaries in streams."""
    return document(about, {"keys": keys(), "frame": sealed(), "stream": encrypted_streams(),
                            "damaged": damaged_encryption()})


def text(label: str, length: int) -> bytes:
    """Bytes that compress well: numbered lines with a few seeded digits."""
    noise = seeded(label, length // 640 + 2)
    lines = (b"%s line %08d of the text is %02x\n" % (label.encode(), at, noise[at // 32])
             for at in range(length // 25 + 1))
    return b"".join(lines)[:length]


def compressed_streams() -> list[Case]:
    """Streams that are right."""
    rows = []
    for name, why, plain, plan, given in (
        ("empty", "an empty last frame", b"", Plan(block=65_536), None),
        ("stored", "one stored frame", seeded("stored", 200), Plan(block=65_536), None),
        ("brotli", "one brotli frame", text("brotli", 3000), Plan(BROTLI, 5, 65_536), None),
        ("zstd", "one zstd frame", text("zstd", 3000), Plan(ZSTD, 3, 65_536), None),
        ("brotli gains nothing", "stored instead", seeded("noise", 400), Plan(BROTLI, 5, 65_536), None),
        ("three brotli frames", "the last is short", text("three", 131_072 + 100), Plan(BROTLI, 9, 65_536), None),
        ("exact multiple", "a full last frame", text("exact", 131_072), Plan(ZSTD, 19, 65_536), None),
        ("far region", "smaller frames from plain offset 1,000 on", text("far", 600_000),
         Plan(BROTLI, 5, 1_048_576, far_at=1000), None),
        ("anchor", "behind the frame that reaches 67,108,864 stored bytes", seeded("anchor", 17 * 4_194_304), Plan(),
         Container(PACK_ID, (FULL[1], FULL[2])).encode()),
    ):
        stored = compression.compress(plain, PACK_ID, plan, header=given)
        described = {"plain": plain} if len(plain) <= INLINE else {}
        plain_sha = hashlib.sha256(plain).digest()
        inline = {"stored": stored} if given is None and len(stored) < 40_000 else {}
        lengths = [end - start for start, end in plan.cuts(len(plain))]
        rows.append({"name": name, "why": why, "pack_id": PACK_ID, "block": plan.block, "codec": plan.codec,
                     "container_header": given, "plain_length": len(plain), "plain_sha256": plain_sha,
                     "frame_lengths": lengths, **described, **stored_of(stored), **inline})
    return rows + [many_frames()]


def many_frames() -> Case:
    """More frames than a footer page holds."""
    plain = seeded("many", 4097)
    out = bytearray()
    table = []
    for at in range(4097):
        table.append((at, len(out)))
        flags = LAST if at == 4096 else 0
        out += Frame(2, DATA, PACK_ID, at, at, plain[at : at + 1], 1, STORED, flags).encode()
    stored = bytes(out) + compression.footer(table, 4097, len(out), PACK_ID)
    return {"name": "two footer pages", "why": "4,097 frames of one byte", "pack_id": PACK_ID, "block": 65_536,
            "codec": STORED, "plain_label": "many", "plain_length": 4097,
            "plain_sha256": hashlib.sha256(plain).digest(), **stored_of(stored)}


def damaged_compression() -> list[Case]:
    """Streams whose frames are right by their checksums and wrong all the same."""
    plain = text("damaged", 500)
    packed = brotli.compress(plain)
    good = Frame(2, DATA, PACK_ID, 0, 0, packed, 500, BROTLI, LAST)

    def stream(*data: Frame, **tail: Any) -> bytes:
        out, table, at = b"", [], 0
        for frame in data:
            table.append((at, len(out)))
            out += frame.encode()
            at += frame.plain_len
        return out + compression.footer(tail.get("table", table), tail.get("length", at), len(out), PACK_ID)

    half = replace(good, payload=plain[:250], plain_len=250, codec=STORED)
    rest = replace(half, sequence=1, plain_offset=250, payload=plain[250:])
    streams = (
        ("too long", "the payload inflates to more than the plain length", stream(replace(good, plain_len=499))),
        ("too short", "the payload inflates to less", stream(replace(good, plain_len=501))),
        ("bytes behind brotli", "exactly one stream", stream(replace(good, payload=packed + b"\0"))),
        ("cut brotli", "an incomplete stream", stream(replace(good, payload=packed[:-1]))),
        ("not zstd", "a codec that does not fit", stream(replace(good, codec=ZSTD))),
        ("stored too short", "codec 0 with fewer stored than plain bytes", stream(replace(half, plain_len=251, flags=LAST))),
        ("last twice", "only the final frame is last", stream(half, rest)),
        ("no last", "the footer follows a frame that is not last",
         stream(replace(half, flags=0), replace(rest, flags=0))),
        ("gap", "the second frame skips a byte", stream(replace(half, flags=0), replace(rest, plain_offset=251))),
        ("sequence", "the second frame has sequence 2", stream(replace(half, flags=0), replace(rest, sequence=2))),
        ("empty frame", "an empty frame behind another",
         stream(replace(half, flags=0), replace(rest, payload=b"", plain_len=0))),
        ("wrong table", "an entry points elsewhere", stream(good, table=[(0, 1)])),
        ("wrong total", "the tail says 499 bytes", stream(good, length=499)),
        ("no footer", "cut behind the data", good.encode()),
        ("block over the unit", "65,537 plain bytes where the unit is 65,536",
         stream(replace(good, payload=brotli.compress(bytes(65_537)), plain_len=65_537))),
        ("hole", "a strict reader reports what is missing",
         stream(Frame(2, frames.HOLE, PACK_ID, 0, 0, b"", 250), rest)),
    )
    return [{"name": name, "why": why, "pack_id": PACK_ID, "block": 65_536,
             "expect": outcome(lambda: compression.decompress(bad, PACK_ID, 65_536, outermost=True, header=None)),
             "stored": bad} for name, why, bad in streams]


def compressions() -> str:
    """`compression.toml`."""
    about = """The compression layer: whole streams, and damaged ones with the error they give.
`frame_lengths` are the plain lengths of the data frames. Another compressor may make other payloads from the same
plain bytes; what must agree is what a reader makes of `stored`. Stored (codec 0) streams must be equal byte for byte."""
    return document(about, {"stream": compressed_streams(), "damaged": damaged_compression()})
