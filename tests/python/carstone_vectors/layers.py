"""Vectors of checks, container, frames and position footer."""

from dataclasses import replace
import struct
from typing import Any

from carstone_format import container, encryption, frames, position
from carstone_format.checks import b3, crc32c, crc64, seeded
from carstone_format.container import Container, Layer, compression_layer, encryption_layer, position_layer
from carstone_format.errors import Broken
from carstone_format.frames import ANCHOR, DATA, FOOTER, HOLE, LAST, LAYER_HEADER, Frame

from .toml import document

PACK_ID = seeded("pack id", 16)
CONTENT_KEY = seeded("content key", 32)
FULL = (encryption_layer(), compression_layer(4_194_304), position_layer())
PLAIN = (compression_layer(262_144), position_layer())
Case = dict[str, Any]


def outcome(read: Any) -> str:
    """`ok`, or the name of the rule that reading found broken."""
    try:
        read()
    except Broken as broken:
        return broken.name
    return "ok"


def flip(data: bytes, bit: int, mask: int = 1) -> bytes:
    """Flip the bits of `mask`, least significant bit of byte 0 first, from `bit` on."""
    number = int.from_bytes(data, "little") ^ mask << bit
    return number.to_bytes(len(data), "little")


def checks() -> str:
    """`checks.toml`."""
    inputs = [("empty", b""), ("check value", b"123456789"), ("zeros", bytes(32)), ("seeded", seeded("checks", 300))]
    rows = []
    for name, data in inputs:
        rows.append({"name": name, "input": data, "crc32c": f"{crc32c(data):08x}", "crc64": f"{crc64(data):016x}",
                     "b3": b3(data)})
    seeds = [{"label": label, "length": length, "bytes": seeded(label, length)}
             for label, length in (("checks", 16), ("a", 100), ("pack id", 16), ("content key", 32))]
    about = """Checksums and digests. CRCs are written as numbers, most significant digit first.
`seeded` is the source of long inputs in all files: the first bytes of BLAKE3's extended output for a label."""
    return document(about, {"check": rows, "seeded": seeds})


def _header_case(name: str, why: str, header: bytes, **more: Any) -> Case:
    expect = outcome(lambda: container.decode_header(header))
    return {"name": name, "why": why, "expect": expect, "bytes": header, **more}


