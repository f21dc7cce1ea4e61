"""Forecasts that know their error, for what nobody publishes or what is published too short.

Pure: what was known at the time of issue goes in, a ``QuantileForecast`` comes out. No database,
no services and no clock; numpy and pandas alone, unless the optional extra is installed.
"""

from scheduler.forecasting.blending import blend
from scheduler.forecasting.correct import Decay, corrected, fitted_decay
from scheduler.forecasting.history import History, known_history
from scheduler.forecasting.quantiles import LEVELS, QuantileForecast, TooLittleHistory
from scheduler.forecasting.seasonal import seasonal_naive
from scheduler.forecasting.traits import BASE_LOAD, CARBON, PRICE, PV, WIND, Traits
from scheduler.forecasting.weigh import Weights, fitted_weights, weighed

__all__ = [
    "BASE_LOAD",
    "CARBON",
    "LEVELS",
    "PRICE",
    "PV",
    "WIND",
    "Decay",
    "History",
    "QuantileForecast",
    "TooLittleHistory",
    "Traits",
    "Weights",
    "blend",
    "corrected",
    "fitted_decay",
    "fitted_weights",
    "known_history",
    "seasonal_naive",
    "weighed",
]
