"""Makes a repository of many kinds of packets, and tells what is in it."""

import hashlib
from pathlib import Path
from typing import Any

from . import layout, store, tai, urc
from .packet import Blob, Packet, Plex, Seal, seal
from .store import Store, keys
from .trailer import address

START = 1_767_225_637


def seeded(name: str, length: int) -> bytes:
    """Bytes that follow from a name."""
    return hashlib.shake_128(f"hppr {name}".encode()).digest(length)


def _plexes() -> list[Plex]:
    """Plexes at many coordinates, and at many times of some."""
    found = []
    for number in range(24):
        blob = Blob(seeded(f"version {number % 20}", number % 20 * 37))
        found.append(Plex("grüppe", "app", "café/日本#1", tai.stamp(START + number // 2, number % 3), blob))
    for location in ("item", "item/x", "item/x/y z", "item/plex", "item/tip", "item.H3", "~", "-", "ﬀ", "a" * 255):
        blob = Blob(f"at {location}\n".encode())
        found.append(Plex("g", "a", location, tai.stamp(37, 0), blob, (("+Link", f"source {layout.EMPTY_BLOB}"),)))
    extras = (("A", "1"), ("A", "1"), ("A", "2"), ("X-Custom", "value  with spaces "), ("a", "0"), ("é", "x: y"))
    found.append(Plex("G" * 56, "é" * 28, "L/" + "l" * 200, tai.stamp(tai.MOST, 999_999_999), Blob(b""), extras))
    found.append(Plex("g", "A", "item", tai.stamp(0, 0), Blob(bytes(range(256)) * 300)))
    many = tuple(("Member", f"{number:04}") for number in range(256))
    found.append(Plex("g", "many", "headers", tai.stamp(START, 0), Blob(b"\n\n"), many))
    return found


def _seals() -> list[Seal]:
    """Several keys on one Plex, and one key at several times."""
    signed = Plex("a-group", "some-app", "signed/item", tai.stamp(START, 1), Blob(b"This is signed content."))
    found = [seal(signed, key, seeded(f"aux {number}", 32)) for number, key in enumerate(keys())]
    for number in range(5):
        plex = Plex("a-group", "some-app", "signed/often", tai.stamp(START + number, 0), Blob(seeded(f"often {number}", 99)))
        found.append(seal(plex, keys()[number % 2], seeded(f"often aux {number}", 32)))
    later = Plex("a-group", "some-app", "signed/often", tai.stamp(START + 9, 0), Blob(b""), (("Note", "no Seal"),))
    return [*found, seal(later, keys()[2], seeded("last aux", 32))]


def packets() -> list[Packet]:
    """What is stored, in order."""
    return [Blob(b""), Blob(b"alone"), Blob(seeded("large", 200_000)), *_plexes(), *_seals()]


def build(repo: Path, links: bool = True, own: bool = True) -> dict[str, Any]:
    """Make a repository in an empty directory; the description has everything that is in it."""
    into = Store(repo, links, own)
    stored = packets()
    for found in stored:
        into.store(found)
    detached = _detach(into, stored)
    everything = {text: one for found in stored for text, one in _parts(found).items()}
    plexes = [found for found in everything.values() if isinstance(found, (Plex, Seal))]
    return {
        "packets": [_packet(into, found) for _, found in sorted(everything.items())],
        "coordinates": _coordinates(into, plexes),
        "detached": [found.hash for found in detached],
        "to_collect": sorted(path.name for path in (repo / "detach").iterdir()),
        "keys": [{"vkey": key.vkey, "secret": key.secret} for key in store.keys()],
    }


def _detach(into: Store, stored: list[Packet]) -> list[Packet]:
    """Detach a Plex, a Seal beside which others stay, the last Seal of a Plex, a Plex under a Seal, and a Blob."""
    plexes = [found for found in stored if isinstance(found, Plex)]
    seals = [found for found in stored if isinstance(found, Seal)]
    gone: list[Plex | Seal] = [plexes[3], plexes[26], seals[0], seals[7], seals[4].plex]
    for found in gone:
        into.detach(found)
    into.detach_blob(stored[1].hash)
    return [*gone, seals[7].plex]


def _parts(found: Packet) -> dict[str, Packet]:
    inner: dict[str, Packet] = {}
    if isinstance(found, Seal):
        inner = _parts(found.plex)
    elif isinstance(found, Plex):
        inner = _parts(found.blob)
    return {found.hash: found, **inner}


def _packet(into: Store, found: Packet) -> dict[str, Any]:
    data = found.encode()
    told: dict[str, Any] = {"hash": found.hash, "bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    if isinstance(found, (Plex, Seal)):
        plex = found.plex if isinstance(found, Seal) else found
        versions = layout.versions(plex)
        text = f"{address(found)}/{plex.tai}/{found.hash}"
        told |= {"urc": urc.parse(text).text, "indexed": layout.version(found) in into.entries(versions)}
    return told


def _coordinates(into: Store, found: list[Plex | Seal]) -> list[dict[str, Any]]:
    folders = sorted({layout.versions(one.plex if isinstance(one, Seal) else one) for one in found}, key=str.encode)
    told = []
    for versions in folders:
        entries = into.entries(versions)
        coordinate = "//" + versions.removeprefix("index/").removesuffix("/|")
        told.append({"coordinate": coordinate, "entries": entries, "tips": layout.tips(entries)})
    return told
