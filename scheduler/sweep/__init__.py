"""Backtests as files say them: every region under every policy, in processes, and what came of it.

What is replayed is in ``scheduler.backtest``; here are its surroundings: files that are read, cases
and their folders, processes beside each other, tables that are written.
"""
