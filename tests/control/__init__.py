"""The control loop."""
