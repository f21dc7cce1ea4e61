"""One section of a file that a program writes anew; all else in the file is left as it is."""

from __future__ import annotations

from pathlib import Path

WRITER = "make bench"
BEGIN = f"<!-- begin: written by {WRITER} -->"
END = f"<!-- end: written by {WRITER} -->"


def write_section(path: Path, text: str, writer: str = WRITER) -> None:
    """Put ``text`` between the markers of its writer, or at the file's end with markers around it.

    Raises
    ------
    ValueError
        One marker is there without the other, or twice.
    """
    before = path.read_text(encoding="utf-8") if path.exists() else ""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(with_section(before, text, writer), encoding="utf-8")


def with_section(before: str, text: str, writer: str = WRITER) -> str:
    """Return ``before`` with ``text`` as the section of ``writer``.

    Raises
    ------
    ValueError
        See ``write_section``.
    """
    begin, end = BEGIN.replace(WRITER, writer), END.replace(WRITER, writer)
    body = f"{begin}\n\n{text.strip()}\n\n{end}"
    counts = before.count(begin), before.count(end)
    if counts == (0, 0):
        return f"{before.rstrip()}\n\n{body}\n".lstrip()
    if counts != (1, 1) or before.index(begin) > before.index(end):
        raise ValueError(f"the markers {begin} and {end} stand {counts} times, or out of order")
    head, _, rest = before.partition(begin)
    return f"{head}{body}{rest.partition(end)[2]}"
