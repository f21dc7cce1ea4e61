"""The scheduler: composes the optimiser and the connectors; the only room that imports both."""
