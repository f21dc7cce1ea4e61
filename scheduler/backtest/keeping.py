"""A replay is kept on disk round by round, so that it goes on where it was killed.

A folder holds ``state.json``, which is replaced whole, and a chapter for every so many rounds of
what happened. A chapter is written before the state that counts on it: what a killed
replay left of rounds the state does not know is written anew.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from pydantic import TypeAdapter

from scheduler.backtest.outcome import Played
from scheduler.backtest.policy import Policy
from scheduler.backtest.replay import ReplayState, Round, first_state, play
from scheduler.backtest.world import Past, Scene, joined


@dataclass(frozen=True, slots=True)
class Chapter:
    """Some rounds in a row: the first one's number, what came of each, and what happened."""

    first_round: int
    rounds: tuple[Round, ...]
    past: Past


@dataclass(frozen=True, slots=True)
class Kept:
    """A state, and how many chapters led to it."""

    n_chapters: int
    state: ReplayState


_KEPT, _CHAPTER = TypeAdapter(Kept), TypeAdapter(Chapter)


@dataclass(frozen=True, slots=True)
class Folder:
    """Where one replay is kept."""

    path: Path

    def read_state(self) -> Kept | None:
        """Return the last state; ``None`` where there is none."""
        file = self.path / "state.json"
        return _KEPT.validate_json(file.read_bytes()) if file.exists() else None

    def read_chapters(self, n_chapters: int) -> tuple[Chapter, ...]:
        """Return the first ``n_chapters`` chapters."""
        files = [self._chapter_file(number) for number in range(n_chapters)]
        return tuple(_CHAPTER.validate_json(file.read_bytes()) for file in files)

    def read_played(self) -> Played:
        """Return all that was played.

        Raises
        ------
        ValueError
            Nothing is kept there.
        """
        kept = self.read_state()
        if kept is None:
            raise ValueError(f"{self.path}: nothing is kept there")
        chapters = self.read_chapters(kept.n_chapters)
        past = joined([chapter.past for chapter in chapters])
        rounds = tuple(one for chapter in chapters for one in chapter.rounds)
        return Played(past, rounds, kept.state.world)

    def keep(self, chapter: Chapter, kept: Kept) -> None:
        """Keep a chapter, then the state after it."""
        self.path.mkdir(parents=True, exist_ok=True)
        for file, content in (
            (self._chapter_file(kept.n_chapters - 1), _CHAPTER.dump_json(chapter)),
            (self.path / "state.json", _KEPT.dump_json(kept)),
        ):
            write_whole(file, partial(Path.write_bytes, data=content))

    def _chapter_file(self, number: int) -> Path:
        return self.path / f"chapter-{number:04d}.json"


def play_kept(
    scene: Scene, policy: Policy, folder: Folder, rounds_in_chapter: int
) -> Iterator[Kept]:
    """Play what is left of a replay, and keep it after every ``rounds_in_chapter`` rounds."""
    kept = folder.read_state() or Kept(0, first_state(scene, policy))
    pasts: list[Past] = []
    told: list[Round] = []
    state = kept.state
    for state, past, round_ in play(scene, policy, kept.state):
        pasts.append(past)
        told.append(round_)
        if len(told) == rounds_in_chapter:
            kept = _keep(folder, kept, state, pasts, told)
            yield kept
            pasts, told = [], []
    if told:
        yield _keep(folder, kept, state, pasts, told)


def _keep(
    folder: Folder, before: Kept, state: ReplayState, pasts: list[Past], told: list[Round]
) -> Kept:
    kept = Kept(before.n_chapters + 1, state)
    folder.keep(Chapter(before.state.n_rounds, tuple(told), joined(pasts)), kept)
    return kept


def write_whole(file: Path, write: Callable[[Path], object]) -> None:
    """Have ``write`` write ``file`` whole or not at all."""
    beside = file.with_name(f"{file.name}.{os.getpid()}.new")
    write(beside)
    with beside.open("rb") as written:
        os.fsync(written.fileno())
    beside.replace(file)
