"""HSB3: Schnorr signatures of the form of BIP-340 over secp256k1, with BLAKE3 in key derivation mode.

The points come from `coincurve`; scalars and hashes are put together here.
"""

from dataclasses import dataclass

from blake3 import blake3
from coincurve import PublicKey

from . import texts
from .errors import Bad, require

P = 2**256 - 2**32 - 977
N = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
CONTEXT = "hppr-\U0001f5a7/"


def tagged(purpose: str, data: bytes) -> bytes:
    """32 bytes of a hash that is used for this purpose alone."""
    return blake3(data, derive_key_context=CONTEXT + purpose).digest()


def _bytes(number: int) -> bytes:
    return number.to_bytes(32, "big")


def _int(data: bytes) -> int:
    return int.from_bytes(data, "big")


def _point(scalar: int) -> PublicKey:
    return PublicKey.from_secret(_bytes(scalar))


def _x(point: PublicKey) -> bytes:
    return point.format()[1:]


def _odd(point: PublicKey) -> bool:
    return point.format()[0] == 3


def lift(x: bytes) -> PublicKey:
    """The point with this x and an even y."""
    try:
        return PublicKey(b"\x02" + x)
    except ValueError as error:
        raise Bad("vkey", "no point of the curve has this x") from error


@dataclass(frozen=True)
class Key:
    """A signing key: the scalar `d` whose point has an even y, and the x of that point."""

    d: int
    public: bytes

    @property
    def vkey(self) -> str:
        """The text of the verification key."""
        return texts.typed("V", self.public)

    @property
    def secret(self) -> str:
        """The text of the secret."""
        return texts.typed("&", _bytes(self.d))


@dataclass(frozen=True)
class Steps:
    """What comes about while something is signed."""

    t: bytes
    k0: int
    r_odd: bool
    e: int
    signature: bytes


def key(d0: int) -> Key:
    """The key of a scalar."""
    require(0 < d0 < N, "scalar", "0, or not below the order of the group")
    point = _point(d0)
    return Key(N - d0 if _odd(point) else d0, _x(point))


def key_of_text(text: str) -> Key:
    """The key of the text of a secret."""
    return key(_int(texts.payload(text, "&")))


def key_of_secret(secret: bytes) -> Key:
    """The key of any bytes but none."""
    require(bool(secret), "secret", "empty")
    stream = blake3(secret, derive_key_context=CONTEXT + "adhoc-key")
    at = 0
    while not 0 < (d0 := _int(stream.digest(length=32, seek=at))) < N:
        at += 32
    return key(d0)


def sign_steps(signer: Key, message: bytes, aux: bytes) -> Steps:
    """Sign 32 bytes, and tell of each step."""
    require(len(message) == 32 and len(aux) == 32, "length", "message and randomness have 32 bytes")
    require(any(aux), "aux", "randomness is all zero")
    t = tagged("aux", aux)
    mask = bytes(a ^ b for a, b in zip(t, _bytes(signer.d)))
    k0 = _int(tagged("nonce", mask + signer.public + message)) % N
    require(k0 != 0, "nonce", "zero")
    nonce = _point(k0)
    k = N - k0 if _odd(nonce) else k0
    e = _challenge(_x(nonce), signer.public, message)
    signature = _x(nonce) + _bytes((k + e * signer.d) % N)
    verify(signer.public, message, signature)
    return Steps(t, k0, _odd(nonce), e, signature)


def sign(signer: Key, message: bytes, aux: bytes) -> bytes:
    """The 64 bytes of a signature."""
    return sign_steps(signer, message, aux).signature


def _challenge(r: bytes, public: bytes, message: bytes) -> int:
    return _int(tagged("challenge", r + public + message)) % N


def verify(public: bytes, message: bytes, signature: bytes) -> None:
    """Raise `Bad` unless the signature is one of this message by this key."""
    require(len(signature) == 64, "signature", f"{len(signature)} bytes")
    point = lift(public)
    r, s = _int(signature[:32]), _int(signature[32:])
    require(r < P and s < N, "signature", "r or s out of range")
    e = _challenge(signature[:32], public, message)
    summands = [_point(s)] if s else []
    if e:
        summands.append(point.multiply(_bytes(N - e)))
    try:
        nonce = PublicKey.combine_keys(summands)
    except ValueError as error:
        raise Bad("signature", "the point at infinity") from error
    require(not _odd(nonce) and _x(nonce) == signature[:32], "signature", "does not fit")
