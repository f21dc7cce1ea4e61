"""The cheapest placement of EVERY job at given prices, all at once, and placements as columns.

The question is that of ``placements.priced``, and so is the answer for jobs that keep to one point;
but energy and GPUs are to be had in any quantity at their prices, as column generation asks, and
jobs are rows of arrays. Jobs that change points are priced by ``placements.changing``.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import replace

import numpy as np

from optimizer.placements.changing import (
    changing_each,
    changing_within,
    cheapest_changing,
    in_tables,
    least_eur,
)
from optimizer.placements.churning import add_churn, cheapest_slots
from optimizer.placements.columns import Columns, distinct, in_one_piece
from optimizer.placements.options import Bools, Family, Floats, Integers, Options
from optimizer.placements.pausing import Pieces, cheapest_pieces, costs_by_start, pieces_within
from optimizer.placements.prices import Noise, Prices
from optimizer.placements.slot_costs import Rhythm, WayCosts, window_sums
from optimizer.placements.tempo import Switching
from optimizer.placements.window_costs import WindowCosts
from optimizer.plan import Placement, Run
from optimizer.problem import Problem

MOST_CELLS = 150_000
"""Options times slots worked on at once: few enough to stay near the processor."""


def _together(o: Options) -> list[Family]:
    """Return families, those made one that pause at a cost and differ in slots to run in only."""
    parts: dict[tuple[Rhythm, bool], list[Integers]] = {}
    for family in o.families:
        alike = family.rhythm
        if not family.is_free and alike.pause_slots:
            alike = replace(alike, n_slots=0)
        parts.setdefault((alike, family.is_free), []).append(family.options)
    together = [(*key, np.concatenate(options)) for key, options in parts.items()]
    return [
        Family(replace(rhythm, n_slots=int(o.n_slots[options].max())), is_free, options)
        for rhythm, is_free, options in together
    ]


class Pricing:
    """Prices every option of a problem; a job that has none fits nowhere."""

    def __init__(self, problem: Problem, options: Options) -> None:
        self.problem, self.options = problem, options
        self.windows = WindowCosts(problem, options)
        self._together = _together(options)
        self._by_job = np.argsort(options.job, kind="stable")
        self.jobs, self._first_of_job = np.unique(options.job[self._by_job], return_index=True)
        self._parts_of_job: dict[int, list[Family | Switching]] = {}
        for family in options.families:
            for job, rows in self._rows_of_jobs(family.options):
                part = replace(family, options=family.options[rows])
                self._parts_of_job.setdefault(job, []).append(part)
        for switching in options.switching:
            for job, rows in self._rows_of_jobs(switching.options):
                self._parts_of_job.setdefault(job, []).append(switching.take(rows))

    def _rows_of_jobs(self, options: Integers) -> Iterator[tuple[int, Integers]]:
        """Give each job of ``options``, and where they are among these."""
        order = np.argsort(self.options.job[options], kind="stable")
        jobs, first = np.unique(self.options.job[options][order], return_index=True)
        yield from zip(jobs.tolist(), np.split(order, first[1:]), strict=True)

    def parts_of(self, job: int) -> list[Family | Switching]:
        """Return the options of a job by family."""
        return self._parts_of_job.get(job, [])

    def cost_by_option(
        self, prices: Prices, noise: Noise | None = None, among: Integers | None = None
    ) -> Floats:
        """Cost of the cheapest placement of each option [EUR]; infinite where it fits nowhere.

        Infinite too for options that are not ``among`` those to be priced.
        """
        cost = np.full(len(self.options), np.inf)
        wanted = np.arange(len(self.options)) if among is None else among
        for family in self._chunks(wanted):
            cost[family.options] = self._cheapest(family, prices, noise)
        for ways in self._switching_chunks(wanted):
            run = self.windows.run_eur(ways.running, prices, noise)
            cost[ways.options] = least_eur(self.windows, ways, prices, run)
        return cost

    def best_options(self, cost: Floats) -> tuple[Integers, Floats]:
        """Return the cheapest option of each of ``jobs``, and its cost; ties go to the first."""
        ordered = cost[self._by_job]
        if not len(ordered):
            return self._by_job, ordered
        least: Floats = np.minimum.reduceat(ordered, self._first_of_job)
        counts = np.diff(np.append(self._first_of_job, len(ordered)))
        is_least = np.flatnonzero(ordered == np.repeat(least, counts))
        first = is_least[np.searchsorted(is_least, self._first_of_job)]
        return self._by_job[first], least

    def near_best(self, cost: Floats, eur_per_gpu_slot: float) -> Integers:
        """Return options whose ``cost`` is not more than that above the best of their job."""
        _, least = self.best_options(cost)
        of_job = np.full(len(self.problem.jobs), np.inf)
        of_job[self.jobs] = least
        o = self.options
        margin_eur = eur_per_gpu_slot * o.n_slots * np.maximum(1.0, o.gpus)
        return np.flatnonzero(cost <= of_job[o.job] + margin_eur)

    def placements(self, options: Integers, prices: Prices, noise: Noise | None = None) -> Columns:
        """Return the cheapest placement of each of ``options`` that fits, in no set order.

        For a job that changes points, and whose rounded work finds no place that way, the cheapest
        at one point.
        """
        parts = [self._at_one_point(family, prices, noise) for family in self._chunks(options)]
        for ways in self._switching_chunks(options):
            run = self.windows.run_eur(ways.running, prices, noise)
            found = changing_each(self.windows, ways, prices, run)[1]
            parts.append(found)
            parts.append(self._instead(np.setdiff1d(ways.options, found.option), prices, noise))
        return Columns.joined(parts)

    def _instead(self, options: Integers, prices: Prices, noise: Noise | None) -> Columns:
        """Return the cheapest placements at one point of the jobs of ``options``."""
        if not len(options):
            return Columns.none()
        is_theirs = np.isin(self.options.job, self.options.job[options])
        alone = [family.options[is_theirs[family.options]] for family in self.options.families]
        at_one = np.concatenate([np.zeros(0, np.int64), *alone])
        winners, least = self.best_options(self.cost_by_option(prices, noise, at_one))
        chosen = winners[np.isfinite(least)]
        parts = [self._at_one_point(family, prices, noise) for family in self._chunks(chosen)]
        return Columns.joined(parts)

    def _at_one_point(self, family: Family, prices: Prices, noise: Noise | None) -> Columns:
        """Return the cheapest placement of each option of ``family`` that fits."""
        if not family.is_free:
            find = self._pieces
        else:
            find = self._any_slots if family.rhythm.pause_slots else self._any_window
        return find(family.rhythm, family.options, prices, noise)

    def within(self, prices: Prices, most_eur: Floats, most_columns: int) -> Columns | None:
        """Return every placement that costs at most ``most_eur`` [job], or ``None`` if too many.

        Too many as well where jobs that change points have some that cannot be listed.
        """
        parts: list[Columns] = []
        every = np.arange(len(self.options))
        found = itertools.chain(
            (
                one
                for ways in self._switching_chunks(every)
                for one in changing_within(self.windows, ways, prices, most_eur)
            ),
            (one for part in self._chunks(every) for one in self._within(part, prices, most_eur)),
        )
        for one in found:
            if one is None or len(parts) == most_columns:
                return None
            parts.append(one)
        return distinct(Columns.joined(parts))

    def own_cost_eur(self, columns: Columns, money_eur_per_eur: float = 0.0) -> Floats:
        """Weighted cost of each column apart from energy and GPUs [EUR]."""
        o, weights = self.options, self.problem.weights
        k = columns.option
        start, end = columns.slots[columns.begins[:-1]], columns.slots[columns.begins[1:] - 1] + 1
        late = o.late_eur[k] * np.maximum(0, end - o.due_slot[k])
        churns = o.is_announced[k] & (start != o.kept_start[k])
        cost = weights.lateness * late + weights.churn_eur_per_job * churns
        cost += (weights.data_transfer + money_eur_per_eur) * o.transfer_eur[k]
        restarts = np.bincount(columns.column_of_slot()[self.is_restart(columns)], None, len(k))
        total: Floats = cost + (weights.restarts + money_eur_per_eur) * o.restart_eur[k] * restarts
        return total

    def money_eur(self, columns: Columns) -> Floats:
        """Return what restarts and transfers of each column really cost [EUR]."""
        restarts = np.bincount(
            columns.column_of_slot()[self.is_restart(columns)], None, len(columns)
        )
        o, k = self.options, columns.option
        money: Floats = o.transfer_eur[k] + o.restart_eur[k] * restarts
        return money

    def is_restart(self, columns: Columns) -> Bools:
        """Whether a restart begins in each slot of ``columns.slots``."""
        o, option = self.options, columns.slot_option
        begins = np.ones(len(columns.slots), dtype=bool)
        begins[1:] = np.diff(columns.slots) != 1
        if len(o.switching):
            changes = (np.diff(o.pool[option]) != 0) | (np.diff(o.gpus[option]) != 0)
            begins[1:] |= changes
        first = columns.begins[:-1]
        begins[first] = o.is_resumed[columns.option]
        return begins

    def placement(self, columns: Columns, k: int) -> Placement:
        """Return column ``k`` as a placement."""
        at = slice(columns.begins[k], columns.begins[k + 1])
        slots, option = columns.slots[at], columns.slot_option[at]
        job = self.problem.jobs[self.options.job[columns.option[k]]]
        points = self.options.point[option]
        breaks = np.flatnonzero((np.diff(slots) > 1) | (np.diff(points) != 0)) + 1
        runs = tuple(
            Run(job.points[used[0]].name, int(part[0]), int(part[-1]) + 1)
            for part, used in zip(np.split(slots, breaks), np.split(points, breaks), strict=True)
        )
        return Placement(job.name, job.points[points[0]].site, runs)

    def _chunks(self, wanted: Integers) -> Iterator[Family]:
        """Cut ``wanted`` options that are priced together into families of bounded size, alike."""
        o = self.options
        is_wanted = np.zeros(len(o), dtype=bool)
        is_wanted[wanted] = True
        for family in self._together:
            chosen = family.options[is_wanted[family.options]]
            width = o.hi_slot[chosen] - o.lo_slot[chosen]
            chosen = chosen[np.lexsort((width, o.n_slots[chosen]))]
            has_layers = not family.is_free and family.rhythm.pause_slots
            depth = family.rhythm.n_slots if has_layers else 1
            n_each = max(1, MOST_CELLS // (depth * int(width.max(initial=1))))
            for begin in range(0, len(chosen), n_each):
                chunk = chosen[begin : begin + n_each]
                rhythm = replace(family.rhythm, n_slots=int(o.n_slots[chunk[-1]]))
                yield Family(rhythm, family.is_free, chunk)

    def _switching_chunks(self, wanted: Integers) -> Iterator[Switching]:
        """Cut ``wanted`` options that change points into tables of bounded size, alike."""
        is_wanted = np.zeros(len(self.options), dtype=bool)
        is_wanted[wanted] = True
        for switching in self.options.switching:
            chosen = switching.take(np.flatnonzero(is_wanted[switching.options]))
            for some in in_tables(self.windows, chosen):
                yield chosen.take(some)

    def _within(self, family: Family, prices: Prices, most_eur: Floats) -> Iterator[Columns]:
        """Yield the placements of ``family`` that cost at most ``most_eur`` [job]."""
        chunk = family.options
        ways = self._ways(family.rhythm, chunk, prices, self.windows.run_eur(chunk, prices, None))
        total, table = costs_by_start(ways)
        limit = most_eur[self.options.job[chunk]]
        for way, start in np.argwhere(total <= limit[:, None]).tolist():
            lo = int(ways.lo_slot[way])
            found: Iterable[Pieces] = [((start, start + int(ways.n_slots[way])),)]
            if table is not None:
                found = pieces_within(ways, table, way, start, float(limit[way]))
            for pieces in found:
                slots = np.concatenate([np.arange(*piece) for piece in pieces]) + lo
                ends = np.array([0, len(slots)])
                yield Columns.at_one_point(chunk[way : way + 1], ends, slots)

    def _cheapest(self, family: Family, prices: Prices, noise: Noise | None) -> Floats:
        rhythm, chunk = family.rhythm, family.options
        if family.is_free and not rhythm.pause_slots:
            return np.asarray(self.windows.window_eur(rhythm, chunk, prices, noise).min(axis=1))
        run = self.windows.run_eur(chunk, prices, noise)
        if family.is_free:
            return cheapest_slots(run, rhythm.n_slots, *self.windows.promise(chunk))[0]
        total, _ = costs_by_start(self._ways(rhythm, chunk, prices, run))
        return np.asarray(total.min(axis=1))

    def best_at(
        self, part: Family | Switching, prices: Prices, run_eur: Floats
    ) -> tuple[float, Columns]:
        """Return the cheapest placement of all options in ``part``, if running costs ``run_eur``.

        ``run_eur`` is by ``part.running`` [option, slot of its window], infinite where it may not
        run; restarts and transfers are at ``prices``. The columns are none where nothing fits.
        """
        if isinstance(part, Switching):
            return cheapest_changing(self.windows, part, prices, run_eur)
        rhythm, chunk = part.rhythm, part.options
        n = rhythm.n_slots
        if part.is_free and rhythm.pause_slots:
            cost, run = cheapest_slots(run_eur, n, *self.windows.promise(chunk))
            k = int(cost.argmin())
            slots = np.sort(np.argpartition(run[k], n - 1)[:n])
        elif part.is_free:
            total = window_sums(run_eur, n)
            add_churn(total, *self.windows.promise(chunk))
            k, start = divmod(int(total.argmin()), total.shape[1])
            cost, slots = total[:, start], np.arange(start, start + n)
        else:
            ways = self._ways(rhythm, chunk, prices, run_eur)
            total, table = costs_by_start(ways)
            k, start = divmod(int(total.argmin()), total.shape[1])
            cost = total[:, start]
            pieces = [(start, start + n)]
            if table is not None and np.isfinite(cost[k]):
                pieces = cheapest_pieces(ways, table, k, start)
            slots = np.concatenate([np.arange(*piece) for piece in pieces])
        if not np.isfinite(cost[k]):
            return np.inf, Columns.none()
        slots = slots + self.options.lo_slot[chunk[k]]
        return float(cost[k]), Columns.at_one_point(
            chunk[k : k + 1], np.array([0, len(slots)]), slots
        )

    def _any_slots(
        self, rhythm: Rhythm, chunk: Integers, prices: Prices, noise: Noise | None
    ) -> Columns:
        run, n = self.windows.run_eur(chunk, prices, noise), rhythm.n_slots
        cost, run = cheapest_slots(run, n, *self.windows.promise(chunk))
        fits = np.isfinite(cost)
        cheapest = np.argpartition(run[fits], n - 1, axis=1)[:, :n]
        slots = np.sort(cheapest, axis=1) + self.options.lo_slot[chunk[fits], None]
        begins = np.arange(len(slots) + 1) * n
        return Columns.at_one_point(chunk[fits], begins, slots.ravel())

    def _any_window(
        self, rhythm: Rhythm, chunk: Integers, prices: Prices, noise: Noise | None
    ) -> Columns:
        start = self.windows.window_eur(rhythm, chunk, prices, noise).argmin(axis=1)
        return in_one_piece(chunk, start + self.options.lo_slot[chunk], rhythm.n_slots)

    def _pieces(
        self, rhythm: Rhythm, chunk: Integers, prices: Prices, noise: Noise | None
    ) -> Columns:
        ways = self._ways(rhythm, chunk, prices, self.windows.run_eur(chunk, prices, noise))
        total, table = costs_by_start(ways)
        best = total.argmin(axis=1)
        fits = np.flatnonzero(np.isfinite(total[np.arange(len(best)), best]))
        if table is None:
            start = ways.lo_slot[fits] + best[fits]
            return in_one_piece(chunk[fits], start, rhythm.n_slots)
        held = []
        for way in fits.tolist():
            pieces = cheapest_pieces(ways, table, way, int(best[way]))
            held.append(np.concatenate([np.arange(*piece) for piece in pieces]) + ways.lo_slot[way])
        begins = np.concatenate(([0], np.cumsum([len(slots) for slots in held]))).astype(np.int64)
        slots = np.concatenate([np.zeros(0, int), *held])
        return Columns.at_one_point(chunk[fits], begins, slots)

    def _ways(self, rhythm: Rhythm, chunk: Integers, prices: Prices, run_eur: Floats) -> WayCosts:
        o = self.options
        own = self.windows.own_eur(chunk, prices)
        return WayCosts(o.lo_slot[chunk], o.n_slots[chunk], run_eur, *own, rhythm)
