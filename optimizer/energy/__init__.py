"""Energy blocks: one Pyomo block per file; they meet in ``optimizer.master``."""
