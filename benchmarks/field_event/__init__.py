"""The field event of Phoenix, May 2025, planned: 256 GPUs a quarter below for three hours."""
