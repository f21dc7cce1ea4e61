"""What a process of ``apart`` runs; the one argument is the pipe to report on."""

from __future__ import annotations

import sys
from multiprocessing.connection import Connection

from benchmarks.apart import report

if __name__ == "__main__":
    report(Connection(int(sys.argv[1]), readable=False))
