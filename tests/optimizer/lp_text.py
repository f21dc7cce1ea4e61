"""A model as text in the LP format, to read it and to keep golden copies of its rows."""

from __future__ import annotations

import io
from typing import Any

from pyomo.repn.plugins.lp_writer import LPWriter


def lp_text(model: Any) -> str:
    """Write the active parts of a Pyomo ``model`` with the names its source gives them."""
    text = io.StringIO()
    LPWriter().write(model, text, symbolic_solver_labels=True)
    return "\n".join(line.rstrip() for line in text.getvalue().splitlines()) + "\n"
