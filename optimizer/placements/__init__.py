"""How one job may run: ways, enumerated columns, slot variables; the master sees ``JobTerms``."""
