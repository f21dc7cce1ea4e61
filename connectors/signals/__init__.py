"""Sources of prices, carbon intensity, and what sun and wind will give."""
