"""Tests of the virtual end node, and a virtual top node of our own that is held to the API."""
