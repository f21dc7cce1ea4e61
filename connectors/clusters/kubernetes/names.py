"""Names of what we keep in a cluster, derived from a job's key: a repeat meets the first."""

from __future__ import annotations

import hashlib
import re

MANAGED_BY = "app.kubernetes.io/managed-by"
OURS = "gridtide"
KEY_LABEL = "gridtide.dev/key"  # the key, or a digest of one that is no label
RUN_LABEL = "gridtide.dev/run"
OF_JOB_LABEL = "batch.kubernetes.io/job-name"
QUEUE_LABEL = "kueue.x-k8s.io/queue-name"

KEY = "gridtide.dev/key"  # annotation: the key itself
ORDER = "gridtide.dev/order"  # annotation: the order as JSON
WANTED = "gridtide.dev/wanted"  # annotation: run, pause, cancel; absent until released
POWER_CAP = "gridtide.dev/power-cap-w"  # annotation, of the Job and of its pods
CAPPED = "gridtide.dev/power-cap-in-force"  # annotation of a pod: what its node says of the cap
SEEN = "gridtide.dev/seen"  # annotation: what was seen of its pods, which do not last

CONTAINER = "job"

_LABEL = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")
_DIGEST_CHARACTERS = 12
_LONGEST_SLUG = 24  # with digest, run and index within the 63 characters of a host name


def digest(text: str) -> str:
    """Return what stands for ``text`` where there is no room for it."""
    return hashlib.sha256(text.encode()).hexdigest()[:_DIGEST_CHARACTERS]


def key_label(key: str) -> str:
    """Return the value of the label that finds the runs of a job."""
    is_label = _LABEL.fullmatch(key) is not None and not key.startswith("sha-")
    return key if is_label else f"sha-{hashlib.sha256(key.encode()).hexdigest()[:40]}"


def job_name(key: str, run: int) -> str:
    """Return the name of the Job of one run: readable, and no other key's."""
    slug = re.sub(r"[^a-z0-9]+", "-", key.lower())[:_LONGEST_SLUG].strip("-")
    parts = ["gridtide", *filter(None, [slug]), digest(key), f"r{run}"]
    return "-".join(parts)


def folder_name(key: str) -> str:
    """Return the name of the folder for a job's checkpoints, the same through all runs."""
    return job_name(key, 0).removesuffix("-r0")


def selector(key: str) -> str:
    """Return the label selector that finds the runs of a job, and their pods."""
    return f"{MANAGED_BY}={OURS},{KEY_LABEL}={key_label(key)}"
