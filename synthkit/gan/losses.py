"""The games that critic and generator play, as pure functions of the critic's scores.

Every function takes scores ``[B]`` (higher: looks more real) and returns a scalar to be minimised.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from torch import Tensor
from torch.nn import functional

from synthkit.errors import InputError, unknown_name

Game = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class Loss:
    """One adversarial loss: what the critic and what the generator minimise.

    Attributes
    ----------
    critic_loss, generator_loss
        Functions of real scores ``[B]`` and fake scores ``[B]``.
    paired
        Whether the generator's loss compares each fake with a real record; the others ignore the real scores.
    """

    critic_loss: Game
    generator_loss: Game
    paired: bool = False


def relativistic_critic(real_scores: Tensor, fake_scores: Tensor) -> Tensor:
    """Ask real records to score above the fakes they are paired with (Jolicoeur-Martineau 2018; R3GAN, Huang 2024)."""
    return functional.softplus(fake_scores - real_scores).mean()


def relativistic_generator(real_scores: Tensor, fake_scores: Tensor) -> Tensor:
    """Ask fakes to score above the real records they are paired with."""
    return functional.softplus(real_scores - fake_scores).mean()


def wasserstein_critic(real_scores: Tensor, fake_scores: Tensor) -> Tensor:
    """Minus the estimate of the Wasserstein-1 distance, for a Lipschitz critic (Arjovsky 2017)."""
    return fake_scores.mean() - real_scores.mean()


def wasserstein_generator(real_scores: Tensor, fake_scores: Tensor) -> Tensor:
    """Minus the mean score of the fakes."""
    return -fake_scores.mean()


def vanilla_critic(real_scores: Tensor, fake_scores: Tensor) -> Tensor:
    """Cross-entropy of telling real from fake (Goodfellow 2014)."""
    return functional.softplus(-real_scores).mean() + functional.softplus(fake_scores).mean()


def vanilla_generator(real_scores: Tensor, fake_scores: Tensor) -> Tensor:
    """Cross-entropy of fakes being taken for real: the non-saturating form (Goodfellow 2014, section 3)."""
    return functional.softplus(-fake_scores).mean()


LOSSES: dict[str, Loss] = {
    "relativistic": Loss(relativistic_critic, relativistic_generator, paired=True),
    "wgan-gp": Loss(wasserstein_critic, wasserstein_generator),
    "wgan": Loss(wasserstein_critic, wasserstein_generator),
    "vanilla": Loss(vanilla_critic, vanilla_generator),
}


def hinge_critic(real_scores: Tensor, fake_scores: Tensor) -> Tensor:
    """Ask for real scores above 1 and fake scores below -1, no further (Lim 2017; SAGAN, Zhang 2019)."""
    return functional.relu(1 - real_scores).mean() + functional.relu(1 + fake_scores).mean()


def least_squares_critic(real_scores: Tensor, fake_scores: Tensor) -> Tensor:
    """Ask for real scores of 1 and fake scores of 0 (Mao 2017)."""
    return (real_scores - 1).square().mean() + fake_scores.square().mean()


def least_squares_generator(real_scores: Tensor, fake_scores: Tensor) -> Tensor:
    """Ask for fake scores of 1."""
    return (fake_scores - 1).square().mean()


# Scores of images may be maps, [B, P]: every entry counts the same.
IMAGE_LOSSES: dict[str, Loss] = LOSSES | {
    "hinge": Loss(hinge_critic, wasserstein_generator),
    "least-squares": Loss(least_squares_critic, least_squares_generator),
}


def loss_named(name: str, known: Mapping[str, Loss] = LOSSES) -> Loss:
    """Look up a loss by name.

    Raises
    ------
    InputError
        When there is no such loss; names the nearest one.
    """
    if name not in known:
        raise InputError(unknown_name("loss", name, known))
    return known[name]
