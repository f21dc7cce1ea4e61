"""The whole of it: real processes, a real battery's protocol, a real top node, real jobs."""