def headers() -> list[Case]:
    """Container headers."""
    good = Container(PACK_ID, FULL)
    header = good.encode()
    sealed = container.seal_header
    fields = {"pack_id": PACK_ID, "major": 1, "minor": 0}
    cases = [
        _header_case("bare", "only the position layer", Container(PACK_ID, (position_layer(),)).encode(),
                     layers=[3], layer_list=Container(PACK_ID, (position_layer(),)).layer_list(), **fields),
        _header_case("plain", "compression and position", Container(PACK_ID, PLAIN).encode(), layers=[2, 3],
                     layer_list=Container(PACK_ID, PLAIN).layer_list(), **fields),
        _header_case("full", "all layers", header, layers=[1, 2, 3], layer_list=good.layer_list(), **fields),
        _header_case("minor version 7", "any minor version is taken", replace(good, minor=7).encode()),
        _header_case("compatible feature", "unknown compatible features are ignored",
                     replace(good, compatible=1 << 63).encode()),
        _header_case("major version 2", "another major version is refused", replace(good, major=2).encode()),
        _header_case("incompatible feature", "an unknown incompatible feature is refused",
                     replace(good, incompatible=1).encode()),
        _header_case("parity layer", "layer id 4 is reserved", Container(PACK_ID, (*PLAIN, Layer(4))).encode()),
        _header_case("private layer", "layer id 64 belongs to other programs",
                     Container(PACK_ID, (Layer(64), *PLAIN)).encode()),
        _header_case("unknown algorithm", "algorithm 2 of the encryption layer",
                     Container(PACK_ID, (replace(FULL[0], algorithm=2), *PLAIN)).encode()),
        _header_case("wrong order", "compression outside of encryption",
                     Container(PACK_ID, (FULL[1], FULL[0], FULL[2])).encode()),
        _header_case("layer twice", "two compression layers", Container(PACK_ID, (FULL[1], *PLAIN)).encode()),
        _header_case("no position layer", "position is always there", Container(PACK_ID, FULL[:2]).encode()),
        _header_case("no layer", "N is 1 to 8", sealed(header[:48] + b"\0" + header[49:232])),
        _header_case("nine layers", "N is 1 to 8", sealed(header[:48] + b"\x09" + header[49:232])),
        _header_case("block too small", "65,535 bytes", Container(PACK_ID, (compression_layer(65_535), FULL[2])).encode()),
        _header_case("block too large", "16 MiB and a byte",
                     Container(PACK_ID, (compression_layer(16_777_217), FULL[2])).encode()),
        _header_case("reserved byte 49", "reserved bytes are zero", sealed(header[:49] + b"\1" + header[50:232])),
        _header_case("reserved byte 231", "reserved bytes are zero", sealed(header[:231] + b"\1")),
        _header_case("unused slot", "slots from N on are zero", sealed(header[:104] + b"\1" + header[105:232])),
        _header_case("reserved in slot", "bytes 2 and 3 of a slot", sealed(header[:58] + b"\1" + header[59:232])),
        _header_case("segment 1", "segment is 0", replace(good, segment=1).encode()),
        _header_case("no magic", "another first byte; too far from the magic to be one error",
                     b"CARSTONE" + header[8:]),
        _header_case("cut", "255 bytes", header[:255]),
    ]
    forged = header[:232] + bytes(16)
    forged += struct.pack("<Q", crc64(forged))
    cases.append(_header_case("wrong digest", "the CRC agrees, the digest does not", forged))
    for name, bit, mask in (("flip in pack id", 32 * 8 + 5, 1), ("flip in magic", 3, 1), ("flip in CRC", 250 * 8, 1),
                            ("flip in digest", 240 * 8 + 7, 1), ("burst of 32", 60 * 8 + 3, 0xC0000001)):
        cases.append(_header_case(name, "put right by section 2.4", flip(header, bit, mask), corrects_to=header))
    cases.append(_header_case("two flips", "far apart: nothing explains them", flip(flip(header, 300), 1500),
                              correctable=False))
    return cases


def _trailer_case(name: str, why: str, header: bytes, trailer: bytes, **more: Any) -> Case:
    expect = outcome(lambda: container.decode_trailer(trailer, header))
    return {"name": name, "why": why, "expect": expect, "header": header, "bytes": trailer, **more}


def trailers() -> list[Case]:
    """Container trailers."""
    header = Container(PACK_ID, FULL).encode()
    other = Container(seeded("other pack id", 16), FULL).encode()
    good = container.encode_trailer(header, 1_000_000)
    return [
        _trailer_case("good", "a pack of 1,000,000 bytes", header, good, stored_length=1_000_000),
        _trailer_case("other header", "header and trailer must agree", header, container.encode_trailer(other, 560)),
        _trailer_case("reserved", "reserved bytes are zero", header,
                      container.encode_trailer(header, 560, b"\0" * 7 + b"\1")),
        _trailer_case("no end magic", "the last eight bytes", header, good[:-8] + bytes(8)),
        _trailer_case("flip in stored length", "put right by section 2.4", header, flip(good, 256 * 8 + 2),
                      corrects_to=good),
        _trailer_case("burst in stored length", "put right by section 2.4", header, flip(good, 256 * 8, 0x9FFF_FFF1),
                      corrects_to=good),
    ]


def containers() -> str:
    """`container.toml`."""
    appendix = container.encode_appendix(1000, PACK_ID, b"an appendix of a kind nobody knows")
    empty = container.encode_appendix(0, PACK_ID, b"")
    appendices = [
        {"name": "content", "why": "stepped over from the end", "kind": 1000, "length": len(appendix), "bytes": appendix},
        {"name": "empty", "why": "header and footer alone", "kind": 0, "length": len(empty), "bytes": empty},
    ]
    about = """Container headers, trailers and appendices.
`expect` is `ok` or the name of the error; `newer` means: needs a newer carstone.
`corrects_to` are the bytes that section 2.4 makes of damaged ones."""
    return document(about, {"header": headers(), "trailer": trailers(), "appendix": appendices})


