"""European zones: what time their days are counted in."""

from __future__ import annotations

_TIMES = {
    "Europe/Vienna": "AT",
    "Europe/Brussels": "BE",
    "Europe/Sofia": "BG",
    "Europe/Zurich": "CH",
    "Europe/Prague": "CZ",
    "Europe/Berlin": "DE DE-LU",
    "Europe/Copenhagen": "DK DK1 DK2",
    "Europe/Tallinn": "EE",
    "Europe/Madrid": "ES",
    "Europe/Helsinki": "FI",
    "Europe/Paris": "FR",
    "Europe/Athens": "GR",
    "Europe/Zagreb": "HR",
    "Europe/Budapest": "HU",
    "Europe/Dublin": "IE IE-SEM",
    "Europe/London": "GB",
    "Europe/Podgorica": "ME",
    "Europe/Skopje": "MK",
    "Europe/Rome": "IT IT-Calabria IT-Centre-North IT-Centre-South IT-North IT-Sardinia IT-Sicily"
    " IT-South",
    "Europe/Vilnius": "LT",
    "Europe/Riga": "LV",
    "Europe/Amsterdam": "NL",
    "Europe/Oslo": "NO NO1 NO2 NO3 NO4 NO5",
    "Europe/Warsaw": "PL",
    "Europe/Lisbon": "PT",
    "Europe/Bucharest": "RO",
    "Europe/Belgrade": "RS",
    "Europe/Stockholm": "SE SE1 SE2 SE3 SE4",
    "Europe/Ljubljana": "SI",
    "Europe/Bratislava": "SK",
}
TIME_ZONES = {zone: time for time, zones in _TIMES.items() for zone in zones.split()}
"""The time of each of them, by the one name that every source here has for it."""
