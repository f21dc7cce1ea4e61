"""History replayed through the planning of production, under a simulated clock.

What plans, decides and settles here is what does so in production: ``services.assemble``,
``doubt.solve_in_doubt``, ``optimizer.verify``, ``services.dispatch_decide``, ``optimizer.settle``.
Of its own this room has only what stands in for the outside: a clock, a past that tells what was
known when, clusters on which a job ends when its true work is done, and batteries.
"""
