from __future__ import annotations

import pytest

from synthkit.errors import InputError
from synthkit.privacy.pace import Pace, PaceSettings


def run(pace, known, generator_steps):
    """Critic steps before each generator step."""
    taken = []
    for _ in range(generator_steps):
        steps = 1
        while not pace.after_critic_step():
            steps += 1
        taken.append(steps)
        pace.after_generator_step(known)
    return taken


def test_the_ladder_is_climbed_while_fakes_pass_for_real():
    taken = run(Pace(PaceSettings(ladder=(1, 2, 5), grace=3)), 0.3, 40)
    assert taken[:4] == [1, 1, 1, 1]
    assert taken == sorted(taken)
    assert taken[-1] == 5


def test_and_left_again_when_all_are_known():
    pace = Pace(PaceSettings(ladder=(1, 2, 5), grace=3), rung=2)
    assert run(pace, 1.0, 60)[-1] == 1


def test_between_the_bounds_nothing_changes():
    pace = Pace(PaceSettings(ladder=(1, 2, 5), grace=0), rung=1, known=0.6)
    assert set(run(pace, 0.6, 50)) == {2}


def test_changes_wait_for_the_grace_period():
    pace = Pace(PaceSettings(ladder=(1, 2, 5, 10), grace=10, memory=0.0))
    taken = run(pace, 0.0, 33)
    assert [taken.count(steps) for steps in (1, 2, 5)] == [11, 11, 11]


def test_a_single_rung_is_a_fixed_pace():
    assert set(run(Pace(PaceSettings(ladder=(4,))), 0.0, 60)) == {4}


@pytest.mark.parametrize("wrong", [{"ladder": ()}, {"ladder": (0, 1)}, {"ladder": (2, 2)}, {"low": 0.9, "high": 0.8}])
def test_impossible_settings(wrong):
    with pytest.raises(InputError):
        PaceSettings(**wrong)
