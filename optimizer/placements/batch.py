"""The cheapest placement of EVERY job at given prices, all at once, and placements as columns.

The question is that of ``placements.priced``, and so is the answer; but energy and GPUs are to be
had in any quantity at their prices, as column generation asks, and jobs are rows of arrays.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from optimizer.placements.churning import add_churn, cheapest_slots
from optimizer.placements.columns import Columns, in_one_piece
from optimizer.placements.options import NEVER, Bools, Floats, Integers, Options
from optimizer.placements.pausing import Pieces, cheapest_pieces, costs_by_start, pieces_within
from optimizer.placements.prices import Noise, Prices
from optimizer.placements.slot_costs import Rhythm, WayCosts, window_sums
from optimizer.plan import Placement, Run
from optimizer.problem import Problem

MOST_CELLS = 150_000
"""Options times slots worked on at once: few enough to stay near the processor."""


@dataclass(frozen=True, slots=True)
class _SlotCosts:
    """What running in a slot costs, in the few rows that most options share.

    A slot of option o costs ``scale[o]`` times row ``row[o]`` of ``at`` some prices: that of its
    rate, and ``kw`` per unit of scale of its site's power.
    """

    rate: Integers
    gpus: Floats
    site: Integers
    kw: Floats
    row: Integers
    scale: Floats

    @classmethod
    def of(cls, o: Options) -> _SlotCosts:
        holds = o.gpus > 0
        scale = np.where(holds, o.gpus, 1.0)
        shares = np.stack([o.rate, holds, o.site, o.rest_kw / scale], axis=1)
        rows, row = np.unique(shares, axis=0, return_inverse=True)
        rate, site = rows[:, 0].astype(np.int64), rows[:, 2].astype(np.int64)
        return cls(rate, rows[:, 1], site, rows[:, 3], row.reshape(-1), scale)

    def at(self, prices: Prices) -> Floats:
        """Cost of a slot [row, slot]."""
        cost: Floats = self.gpus[:, None] * prices.gpu_eur[self.rate]
        return cost + self.kw[:, None] * prices.power_eur_per_kw[self.site]


def _together(o: Options) -> list[tuple[Rhythm, bool, Integers]]:
    """Return families, those made one that pause at a cost and differ in slots to run in only."""
    parts: dict[tuple[Rhythm, bool], list[Integers]] = {}
    for rhythm, is_free, members in o.families:
        alike = rhythm if is_free or not rhythm.pause_slots else replace(rhythm, n_slots=0)
        parts.setdefault((alike, is_free), []).append(members)
    together = [(*key, np.concatenate(members)) for key, members in parts.items()]
    return [
        (replace(rhythm, n_slots=int(o.n_slots[members].max())), is_free, members)
        for rhythm, is_free, members in together
    ]


class Pricing:
    """Prices every option of a problem; a job that has none fits nowhere.

    ``pool_gpus`` are those of every pool, site by site [pool, slot].
    """

    def __init__(self, problem: Problem, options: Options) -> None:
        self.problem, self.options = problem, options
        pools = [pool for site in problem.sites for pool in site.pools]
        n_slots = problem.horizon.n_slots
        self.pool_gpus = np.array([pool.gpus for pool in pools]).reshape(len(pools), n_slots)
        least_gpus = self.pool_gpus.min(axis=1, initial=np.inf)
        self._is_scarce = least_gpus[options.pool] < options.gpus - 1e-9
        self._slot_costs = _SlotCosts.of(options)
        self._together = _together(options)
        self._by_job = np.argsort(options.job, kind="stable")
        self.jobs, self._first_of_job = np.unique(options.job[self._by_job], return_index=True)
        self._parts_of_job: dict[int, list[tuple[Rhythm, bool, Integers]]] = {}
        for rhythm, is_free, members in options.families:
            ordered = members[np.argsort(options.job[members], kind="stable")]
            jobs, first = np.unique(options.job[ordered], return_index=True)
            for job, part in zip(jobs.tolist(), np.split(ordered, first[1:]), strict=True):
                self._parts_of_job.setdefault(job, []).append((rhythm, is_free, part))

    def parts_of(self, job: int) -> list[tuple[Rhythm, bool, Integers]]:
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
        for family, chunk in self._chunks(wanted):
            cost[chunk] = self._cheapest(*family, chunk, prices, noise)
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
        """Return the cheapest placement of each of ``options`` that fits, in no set order."""
        parts = []
        for (rhythm, is_free), chunk in self._chunks(options):
            if not is_free:
                find = self._pieces
            else:
                find = self._any_slots if rhythm.pause_slots else self._any_window
            parts.append(find(rhythm, chunk, prices, noise))
        return Columns.joined(parts)

    def within(self, prices: Prices, most_eur: Floats, most_columns: int) -> Columns | None:
        """Return every placement that costs at most ``most_eur`` [job], or ``None`` if too many."""
        parts: list[Columns] = []
        for (rhythm, _), chunk in self._chunks(np.arange(len(self.options))):
            ways = self._ways(rhythm, chunk, prices, self._run_eur(chunk, prices, None))
            total, table = costs_by_start(ways)
            limit = most_eur[self.options.job[chunk]]
            for way, start in np.argwhere(total <= limit[:, None]).tolist():
                lo = int(ways.lo_slot[way])
                found: Iterable[Pieces] = [((start, start + int(ways.n_slots[way])),)]
                if table is not None:
                    found = pieces_within(ways, table, way, start, float(limit[way]))
                for pieces in found:
                    slots = np.concatenate([np.arange(*piece) for piece in pieces]) + lo
                    begins = np.array([0, len(slots)])
                    parts.append(Columns(chunk[way : way + 1], begins, slots.astype(np.int32)))
                    if len(parts) > most_columns:
                        return None
        return Columns.joined(parts)

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
        begins = np.ones(len(columns.slots), dtype=bool)
        begins[1:] = np.diff(columns.slots) != 1
        first = columns.begins[:-1]
        begins[first] = self.options.is_resumed[columns.option]
        return begins

    def placement(self, columns: Columns, k: int) -> Placement:
        """Return column ``k`` as a placement."""
        option = columns.option[k]
        job = self.problem.jobs[self.options.job[option]]
        point = job.points[self.options.point[option]]
        slots = columns.slots[columns.begins[k] : columns.begins[k + 1]]
        breaks = np.flatnonzero(np.diff(slots) > 1) + 1
        runs = tuple(
            Run(point.name, int(part[0]), int(part[-1]) + 1) for part in np.split(slots, breaks)
        )
        return Placement(job.name, point.site, runs)

    def _chunks(self, wanted: Integers) -> Iterator[tuple[tuple[Rhythm, bool], Integers]]:
        """Cut ``wanted`` options that are priced together into pieces of bounded size, alike."""
        o = self.options
        is_wanted = np.zeros(len(o), dtype=bool)
        is_wanted[wanted] = True
        for rhythm, is_free, members in self._together:
            chosen = members[is_wanted[members]]
            width = o.hi_slot[chosen] - o.lo_slot[chosen]
            chosen = chosen[np.lexsort((width, o.n_slots[chosen]))]
            depth = 1 if is_free or not rhythm.pause_slots else rhythm.n_slots
            n_each = max(1, MOST_CELLS // (depth * int(width.max(initial=1))))
            for begin in range(0, len(chosen), n_each):
                chunk = chosen[begin : begin + n_each]
                yield (replace(rhythm, n_slots=int(o.n_slots[chunk[-1]])), is_free), chunk

    def _cheapest(
        self, rhythm: Rhythm, is_free: bool, chunk: Integers, prices: Prices, noise: Noise | None
    ) -> Floats:
        if is_free and not rhythm.pause_slots:
            return np.asarray(self._window_eur(rhythm, chunk, prices, noise).min(axis=1))
        run = self._run_eur(chunk, prices, noise)
        if is_free:
            return cheapest_slots(run, rhythm.n_slots, *self._promise(chunk))[0]
        total, _ = costs_by_start(self._ways(rhythm, chunk, prices, run))
        return np.asarray(total.min(axis=1))

    def best_at(
        self, rhythm: Rhythm, is_free: bool, chunk: Integers, prices: Prices, run_eur: Floats
    ) -> tuple[float, Columns]:
        """Return the cheapest placement of all options in ``chunk``, if running costs ``run_eur``.

        ``run_eur`` is [option, slot of its window], infinite where it may not run; restarts and
        transfers are at ``prices``. The columns are none where nothing fits.
        """
        n = rhythm.n_slots
        if is_free and rhythm.pause_slots:
            cost, run = cheapest_slots(run_eur, n, *self._promise(chunk))
            k = int(cost.argmin())
            slots = np.sort(np.argpartition(run[k], n - 1)[:n])
        elif is_free:
            total = window_sums(run_eur, n)
            add_churn(total, *self._promise(chunk))
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
        slots = (slots + self.options.lo_slot[chunk[k]]).astype(np.int32)
        return float(cost[k]), Columns(chunk[k : k + 1], np.array([0, len(slots)]), slots)

    def _window_eur(
        self, rhythm: Rhythm, chunk: Integers, prices: Prices, noise: Noise | None
    ) -> Floats:
        """Cost by start [way, slot after the first start] of running in one piece."""
        o, costs = self.options, self._slot_costs
        sums = window_sums(costs.at(prices), rhythm.n_slots)
        n_starts = o.hi_slot[chunk] - o.lo_slot[chunk] - rhythm.n_slots + 1
        after = np.arange(int(n_starts.max(initial=1)))
        at = (costs.row[chunk] * sums.shape[1] + o.lo_slot[chunk])[:, None] + after
        cost: Floats = sums.ravel().take(at, mode="clip")
        if noise is not None:
            seen = self._noise_at(noise, chunk)[:, None] + after
            cost += window_sums(noise.eur, rhythm.n_slots).take(seen, mode="clip")
        cost *= costs.scale[chunk, None]
        np.putmask(cost, after >= n_starts[:, None], np.inf)
        add_churn(cost, *self._promise(chunk))
        return cost

    def _any_slots(
        self, rhythm: Rhythm, chunk: Integers, prices: Prices, noise: Noise | None
    ) -> Columns:
        run, n = self._run_eur(chunk, prices, noise), rhythm.n_slots
        cost, run = cheapest_slots(run, n, *self._promise(chunk))
        fits = np.isfinite(cost)
        cheapest = np.argpartition(run[fits], n - 1, axis=1)[:, :n]
        slots = np.sort(cheapest, axis=1) + self.options.lo_slot[chunk[fits], None]
        begins = np.arange(len(slots) + 1) * n
        return Columns(chunk[fits], begins, slots.ravel().astype(np.int32))

    def _any_window(
        self, rhythm: Rhythm, chunk: Integers, prices: Prices, noise: Noise | None
    ) -> Columns:
        start = self._window_eur(rhythm, chunk, prices, noise).argmin(axis=1)
        return in_one_piece(chunk, start + self.options.lo_slot[chunk], rhythm.n_slots)

    def _pieces(
        self, rhythm: Rhythm, chunk: Integers, prices: Prices, noise: Noise | None
    ) -> Columns:
        ways = self._ways(rhythm, chunk, prices, self._run_eur(chunk, prices, noise))
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
        slots = np.concatenate([np.zeros(0, int), *held]).astype(np.int32)
        return Columns(chunk[fits], begins, slots)

    def slots_of(self, chunk: Integers) -> tuple[Integers, Bools]:
        """Slots of the windows [way, slot], and which of them are in it."""
        o = self.options
        width = int((o.hi_slot[chunk] - o.lo_slot[chunk]).max(initial=1))
        slots = o.lo_slot[chunk, None] + np.arange(width)
        return np.minimum(slots, self.problem.horizon.n_slots - 1), slots < o.hi_slot[chunk, None]

    def _run_eur(self, chunk: Integers, prices: Prices, noise: Noise | None) -> Floats:
        """Cost of running in each slot of the windows [way, slot]."""
        o, costs, n_slots = self.options, self._slot_costs, self.problem.horizon.n_slots
        width = o.hi_slot[chunk] - o.lo_slot[chunk]
        after = np.arange(int(width.max(initial=1)))
        at = (costs.row[chunk] * n_slots + o.lo_slot[chunk])[:, None] + after
        run: Floats = costs.at(prices).ravel().take(at, mode="clip")
        if noise is not None:
            run += noise.eur.take(self._noise_at(noise, chunk)[:, None] + after, mode="clip")
        run *= costs.scale[chunk, None]
        np.putmask(run, after >= width[:, None], np.inf)
        scarce = np.flatnonzero(self._is_scarce[chunk])
        if len(scarce):
            some = chunk[scarce]
            gpus = self.pool_gpus[o.pool[some, None], self.slots_of(chunk)[0][scarce]]
            run[scarce] = np.where(gpus < o.gpus[some, None] - 1e-9, np.inf, run[scarce])
        return run

    def _promise(self, chunk: Integers) -> tuple[Integers, Floats]:
        """Slot of the window that keeps what was announced, and cost of not keeping it [way]."""
        o = self.options
        kept, lo = o.kept_start[chunk], o.lo_slot[chunk]
        slot: Integers = np.where(kept == NEVER, NEVER, kept - lo)
        churn_eur = self.problem.weights.churn_eur_per_job
        return slot, np.where(o.is_announced[chunk], churn_eur, 0.0)

    def _noise_at(self, noise: Noise, chunk: Integers) -> Integers:
        """Return where in the noise the window of each option begins."""
        o, n_slots = self.options, self.problem.horizon.n_slots
        return noise.offset[o.job[chunk]] + o.rate[chunk] * n_slots + o.lo_slot[chunk]

    def _ways(self, rhythm: Rhythm, chunk: Integers, prices: Prices, run_eur: Floats) -> WayCosts:
        o, weights = self.options, self.problem.weights
        money = prices.money_eur_per_eur
        slots, is_inside = self.slots_of(chunk)
        power_eur = prices.power_eur_per_kw[o.site[chunk, None], slots]
        restart = o.restart_kw[chunk, None] * power_eur
        restart += (weights.restarts + money) * o.restart_eur[chunk, None]
        start = np.where(o.is_resumed[chunk, None], restart, 0.0)
        start += (weights.data_transfer + money) * o.transfer_eur[chunk, None]
        churns = o.is_announced[chunk, None] & (slots != o.kept_start[chunk, None])
        start += weights.churn_eur_per_job * churns
        is_early = slots < o.first_start[chunk, None]
        start[~is_inside | is_early | (slots > o.last_start[chunk, None])] = np.inf
        self._add_transfer(start, chunk, prices)
        ends = o.lo_slot[chunk, None] + np.arange(slots.shape[1] + 1)
        late = np.maximum(0, ends - o.due_slot[chunk, None])
        end = weights.lateness * o.late_eur[chunk, None] * late
        end[ends > o.hi_slot[chunk, None]] = np.inf
        return WayCosts(o.lo_slot[chunk], o.n_slots[chunk], run_eur, start, restart, end, rhythm)

    def _add_transfer(self, start: Floats, chunk: Integers, prices: Prices) -> None:
        """Add what moving the data draws before each start [way, slot]."""
        o = self.options
        for n_slots in np.unique(o.transfer_slots[chunk]):
            if n_slots == 0:
                continue
            before = np.full_like(prices.power_eur_per_kw, np.inf)
            sums = window_sums(prices.power_eur_per_kw, int(n_slots))
            before[:, n_slots:] = sums[:, : before.shape[1] - n_slots]
            rows = np.flatnonzero(o.transfer_slots[chunk] == n_slots)
            some = chunk[rows]
            slots = np.minimum(
                o.lo_slot[some, None] + np.arange(start.shape[1]), before.shape[1] - 1
            )
            moving = before[o.site[some, None], slots]
            # Before it can be ready a start is barred already.
            moving[slots < o.first_start[some, None]] = 0.0
            start[rows] += o.transfer_kw[some, None] * moving
