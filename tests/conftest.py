"""Settings and tables that tests of several rooms use."""

from __future__ import annotations

import signal

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, settings

# A shell starts what it runs in the background deaf to Ctrl-C, and its children with it; tests press Ctrl-C.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# A test must not fail because the machine is busy, and must fail the same way tomorrow.
settings.register_profile(
    "synthkit", deadline=None, derandomize=True, database=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("synthkit")


@pytest.fixture
def people() -> pd.DataFrame:
    """300 made-up people: numbers, decimals, labels, a boolean, dates and missing cells, related to each other."""
    random = np.random.default_rng(7)
    rows = 300
    age = random.integers(18, 91, rows)
    degree = random.choice(["none", "school", "college"], rows, p=[0.2, 0.5, 0.3])
    hours = np.where(degree == "college", 42.5, 35.25) + np.round(random.normal(0, 4, rows), 2)
    income = np.where(hours + age / 4 + random.normal(0, 3, rows) > 52, ">50K", "<=50K")
    town = pd.Series(random.choice(["Bern", "Basel", "Thun"], rows)).mask(random.random(rows) < 0.1)
    return pd.DataFrame(
        {
            "age": age,
            "hours": np.round(hours, 2),
            "degree": degree,
            "town": town,
            "member": random.random(rows) < 0.4,
            "joined": pd.Timestamp("2020-01-01") + pd.to_timedelta(random.integers(0, 900, rows), unit="D"),
            "income": income,
        }
    )
