"""A plan on disk: ``plan.json`` to read back, and the page, text, tables and chart for people."""

from __future__ import annotations

from pathlib import Path

from pydantic import ValidationError

from scheduler.files.errors import BadFile, dotted, problems_of
from scheduler.files.fleet import read_text
from scheduler.services.plan_document import PlanDocument
from scheduler.views import (
    chart,
    energy_table,
    job_table,
    plan_page,
    price_table,
    summary_text,
)


def write_plan_folder(folder: Path, doc: PlanDocument) -> dict[str, Path]:
    """Write everything about ``doc`` into ``folder``, made where missing; files by their name.

    ``plan.json`` is written last, so where it is, the rest is complete.
    """
    folder.mkdir(parents=True, exist_ok=True)
    contents = {
        "plan.html": plan_page(doc).encode(),
        "summary.txt": summary_text(doc).encode(),
        "energy.csv": energy_table(doc).to_csv(index=False).encode(),
        "prices.csv": price_table(doc).to_csv(index=False).encode(),
        "jobs.csv": job_table(doc).to_csv(index=False).encode(),
        "chart.svg": chart(doc, "svg"),
        "plan.json": doc.to_json().encode(),
    }
    for name, content in contents.items():
        _write_whole(folder / name, content)
    return {name: folder / name for name in contents}


def read_plan(path: Path) -> PlanDocument:
    """Read a ``plan.json``, or the one in a folder; raises ``BadFile`` where it is not one."""
    path = path / "plan.json" if path.is_dir() else path
    try:
        return PlanDocument.from_json(read_text(path))
    except ValidationError as error:
        raise BadFile(path, problems_of(error, lambda _place: None, dotted)) from error


def _write_whole(path: Path, content: bytes) -> None:
    # A reader never sees half a file, not even after a crash.
    part = path.with_name(f".{path.name}.part")
    part.write_bytes(content)
    part.replace(path)
