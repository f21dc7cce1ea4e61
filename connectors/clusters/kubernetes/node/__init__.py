"""The agent on a node: it sets the power caps of pods on their GPUs, and reads them back."""
