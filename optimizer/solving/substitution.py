r"""How jobs answer to prices, and so in which metric prices are moved.

Jobs that see prices with noise of size sigma of their own do not all switch at once. Together they
answer almost smoothly, and where each takes any of its placements alike,

.. math::
    -\frac{\partial U}{\partial w} \approx \frac{1}{\sigma} H, \qquad
    H = \sum_j \frac{g_j}{\sqrt{n_j}} \operatorname{Cov}_j                     \tag{H1}

with ``U`` the GPUs asked for by rate and slot, ``w`` their prices, and Cov the covariance of the
slots a job of n slots and g GPUs is in. H is a Laplacian: it is large across slots and sites that
jobs can take instead of each other, and small along what they cannot escape, a dearer day or a
dearer fleet. A step of ``sigma H^-1`` times the imbalance therefore moves the general level of
prices far and their differences little, where a plain gradient step does the opposite.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve

from optimizer.placements.options import Floats, Integers, Options

MOST_SAMPLED = 3000
"""Jobs that stand for all of them, where there are more."""
MOST_DENSE = 4000
"""Rates times slots up to which all are taken together; beyond, each rate by itself."""
RIDGE = 0.1
"""Added to H, as a share of its mean diagonal: not all placements are taken alike."""


@dataclass(frozen=True, slots=True)
class Metric:
    """Factors of H by group of rates."""

    groups: tuple[Integers, ...]
    factors: tuple[tuple[NDArray[np.float64], bool], ...]

    @classmethod
    def of(cls, options: Options, n_slots: int, rng: np.random.Generator) -> Metric:
        """Sum H over the jobs of ``options``, or a sample of them."""
        n_rates = len(options.rates.pool)
        groups = tuple(np.array([rate]) for rate in range(n_rates))
        if 0 < n_rates * n_slots <= MOST_DENSE:
            groups = (np.arange(n_rates),)
        sample = _Sample.of(options, rng)
        return cls(groups, tuple(_factor(sample, group, n_slots) for group in groups))

    def steps(self, imbalance: Floats) -> Floats:
        """Return the inverse of H times ``imbalance`` [rate, slot]."""
        moved = np.zeros_like(imbalance)
        for group, factor in zip(self.groups, self.factors, strict=True):
            part = imbalance[group]
            moved[group] = cho_solve(factor, part.ravel()).reshape(part.shape)
        return moved


@dataclass(frozen=True, slots=True)
class _Sample:
    """Options of some jobs; ``weight`` [option] makes up for the jobs and for other options."""

    options: Options
    chosen: Integers
    job: Integers
    weight: Floats
    scale: Floats
    n_slots: Integers
    in_one_piece: NDArray[np.bool_]

    @classmethod
    def of(cls, o: Options, rng: np.random.Generator) -> _Sample:
        jobs = np.unique(o.job)
        some = jobs
        if len(jobs) > MOST_SAMPLED:
            some = rng.choice(jobs, MOST_SAMPLED, replace=False)
        chosen = np.flatnonzero(np.isin(o.job, some) & (o.gpus > 0))
        in_one_piece = np.zeros(len(o), dtype=bool)
        for family in o.families:
            in_one_piece[family.options] = not family.rhythm.pause_slots
        for ways in o.switching:
            in_one_piece[ways.options] = ways.tempo.loose.most_restarts == 0
        _, job, of_job = np.unique(o.job[chosen], return_inverse=True, return_counts=True)
        share = 1.0 / of_job[job]
        scale = o.gpus[chosen] / np.sqrt(o.n_slots[chosen]) * (len(jobs) / max(1, len(some)))
        return cls(o, chosen, job, share, scale, o.n_slots[chosen], in_one_piece[chosen])

    def __iter__(self) -> Iterator[tuple[int, int, int, Floats, Floats]]:
        """Give position in the sample, rate, first slot, and mean and second moment of presence."""
        o, known = self.options, dict[tuple[int, int, bool], tuple[Floats, Floats]]()
        for k, option in enumerate(self.chosen.tolist()):
            width = int(o.hi_slot[option] - o.lo_slot[option])
            key = (int(self.n_slots[k]), width, bool(self.in_one_piece[k]))
            if key not in known:
                known[key] = _presence(*key)
            yield k, int(o.rate[option]), int(o.lo_slot[option]), *known[key]


def _presence(n_slots: int, width: int, in_one_piece: bool) -> tuple[Floats, Floats]:
    """Mean [slot] and second moment [slot, slot] of being in a slot, all placements alike."""
    if in_one_piece:
        starts = np.arange(width - n_slots + 1)[:, None]
        slots = np.arange(width)[None, :]
        is_there = ((slots >= starts) & (slots < starts + n_slots)).astype(np.float64)
        return is_there.mean(axis=0), is_there.T @ is_there / len(starts)
    both = n_slots * (n_slots - 1) / (width * max(1, width - 1))
    second = np.full((width, width), both)
    np.fill_diagonal(second, n_slots / width)
    return np.full(width, n_slots / width), second


def _factor(sample: _Sample, group: Integers, n_slots: int) -> tuple[NDArray[np.float64], bool]:
    """Factor H of one group of rates."""
    place = {int(rate): k for k, rate in enumerate(group)}
    within = np.zeros((len(group), n_slots, n_slots))
    n_jobs = int(sample.job.max(initial=-1)) + 1
    mean = np.zeros((n_jobs, len(group), n_slots))
    for k, rate, lo, first, second in sample:
        if rate in place:
            row, hi, weight = place[rate], lo + len(first), sample.weight[k]
            within[row, lo:hi, lo:hi] += (weight * sample.scale[k]) * second
            mean[sample.job[k], row, lo:hi] += weight * np.sqrt(sample.scale[k]) * first
    size = len(group) * n_slots
    flat = mean.reshape(n_jobs, size)
    h = -(flat.T @ flat)
    for row in range(len(group)):
        begin = row * n_slots
        h[begin : begin + n_slots, begin : begin + n_slots] += within[row]
    diagonal = np.einsum("ii->i", h)
    diagonal += RIDGE * max(float(diagonal.mean()), 1e-9)
    factor, is_lower = cho_factor(h, lower=True, overwrite_a=True)
    return factor, is_lower
