"""GAIA's week: its published policies reproduced, and what becomes of them without its rules."""
