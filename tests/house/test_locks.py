"""The lock files pin and hash everything, name no registry, and agree with pyproject.toml."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from packaging.markers import Marker
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
LOCKS = ("requirements.lock", "requirements-dev.lock", "requirements-bench.lock")
EXTRAS = {"requirements-dev.lock": "dev", "requirements-bench.lock": "bench"}
PYTHONS = ("3.11.7", "3.12.4", "3.13.1")


def entries(lock: str) -> list[tuple[Requirement, int]]:
    """Each requirement of a lock with the number of its hashes."""
    text = (ROOT / lock).read_text(encoding="utf-8").replace("\\\n", " ")
    return [
        (Requirement(line.split("--hash")[0].strip()), line.count("--hash=sha256:"))
        for line in text.splitlines()
        if line.strip()
    ]


def wanted(lock: str) -> list[Requirement]:
    """What pyproject.toml asks of a lock."""
    texts = PROJECT["project"]["dependencies"] + PROJECT["build-system"]["requires"]
    if lock in EXTRAS:
        texts = texts + PROJECT["project"]["optional-dependencies"][EXTRAS[lock]]
    return [Requirement(text) for text in texts]


@pytest.mark.parametrize("lock", LOCKS)
def test_everything_is_pinned_and_hashed(lock: str) -> None:
    """A version with ``==`` and at least one hash for every line."""
    found = entries(lock)
    assert len(found) > 30
    for requirement, hashes in found:
        assert re.fullmatch(r"==[^*,]+", str(requirement.specifier)), requirement
        assert hashes >= 1, requirement


@pytest.mark.parametrize("lock", LOCKS)
def test_no_address_is_named(lock: str) -> None:
    """Where packages come from is the machine's business."""
    assert "://" not in (ROOT / lock).read_text(encoding="utf-8")


@pytest.mark.parametrize("python", PYTHONS)
@pytest.mark.parametrize("lock", LOCKS)
def test_the_lock_satisfies_the_project(lock: str, python: str) -> None:
    """On each supported Python, one pin per dependency, within the range the project allows."""
    environment = {
        "python_version": python.rpartition(".")[0],
        "python_full_version": python,
        "sys_platform": "linux",
    }

    def applies(marker: Marker | None) -> bool:
        return marker is None or marker.evaluate(environment)

    pins = {
        canonicalize_name(requirement.name): str(requirement.specifier).removeprefix("==")
        for requirement, _ in entries(lock)
        if applies(requirement.marker)
    }
    for requirement in wanted(lock):
        pin = pins.get(canonicalize_name(requirement.name))
        assert pin is not None, f"{requirement} is not in {lock}: run make lock"
        assert requirement.specifier.contains(pin), f"{requirement} but {lock} has {pin}"


def test_build_requirements_are_locked() -> None:
    """The group that brings setuptools into the lock is what the build asks for."""
    assert PROJECT["dependency-groups"]["build"] == PROJECT["build-system"]["requires"]


@pytest.mark.parametrize("lock", EXTRAS)
def test_the_locks_agree(lock: str) -> None:
    """What is tested or measured is what runs: all of it is there, in the same versions."""
    runtime = {str(requirement) for requirement, _ in entries("requirements.lock")}
    assert runtime <= {str(requirement) for requirement, _ in entries(lock)}


def test_no_package_has_two_versions() -> None:
    """Whoever installs one lock beside another changes nothing that is there."""
    versions: dict[tuple[str, str], set[str]] = {}
    for lock in LOCKS:
        for requirement, _ in entries(lock):
            key = (canonicalize_name(requirement.name), str(requirement.marker))
            versions.setdefault(key, set()).add(str(requirement.specifier))
    assert {key: found for key, found in versions.items() if len(found) > 1} == {}


@pytest.mark.parametrize("lock", LOCKS)
def test_extras_are_pinned_with_their_package(lock: str) -> None:
    """Older pips look for the newest version of an extra whose pin does not name it, and refuse."""
    pinned = {canonicalize_name(entry.name): entry.extras for entry, _ in entries(lock)}
    asked = {canonicalize_name(entry.name): entry.extras for entry in wanted(lock) if entry.extras}
    assert asked, "no dependency with an extra is left: this test has lost its case"
    for name, extras in asked.items():
        assert extras <= pinned[name], name
