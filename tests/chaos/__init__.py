"""Processes killed and connections cut in the middle of their work."""
