"""Real servers that tests start, and stand-ins for what no test machine has."""
