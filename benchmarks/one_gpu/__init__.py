"""A real GPU under the local cluster: what is read of its power, and what a pause is worth."""
