"""Contract checks that every synthesizer and every metric must pass, in the manner of scikit-learn's estimator checks.

They are public: whoever writes a generator or a metric of their own can run them.
"""

from synthkit.testing.metrics import awkward_tables, check_metric, metric_checks
from synthkit.testing.synthesizers import check_domain, check_synthesizer, condition_holds, synthesizer_checks

__all__ = [
    "awkward_tables",
    "check_domain",
    "check_metric",
    "check_synthesizer",
    "condition_holds",
    "metric_checks",
    "synthesizer_checks",
]
