"""Where messages of streams come from: brokers that keep each until it is acknowledged."""
