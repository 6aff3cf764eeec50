"""age v1 files with X25519 and scrypt recipients, binary form (the key envelope of format section 8)."""

import base64
import hashlib
import hmac

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from .encryption import hkdf_expand, hkdf_extract
from .errors import Broken, require

VERSION = b"age-encryption.org/v1"
CHUNK = 65_536
MAX_WORK_FACTOR = 20
_ALPHABET = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
Stanza = tuple[list[str], bytes]


def _hkdf(salt: bytes, ikm: bytes, info: bytes) -> bytes:
    return hkdf_expand(hkdf_extract(salt or bytes(32), ikm), info)


def _b64(data: bytes) -> str:
    return base64.b64encode(data).decode().rstrip("=")


def _unb64(text: str) -> bytes:
    try:
        data = base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except ValueError:
        raise Broken("age", "8", "base64") from None
    require(_b64(data) == text, "age", "8", "base64 is not canonical")
    return data


# Bech32, for the text forms of recipients and identities.


def _polymod(values: list[int]) -> int:
    check = 1
    for value in values:
        top = check >> 25
        check = (check & 0x1FFFFFF) << 5 ^ value
        for bit, generator in enumerate((0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)):
            check ^= generator if top >> bit & 1 else 0
    return check


def _expand(prefix: str) -> list[int]:
    return [ord(char) >> 5 for char in prefix] + [0] + [ord(char) & 31 for char in prefix]


def _regroup(data: list[int], source: int, target: int, pad: bool) -> list[int]:
    value = bits = 0
    out = []
    for item in data:
        value, bits = value << source | item, bits + source
        while bits >= target:
            bits -= target
            out.append(value >> bits & (1 << target) - 1)
    if pad and bits:
        out.append(value << (target - bits) & (1 << target) - 1)
    require(pad or (bits < source and value & (1 << bits) - 1 == 0), "age", "8", "bech32 padding")
    return out


def bech32(prefix: str, data: bytes) -> str:
    """The lower-case Bech32 text."""
    values = _regroup(list(data), 8, 5, True)
    check = _polymod(_expand(prefix) + values + [0] * 6) ^ 1
    values += [check >> 5 * (5 - at) & 31 for at in range(6)]
    return prefix + "1" + "".join(_ALPHABET[value] for value in values)


def unbech32(text: str, prefix: str) -> bytes:
    """The bytes of a Bech32 text."""
    lower = text.lower()
    require(text in (lower, text.upper()), "age", "8", "bech32 of mixed case")
    found, _, rest = lower.rpartition("1")
    known = found == prefix and all(char in _ALPHABET for char in rest)
    require(known, "age", "8", f"not a bech32 text of {prefix}")
    values = [_ALPHABET.index(char) for char in rest]
    require(_polymod(_expand(prefix) + values) == 1, "age", "8", "bech32 checksum")
    return bytes(_regroup(values[:-6], 5, 8, False))


def public_key(secret: bytes) -> bytes:
    """The X25519 public key."""
    return X25519PrivateKey.from_private_bytes(secret).public_key().public_bytes_raw()


def recipient(secret: bytes) -> str:
    """The `age1…` text for a secret key."""
    return bech32("age", public_key(secret))


def identity(secret: bytes) -> str:
    """The `AGE-SECRET-KEY-1…` text."""
    return bech32("age-secret-key-", secret).upper()


def parse_identities(text: str) -> list[bytes]:
    """The secret keys of an identity file."""
    lines = [line.strip() for line in text.splitlines()]
    return [unbech32(line, "age-secret-key-") for line in lines if line.startswith("AGE-SECRET-KEY-1")]


# Recipient stanzas.


def wrap_x25519(file_key: bytes, public: bytes, ephemeral: bytes) -> Stanza:
    """The stanza for an X25519 recipient; `ephemeral` is the secret that must be random outside of tests."""
    share = public_key(ephemeral)
    shared = X25519PrivateKey.from_private_bytes(ephemeral).exchange(X25519PublicKey.from_public_bytes(public))
    key = _hkdf(share + public, shared, b"age-encryption.org/v1/X25519")
    return ["X25519", _b64(share)], ChaCha20Poly1305(key).encrypt(bytes(12), file_key, None)


def _unwrap_x25519(stanza: Stanza, secret: bytes) -> bytes | None:
    arguments, body = stanza
    if arguments[0] != "X25519":
        return None
    require(len(arguments) == 2 and len(body) == 32, "age", "8", "X25519 stanza")
    share = _unb64(arguments[1])
    require(len(share) == 32, "age", "8", "X25519 share")
    try:
        shared = X25519PrivateKey.from_private_bytes(secret).exchange(X25519PublicKey.from_public_bytes(share))
        key = _hkdf(share + public_key(secret), shared, b"age-encryption.org/v1/X25519")
        return ChaCha20Poly1305(key).decrypt(bytes(12), body, None)
    except (InvalidTag, ValueError):
        return None


def _scrypt_key(passphrase: str, salt: bytes, work: int) -> bytes:
    memory = 128 * 8 * (1 << work) + (1 << 20)
    full_salt = b"age-encryption.org/v1/scrypt" + salt
    return hashlib.scrypt(passphrase.encode(), salt=full_salt, n=1 << work, r=8, p=1, maxmem=memory, dklen=32)


def wrap_scrypt(file_key: bytes, passphrase: str, salt: bytes, work: int) -> Stanza:
    """The stanza for a passphrase."""
    key = _scrypt_key(passphrase, salt, work)
    return ["scrypt", _b64(salt), str(work)], ChaCha20Poly1305(key).encrypt(bytes(12), file_key, None)


