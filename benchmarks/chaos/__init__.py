"""A day on three real clusters while everything in between fails."""
