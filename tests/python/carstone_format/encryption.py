"""The encryption layer: keys, layer header, data frames, anchors (format section 4)."""

from dataclasses import dataclass, replace
import hashlib
import hmac
import struct

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from . import frames
from .checks import NONE32
from .container import ENCRYPTION, ENCRYPTION_UNIT, encryption_layer, layer_list
from .errors import Broken, Newer, require
from .frames import ANCHOR, DATA, LAST, LAYER_HEADER, Frame

ALGORITHM = 1
ANCHOR_EVERY = 512
TAG_LEN = 16


def hkdf_extract(salt: bytes, ikm: bytes) -> bytes:
    """HKDF-Extract with SHA-256."""
    return hmac.new(salt, ikm, hashlib.sha256).digest()


def hkdf_expand(prk: bytes, info: bytes) -> bytes:
    """HKDF-Expand with SHA-256 for 32 bytes, which is one round."""
    return hmac.new(prk, info + b"\x01", hashlib.sha256).digest()


@dataclass(frozen=True)
class Keys:
    """What follows from the content key."""

    prk: bytes
    payload_key: bytes
    commitment: bytes


def derive(content_key: bytes, pack_id: bytes, layers: bytes, algorithm: int = ALGORITHM, segment: int = 0) -> Keys:
    """Payload key and commitment under a canonical layer list."""
    prk = hkdf_extract(pack_id, content_key)
    tail = struct.pack("<BI", algorithm, segment)
    payload_key = hkdf_expand(prk, b"carstone/1 payload" + tail)
    return Keys(prk, payload_key, hkdf_expand(prk, b"carstone/1 commit" + tail + layers))


def lone_layer_list() -> bytes:
    """The canonical layer list of an encryption layer used alone."""
    return layer_list((encryption_layer(),))


def layer_header(commitment: bytes, envelope: bytes) -> bytes:
    """The payload of a layer header frame."""
    fixed = struct.pack("<HBBI", 1, ALGORITHM, 0, ENCRYPTION_UNIT)
    return fixed + commitment + struct.pack("<I", len(envelope)) + envelope


def parse_layer_header(payload: bytes) -> tuple[bytes, bytes]:
    """Commitment and key envelope of a layer header payload."""
    require(len(payload) >= 44, "truncated", "4.2", "layer header payload")
    version, algorithm, reserved, unit = struct.unpack_from("<HBBI", payload)
    if version != 1 or algorithm != ALGORITHM:
        raise Newer("4.2", f"layer header version {version}, algorithm {algorithm}")
    require(reserved == 0, "reserved", "4.2", "layer header payload")
    require(unit == ENCRYPTION_UNIT, "unit", "4.2", f"frame length {unit}")
    length = struct.unpack_from("<I", payload, 40)[0]
    require(len(payload) == 44 + length, "length", "4.2", f"envelope length {length}")
    return payload[8:40], payload[44:]


def nonce(frame: Frame) -> bytes:
    """The nonce of a frame."""
    return struct.pack("<QHBB", frame.sequence, 0, frame.kind, int(frame.last))


def seal(frame: Frame, plain: bytes, payload_key: bytes) -> Frame:
    """Seal `plain` into a data frame whose other fields are set."""
    frame = replace(frame, plain_len=len(plain), codec=ALGORITHM)
    aad = frame.authenticated(len(plain) + TAG_LEN)
    return replace(frame, payload=AESGCM(payload_key).encrypt(nonce(frame), plain, aad))


def open_frame(frame: Frame, payload_key: bytes) -> bytes:
    """The plain bytes of a data frame."""
    require(len(frame.payload) == frame.plain_len + TAG_LEN, "length", "4.3", f"data frame {frame.sequence}")
    try:
        return AESGCM(payload_key).decrypt(nonce(frame), frame.payload, frame.authenticated())
    except InvalidTag:
        raise Broken("tag", "4.3", f"data frame {frame.sequence}") from None


