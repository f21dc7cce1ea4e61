"""Connectors: everything outside, behind small Protocols. Imports neither other room."""
