"""Writes the TOML of the vector files: tables of simple values."""

from typing import Any, Iterable

WIDTH = 96


def document(about: str, tables: dict[str, Iterable[dict[str, Any]]]) -> str:
    """A file: a comment, then the arrays of tables in order."""
    lines = [f"# {line}".rstrip() for line in about.strip().splitlines()]
    for name, rows in tables.items():
        for row in rows:
            lines += ["", f"[[{name}]]"]
            lines += [f"{key} = {value(item)}" for key, item in row.items() if item is not None and not _nested(item)]
            for key, item in row.items():
                if _nested(item):
                    lines += _inner(f"{name}.{key}", item)
    return "\n".join(lines) + "\n"


def _nested(item: Any) -> bool:
    return isinstance(item, list) and bool(item) and isinstance(item[0], dict)


def _inner(name: str, rows: list[dict[str, Any]]) -> list[str]:
    lines: list[str] = []
    for row in rows:
        lines += ["", f"[[{name}]]"]
        lines += [f"{key} = {value(item)}" for key, item in row.items() if item is not None]
    return lines


def value(item: Any) -> str:
    """One value; bytes become hexadecimal text, broken into lines where it is long."""
    if isinstance(item, bool):
        return "true" if item else "false"
    if isinstance(item, int):
        return str(item)
    if isinstance(item, bytes):
        text = item.hex()
        if len(text) <= WIDTH:
            return f'"{text}"'
        lines = [text[at : at + WIDTH] for at in range(0, len(text), WIDTH)]
        return "'''\n" + "\n".join(lines) + "\n'''"
    if isinstance(item, str):
        return '"' + "".join(_escape(char) for char in item) + '"'
    if isinstance(item, (list, tuple)):
        return "[" + ", ".join(value(part) for part in item) + "]"
    raise TypeError(f"no TOML for {type(item)}")


def _escape(char: str) -> str:
    if char in '"\\':
        return "\\" + char
    return char if char.isprintable() else f"\\u{ord(char):04x}"
