"""Lines of a file: long ones in pieces, so that no amount of text is held or searched again."""

from __future__ import annotations

from pathlib import Path

from connectors.clusters.logs import lines


async def test_line_without_an_end_comes_in_pieces(tmp_path: Path) -> None:
    """A progress bar or binary output may never end its line."""
    path = tmp_path / "log"
    path.write_text("first\n" + "x" * 1_000_000 + "\nlast")
    pieces = [line async for line in lines(path, lambda: True)]
    assert max(map(len, pieces)) <= 2 << 16
    assert pieces[0] == "first"
    assert pieces[-1] == "last"
    assert "".join(pieces) == "first" + "x" * 1_000_000 + "last"
