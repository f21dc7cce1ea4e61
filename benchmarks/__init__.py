"""How well and how fast the optimiser plans; what was measured is in RESULTS.md."""
