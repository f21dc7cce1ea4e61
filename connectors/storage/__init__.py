"""Batteries that follow a setpoint."""
