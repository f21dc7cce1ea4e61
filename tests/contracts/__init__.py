"""One suite per Protocol; every implementation passes it."""

import pytest

pytest.register_assert_rewrite(
    "tests.contracts.cluster",
    "tests.contracts.signal_source",
    "tests.contracts.battery",
    "tests.contracts.virtual_power_plant",
    "tests.contracts.waiting",
)