def encrypt(plain: bytes, keys: Keys, pack_id: bytes, *, envelope: bytes = b"", header: bytes | None = None,
            boundaries: list[int] | None = None) -> bytes:
    """The stored stream of the layer. `boundaries` only where the layer is the innermost framed one."""
    head = layer_header(keys.commitment, envelope)
    base = Frame(ENCRYPTION, LAYER_HEADER, pack_id, 0, 0, head, codec=ALGORITHM)
    out = [base.encode()]
    count = max(1, -(-len(plain) // ENCRYPTION_UNIT))
    anchors = 0
    for index in range(count):
        start = index * ENCRYPTION_UNIT
        piece = plain[start : start + ENCRYPTION_UNIT]
        last = index + 1 == count
        boundary = frames.first_boundary(boundaries, start, len(piece)) if boundaries is not None else NONE32
        frame = Frame(ENCRYPTION, DATA, pack_id, index, start, b"", flags=LAST if last else 0, first_boundary=boundary)
        out.append(seal(frame, piece, keys.payload_key).encode())
        if (index + 1) % ANCHOR_EVERY == 0 and not last:
            payload = frames.anchor_payload(header, head)
            out.append(Frame(ENCRYPTION, ANCHOR, pack_id, anchors, start + len(piece), payload).encode())
            anchors += 1
    out.append(replace(base, sequence=1, plain_offset=len(plain)).encode())
    return b"".join(out)


@dataclass(frozen=True)
class Opened:
    """A decrypted stream and the frames it came from."""

    plain: bytes
    data: list[Frame]
    envelope: bytes
    anchors: int


def read_envelope(stored: bytes, pack_id: bytes) -> bytes:
    """The key envelope from the first frame of the stored stream."""
    frame, _ = frames.decode(stored, 0, pack_id)
    require(frame.kind == LAYER_HEADER, "order", "4", "the encryption layer does not start with its layer header")
    return parse_layer_header(frame.payload)[1]


def decrypt(stored: bytes, content_key: bytes, pack_id: bytes, layers: bytes, header: bytes | None) -> Opened:
    """Read a stored stream strictly."""
    first, at = frames.decode(stored, 0, pack_id)
    _check_layer_header(first, 0, 0)
    commitment, envelope = parse_layer_header(first.payload)
    keys = derive(content_key, pack_id, layers)
    require(hmac.compare_digest(keys.commitment, commitment), "commitment", "4.1", "the content key is another one")
    data: list[Frame] = []
    plain = bytearray()
    anchors = 0
    while not (data and data[-1].last):
        frame, at = frames.decode(stored, at, pack_id)
        require(frame.kind < frames.FIRST_ANCILLARY, "kind", "3.1", f"ancillary frame of kind {frame.kind}")
        require(frame.layer == ENCRYPTION, "layer", "4", f"frame of layer {frame.layer} in the encryption layer")
        require(frame.kind != frames.HOLE, "missing", "3.4", f"plain bytes from {frame.plain_offset} are a hole")
        if frame.kind == ANCHOR:
            due = bool(data) and len(data) % ANCHOR_EVERY == 0 and anchors + 1 == len(data) // ANCHOR_EVERY
            require(due, "anchor", "3.5", f"anchor after {len(data)} data frames")
            check_anchor(frame, anchors, len(plain), frames.anchor_payload(header, first.payload))
            anchors += 1
            continue
        require(frame.kind == DATA, "order", "4", f"frame of kind {frame.kind} between data frames")
        require(anchors == len(data) // ANCHOR_EVERY, "anchor", "3.5", f"no anchor after {len(data)} data frames")
        full = frame.plain_len == ENCRYPTION_UNIT
        require(frame.last or full, "plain-length", "4.3", f"data frame {frame.sequence}")
        plain += open_frame(frame, keys.payload_key)
        data.append(replace(frame, payload=b""))
    frames.data_order(data)
    closing, at = frames.decode(stored, at, pack_id)
    _check_layer_header(closing, 1, len(plain))
    require(closing.payload == first.payload, "mismatch", "4.2", "the two layer headers differ")
    require(at == len(stored), "trailing", "4", "bytes behind the closing layer header")
    return Opened(bytes(plain), data, envelope, anchors)


def _check_layer_header(frame: Frame, sequence: int, plain_offset: int) -> None:
    right = frame.layer == ENCRYPTION and frame.kind == LAYER_HEADER
    require(right, "order", "4", f"kind {frame.kind} of layer {frame.layer} instead of the layer header")
    numbered = frame.sequence == sequence and frame.plain_offset == plain_offset
    require(numbered, "order", "4.2", f"layer header {sequence}: sequence or plain offset")


def check_anchor(frame: Frame, sequence: int, plain_offset: int, payload: bytes) -> None:
    """Check number, place and content of an anchor."""
    require(frame.sequence == sequence, "anchor", "3.5", f"anchor sequence {frame.sequence}")
    require(frame.plain_offset == plain_offset, "anchor", "3.5", f"anchor plain offset {frame.plain_offset}")
    require(frame.payload == payload, "anchor", "3.5", f"content of anchor {sequence}")
