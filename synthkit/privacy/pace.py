"""How many critic steps a generator step is worth, from what the critic says about fakes alone.

Under a budget the critic learns slowly: noise drowns single steps, and a generator that moves as often as without noise
runs ahead of it. More critic steps per generator step help more than anything else (Bie, Kamath and Zhang, "Private
GANs, Revisited", TMLR 2023), as many as it takes for the critic to know most fakes. What it says about real records is
private; what it says about fakes is not, because the critic itself is.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

from synthkit.errors import InputError


@dataclass(frozen=True)
class PaceSettings:
    """When the critic gets more steps, and when fewer.

    Attributes
    ----------
    ladder
        Critic steps per generator step, rising; the first is the start. With images the ladder goes to 200; the plans
        of tables have a few thousand critic steps in total.
    low, high
        Share of fakes that the critic knows: below ``low`` the next rung up, above ``high`` one down. The gap between
        the two keeps the pace from going to and fro. On tables the critic of a game that goes well knows 45 to 65 % of
        fakes, because the generator follows it closely; with more than one critic step per generator step such games
        were slower and no better.
    memory
        Decay of the moving average of that share, per generator step.
    grace
        Generator steps without a change after the start and after each change.
    """

    ladder: tuple[int, ...] = (1, 2, 5, 10, 20)
    low: float = 0.4
    high: float = 0.8
    memory: float = 0.9
    grace: int = 20

    def __post_init__(self) -> None:
        rising = all(a < b for a, b in pairwise(self.ladder))
        if not self.ladder or self.ladder[0] < 1 or not rising:
            raise InputError(f"critic steps per generator step must be whole numbers >= 1 that rise, got {self.ladder}")
        if not 0 <= self.low <= self.high <= 1:
            raise InputError(f"the bounds of the pace must be 0 <= low <= high <= 1, got {self.low} and {self.high}")
        if not 0 <= self.memory < 1 or self.grace < 0:
            raise InputError(f"memory must be in [0, 1) and grace >= 0, got {self.memory} and {self.grace}")


@dataclass
class Pace:
    """The state of the ladder; JSON-safe.

    Attributes
    ----------
    settings
        When it changes.
    rung
        Place on the ladder.
    known
        Moving average of the share of fakes that the critic knows.
    waited
        Generator steps since the last change.
    since
        Critic steps since the last generator step.
    """

    settings: PaceSettings
    rung: int = 0
    known: float = 0.5
    waited: int = 0
    since: int = 0

    @property
    def critic_steps(self) -> int:
        """Critic steps per generator step at the moment."""
        return self.settings.ladder[self.rung]

    def after_critic_step(self) -> bool:
        """Count a critic step; whether a generator step is due."""
        self.since += 1
        return self.since >= self.critic_steps

    def after_generator_step(self, known: float) -> None:
        """Count a generator step, before which the critic knew this share of fakes for what they are."""
        settings = self.settings
        self.since = 0
        self.known = settings.memory * self.known + (1 - settings.memory) * known
        self.waited += 1
        if self.waited <= settings.grace:
            return
        move = int(self.known < settings.low) - int(self.known > settings.high)
        rung = min(max(self.rung + move, 0), len(settings.ladder) - 1)
        if rung != self.rung:
            self.rung, self.waited = rung, 0