def _frame_case(name: str, why: str, data: bytes, **more: Any) -> Case:
    expect = outcome(lambda: frames.decode(data, 0, PACK_ID))
    return {"name": name, "why": why, "expect": expect, "bytes": data, **more}


def _good(name: str, why: str, frame: Frame) -> Case:
    fields = {"layer": frame.layer, "kind": frame.kind, "codec": frame.codec, "last": frame.last,
              "sequence": frame.sequence, "plain_offset": frame.plain_offset, "plain_length": frame.plain_len,
              "first_boundary": frame.first_boundary, "payload": frame.payload}
    return _frame_case(name, why, frame.encode(), **fields)


def base_frame() -> Frame:
    """A stored data frame of the compression layer."""
    payload = seeded("frame payload", 100)
    return Frame(container.COMPRESSION, DATA, PACK_ID, 3, 65_536, payload, 100)


def frame_cases() -> list[Case]:
    """Frames that are right."""
    base = base_frame()
    header = Container(PACK_ID, FULL).encode()
    keys = encryption.derive(CONTENT_KEY, PACK_ID, Container(PACK_ID, FULL).layer_list())
    head = encryption.layer_header(keys.commitment, b"an envelope")
    layer_header = Frame(1, LAYER_HEADER, PACK_ID, 0, 0, head, codec=1)
    anchor = frames.anchor_payload(header, head)
    return [
        _good("data", "stored, in the middle, no section starts", base),
        _good("boundary", "the first section starts at offset 17", replace(base, first_boundary=17)),
        _good("boundary at the start", "offset 0", replace(base, first_boundary=0)),
        _good("last", "the last flag", replace(base, flags=LAST)),
        _good("empty stream", "the only data frame of an empty stream",
              replace(base, sequence=0, plain_offset=0, plain_len=0, payload=b"", flags=LAST)),
        _good("footer page", "two entries", Frame(2, FOOTER, PACK_ID, 0, 200, struct.pack("<4Q", 0, 0, 100, 196))),
        _good("footer tail", "the last frame of the layer",
              Frame(2, FOOTER, PACK_ID, 1, 200, struct.pack("<4Q2I", 200, 2, 1, 392, 4096, 0), flags=LAST)),
        _good("layer header", "at the front", layer_header),
        _good("layer header at the end", "sequence 1, total plain length", replace(layer_header, sequence=1,
                                                                                   plain_offset=1 << 40)),
        _good("anchor", "container header and layer header", Frame(1, ANCHOR, PACK_ID, 0, 67_108_864, anchor)),
        _good("anchor without container", "C = 0: a layer used alone",
              Frame(1, ANCHOR, PACK_ID, 0, 67_108_864, frames.anchor_payload(None, head))),
        _good("anchor without encryption", "H = 0", Frame(2, ANCHOR, PACK_ID, 1, 1 << 30,
                                                         frames.anchor_payload(Container(PACK_ID, PLAIN).encode(), b""))),
        _good("hole", "a lost data frame", Frame(2, HOLE, PACK_ID, 3, 65_536, b"", 100)),
        _good("ancillary", "kinds from 128 on are skipped", replace(base, kind=200, plain_len=0)),
    ]


