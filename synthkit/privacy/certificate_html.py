"""The certificate as one HTML page that needs no network and no script, made to be printed and signed."""

from __future__ import annotations

from synthkit.privacy.certificate import NOT_PRIVATE, SIGN_OFF, Certificate
from synthkit.privacy.describe import percent, short


def render_html(certificate: Certificate) -> str:
    """Return the certificate as a page; everything from the file is escaped.

    Parameters
    ----------
    certificate
        Any certificate.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("synthkit.privacy", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=lambda value: value.replace(" %", "\u00a0%") if type(value) is str else value,
    )
    budget = certificate.budget
    page = environment.get_template("certificate.html.j2").render(
        certificate=certificate,
        budget=budget,
        unit=certificate.words.one(budget.unit) if certificate.words.is_record(budget.unit) else budget.unit,
        words=certificate.words,
        percent=percent,
        short=short,
        not_private=NOT_PRIVATE,
        sign_off=SIGN_OFF,
        said=[text.partition(". ") for text in certificate.plain],
        exceptions=[text.partition(". ") for text in certificate.not_covered],
    )
    return page if page.endswith("\n") else page + "\n"
