"""From a problem to a plan: HiGHS hand-off, the exact solve, greedy, and the ladder."""
