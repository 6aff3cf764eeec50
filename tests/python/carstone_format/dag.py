"""Reads UnixFS trees of any shape: what their nodes say, whatever profile made them (format section 7.5)."""

from dataclasses import dataclass
from typing import Any, Mapping

from . import unixfs
from .cid import RAW, Cid, decode_cid, decode_varint
from .errors import require
from .murmur3 import murmur3_x64_64

_DIRECTORY, _FILE, _SHARD = 1, 2, 5
# Below the root of a file or a shard no tree is deeper.
MAX_DEPTH = 64


@dataclass
class Read:
    """A node: its links by name, and the fields of its UnixFS message."""

    links: list[tuple[bytes, unixfs.Link]]
    fields: dict[int, list[Any]]

    def number(self, field: int) -> int:
        """A field that stands once."""
        values = self.fields.get(field, [])
        require(len(values) == 1 and isinstance(values[0], int), "dag-pb", "7.5", f"field {field}")
        return values[0]


def _fields(data: bytes) -> list[tuple[int, Any]]:
    found: list[tuple[int, Any]] = []
    at = 0
    while at < len(data):
        key, at = decode_varint(data, at)
        value: Any
        value, at = decode_varint(data, at)
        require(key & 7 in (0, 2), "dag-pb", "7.5", f"wire type {key & 7}")
        if key & 7 == 2:
            require(at + value <= len(data), "dag-pb", "7.5", "a field is longer than its message")
            value, at = data[at : at + value], at + value
        found.append((key >> 3, value))
    return found


def read_node(block: bytes) -> Read:
    """Take a dag-pb block apart. It must be what encoding the same links and data gives."""
    links, data = [], b""
    for number, value in _fields(block):
        require(number in (1, 2) and isinstance(value, bytes), "dag-pb", "7.5", f"field {number} of a node")
        if number == 1:
            data = value
            continue
        link = dict(_fields(value))
        require(set(link) == {1, 2, 3}, "dag-pb", "7.5", "fields of a link")
        links.append((link[2], unixfs.Link(decode_cid(link[1])[0], link[3])))
    require(unixfs.encode_node(links, data) == block, "dag-pb", "7.5", "a node is not encoded canonically")
    fields: dict[int, list[Any]] = {}
    for number, value in _fields(data):
        fields.setdefault(number, []).append(value)
    return Read(links, fields)


def read_file(root: Cid, blocks: Mapping[Cid, bytes], sizes: Mapping[Cid, int]) -> tuple[unixfs.Link, list[Cid], list[Cid]]:
    """The link to a file, its leaves in order, and its nodes. `sizes` are the lengths of leaves."""
    leaves: list[Cid] = []
    nodes: list[Cid] = []

    def visit(cid: Cid, depth: int) -> unixfs.Link:
        if cid.codec == RAW:
            require(cid in sizes, "root", "7.4", f"{cid} is no leaf of the file")
            leaves.append(cid)
            return unixfs.Link(cid, sizes[cid], sizes[cid])
        require(depth < MAX_DEPTH and cid in blocks, "root", "7.4", f"node {cid} is missing")
        node = read_node(blocks[cid])
        named = [name for name, _ in node.links if name]
        require(node.number(1) == _FILE and not named and 2 not in node.fields, "root", "7.5", f"{cid} is no inner node")
        below = [visit(link.cid, depth + 1) for _, link in node.links]
        require([link.total for _, link in node.links] == [link.total for link in below], "root", "7.5", f"Tsizes of {cid}")
        size = sum(link.size for link in below)
        stated = (node.number(3), node.fields.get(4, []))
        require(stated == (size, [link.size for link in below]), "root", "7.5", f"sizes of {cid}")
        nodes.append(cid)
        return unixfs.Link(cid, len(blocks[cid]) + sum(link.total for link in below), size)

    return visit(root, 0), leaves, nodes