def _unwrap_scrypt(stanza: Stanza, passphrase: str) -> bytes | None:
    arguments, body = stanza
    if arguments[0] != "scrypt":
        return None
    plain_number = len(arguments) == 3 and arguments[2].isdigit() and arguments[2][0] != "0"
    require(plain_number and len(body) == 32, "age", "8", "scrypt stanza")
    work, salt = int(arguments[2]), _unb64(arguments[1])
    require(work <= MAX_WORK_FACTOR and len(salt) == 16, "age", "8", "scrypt work factor or salt")
    try:
        return ChaCha20Poly1305(_scrypt_key(passphrase, salt, work)).decrypt(bytes(12), body, None)
    except InvalidTag:
        return None


# The file.


def _encode_header(stanzas: list[Stanza]) -> bytes:
    out = VERSION + b"\n"
    for arguments, body in stanzas:
        text = _b64(body)
        lines = [text[at : at + 64] for at in range(0, len(text), 64)]
        if len(text) % 64 == 0:
            lines.append("")
        out += ("-> " + " ".join(arguments) + "\n" + "\n".join(lines) + "\n").encode()
    return out + b"---"


def encrypt(plain: bytes, file_key: bytes, stanzas: list[Stanza], nonce: bytes) -> bytes:
    """An age file; `file_key` and `nonce` must be random outside of tests."""
    head = _encode_header(stanzas)
    mac = hmac.new(_hkdf(b"", file_key, b"header"), head, hashlib.sha256).digest()
    cipher = ChaCha20Poly1305(_hkdf(nonce, file_key, b"payload"))
    count = max(1, -(-len(plain) // CHUNK))
    chunks = [cipher.encrypt(_counter(at, at + 1 == count), plain[at * CHUNK : (at + 1) * CHUNK], None)
              for at in range(count)]
    return head + b" " + _b64(mac).encode() + b"\n" + nonce + b"".join(chunks)


def _counter(index: int, last: bool) -> bytes:
    return index.to_bytes(11, "big") + bytes([last])


def _parse(data: bytes) -> tuple[list[Stanza], bytes, bytes, bytes]:
    """Stanzas, the bytes under the MAC, the MAC, and the payload."""
    at = len(VERSION) + 1
    require(data[:at] == VERSION + b"\n", "age", "8", "not an age v1 file")
    stanzas: list[Stanza] = []
    while True:
        line, at_next = _line(data, at)
        if line.startswith("--- "):
            return stanzas, data[: at + 3], _unb64(line[4:]), data[at_next:]
        require(line.startswith("-> "), "age", "8", "header line")
        arguments = line[3:].split(" ")
        require(all(arguments), "age", "8", "empty stanza argument")
        text, at = "", at_next
        while True:
            line, at = _line(data, at)
            require(len(line) <= 64, "age", "8", "stanza line too long")
            text += line
            if len(line) < 64:
                break
        stanzas.append((arguments, _unb64(text)))


def _line(data: bytes, at: int) -> tuple[str, int]:
    end = data.find(b"\n", at)
    require(end >= 0, "age", "8", "header is cut")
    raw = data[at:end]
    require(all(32 <= byte < 127 for byte in raw), "age", "8", "header line is not printable ASCII")
    return raw.decode(), end + 1


def decrypt(data: bytes, *, identities: list[bytes] | None = None, passphrase: str | None = None) -> bytes:
    """The plaintext of an age file for one of the identities or the passphrase."""
    stanzas, head, mac, payload = _parse(data)
    kinds = [stanza[0][0] for stanza in stanzas]
    require("scrypt" not in kinds or len(kinds) == 1, "age", "8", "scrypt stanza beside others")
    file_key = _file_key(stanzas, identities or [], passphrase)
    require(len(file_key) == 16, "age", "8", "file key length")
    expected = hmac.new(_hkdf(b"", file_key, b"header"), head, hashlib.sha256).digest()
    require(hmac.compare_digest(expected, mac), "age", "8", "header MAC")
    require(len(payload) >= 16 + 16, "age", "8", "payload is cut")
    return _open_stream(payload[16:], ChaCha20Poly1305(_hkdf(payload[:16], file_key, b"payload")))


def _file_key(stanzas: list[Stanza], identities: list[bytes], passphrase: str | None) -> bytes:
    for stanza in stanzas:
        for secret in identities:
            if (key := _unwrap_x25519(stanza, secret)) is not None:
                return key
        if passphrase is not None and (key := _unwrap_scrypt(stanza, passphrase)) is not None:
            return key
    raise Broken("no-key", "8", "no identity or passphrase opens the key envelope")


def _open_stream(stream: bytes, cipher: ChaCha20Poly1305) -> bytes:
    sealed = CHUNK + 16
    count = max(1, -(-len(stream) // sealed))
    plain = b""
    for at in range(count):
        try:
            piece = cipher.decrypt(_counter(at, at + 1 == count), stream[at * sealed : (at + 1) * sealed], None)
        except InvalidTag:
            raise Broken("age", "8", f"payload chunk {at}") from None
        require(bool(piece) or count == 1, "age", "8", "empty last chunk")
        plain += piece
    return plain


def content_key(envelope: bytes, *, identities: list[bytes] | None = None, passphrase: str | None = None) -> bytes:
    """The content key in a key envelope."""
    plain = decrypt(envelope, identities=identities, passphrase=passphrase)
    require(len(plain) == 33 and plain[0] == 1, "envelope", "8", "not 01 and a content key")
    return plain[1:]
