"""Policies by name: ours, those that installed packages offer, and any function of a module.

A policy is a plain function ``optimizer.Problem -> optimizer.Plan``. Its name is one of
``optimizer.baselines``, an entry point of the group ``gridtide.policies``, or ``module:function``.
"""

from __future__ import annotations

from hashlib import sha256
from importlib import import_module
from importlib.metadata import entry_points
from pathlib import Path

from optimizer import baselines

GROUP = "gridtide.policies"
"""Entry points of installed packages that are policies."""


class UnknownPolicy(ValueError):
    """No policy has this name; says which there are, or what stands against it."""


def policy_names() -> tuple[str, ...]:
    """Return the names of all policies that need no module to be named."""
    return (*baselines.BASELINES, *sorted(entry_points(group=GROUP).names))


def policy_named(name: str) -> baselines.Policy:
    """Return the policy of this name; ours come before those of other packages.

    Raises
    ------
    UnknownPolicy
        There is none, its module cannot be imported, or it cannot be called.
    """
    if name in baselines.BASELINES:
        return baselines.BASELINES[name]
    for offered in entry_points(group=GROUP, name=name):
        return _loaded(name, f"{offered.module}:{offered.attr}")
    if ":" in name:
        return _loaded(name, name)
    raise UnknownPolicy(
        f"policy {name}: is not there, must be module:function or one of"
        f" {', '.join(policy_names())}"
    )


def source_digest(name: str) -> str | None:
    """Return the digest of the module file of ``module:function``; ``None``: it has no file."""
    module, is_own, _ = name.partition(":")
    file = import_module(module).__file__ if is_own else None
    return sha256(Path(file).read_bytes()).hexdigest() if file else None


def _loaded(name: str, where: str) -> baselines.Policy:
    module, _, attribute = where.partition(":")
    try:
        found: object = import_module(module)
    except ImportError as error:
        raise UnknownPolicy(
            f"policy {name}: module {module} cannot be imported: {error}"
        ) from error
    for part in attribute.split("."):
        found = getattr(found, part, None)
    if not callable(found):
        raise UnknownPolicy(
            f"policy {name}: {attribute} of module {module} is {type(found).__name__}, must be a"
            " function of a problem that returns a plan"
        )
    policy: baselines.Policy = found
    return policy
