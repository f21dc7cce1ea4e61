"""Tables, sessions and upgrades."""
