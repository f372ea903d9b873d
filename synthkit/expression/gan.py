"""`ExpressionGAN`: learns gene expression and produces synthetic cells, by type, batch and library size."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np

from synthkit.errors import InputError
from synthkit.expression import storage
from synthkit.expression.balancing import balanced
from synthkit.expression.estimation import Columns, check_settings, fit_openly
from synthkit.expression.fitted import FittedExpression, drawn_cells
from synthkit.expression.model import Wanted
from synthkit.expression.reading import cells_of
from synthkit.expression.showing import model_html
from synthkit.expression.space import ExpressionSpace
from synthkit.gan.budget import Budget
from synthkit.gan.estimator import Synthesizer, whole_count
from synthkit.io.expression_set import ExpressionSet
from synthkit.io.expression_write import joined_cells
from synthkit.random import RandomSource

if TYPE_CHECKING:
    from synthkit.privacy.budget import PrivacyBudget

Cells = ExpressionSet | str | Path | object
"""A set, a path, or an AnnData."""


class ExpressionGAN(Synthesizer[FittedExpression]):
    """Generator of synthetic gene expression: integer counts of single cells or bulk, log-expression, microarrays.

    `docs/explanation/expression.md` tells how the default model works and what was measured.

    Parameters
    ----------
    model : str
        "cwgan": a conditional WGAN-GP in a whitened latent space, anchored on class means and covariances, with noise
        of counting and restored margins. "wgan-gp-genes": the published design on genes (scGAN). "nb", "copula" and
        "mvn": classical baselines. "auto" fits them to a part of the cells and keeps the one that is nearest to the
        rest.
    factors : int or "auto"
        Latent dimensions of "cwgan".
    loss : str
        Of the game: "wgan-gp", "relativistic", "wgan" or "vanilla".
    genes : str
        "all", or "hvg:2000" for the most variable ones; only these are drawn then.
    fewest_cells : int
        Cells that a class must have: a class of two is nearly its cells, and what is drawn of it nearly repeats them.
        With 1 every class is learned.
    steps : int or "auto"
        Length of the game.
    time_budget : str, float or None
        Ceiling on the wall time of `fit` ("90s", "5m", seconds, None for none).
    random_state : int or None
        Seed. The same seed, data, machine and versions give the same bytes, unless the time budget cuts the plan short.
    device : str
        "auto" (a GPU where there is one), "cpu", "cuda".
    privacy : PrivacyBudget, optional
        Budget of differential privacy. `docs/how-to/private-expression.md` says what is guaranteed.
    loadings : str or path, optional
        Under a budget: the public directions that cells are described by. A GMT file of gene sets, a table of loadings,
        an .h5ad file of a public cohort, or "random:32".
    classes : sequence of str or mapping, optional
        Under a budget: the declared classes, with the public number of cells of each where these are given.
    records : int, optional
        Under a budget: the public number of donors (of cells, where donors are not known).
    ledger : path, optional
        File of all releases from the same data; refuses what would overspend them together.
    reproducible_noise : int, optional
        Seeds the noise, for tests: the model is then not private, and its certificate says so.
    verbose : bool or None
        Progress on standard error: always, never, or only on a terminal (None).
    log : path, optional
        Gets one JSON object per held-out score while training.

    Attributes
    ----------
    classes_ : tuple of str
        Names of the classes.
    genes_ : pandas.DataFrame
        Genes that are drawn, in their order, with their annotations.
    model_ : str
        Name of the model that was fitted; with "auto" the chosen one.
    report_ : dict
        What the fit did: cells, genes, classes, which model and why, held-out score, steps, seconds, memory.
    n_features_in_ : int
        Number of genes.

    Examples
    --------
    >>> from synthkit import ExpressionGAN
    >>> gan = ExpressionGAN(random_state=0).fit("pbmc.h5ad", label="cell_type")  # doctest: +SKIP
    >>> gan.sample(500, where={"cell_type": "pDC"})  # doctest: +SKIP
    """

    _LEARNS = "cells"
    _PATHS = ("log", "ledger", "loadings")

    def __init__(
        self,
        model: str = "auto",
        *,
        factors: int | Literal["auto"] = "auto",
        loss: str = "wgan-gp",
        genes: str = "all",
        fewest_cells: int = 3,
        steps: int | Literal["auto"] = "auto",
        time_budget: str | float | None = "5m",
        random_state: int | None = None,
        device: str = "auto",
        privacy: PrivacyBudget | None = None,
        loadings: str | Path | None = None,
        classes: Sequence[str] | Mapping[str, int] | None = None,
        records: int | None = None,
        ledger: str | Path | None = None,
        reproducible_noise: int | None = None,
        verbose: bool | None = None,
        log: str | Path | None = None,
    ) -> None:
        self.model = model
        self.factors = factors
        self.loss = loss
        self.genes = genes
        self.fewest_cells = fewest_cells
        self.steps = steps
        self.time_budget = time_budget
        self.random_state = random_state
        self.device = device
        self.privacy = privacy
        self.loadings = loadings
        self.classes = classes
        self.records = records
        self.ledger = ledger
        self.reproducible_noise = reproducible_noise
        self.verbose = verbose
        self.log = log

    # -- fitting ------------------------------------------------------------------------------------------------------

    def fit(
        self,
        cells: Cells,
        y: None = None,
        *,
        label: str | Sequence[str] | None = None,
        batch: str | None = None,
        donor: str | None = None,
        covariates: Sequence[str] = (),
        checkpoint: str | Path | None = None,
        resume: bool = False,
    ) -> Self:
        """Learn cells.

        Parameters
        ----------
        cells : ExpressionSet, path or AnnData
            At least 20 cells; a path or an AnnData is read with `synthkit.read_expression`.
        y
            Ignored; for scikit-learn's sake.
        label : str or sequence of str, optional
            Columns of cells whose combinations of values are the classes.
        batch : str, optional
            Column of batches, whose effects are learned apart from those of classes.
        donor : str, optional
            Column that says which person a cell is of: whole donors are set aside, and protected under a budget.
        covariates : sequence of str
            Columns of numbers to condition on.
        checkpoint : path, optional
            Where to keep the state of the fit, written every few seconds.
        resume : bool
            Go on from the checkpoint if there is one.

        Raises
        ------
        InputError
            A wrong setting, a column that is not there, or a checkpoint of another fit.
        DataError
            Too few cells, or values that cannot be learned.
        PrivacyError
            Under a budget: something is not declared, or the budget does not allow it.
        TrainingError
            Training diverged twice.

        Privacy
        -------
        With ``privacy``, (epsilon, delta) differential privacy of the fitted model and of all that is drawn from it,
        for the donor where donors are given and for the cell otherwise, when one of them is added or removed.
        """
        settings = self.get_params(deep=False)
        check_settings(settings)
        Budget.parse(self.time_budget)  # a wrong one is told before anything is read
        columns = Columns.of(label, batch, donor, covariates)
        names = ("loadings", "classes", "records", "ledger", "reproducible_noise")
        given = [name for name in names if settings[name] is not None]
        if self.privacy is None and given:
            raise InputError(f"{given[0]} is given without a budget", remedy="Give privacy=PrivacyBudget(...) too.")
        # what the values are must not be told from private ones
        own = cells_of(cells, None if self.privacy is None else "counts")
        kept = None if checkpoint is None else Path(checkpoint)
        if self.privacy is not None:
            self._fitted: FittedExpression = self._private(own, settings, columns)
        else:
            self._fitted = fit_openly(own, settings, columns, checkpoint=kept, resume=resume)
        self.n_features_in_ = len(self._fitted.space.genes)
        return self

    def _private(self, cells: ExpressionSet, settings: Mapping[str, Any], columns: Columns) -> FittedExpression:
        from synthkit.expression.private_fit import fit_privately

        if columns.batch is not None or columns.covariates or len(columns.labels) > 1:
            raise InputError(
                "under a budget there are no batches and covariates, and at most one label", remedy="Leave them out."
            )
        space, model, report, privacy = fit_privately(
            cells,
            settings,
            label=columns.labels[0] if columns.labels else None,
            donor=columns.donor,
            loadings=self.loadings or "random:32",
            classes=self.classes,
            records=self.records,
            ledger=self.ledger,
            reproducible_noise=self.reproducible_noise,
        )
        return FittedExpression(space, model, report, privacy)

    # -- what was learned ---------------------------------------------------------------------------------------------

    @property
    def space_(self) -> ExpressionSpace:
        """Genes, classes, batches and covariates."""
        return self._learned().space

    @property
    def classes_(self) -> tuple[str, ...]:
        """Names of the classes."""
        return self._learned().space.class_names if self._learned().space.labels else ()

    @property
    def genes_(self) -> Any:
        """Genes that are drawn, with their annotations, as a DataFrame."""
        return self._learned().space.genes

    @property
    def model_(self) -> str:
        """Name of the fitted model."""
        return self._learned().model.name

    # -- sampling -----------------------------------------------------------------------------------------------------

    def sample(
        self, n: int, *, where: Mapping[str, Any] | None = None, random_state: int | None = None
    ) -> ExpressionSet:
        """Draw synthetic cells.

        Parameters
        ----------
        n : int
            Number of cells.
        where : mapping, optional
            Values of the labels and the batch, one or a list of them (``{"cell_type": ["B", "pDC"]}``), and
            ``library_size``, the counts that each cell shall have in expectation. Classes keep their proportions.
        random_state : int, optional
            Seed; the same seed gives the same cells.

        Returns
        -------
        ExpressionSet
            The genes of the training cells; counts as a CSR matrix of whole numbers.

        Raises
        ------
        ConditionError
            An unknown condition or value.
        InputError
            No number of cells.
        """
        parts = list(self.iter_sample(n, where=where, random_state=random_state))
        return _joined(parts, self._learned())

    def iter_sample(
        self,
        n: int,
        *,
        where: Mapping[str, Any] | None = None,
        random_state: int | None = None,
        batch: int | None = None,
    ) -> Iterator[ExpressionSet]:
        """Draw synthetic cells as a stream of sets, with flat memory.

        Parameters as in `sample`; ``batch`` cells at a time. Conditions are checked now, not at the first batch.
        """
        fitted, wanted = self._learned(), whole_count(n, "cells")
        return drawn_cells(fitted, wanted, where, RandomSource(random_state), batch=batch)

    def balance(
        self,
        cells: Cells,
        *,
        ratio: float = 1.0,
        counts: Mapping[str, int] | None = None,
        random_state: int | None = None,
    ) -> ExpressionSet:
        """Add synthetic cells of the rarer classes.

        Parameters
        ----------
        cells : ExpressionSet, path or AnnData
            Real cells with the labels of the fit; they come first in the result, untouched. A column ``synthetic`` is
            added.
        ratio : float
            Cells that every class shall have at least, as a share of the largest class.
        counts : mapping of class to int, optional
            Cells that these classes shall have instead; other classes stay as they are.
        random_state : int, optional
            Seed.

        Raises
        ------
        InputError
            No labels, an unknown class, or fewer cells asked for than there are.
        DataError
            Other genes, or a class that the model never saw.

        Warns
        -----
        UserWarning
            A class is filled up from fewer than 20 real cells, or to more than 20 times as many.
        """
        fitted, random = self._learned(), RandomSource(random_state)

        def draw(label: int, n: int, first: int) -> ExpressionSet:
            own = random.child(f"balance {fitted.space.class_names[label]}")
            chosen = {name: fitted.space.classes[name].iloc[label] for name in fitted.space.labels}
            return fitted.drawn(fitted.space.drawn(n, chosen, own.numpy("batches")), own, first)

        return balanced(cells_of(cells), fitted.space, draw, ratio=ratio, counts=counts)

    # -- model file ---------------------------------------------------------------------------------------------------

    def _html_repr(self) -> str:
        return model_html(self)

    def save(self, path: str | Path) -> None:
        """Write the model file (JSON and arrays in one archive), whole or not at all."""
        storage.save(self._learned(), self._stored_settings(), path)

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Open a model file. Nothing in it is executed.

        Raises
        ------
        ModelFileError
            Not a model of gene expression, truncated, changed, or from a newer version.
        """
        fitted, settings = storage.load(path)
        if isinstance(settings.get("classes"), list):
            settings["classes"] = tuple(settings["classes"])
        if settings.get("privacy") is not None:
            from synthkit.privacy.budget import PrivacyBudget

            settings["privacy"] = PrivacyBudget.from_json(settings["privacy"])
        return cls._with_settings(fitted, settings, len(fitted.space.genes))


def _joined(parts: list[ExpressionSet], fitted: FittedExpression) -> ExpressionSet:
    """Return batches as one set."""
    from scipy import sparse

    if not parts:
        none = Wanted(*(np.empty(0, np.int64),) * 2, np.empty((0, len(fitted.space.covariates)), np.float32))
        return fitted.drawn(none, RandomSource(0))
    if parts[0].is_sparse:
        values = sparse.vstack([part.values for part in parts], format="csr")
    else:
        values = np.concatenate([part.values for part in parts])
    space = fitted.space
    return ExpressionSet(values, space.genes, joined_cells([part.cells for part in parts]), space.measure)
