"""How one job may run: enumerated, as slot variables, or the cheapest at given prices."""
