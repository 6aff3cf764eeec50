"""Container header, trailer and appendices (format section 2)."""

from dataclasses import dataclass, field
import struct

from .checks import b3, crc64
from .errors import Broken, Newer, require

MAGIC = bytes.fromhex("894353544E0D0A1A")
END_MAGIC = bytes.fromhex("1A0A0D4E54534389")
APPENDIX_MAGIC = bytes.fromhex("89435354610D0A1A")
APPENDIX_END_MAGIC = bytes.fromhex("1A0A0D6154534389")
HEADER_LEN = 256
TRAILER_LEN = 304
MAX_APPENDICES = 64

ENCRYPTION, COMPRESSION, POSITION = 1, 2, 3
ENCRYPTION_UNIT = 131_072
MIN_BLOCK, MAX_BLOCK = 65_536, 16_777_216


@dataclass(frozen=True)
class Layer:
    """One layer slot."""

    id: int
    algorithm: int = 0
    unit: int = 0

    def encode(self) -> bytes:
        """The 16 bytes of the slot."""
        return struct.pack("<BBHIQ", self.id, self.algorithm, 0, self.unit, 0)


def encryption_layer() -> Layer:
    """The slot of the encryption layer of version 1."""
    return Layer(ENCRYPTION, 1, ENCRYPTION_UNIT)


def compression_layer(block: int) -> Layer:
    """The slot of a compression layer with this block size."""
    return Layer(COMPRESSION, 0, block)


def position_layer() -> Layer:
    """The slot of the position layer."""
    return Layer(POSITION)


@dataclass(frozen=True)
class Container:
    """What the container header says."""

    pack_id: bytes
    layers: tuple[Layer, ...]
    major: int = 1
    minor: int = 0
    segment: int = 0
    incompatible: int = 0
    compatible: int = 0
    reserved: bytes = field(default=bytes(7 + 48))

    def encode(self) -> bytes:
        """The 256 bytes of the header. Values a reader refuses are written as they are."""
        slots = b"".join(layer.encode() for layer in self.layers)
        body = MAGIC + struct.pack("<HHIQQ", self.major, self.minor, self.segment, self.incompatible, self.compatible)
        body += self.pack_id + bytes([len(self.layers)]) + self.reserved[:7]
        body += slots.ljust(128, b"\0")[:128] + self.reserved[7:]
        return seal_header(body)

    def layer_list(self) -> bytes:
        """The canonical layer list."""
        return layer_list(self.layers)

    def layer(self, layer_id: int) -> Layer | None:
        """The slot of a layer, where the pack has it."""
        return next((layer for layer in self.layers if layer.id == layer_id), None)

    def innermost_framed(self) -> int | None:
        """The id of the layer whose frames carry boundaries."""
        framed = [layer.id for layer in self.layers if layer.id in (ENCRYPTION, COMPRESSION)]
        return framed[-1] if framed else None


def layer_list(layers: tuple[Layer, ...]) -> bytes:
    """The canonical layer list: the count and the used slots."""
    return bytes([len(layers)]) + b"".join(layer.encode() for layer in layers)


def seal_header(body: bytes) -> bytes:
    """Add digest and CRC to the first 232 bytes of a header."""
    body += b3(body)
    return body + struct.pack("<Q", crc64(body))


def encode_trailer(header: bytes, stored: int, reserved: bytes = bytes(8)) -> bytes:
    """The 304 bytes of the trailer."""
    body = header + struct.pack("<Q", stored) + reserved
    body += b3(body)
    return body + struct.pack("<Q", crc64(body)) + END_MAGIC


def decode_header(data: bytes) -> Container:
    """Read a container header strictly: checks first, then versions, then values."""
    require(len(data) >= HEADER_LEN, "truncated", "2.1", f"container header has {len(data)} bytes")
    data = data[:HEADER_LEN]
    require(data[:8] == MAGIC, "not-a-pack", "2.1", "no container magic")
    require(data[248:] == struct.pack("<Q", crc64(data[:248])), "corrupt", "2.1", "container header CRC")
    require(data[232:248] == b3(data[:232]), "corrupt", "2.1", "container header digest")
    major, minor, segment, incompatible, compatible = struct.unpack_from("<HHIQQ", data, 8)
    if major != 1:
        raise Newer("1", f"major version {major}")
    if incompatible:
        raise Newer("1", f"incompatible features {incompatible:#x}")
    count = data[48]
    require(1 <= count <= 8, "layers", "2.1", f"{count} layers")
    require(not any(data[49:56]) and not any(data[184:232]), "reserved", "2.1", "container header")
    require(not any(data[56 + 16 * count : 184]), "reserved", "2.1", "unused layer slot")
    require(segment == 0, "segment", "2.1", f"segment {segment}")
    layers = tuple(_decode_layer(data[56 + 16 * i : 72 + 16 * i]) for i in range(count))
    ids = [layer.id for layer in layers]
    require(ids == sorted(set(ids)), "layers", "1", f"layer order {ids}")
    require(ids[-1] == POSITION, "layers", "1", "the innermost layer is not the position layer")
    return Container(data[32:48], layers, major, minor, segment, incompatible, compatible)


