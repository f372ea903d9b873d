"""Render docs/benchmarks-expression.md from the sections in evaluation/baselines/expression.

    python evaluation/benchmarks/expression_page.py

Every script of the benchmarks of gene expression leaves one section (see expression_section.py); those that are not
there are named as not measured. Nothing is measured here.
"""

from __future__ import annotations

import argparse

import section_page
from expression_section import BASELINES, ROOT

PAGE = ROOT / "docs" / "benchmarks-expression.md"
ORDER = ("pbmc", "rare", "tcga", "scale")
HEAD = """# Benchmarks of gene expression

<!-- Written by evaluation/benchmarks/expression_page.py from evaluation/baselines/expression. Do not edit. -->

What was measured on real cells and samples, also where it is bad for us. `make bench-expression` repeats all of it
(`SYNTHKIT_DATA` names the folder with the data); the command of each section repeats that section. A number with a
range in brackets is a mean over seeds with the smallest and the largest of them, or with its 95 % interval where the
section says so: every seed is another split into halves, another fit and other draws. `cwgan` is the model of this
package; `nb`, `copula` and `mvn` are its classical rivals, in the package too, and real cells in place of synthetic
ones are the control. Scores depend on the number of cells and on the split: compare them with the control beside them,
never with another paper's.
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.parse_args()
    section_page.write_page(PAGE, section_page.page(section_page.sections(BASELINES, ORDER), HEAD, ORDER))


if __name__ == "__main__":
    main()
