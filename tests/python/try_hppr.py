#!/usr/bin/env python3
"""Tries the walker: repositories that are right have no finding, and each kind of damage is found where it was done.

Exit status 0: so it is.
"""

import argparse
import os
from pathlib import Path
import shutil
import sys
from typing import Callable

from carstone_hppr import car, layout
from carstone_hppr.build import build, packets
from carstone_hppr.packet import parse, parse_stream
from carstone_hppr.store import Store
from carstone_hppr.walk import walk
from carstone_vectors import hppr_known as known

L, P, S, V = known.L, known.P, known.S, known.V
BLOB = known.BLOBS[2][2]
STAMP = "1640995200:000000000"
SIX = f"{known.SIX_VKEY}/{STAMP}/{known.SECOND_SEAL}"

Damage = tuple[str, Callable[[Path], object], str, str]


def touch(path: str, data: bytes = b"") -> Callable[[Path], object]:
    """Write a file, and the directories above it."""

    def act(repo: Path) -> None:
        (repo / path).parent.mkdir(parents=True, exist_ok=True)
        (repo / path).write_bytes(data)

    return act


def flip(path: str, at: int) -> Callable[[Path], object]:
    """Flip a bit of a file."""

    def act(repo: Path) -> None:
        data = bytearray((repo / path).read_bytes())
        data[at] ^= 1
        (repo / path).write_bytes(data)

    return act


def cut(path: str) -> Callable[[Path], object]:
    """Cut the last byte of a file off."""
    return lambda repo: (repo / path).write_bytes((repo / path).read_bytes()[:-1])


def remove(path: str) -> Callable[[Path], object]:
    """Remove a file."""
    return lambda repo: (repo / path).unlink()


def link(path: str, target: str) -> Callable[[Path], object]:
    """Replace a tip by another one."""

    def act(repo: Path) -> None:
        (repo / path).unlink(missing_ok=True)
        os.symlink(target, repo / path)

    return act


def file(path: str, data: bytes) -> Callable[[Path], object]:
    """Replace a tip by a file."""

    def act(repo: Path) -> None:
        (repo / path).unlink()
        (repo / path).write_bytes(data)

    return act


def damages() -> list[Damage]:
    """What is done, what it must be called, and where."""
    b, p, s = (layout.hash_path(text) for text in (BLOB, P, S))
    ref_b, ref_p = layout.ref_blob(BLOB, P), layout.ref_plex(P, S, V)
    plex, seal = f"{L}/plex/{STAMP}/{P}", f"{L}/seal/{V}/{STAMP}/{S}"
    other = known.BLOBS[1][2]
    return [
        ("a bit of a Blob", flip(b, 3), "digest-blob", b),
        ("a Blob cut short", cut(b), "digest-blob", b),
        ("a Blob that is gone", remove(b), "missing-inner", p),
        ("a bit of a coordinate", flip(p, 62), "digest-plex", p),
        ("a thin Plex cut short", cut(p), "truncated", p),
        ("a thin Plex that is gone", remove(p), "missing-inner", s),
        ("another markline in a thin Plex", flip(p, 10), "markline", p),
        ("a bit of a signature", flip(s, 140), "digest-seal", s),
        ("a thin Seal that is gone", remove(s), "dangling-entry", seal),
        ("bytes behind a thin Seal", lambda repo: touch(s, (repo / s).read_bytes() + b"x")(repo), "trailing", s),
        ("a reference to a Plex that is gone", remove(ref_b), "missing-ref", ref_b),
        ("a reference to a Seal that is gone", remove(ref_p), "missing-ref", ref_p),
        ("a reference with bytes in it", touch(ref_b, b"x"), "not-empty", ref_b),
        ("a reference from another Blob", touch(layout.ref_blob(other, P)), "wrong-ref", layout.ref_blob(other, P)),
        ("a reference to nothing", touch(layout.ref_blob(BLOB, known.PLEXES[0][1])), "dangling-ref",
         layout.ref_blob(BLOB, known.PLEXES[0][1])),
        ("a reference by another key", touch(layout.ref_plex(P, S, known.SIX_VKEY)), "wrong-ref",
         layout.ref_plex(P, S, known.SIX_VKEY)),
        ("a Seal that is not in the index", remove(seal), "stray-ref", ref_p),
        ("a Plex in the index at another time", touch(f"{L}/plex/1640995200:000000001/{P}"), "wrong-entry",
         f"{L}/plex/1640995200:000000001/{P}"),
        ("a Plex in the index at another coordinate", touch(f"index/a-group/some-app/x/|/plex/{STAMP}/{P}"), "wrong-entry",
         f"index/a-group/some-app/x/|/plex/{STAMP}/{P}"),
        ("a Seal in the index under another key", touch(f"{L}/seal/{known.SIX_VKEY}/{STAMP}/{S}"), "wrong-entry",
         f"{L}/seal/{known.SIX_VKEY}/{STAMP}/{S}"),
        ("an index entry with bytes in it", touch(plex, b"x"), "not-empty", plex),
        ("an index entry of nothing", touch(f"{L}/plex/{STAMP}/{known.PLEXES[0][1]}"), "dangling-entry",
         f"{L}/plex/{STAMP}/{known.PLEXES[0][1]}"),
        *[(f"no {tip}", remove(f"{L}/{tip}"), "missing-tip", f"{L}/{tip}")
          for tip in ("tip", "plex/tip", "seal/tip", f"seal/{V}/tip")],
        ("the tip of the Seal that is not the latest", link(f"{L}/tip", f"seal/{V}/{STAMP}/{S}"), "wrong-tip", f"{L}/tip"),
        ("the tip of a Plex in place of its Seal", link(f"{L}/tip", f"plex/{STAMP}/{P}"), "wrong-tip", f"{L}/tip"),
        ("a tip that leads nowhere", link(f"{L}/plex/tip", f"{STAMP}/x"), "wrong-tip", f"{L}/plex/tip"),
        ("an absolute tip", link(f"{L}/seal/tip", f"/{SIX}"), "wrong-tip", f"{L}/seal/tip"),
        ("a tip of zero bytes", file(f"{L}/tip", b""), "missing-tip", f"{L}/tip"),
        ("a tip in a file without LF", file(f"{L}/seal/tip", SIX.encode()), "wrong-tip", f"{L}/seal/tip"),
        ("a tip where there is nothing", link("index/tip", "x"), "foreign", "index/tip"),
        ("a file in the index", touch("index/a-group/x"), "foreign", "index/a-group/x"),
        ("a file beside versions", touch(f"{L}/x"), "foreign", f"{L}/x"),
        ("a file beside times", touch(f"{L}/plex/x"), "foreign", f"{L}/plex/x"),
        ("a Blob in the index", touch(f"{L}/plex/{STAMP}/{BLOB}"), "foreign", f"{L}/plex/{STAMP}/{BLOB}"),
        ("a file at the top", touch("x"), "foreign", "x"),
        ("a file among packets", touch("hash/B/x"), "foreign", "hash/B/x"),
        ("a packet without .H3", touch(b.removesuffix(".H3")), "foreign", b.removesuffix(".H3")),
        ("a packet in the folder of another kind", touch(b.replace("hash/B", "hash/P")), "truncated", b.replace("hash/B", "hash/P")),
        ("a packet in another folder", touch(b.replace("/xN/", "/xM/")), "digest-blob", b.replace("/xN/", "/xM/")),
        ("an empty directory in the index", lambda repo: (repo / "index/g/a/m/|").mkdir(parents=True), "empty-folder",
         "index/g/a/m/|"),
        ("an empty directory of references", lambda repo: (repo / layout.ref_folder(other)).mkdir(parents=True), "empty-folder",
         layout.ref_folder(other)),
        ("a Blob in use in the list", touch(f"detach/{BLOB}"), "detached-live", f"detach/{BLOB}"),
        ("the empty Blob in the list", touch(f"detach/{layout.EMPTY_BLOB}"), "detached-empty", f"detach/{layout.EMPTY_BLOB}"),
        ("a Blob in the list that is not there", touch(f"detach/{other}"), "detached-missing", f"detach/{other}"),
        ("a Plex in the list", touch(f"detach/{P}"), "foreign", f"detach/{P}"),
        ("a store that did not end", touch(".tmp/x"), "leftover", ".tmp/x"),
        ("no list", lambda repo: shutil.rmtree(repo / "detach"), "no-folder", "detach"),
    ]