def _decode_layer(slot: bytes) -> Layer:
    layer_id, algorithm, reserved, unit, more = struct.unpack("<BBHIQ", slot)
    if layer_id not in (ENCRYPTION, COMPRESSION, POSITION):
        raise Newer("1", f"layer id {layer_id}")
    known = 1 if layer_id == ENCRYPTION else 0
    if algorithm != known:
        raise Newer("2.1", f"algorithm {algorithm} of layer {layer_id}")
    require(reserved == 0 and more == 0, "reserved", "2.1", f"slot of layer {layer_id}")
    ranges = {ENCRYPTION: (ENCRYPTION_UNIT, ENCRYPTION_UNIT), COMPRESSION: (MIN_BLOCK, MAX_BLOCK), POSITION: (0, 0)}
    low, high = ranges[layer_id]
    require(low <= unit <= high, "unit", "2.1", f"unit {unit} of layer {layer_id}")
    return Layer(layer_id, algorithm, unit)


def decode_trailer(data: bytes, header: bytes) -> int:
    """Check a trailer against the header; returns the stored length."""
    require(len(data) == TRAILER_LEN, "truncated", "2.2", f"trailer has {len(data)} bytes")
    require(data[296:] == END_MAGIC, "no-trailer", "2.2", "no end magic")
    require(data[288:296] == struct.pack("<Q", crc64(data[:288])), "corrupt", "2.2", "trailer CRC")
    require(data[272:288] == b3(data[:272]), "corrupt", "2.2", "trailer digest")
    require(data[:HEADER_LEN] == header, "mismatch", "2.2", "trailer repeats another header")
    require(not any(data[264:272]), "reserved", "2.2", "trailer")
    return struct.unpack_from("<Q", data, 256)[0]


def encode_appendix(kind: int, binding: bytes, content: bytes) -> bytes:
    """An appendix around `content`."""
    fields = struct.pack("<IIQ", kind, 0, len(content) + 128) + binding + bytes(16)
    check = struct.pack("<Q", crc64(fields))
    return APPENDIX_MAGIC + fields + check + content + fields + check + APPENDIX_END_MAGIC


def _appendix_start(data: bytes, end: int) -> int:
    """The offset at which the appendix that ends at `end` starts."""
    require(end >= 128, "appendix", "2.3", "appendix longer than the file")
    footer = data[end - 64 : end]
    require(footer[48:56] == struct.pack("<Q", crc64(footer[:48])), "corrupt", "2.3", "appendix footer CRC")
    require(not any(footer[4:8]) and not any(footer[32:48]), "reserved", "2.3", "appendix footer")
    length = struct.unpack_from("<Q", footer, 8)[0]
    require(128 <= length <= end, "appendix", "2.3", f"appendix length {length}")
    start = end - length
    expected = APPENDIX_MAGIC + footer[:56]
    require(data[start : start + 64] == expected, "mismatch", "2.3", "appendix header and footer differ")
    return start


def open_pack(data: bytes) -> tuple[Container, bytes, bytes, int]:
    """Split a pack: container, header bytes, stored stream, number of appendices."""
    container = decode_header(data)
    end = len(data)
    appendices = 0
    while data[end - 8 : end] == APPENDIX_END_MAGIC:
        if appendices == MAX_APPENDICES:
            raise Broken("limit", "2.3", "more than 64 appendices")
        end = _appendix_start(data, end)
        appendices += 1
    require(end >= HEADER_LEN + TRAILER_LEN, "truncated", "2.2", "no room for a trailer")
    stored = decode_trailer(data[end - TRAILER_LEN : end], data[:HEADER_LEN])
    require(stored == end, "stored-length", "2.2", f"trailer says {stored} bytes, the pack has {end}")
    return container, data[:HEADER_LEN], data[HEADER_LEN : end - TRAILER_LEN], appendices
