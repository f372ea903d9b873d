"""`ScanGAN`: learns medical scans and produces synthetic ones, by class, in the units of the real ones."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np

from synthkit.errors import InputError
from synthkit.gan.budget import Budget
from synthkit.gan.estimator import Synthesizer, whole_count
from synthkit.io.scan_set import ScanForm, ScanSet
from synthkit.random import RandomSource
from synthkit.scans import storage
from synthkit.scans.balancing import balanced
from synthkit.scans.estimation import fit_openly
from synthkit.scans.fitted import FittedScans, drawn_scans, joined, no_scans
from synthkit.scans.plan import ScanPlan, device_named
from synthkit.scans.reading import format_of, scans_of
from synthkit.scans.showing import model_html
from synthkit.scans.space import ScanSpace

if TYPE_CHECKING:
    from synthkit.privacy.budget import PrivacyBudget
    from synthkit.scans.anomaly import ScanAnomalies

Scans = ScanSet | str | Path


class ScanGAN(Synthesizer[FittedScans]):
    """Generator of synthetic medical scans, images or volumes, with their masks.

    One engine plays every game; a recipe says which. `docs/explanation/image-engine.md` tells how and what its limits
    are.

    Parameters
    ----------
    recipe : str
        "r3" (relativistic pairs with R1 and R2), "stylegan", "sagan", "wgan-gp", "wgan", "dcgan", "cgan", "lapgan" and
        "vanilla" start from noise; "srgan" (super-resolution), "cyclegan" (translation), "inpaint" and "fanogan"
        (anomaly scores) from scans.
    size : "auto", "native", int or tuple
        Samples along each axis. "auto" keeps the size of the scans up to 128 for images and 64 for volumes, and
        resamples larger ones; "native" always keeps it.
    window : (low, high), optional
        Smallest and largest value that is learned, in real units; what lies outside is clipped. Without one: for CT
        -1024 to 3071 HU narrowed to what occurs, for values of at most 8 bits all of them, otherwise a robust range.
    loss : str, optional
        Another loss than that of the recipe.
    class_balance : bool
        Whether every class is seen equally often in training, however rare it is. Drawn scans keep the real
        proportions.
    flip : bool
        Whether scans are mirrored left and right in training. Off, because laterality is clinical content.
    factor : int
        Of super-resolution: how many times finer.
    paired : bool
        Of translation: source and target show the same, scan by scan.
    steps, batch : int or "auto"
        Length of the plan, and scans per step. "auto" plans the steps that fit into the time budget at a nominal speed.
    widths : sequence of int, optional
        Channels of the networks from coarse to fine, instead of those of the recipe.
    time_budget : str, float or None
        Ceiling on the wall time of `fit` ("90s", "10m", seconds, None for none).
    validation_share : float or "auto"
        Share of the scans held out from training, by patient.
    random_state : int or None
        Seed. The same seed, data, machine and versions give the same bytes, unless the time budget cuts the plan short.
    device : str
        "auto" (a GPU where there is one), "cpu", "cuda", "cuda:1".
    privacy : PrivacyBudget, optional
        Budget of differential privacy. `docs/how-to/private-scans.md` says what is guaranteed.
    privacy_engine : {"auto", "embedding", "critic", "hybrid"}
        What the budget is spent on: one noisy mean of random features of each class, a critic trained by DP-SGD, or the
        one after the other.
    classes : sequence of str or mapping, optional
        Under a budget: the declared classes, with the public number of patients of each where these are given.
    records : int, optional
        Under a budget: the public number of patients (of scans, where patients are not known).
    ledger : path, optional
        File of all releases from the same data; refuses what would overspend them together.
    reproducible_noise : int, optional
        Seeds the noise, for tests: the model is then not private, and its certificate says so.
    pictures : path, optional
        Folder that gets a grid of drawn scans whenever the held-out score is taken.
    verbose : bool or None
        Progress on standard error: always, never, or only on a terminal (None).
    log : path, optional
        Gets one JSON object per held-out score while training.

    Attributes
    ----------
    classes_ : tuple of str
        Names of the classes; empty without.
    size_ : tuple of int
        Samples of drawn scans along each axis.
    form_ : ScanForm
        Modality, units, spacing and how values are stored.
    report_ : dict
        What the fit did: scans, classes, what was left out, held-out score before and after, steps, seconds, memory.
    n_features_in_ : int
        Samples of a scan, over all channels.

    Examples
    --------
    >>> from synthkit import ScanGAN, read_scans
    >>> scans = read_scans("chest/", size=64).scans  # doctest: +SKIP
    >>> gan = ScanGAN(time_budget="10m", random_state=0).fit(scans)  # doctest: +SKIP
    >>> gan.sample(200, where={"label": "pneumonia"})  # doctest: +SKIP
    """

    _LEARNS = "scans"
    _PATHS = ("log", "ledger", "pictures")

    def __init__(
        self,
        recipe: str = "r3",
        *,
        size: str | int | Sequence[int] = "auto",
        window: tuple[float, float] | None = None,
        loss: str | None = None,
        class_balance: bool = False,
        flip: bool = False,
        factor: int = 2,
        paired: bool = False,
        steps: int | Literal["auto"] = "auto",
        batch: int | Literal["auto"] = "auto",
        widths: Sequence[int] | None = None,
        time_budget: str | float | None = "10m",
        validation_share: float | Literal["auto"] = "auto",
        random_state: int | None = None,
        device: str = "auto",
        privacy: PrivacyBudget | None = None,
        privacy_engine: Literal["auto", "embedding", "critic", "hybrid"] = "auto",
        classes: Sequence[str] | Mapping[str, int] | None = None,
        records: int | None = None,
        ledger: str | Path | None = None,
        reproducible_noise: int | None = None,
        pictures: str | Path | None = None,
        verbose: bool | None = None,
        log: str | Path | None = None,
    ) -> None:
        self.recipe = recipe
        self.size = size
        self.window = window
        self.loss = loss
        self.class_balance = class_balance
        self.flip = flip
        self.factor = factor
        self.paired = paired
        self.steps = steps
        self.batch = batch
        self.widths = widths
        self.time_budget = time_budget
        self.validation_share = validation_share
        self.random_state = random_state
        self.device = device
        self.privacy = privacy
        self.privacy_engine = privacy_engine
        self.classes = classes
        self.records = records
        self.ledger = ledger
        self.reproducible_noise = reproducible_noise
        self.pictures = pictures
        self.verbose = verbose
        self.log = log

    # -- fitting ------------------------------------------------------------------------------------------------------

    def fit(
        self,
        scans: Scans,
        y: None = None,
        *,
        target: Scans | None = None,
        holdout: Scans | None = None,
        checkpoint: str | Path | None = None,
        resume: bool = False,
    ) -> Self:
        """Learn scans.

        Parameters
        ----------
        scans : ScanSet or path
            At least 20 scans of one size; a path is read with `synthkit.read_scans`.
        y
            Ignored; for scikit-learn's sake.
        target : ScanSet or path, optional
            For translation: the scans to translate into.
        holdout : ScanSet or path, optional
            Scans that the fit is scored on; a share of the patients when absent.
        checkpoint : path, optional
            Where to keep the state of the fit, written every few seconds.
        resume : bool
            Go on from the checkpoint if there is one.

        Raises
        ------
        InputError
            A wrong setting, too few scans, values that are no numbers, or a checkpoint of another fit.
        PrivacyError
            Under a budget: something is not declared, or the budget does not allow it.
        TrainingError
            Training diverged twice.

        Privacy
        -------
        With ``privacy``, (epsilon, delta) differential privacy of the fitted model and of all that is drawn from it,
        for the patient where patients are known and for the scan otherwise.
        """
        settings = self.get_params(deep=False)
        plan = ScanPlan.of(settings)
        Budget.parse(self.time_budget)  # a wrong one is told before anything is read
        given = [name for name in ("ledger", "reproducible_noise", "classes", "records") if settings[name] is not None]
        given += ["privacy_engine"] if self.privacy_engine != "auto" else []
        if self.privacy is None and given:
            raise InputError(f"{given[0]} is given without a budget", remedy="give privacy=PrivacyBudget(...) too")
        if self.privacy is not None and (target is not None or holdout is not None):
            raise InputError("under a budget there are no held-out and no target scans", remedy="leave them out")
        read_as = format_of(scans)
        own = scans_of(scans)
        kept = None if checkpoint is None else Path(checkpoint)
        if self.privacy is not None:
            from synthkit.scans.private_fit import fit_privately

            self._fitted: FittedScans = fit_privately(own, settings, plan, checkpoint=kept, resume=resume)
        else:
            self._fitted = fit_openly(
                own,
                settings,
                plan,
                target=None if target is None else scans_of(target),
                holdout=None if holdout is None else scans_of(holdout),
                checkpoint=kept,
                resume=resume,
            )
        self._fitted.read_as = read_as
        self.n_features_in_ = self._features()
        return self

    # -- what was learned ---------------------------------------------------------------------------------------------

    def _features(self) -> int:
        space = self._learned().space
        return space.channels * int(np.prod(space.size))

    @property
    def space_(self) -> ScanSpace:
        """Size, units, classes and regions of the scans."""
        return self._learned().space

    @property
    def classes_(self) -> tuple[str, ...]:
        """Names of the classes."""
        return self._learned().space.classes

    @property
    def size_(self) -> tuple[int, ...]:
        """Samples of drawn scans along each axis."""
        return self._learned().space.size

    @property
    def form_(self) -> ScanForm:
        """Modality, units, spacing and how values are stored."""
        return self._learned().space.form

    @property
    def read_as_(self) -> str:
        """Format that the training scans were read from; empty where they were given as arrays."""
        return self._learned().read_as

    def read_as(self, path: str | Path) -> Self:
        """Remember the format of the files that the training scans came from, where `fit` was given a set of them."""
        self._learned().read_as = format_of(path)
        return self

    # -- sampling -----------------------------------------------------------------------------------------------------

    def sample(self, n: int, *, where: Mapping[str, Any] | None = None, random_state: int | None = None) -> ScanSet:
        """Draw synthetic scans.

        Parameters
        ----------
        n : int
            Number of scans.
        where : mapping, optional
            ``{"label": name}`` or ``{"label": [name, ...]}``; classes keep their proportions.
        random_state : int, optional
            Seed; the same seed gives the same scans.

        Returns
        -------
        ScanSet
            Size, units, dtype and classes of the training scans; masks where those had masks.

        Raises
        ------
        ConditionError
            An unknown condition or class.
        InputError
            No number of scans, or a model that makes scans from scans.
        """
        fitted, wanted = self._learned(), whole_count(n, "scans")
        parts = drawn_scans(fitted, wanted, where, RandomSource(random_state))
        return joined(list(parts), no_scans(fitted.space))

    def iter_sample(
        self,
        n: int,
        *,
        where: Mapping[str, Any] | None = None,
        random_state: int | None = None,
        batch: int | None = None,
    ) -> Iterator[ScanSet]:
        """Draw synthetic scans as a stream of sets, with flat memory.

        Parameters as in `sample`; ``batch`` scans at a time. Conditions are checked now, not at the first batch.
        """
        fitted, wanted = self._learned(), whole_count(n, "scans")
        return drawn_scans(fitted, wanted, where, RandomSource(random_state), batch=batch)

    def balance(
        self,
        scans: ScanSet,
        *,
        ratio: float = 1.0,
        counts: Mapping[str, int] | None = None,
        random_state: int | None = None,
    ) -> ScanSet:
        """Add synthetic scans of the rarer classes.

        Parameters
        ----------
        scans : ScanSet
            Real scans with labels; they come first in the result, untouched.
        ratio : float
            Scans that every class shall have at least, as a share of the largest class.
        counts : mapping of class to int, optional
            Scans that these classes shall have instead; other classes stay as they are.
        random_state : int, optional
            Seed.

        Raises
        ------
        InputError
            No labels, an unknown class, or fewer scans asked for than there are.
        DataError
            Scans of another size, or a class that the model never saw.
        """
        fitted, random = self._learned(), RandomSource(random_state)

        def draw(name: str, n: int, first: int) -> ScanSet:
            own = random.child(f"balance {name}")
            return joined(list(drawn_scans(fitted, n, {"label": name}, own, first=first)), no_scans(fitted.space))

        return balanced(scans, fitted.space, draw, ratio=ratio, counts=counts)

    # -- scans from scans ---------------------------------------------------------------------------------------------

    def translate(self, scans: Scans, *, reverse: bool = False) -> ScanSet:
        """Translate scans into the other kind (recipe "cyclegan"); ``reverse`` goes the other way."""
        from synthkit.scans.translation import translate

        return translate(self._learned(), scans_of(scans), reverse=reverse)

    def superresolve(self, scans: Scans, *, sharp: bool = True) -> ScanSet:
        """Return scans of `factor` times the resolution (recipe "srgan"); without `sharp` the nearest on average."""
        from synthkit.scans.superresolution import superresolve

        return superresolve(self._learned(), scans_of(scans), sharp=sharp)

    def impute(self, scans: Scans, holes: np.ndarray, *, sharp: bool = True) -> ScanSet:
        """Fill holes ``[n, *size]`` (true where a sample is missing); everything else comes back unchanged."""
        from synthkit.scans.inpainting import impute

        return impute(self._learned(), scans_of(scans), holes, sharp=sharp)

    def anomaly_scores(self, scans: Scans) -> ScanAnomalies:
        """Score how unlike the training scans these are, and where (recipe "fanogan")."""
        from synthkit.scans.anomaly import anomaly_scores

        return anomaly_scores(self._learned(), scans_of(scans))

    # -- model file ---------------------------------------------------------------------------------------------------

    def _html_repr(self) -> str:
        return model_html(self)

    def save(self, path: str | Path) -> None:
        """Write the model file (JSON and arrays in one archive), whole or not at all."""
        storage.save(self._learned(), self._stored_settings(), path)

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Open a model file. Nothing in it is executed. A model that was fitted on a GPU opens without one too.

        Raises
        ------
        ModelFileError
            Not a model of scans, truncated, changed, or from a newer version.
        """
        fitted, settings = storage.load(path)
        fitted.device = device_named("auto") if settings.get("device") == "auto" else "cpu"
        for name in ("size", "window", "widths", "classes"):
            settings[name] = tuple(settings[name]) if isinstance(settings.get(name), list) else settings.get(name)
        space = fitted.space
        if settings.get("privacy") is not None:
            from synthkit.privacy.budget import PrivacyBudget

            settings["privacy"] = PrivacyBudget.from_json(settings["privacy"])
        return cls._with_settings(fitted, settings, space.channels * int(np.prod(space.size)))
