"""`TableGAN`: learns a table and produces synthetic ones, with conditions on any subset of columns."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self, overload

import numpy as np
import pandas as pd

from synthkit.gan.budget import Budget
from synthkit.gan.estimator import Synthesizer, whole_count
from synthkit.random import RandomSource
from synthkit.schema import Schema
from synthkit.tables import storage
from synthkit.tables.anomaly import AnomalyScores, score_rows
from synthkit.tables.balancing import balance_column, balanced
from synthkit.tables.constraints import Acceptance, Tally
from synthkit.tables.drawing import Draw
from synthkit.tables.estimation import fit_openly, fit_under_budget
from synthkit.tables.fitted import BATCH, FittedTable
from synthkit.tables.identifiers import TakenIdentifiers
from synthkit.tables.imputation import Strategy, impute_table
from synthkit.tables.plan import FitPlan, budget_settings
from synthkit.tables.showing import model_html

if TYPE_CHECKING:
    import pyarrow

    from synthkit.privacy.budget import PrivacyBudget


class TableGAN(Synthesizer[FittedTable]):
    """Generator of synthetic tables.

    Latent codes are fitted by likelihood, challenged by a critic (kept only where that helps on held-out rows) and
    refined by a boosted density ratio. `docs/explanation/method.md` tells how and what its limits are.

    Parameters
    ----------
    generator : {"codes", "network"}
        Latent codes, or the classical conditional GAN (a network from noise).
    loss : {"relativistic", "wgan-gp", "wgan", "vanilla"}
        What critic and generator play for.
    n_codes : int or "auto"
        Number of latent codes; "auto" follows the rows and, for small tables, the held-out likelihood.
    adversary : {"auto", "on", "off"}
        Whether a critic challenges the codes: "auto" tries briefly, "on" trains longer; both keep the result only if
        trees find it harder to tell from real rows.
    refine : bool
        Whether generated rows are moved by a boosted density ratio.
    time_budget : str, float or None
        Ceiling on the wall time of `fit` ("90s", "2m", seconds, None for none). The plan of the fit does not depend on
        it, so a larger budget never changes a result that a smaller one reached in time.
    validation_share : float or "auto"
        Share of the rows held out from training.
    random_state : int or None
        Seed. The same seed, data, machine and versions give the same bytes, unless the time budget cuts the plan short.
    device : str
        Where networks are trained, "cpu" or "cuda".
    privacy : PrivacyBudget, optional
        Budget of differential privacy. The schema must then be declared, noise comes from the operating system (the
        seed reaches the training only), and `refine`, `adversary` and `validation_share`, which read the data as often
        as they like, do not apply. `docs/explanation/privacy.md` says what is guaranteed.
    privacy_engine : {"auto", "anchor", "dp-sgd", "hybrid"}
        What the budget is spent on: noisy marginals, a critic trained by DP-SGD, or both.
    buy : sequence of {"records", "categories"}
        What is bought from the budget instead of declared in the schema.
    ledger : path, optional
        File of all releases from the same data; refuses what would overspend them together.
    reproducible_noise : int, optional
        Seeds the noise, for tests: the model is then not private, and its certificate says so.
    verbose : bool or None
        Progress on standard error: always, never, or only on a terminal (None).
    log : path, optional
        Gets one JSON object per evaluation while training.

    Attributes
    ----------
    schema_ : Schema
        Of the training table.
    report_ : dict
        What the fit did: rows, seconds, held-out log-likelihood, two-sample AUC raw and refined, what was kept and why,
        and what share of drawn rows satisfies the constraints of the schema.
    acceptance_ : Acceptance
        What share of the rows drawn last satisfied the constraints.
    n_features_in_ : int
        Columns of the training table.

    Examples
    --------
    >>> from synthkit import TableGAN
    >>> gan = TableGAN(random_state=0).fit(frame, target="income")  # doctest: +SKIP
    >>> gan.sample(1_000, where={"income": ">50K", "age": (30, 40)})  # doctest: +SKIP
    """

    _LEARNS = "a table"

    def __init__(
        self,
        *,
        generator: Literal["codes", "network"] = "codes",
        loss: Literal["relativistic", "wgan-gp", "wgan", "vanilla"] = "relativistic",
        n_codes: int | Literal["auto"] = "auto",
        adversary: Literal["auto", "on", "off"] = "auto",
        refine: bool = True,
        time_budget: str | float | None = "2m",
        validation_share: float | Literal["auto"] = "auto",
        random_state: int | None = None,
        device: str = "cpu",
        privacy: PrivacyBudget | None = None,
        privacy_engine: Literal["auto", "anchor", "dp-sgd", "hybrid"] = "auto",
        buy: Sequence[str] = (),
        ledger: str | Path | None = None,
        reproducible_noise: int | None = None,
        verbose: bool | None = None,
        log: str | Path | None = None,
    ) -> None:
        self.generator = generator
        self.loss = loss
        self.n_codes = n_codes
        self.adversary = adversary
        self.refine = refine
        self.time_budget = time_budget
        self.validation_share = validation_share
        self.random_state = random_state
        self.device = device
        self.privacy = privacy
        self.privacy_engine = privacy_engine
        self.buy = buy
        self.ledger = ledger
        self.reproducible_noise = reproducible_noise
        self.verbose = verbose
        self.log = log

    # -- fitting ------------------------------------------------------------------------------------------------------

    def fit(
        self,
        frame: pd.DataFrame,
        y: None = None,
        *,
        schema: Schema | None = None,
        target: str | None = None,
        checkpoint: str | Path | None = None,
        resume: bool = False,
    ) -> Self:
        """Learn a table.

        Parameters
        ----------
        frame : DataFrame [n_rows, n_columns]
            At least two rows.
        y
            Ignored; for scikit-learn's sake.
        schema : Schema, optional
            Description of the columns; inferred when absent.
        target : str, optional
            Column that will be predicted from the others; remembered in the schema.
        checkpoint : path, optional
            Where to keep the state of the fit, written every few seconds.
        resume : bool
            Go on from the checkpoint if there is one.

        Raises
        ------
        InputError
            A wrong setting, schema, column or table, training rows that violate a constraint of the schema, or a
            checkpoint of another fit.
        PrivacyError
            Under a budget: something is not declared, or the budget does not allow it. Nothing was read.
        TrainingError
            Training diverged twice.

        Privacy
        -------
        With ``privacy``, (epsilon, delta) differential privacy of the fitted model and of all that is drawn from it,
        for the unit and adjacency of the budget, given the declared schema. Constraints are part of that schema and
        taken for public: they are not checked against the training rows, and only drawn rows are looked at for them.
        """
        settings = self.get_params()
        plan = FitPlan.of(settings)
        Budget.parse(self.time_budget)  # a wrong one is told before anything is read
        if schema is not None and target is not None and schema.target != target:
            schema = schema.with_roles(target=target)
        if budget_settings(settings):
            self._fitted = fit_under_budget(frame, schema, settings, plan, resume=resume)
        else:
            schema = Schema.infer(frame, target=target) if schema is None else schema
            kept = None if checkpoint is None else Path(checkpoint)
            self._fitted = fit_openly(frame, schema, settings, plan, checkpoint=kept, resume=resume)
        self.n_features_in_ = len(self.schema_)
        self._tally = Tally()
        return self

    # -- what was learned ---------------------------------------------------------------------------------------------

    @property
    def schema_(self) -> Schema:
        """Schema of the training table."""
        return self._learned().encoder.schema

    @property
    def acceptance_(self) -> Acceptance:
        """How many of the rows drawn last satisfied the constraints of the schema; all, where there are none."""
        self._learned()
        return getattr(self, "_tally", Tally()).result()

    # -- sampling -----------------------------------------------------------------------------------------------------

    def sample(
        self,
        n: int,
        *,
        where: Mapping[str, Any] | None = None,
        random_state: int | None = None,
        refined: bool = True,
    ) -> pd.DataFrame:
        """Draw synthetic rows.

        Parameters
        ----------
        n : int
            Number of rows.
        where : mapping of column to condition, optional
            A value, a list of values, or a closed range ``(low, high)`` with None for an open end. Every row satisfies
            all of them.
        random_state : int, optional
            Seed; the same seed gives the same rows.
        refined : bool
            False draws from the codes alone: faster, and easier to tell from real rows.

        Returns
        -------
        DataFrame [n, ...]
            Columns, order, dtypes, categories and decimals of the training table, without free text.

        Raises
        ------
        ConditionError
            An unknown column or value, or conditions that cannot hold, alone or together with the constraints.

        Notes
        -----
        All rows satisfy the constraints of the schema. Those that the model draws and that do not are left out, so that
        the rows follow the model's law given the constraints; `acceptance_` says how many that were.
        """
        draw = Draw(self._learned(), where, RandomSource(random_state), refined=refined)
        self._tally = draw.tally
        return draw.frame(whole_count(n, "rows"))

    def iter_sample(
        self,
        n: int,
        *,
        where: Mapping[str, Any] | None = None,
        random_state: int | None = None,
        refined: bool = True,
        batch_rows: int = BATCH,
    ) -> Iterator[pyarrow.RecordBatch]:
        """Draw synthetic rows as a stream of Arrow batches, with flat memory.

        Parameters and constraints as in `sample`; ``batch_rows`` rows at a time. Identifiers and unique keys differ in
        the whole stream, for which they are remembered.
        """
        # conditions are checked now, not when the first batch is asked for
        draw = Draw(self._learned(), where, RandomSource(random_state), refined=refined)
        self._tally = draw.tally
        return draw.stream(whole_count(n, "rows"), batch_rows)

    def balance(
        self,
        frame: pd.DataFrame,
        target: str | None = None,
        *,
        ratio: float = 1.0,
        counts: Mapping[Any, int] | None = None,
        random_state: int | None = None,
    ) -> pd.DataFrame:
        """Add synthetic rows of the rarer classes.

        Parameters
        ----------
        frame : DataFrame
            Real rows; they come first in the result, untouched.
        target : str, optional
            Column of classes; the target of the schema when absent.
        ratio : float
            Rows that every class shall have at least, as a share of the largest class.
        counts : mapping of class to int, optional
            Rows that these classes shall have instead; other classes stay as they are.
        random_state : int, optional
            Seed.

        Returns
        -------
        DataFrame
            The real rows and then the synthetic ones, without free text. Identifiers and unique keys of real rows are
            not used again.

        Raises
        ------
        InputError
            No target, an unknown class, or fewer rows asked for than there are.
        SchemaError
            A column that the model never saw.
        """
        random, fitted = RandomSource(random_state), self._learned()
        tally = self._tally = Tally()

        def draw(label: Any, rows: int, taken: TakenIdentifiers) -> pd.DataFrame:
            own = RandomSource(random.integer(f"balance {label!r}"))
            return Draw(fitted, {name: label}, own, taken=taken, tally=tally).frame(rows)

        name = balance_column(frame, self.schema_, target)
        return balanced(frame, name, self.schema_, fitted.encoder.take(frame), draw, ratio=ratio, counts=counts)

    # -- scores and missing cells -------------------------------------------------------------------------------------

    def log_likelihood(self, frame: pd.DataFrame) -> np.ndarray:
        """Log-likelihood of rows under the codes, in nats, ``[n_rows]``; low values are unusual rows.

        Numbers count by the bin they fall in. Labels never seen are integrated out.
        """
        fitted = self._learned()
        return fitted.codes().log_likelihood(fitted.encoder.encode(frame, unknown=True).symbols)

    @overload
    def impute(
        self,
        frame: pd.DataFrame,
        *,
        multiple: None = None,
        strategy: Strategy = "draw",
        refined: bool = True,
        random_state: int | None = None,
    ) -> pd.DataFrame: ...

    @overload
    def impute(
        self,
        frame: pd.DataFrame,
        *,
        multiple: int,
        strategy: Strategy = "draw",
        refined: bool = True,
        random_state: int | None = None,
    ) -> list[pd.DataFrame]: ...

    def impute(
        self,
        frame: pd.DataFrame,
        *,
        multiple: int | None = None,
        strategy: Strategy = "draw",
        refined: bool = True,
        random_state: int | None = None,
    ) -> pd.DataFrame | list[pd.DataFrame]:
        """Fill missing cells given the observed ones, which come back unchanged.

        Parameters
        ----------
        frame : DataFrame [n_rows, ...]
            With the columns of the training table; others come back as they are.
        multiple : int, optional
            So many completed tables in a list, for analyses whose results are pooled (`synthkit.pool_estimates`).
        strategy : {"draw", "mean"}
            Draws from the law of the cells; or conditional means and most likely labels, whose spread is too small.
        refined : bool
            False draws from the codes alone, each row by itself: faster, and blind to what the codes miss. Otherwise
            trees learn from the rows of the frame what they miss.
        random_state : int, optional
            Seed.

        Raises
        ------
        InputError
            A wrong setting, or ``generator="network"``.
        SchemaError
            A column of the training table is not in the frame.
        """
        random = RandomSource(random_state)
        return impute_table(self._learned(), frame, random, multiple=multiple, strategy=strategy, refined=refined)

    def _html_repr(self) -> str:
        return model_html(self)

    def anomaly_scores(self, frame: pd.DataFrame, *, random_state: int = 0) -> AnomalyScores:
        """How unusual rows are, and which cells make them so.

        Parameters
        ----------
        frame : DataFrame [n_rows, ...]
            With the columns of the training table.
        random_state : int
            Seed of the synthetic rows that scores are measured against.

        Returns
        -------
        AnomalyScores
            ``total`` is higher for more unusual rows; ``one_in`` says how many synthetic rows there are for one that
            is as unusual; ``explain(row)`` names the columns.

        Raises
        ------
        SchemaError
            A column of the training table is not in the frame.
        """
        return score_rows(self._learned(), frame, RandomSource(random_state))

    # -- model file ---------------------------------------------------------------------------------------------------

    def save(self, path: str | Path) -> None:
        """Write the model file (JSON, arrays and trees as text in one archive), whole or not at all."""
        settings = self._stored_settings()
        settings["buy"] = list(self.buy)
        storage.save(self._learned(), settings, path)

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Open a model file. Nothing in it is executed.

        Raises
        ------
        ModelFileError
            Not a model of a table, truncated, changed, or from a newer version.
        """
        fitted, settings = storage.load(path)
        settings["buy"] = tuple(settings.get("buy", ()))
        if settings.get("privacy") is not None:
            from synthkit.privacy.budget import PrivacyBudget

            settings["privacy"] = PrivacyBudget.from_json(settings["privacy"])
        return cls._with_settings(fitted, settings, len(fitted.encoder.schema))
