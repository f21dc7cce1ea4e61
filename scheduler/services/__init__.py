"""What Gridtide does, as plain functions over a session and Protocols."""
