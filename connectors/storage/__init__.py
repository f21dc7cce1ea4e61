"""Batteries that follow a setpoint, and the meters beside them."""
