"""The published optimum of shifting one job, by a replay of nine zones of 2022."""
