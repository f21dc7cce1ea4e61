"""Planning with several futures: shared first decisions, and no wait that errors do not warrant."""
