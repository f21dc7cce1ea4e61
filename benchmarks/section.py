"""One section of a file that a program writes anew; all else in the file is left as it is."""

from __future__ import annotations

from pathlib import Path

BEGIN = "<!-- begin: written by make bench -->"
END = "<!-- end: written by make bench -->"


def write_section(path: Path, text: str) -> None:
    """Put ``text`` between the markers of a file, or at its end with markers around it.

    Raises
    ------
    ValueError
        One marker is there without the other, or twice.
    """
    before = path.read_text(encoding="utf-8") if path.exists() else ""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(with_section(before, text), encoding="utf-8")


def with_section(before: str, text: str) -> str:
    """Return ``before`` with ``text`` as its section.

    Raises
    ------
    ValueError
        See ``write_section``.
    """
    body = f"{BEGIN}\n\n{text.strip()}\n\n{END}"
    counts = before.count(BEGIN), before.count(END)
    if counts == (0, 0):
        return f"{before.rstrip()}\n\n{body}\n".lstrip()
    if counts != (1, 1) or before.index(BEGIN) > before.index(END):
        raise ValueError(f"the markers {BEGIN} and {END} stand {counts} times, or out of order")
    head, _, rest = before.partition(BEGIN)
    return f"{head}{body}{rest.partition(END)[2]}"
