"""What is wrong with a pack: a short stable name, the section of the format text, and where."""


class Broken(Exception):
    """A rule of the format does not hold."""

    def __init__(self, name: str, section: str, detail: str) -> None:
        super().__init__(f"{name} (format section {section}): {detail}")
        self.name = name
        self.section = section
        self.detail = detail


class Newer(Broken):
    """The pack uses something this version does not know and must not ignore."""

    def __init__(self, section: str, detail: str) -> None:
        super().__init__("newer", section, detail)


def require(holds: bool, name: str, section: str, detail: str) -> None:
    """Raise `Broken` unless `holds`."""
    if not holds:
        raise Broken(name, section, detail)
