"""Where measured power comes from, whichever cluster it is of."""