def read_directory(root: Cid, blocks: Mapping[Cid, bytes]) -> tuple[unixfs.Link, dict[bytes, unixfs.Link], list[Cid]]:
    """The link to a directory, its entries, and its nodes: one, or shards."""
    entries: dict[bytes, unixfs.Link] = {}
    nodes: list[Cid] = []

    def add(name: bytes, link: unixfs.Link) -> None:
        require(name not in entries and bool(name), "directory", "7.5", f"name {name!r}")
        entries[name] = link

    def shard(cid: Cid, prefix: int, used: int) -> int:
        require(cid in blocks, "root", "7.5", f"shard {cid} is missing")
        node = read_node(blocks[cid])
        require(node.number(1) == _SHARD and node.number(5) == 0x22, "directory", "7.5", f"{cid} is no shard")
        fanout = node.number(6)
        bits = fanout.bit_length() - 1
        require(fanout == 1 << bits and 3 <= bits <= 10 and used + bits <= 64, "directory", "7.5", f"fanout {fanout}")
        width, slots, total = (bits + 3) // 4, [], len(blocks[cid])
        for label, link in node.links:
            slot, name = int(label[:width], 16), label[width:]
            slots.append(slot)
            require(label[:width] == f"{slot:0{width}X}".encode(), "directory", "7.5", f"slot {label!r}")
            within = prefix << bits | slot
            if name:
                fits = int.from_bytes(murmur3_x64_64(name), "big") >> (64 - used - bits) == within
                require(fits, "directory", "7.5", f"{name!r} stands in another slot than its own")
                add(name, link)
                total += link.total
            else:
                below = shard(link.cid, within, used + bits)
                require(below == link.total, "directory", "7.5", f"Tsize of shard {link.cid}")
                total += below
        bitmap = sum(1 << slot for slot in slots)
        packed = bitmap.to_bytes((bitmap.bit_length() + 7) // 8, "big")
        require(slots == sorted(set(slots)) and node.fields.get(2) == [packed], "directory", "7.5", f"slots of {cid}")
        nodes.append(cid)
        return total

    require(root in blocks, "root", "7.5", f"directory node {root} is missing")
    node = read_node(blocks[root])
    if node.number(1) == _SHARD:
        return unixfs.Link(root, shard(root, 0, 0)), entries, nodes
    require(node.number(1) == _DIRECTORY and set(node.fields) == {1}, "directory", "7.5", f"{root} is no directory")
    names = [name for name, _ in node.links]
    require(names == sorted(names), "directory", "7.5", f"links of {root} are not sorted")
    for name, link in node.links:
        add(name, link)
    return unixfs.Link(root, len(blocks[root]) + sum(link.total for _, link in node.links)), entries, [root]


def read_tree(root: Cid, blocks: Mapping[Cid, bytes], files: dict[bytes, unixfs.Link], directories: set[bytes]) -> unixfs.Tree:
    """All directories from the root down, which must hold what `unixfs.build_tree` would put into them."""
    children = unixfs.children_of(files, directories)
    nodes: list[unixfs.Node] = []
    links: dict[bytes, unixfs.Link] = {}

    def visit(path: bytes, cid: Cid) -> unixfs.Link:
        link, entries, found = read_directory(cid, blocks)
        wanted = children.pop(path)
        below = {unixfs.name_of(other): other for other in children if unixfs.parent_of(other) == path and other}
        names = set(wanted) | set(below)
        require(set(entries) == names, "directory", "7.5", f"names in {path!r}: {sorted(set(entries) ^ names)[:3]}")
        for name, entry in entries.items():
            expected = visit(below[name], entry.cid) if name in below else wanted[name]
            same = (entry.cid, entry.total) == (expected.cid, expected.total)
            require(same, "directory", "7.5", f"link {name!r} in {path!r}")
        nodes.extend(unixfs.Node(node, blocks[node]) for node in found)
        links[path] = link
        return link

    return unixfs.Tree(visit(b"", root), nodes, links)
