"""A rolling backtest on half a year of public data at three sites."""
