"""Time budgets: a ceiling on wall time, written the way people say it ("90s", "2m", "1h30m")."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from synthkit.errors import InputError

_PATTERN = re.compile(r"(?:(\d+(?:\.\d+)?)h)?(?:(\d+(?:\.\d+)?)m)?(?:(\d+(?:\.\d+)?)s)?")


@dataclass(frozen=True)
class Budget:
    """A ceiling on the wall time of a fit.

    Training follows a plan counted in steps; the budget only cuts that plan short. So the same seed gives the same
    result whenever the ceiling is not reached, on a slow machine as on a fast one.

    Parameters
    ----------
    seconds
        Wall time in seconds; ``math.inf`` for no ceiling.
    """

    seconds: float = math.inf

    @classmethod
    def parse(cls, value: str | float | Budget | None) -> Budget:
        """Read a budget: ``"90s"``, ``"2m"``, ``"1h30m"``, a number of seconds, or None for no ceiling.

        Raises
        ------
        InputError
            When the text is not a duration, or the duration is not positive.
        """
        if value is None:
            return cls()
        if isinstance(value, Budget):
            return value
        if isinstance(value, str):
            text = value.strip().lower().replace(" ", "")
            match = _PATTERN.fullmatch(text)
            if text.replace(".", "", 1).isdigit():
                seconds = float(text)
            elif text and match is not None:
                hours, minutes, rest = (float(part) if part else 0.0 for part in match.groups())
                seconds = 3600 * hours + 60 * minutes + rest
            else:
                raise InputError(
                    f"time budget {value!r} is not a duration",
                    remedy="write it like 90s, 2m, 1h30m, or as a number of seconds",
                )
        else:
            seconds = float(value)
        if not seconds > 0:  # also refuses NaN
            raise InputError(f"time budget {value!r} is not positive", remedy="give at least a few seconds, e.g. 30s")
        return cls(seconds)

    def __str__(self) -> str:
        if math.isinf(self.seconds):
            return "no limit"
        minutes, seconds = divmod(self.seconds, 60)
        hours, minutes = divmod(int(minutes), 60)
        parts = [f"{hours}h" if hours else "", f"{minutes}m" if minutes else "", f"{seconds:g}s" if seconds else ""]
        return "".join(parts)
