"""Prices of markets of the United States, by ``gridstatus`` in a Python of its own."""
