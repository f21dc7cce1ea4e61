"""One module per revision, in order: ``r0001_...``, ``r0002_...``."""
