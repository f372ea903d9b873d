"""Contract checks for every synthesizer, metric, mechanism and attack, in the manner of scikit-learn's checks.

They are public: whoever writes a generator or a metric of their own can run them.
"""

from synthkit.testing.attacks import attack_checks, check_attack
from synthkit.testing.expression import (
    check_drawn_cells,
    check_expression_synthesizer,
    expression_synthesizer_checks,
)
from synthkit.testing.mechanisms import check_mechanism, check_row_wise, mechanism_checks
from synthkit.testing.metrics import awkward_tables, check_metric, metric_checks
from synthkit.testing.rows import check_domain, condition_holds
from synthkit.testing.scans import check_drawn, check_scan_synthesizer, scan_synthesizer_checks
from synthkit.testing.synthesizers import check_synthesizer, synthesizer_checks

__all__ = [
    "attack_checks",
    "awkward_tables",
    "check_attack",
    "check_domain",
    "check_drawn",
    "check_drawn_cells",
    "check_expression_synthesizer",
    "check_mechanism",
    "check_metric",
    "check_row_wise",
    "check_scan_synthesizer",
    "check_synthesizer",
    "condition_holds",
    "expression_synthesizer_checks",
    "mechanism_checks",
    "metric_checks",
    "scan_synthesizer_checks",
    "synthesizer_checks",
]