def tree(repo: Path) -> dict[str, bytes | str]:
    """Files, and links with what they say."""
    found: dict[str, bytes | str] = {}
    for path in repo.rglob("*"):
        name = str(path.relative_to(repo))
        if path.is_symlink():
            found[name] = os.readlink(path)
        elif path.is_file():
            found[name] = path.read_bytes()
    return found


def expect(holds: bool, what: str) -> int:
    """Tell what does not hold."""
    if not holds:
        print(f"hppr: {what}", file=sys.stderr)
    return 0 if holds else 1


def sound(work: Path) -> int:
    """Repositories that are right."""
    wrong = 0
    described = []
    for links, own in ((True, True), (False, True), (True, False), (False, False)):
        repo = work / f"built-{links}-{own}"
        described.append(build(repo, links, own))
        report = walk(repo)
        wrong += expect(not report.findings, f"{repo}: {report.findings}")
        wrong += expect(sorted(report.packets) == [found["hash"] for found in described[-1]["packets"]], f"{repo}: packets")
        indexed = sum(found.get("indexed", False) for found in described[-1]["packets"])
        wrong += expect(report.entries == indexed, f"{repo}: index entries")
    wrong += expect(all(found == described[0] for found in described), "descriptions differ")
    made = packets()
    wrong += expect(parse_stream(b"".join(found.encode() for found in made)) == made, "the stream")
    wrong += expect(car.decode(car.encode(made)) == made, "the CAR")
    store = Store(work / "one")
    store.store(parse(known.SEAL))
    return wrong + expect(tree(work / "one") == known.TREE, "the tree of one Seal")


def damaged(work: Path) -> int:
    """Each kind of damage, alone."""
    wrong = 0
    original = work / "original"
    store = Store(original)
    for packet in parse_stream(known.SEAL + known.second_seal().encode()):
        store.store(packet)
    store.store(known.PLEXES[2][0])
    wrong += expect(not walk(original).findings, "the original has findings")
    for name, act, finding, path in damages():
        repo = work / "damaged"
        shutil.copytree(original, repo, symlinks=True)
        act(repo)
        findings = walk(repo).findings
        hit = any((found.name, found.path) == (finding, path) for found in findings)
        wrong += expect(hit, f"{name}: no {finding} at {path}, but {findings}")
        shutil.rmtree(repo)
    return wrong


def main() -> int:
    """Try everything in an empty folder."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("work", type=Path)
    work = parser.parse_args().work
    work.mkdir(parents=True)
    wrong = sound(work) + damaged(work)
    print(f"hppr: {known.check()} known values agree, {len(damages())} kinds of damage, {wrong} faults", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
