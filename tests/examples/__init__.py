"""The example day is what its description says."""
