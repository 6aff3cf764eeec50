"""Vectors of the manifests of packs."""

from carstone_format import dagcbor, unixfs
from carstone_format.checks import seeded
from carstone_format.cid import DAG_CBOR, RAW, Cid, cid_of, decode_cid
from carstone_format.pack_manifest import Block, manifest

from .layers import Case
from .toml import document


def _leaf(number: int, length: int) -> Block:
    data = seeded(f"manifest {number}", length)
    return Block(cid_of(RAW, data), data)


def _file(leaves: list[Block]) -> list[Block]:
    links = [unixfs.leaf(leaf.data) for leaf in leaves]
    built = unixfs.build_file(links)
    nodes = [Block(node.cid, node.data, tuple(link.cid for link in links)) for node in built.nodes]
    assert len(nodes) == 1
    return nodes


def _node(*links: Cid, extra: Cid | None = None) -> Block:
    data = dagcbor.encode([*links, *([extra] if extra else [])])
    return Block(cid_of(DAG_CBOR, data), data, links)


def _case(name: str, why: str, limit: int, packs: list[list[Block]], root: Cid) -> Case:
    made: list[Block] = []
    for number, blocks in enumerate(packs):
        last = root if number + 1 == len(packs) else None
        made.append(manifest(blocks, number, last, made[-1].cid if made else None))
    return {"name": name, "why": why, "limit": limit, "root": root.raw,
            "block": [{"cid": block.cid.raw, "data": block.data} for blocks in packs for block in blocks],
            "pack": [{"blocks": len(blocks), "cid": block.cid.raw, "manifest": block.data}
                     for blocks, block in zip(packs, made)]}


ABOUT = """
Manifests of packs. The blocks of a blob are put one behind the other, in packs of `limit` bytes at the most, each with
a manifest; `root` is the root of the blob. `pack`: how many of the blocks are in it, and its manifest, which stands
behind them.
"""


def manifests() -> str:
    """`pack_manifest.toml`."""
    leaves = [_leaf(number, 1000) for number in range(5)]
    large = 1 << 20
    one, two, three = leaves[:3]
    whole, half = _node(one.cid, two.cid), _node(one.cid, leaves[4].cid)
    inline, _ = decode_cid(bytes.fromhex("0155000568656c6c6f"), 0)
    over = _node(whole.cid, half.cid)
    small = _node(three.cid, extra=inline)
    return document(ABOUT, {"blob": [
        _case("one leaf", "the root is linked as well", large, [[one]], one.cid),
        _case("nothing below", "no block leads to another one", large, [leaves], leaves[-1].cid),
        _case("a file", "all that the root leads to is there", large, [leaves + _file(leaves)], _file(leaves)[0].cid),
        _case("in two packs", "of the node that ends the second pack, leaves are in the first", 4000,
              [leaves[:3], leaves[3:] + _file(leaves)], _file(leaves)[0].cid),
        _case("in three packs", "with as many blocks in each, but for the last", 4000,
              [leaves[:3], [_leaf(number, 1000) for number in range(5, 8)], leaves[3:4]], leaves[3].cid),
        _case("something missing", "a node with a leaf that is nowhere, and a node above it", large,
              [[one, two, whole, half, over]], over.cid),
        _case("an identity CID", "which carries its block", large, [[three, small]], small.cid),
        _case("twice", "blocks that repeat are told of once", large, [[one, two, one, whole, two, whole]], whole.cid),
        _case("a node before its leaf", "is not whole where it stands", large, [[half, one, leaves[4]]], half.cid),
    ]})
