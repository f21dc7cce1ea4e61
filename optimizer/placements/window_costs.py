"""What running, starting and ending costs in every slot of the windows of many options."""

from __future__ import annotations

import numpy as np

from optimizer.placements.churning import add_churn
from optimizer.placements.common_costs import CommonCosts
from optimizer.placements.option_parts import NEVER
from optimizer.placements.options import Bools, Floats, Integers, Options
from optimizer.placements.prices import Noise, Prices
from optimizer.placements.slot_costs import Rhythm, window_sums
from optimizer.problem import Problem


class WindowCosts:
    """Costs at prices; rows are options, and columns the slots of their windows.

    ``pool_gpus`` are those of every pool, site by site [pool, slot].
    """

    def __init__(self, problem: Problem, options: Options) -> None:
        self.problem, self.options = problem, options
        pools = [pool for site in problem.sites for pool in site.pools]
        n_slots = problem.horizon.n_slots
        gpus = np.array([pool.gpus for pool in pools], dtype=np.float64)
        self.pool_gpus = gpus.reshape(len(pools), n_slots)
        least_gpus = self.pool_gpus.min(axis=1, initial=np.inf)
        self._is_scarce = least_gpus[options.pool] < options.gpus - 1e-9
        self._common = CommonCosts.of(options)

    def window_eur(
        self, rhythm: Rhythm, chunk: Integers, prices: Prices, noise: Noise | None
    ) -> Floats:
        """Cost by start [way, slot after the first start] of running in one piece."""
        o, costs = self.options, self._common
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
        add_churn(cost, *self.promise(chunk))
        return cost

    def slots_of(self, chunk: Integers) -> tuple[Integers, Bools]:
        """Slots of the windows [way, slot], and which of them are in it."""
        o = self.options
        width = int((o.hi_slot[chunk] - o.lo_slot[chunk]).max(initial=1))
        slots = o.lo_slot[chunk, None] + np.arange(width)
        return np.minimum(slots, self.problem.horizon.n_slots - 1), slots < o.hi_slot[chunk, None]

    def run_eur(self, chunk: Integers, prices: Prices, noise: Noise | None) -> Floats:
        """Cost of running in each slot of the windows [way, slot]."""
        o, costs, n_slots = self.options, self._common, self.problem.horizon.n_slots
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

    def promise(self, chunk: Integers) -> tuple[Integers, Floats]:
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

    def own_eur(self, chunk: Integers, prices: Prices) -> tuple[Floats, Floats, Floats]:
        """Cost of a first start and of a restart [way, slot], and of the end [way, slot + 1]."""
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
        return start, restart, end

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
