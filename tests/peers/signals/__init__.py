"""Sources of signals on loopback: each speaks the format its documents publish."""