def bad_frames() -> list[Case]:
    """Frames that a reader refuses, all checks right unless the name says so."""
    base = base_frame()
    data = base.encode()
    head = base.header()
    forged = frames.seal_header(head[12:80] + bytes(16)) + base.payload
    bad_crc = frames.seal_header(head[12:72] + bytes(8) + head[80:]) + base.payload
    cases = [
        _frame_case("frame version 2", "needs a newer reader", replace(base, version=2).encode()),
        _frame_case("unknown layer", "layer id 9", replace(base, layer=9).encode()),
        _frame_case("unknown kind", "kind 6 is critical", replace(base, kind=6, plain_len=0).encode()),
        _frame_case("unknown codec", "codec 3", replace(base, codec=3).encode()),
        _frame_case("unknown algorithm", "encryption algorithm 2", replace(base, layer=1, codec=2).encode()),
        _frame_case("flag bit 1", "reserved", replace(base, flags=2).encode()),
        _frame_case("reserved word", "bytes 68 to 71", replace(base, reserved=1).encode()),
        _frame_case("segment 1", "segment is 0", replace(base, segment=1).encode()),
        _frame_case("foreign", "another pack id", replace(base, pack_id=seeded("other pack id", 16)).encode()),
        _frame_case("boundary outside", "a boundary behind the plain bytes", replace(base, first_boundary=100).encode()),
        _frame_case("footer with a plain length", "0 for other kinds than data and hole",
                    replace(base, kind=FOOTER).encode()),
        _frame_case("hole with payload", "stored length 0", replace(base, kind=HOLE).encode()),
        _frame_case("stored longer than plain", "limit", replace(base, plain_len=99).encode()),
        _frame_case("plain too long", "16 MiB and a byte", replace(base, plain_len=16_777_217, codec=1).encode()),
        _frame_case("encryption plain too long", "131,073 bytes",
                    replace(base, layer=1, codec=1, plain_len=131_073).encode()),
        _frame_case("sequence 2^32", "frames of one kind under one key", replace(base, sequence=1 << 32).encode()),
        _frame_case("no magic", "zeros", bytes(8) + data[8:]),
        _frame_case("cut in header", "95 bytes", data[:95]),
        _frame_case("cut in payload", "one byte short", data[:-1]),
        _frame_case("wrong digest", "both CRCs agree", forged),
        _frame_case("wrong payload CRC", "header CRC and digest agree", bad_crc),
    ]
    for name, bit, mask in (("flip in payload", (96 + 50) * 8 + 3, 1), ("burst of 32 in payload", 110 * 8 + 5, 0x8F0F_00F1),
                            ("flip in header", 48 * 8 + 1, 1), ("flip in header CRC", 9 * 8, 1), ("flip in magic", 1, 1),
                            ("flip in digest", 90 * 8 + 4, 1), ("flip in pack id", 25 * 8, 1),
                            ("flip in stored length", 60 * 8 + 1, 1)):
        cases.append(_frame_case(name, "put right by section 3.3", flip(data, bit, mask), corrects_to=data))
    cases.append(_frame_case("two flips in payload", "far apart: nothing explains them",
                             flip(flip(data, 100 * 8), 180 * 8), correctable=False))
    return cases


def all_frames() -> str:
    """`frames.toml`."""
    about = f"""Frames: 96 bytes of header, then the payload. The reader's pack id is {PACK_ID.hex()}.
`expect` is `ok` or the name of the error; `corrects_to` is what section 3.3 makes of a damaged frame."""
    return document(about, {"frame": frame_cases() + bad_frames()})


def _position_case(name: str, why: str, footer: bytes, length: int, mark: int | None = None) -> Case:
    expect = outcome(lambda: position.decode_footer(footer, length, PACK_ID))
    return {"name": name, "why": why, "expect": expect, "length": length, "mark": mark, "bytes": footer}


def positions() -> str:
    """`position.toml`."""
    good = position.encode_footer(1000, 900, PACK_ID)
    reserved = good[:55] + b"\1"
    cases = [
        _position_case("mark", "the tail record's section starts at 900", good, 1000, 900),
        _position_case("no mark", "NONE64", position.encode_footer(1000, None, PACK_ID), 1000),
        _position_case("empty", "nothing was written", position.encode_footer(0, None, PACK_ID), 0),
        _position_case("wrong length", "the stream has another length", good, 999),
        _position_case("mark at the end", "the mark lies inside", position.encode_footer(1000, 1000, PACK_ID), 1000),
        _position_case("foreign", "another pack id", position.encode_footer(1000, 900, seeded("other pack id", 16)), 1000),
        _position_case("segment 1", "segment is 0", position.encode_footer(1000, 900, PACK_ID, 1), 1000),
        _position_case("reserved", "reserved bytes are zero", reserved + struct.pack("<Q", crc64(reserved)), 1000),
        _position_case("bad CRC", "one bit", flip(good, 70), 1000),
        _position_case("no magic", "zeros", bytes(8) + good[8:], 1000),
    ]
    about = f"""Position footers behind `length` plain bytes. The reader's pack id is {PACK_ID.hex()}."""
    return document(about, {"footer": cases})
