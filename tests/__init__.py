"""Tests, grouped as the rooms are."""
