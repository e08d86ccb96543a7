import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from search_world import config, space_of

from tlsearch.records import TrialKind, TrialRecord, TrialState
from tlsearch.search import SearchSpace
from tlsearch.search.importance import parameter_importance
from tlsearch.search.sampler import Asker


def history_of(space: SearchSpace, count: int) -> list[TrialRecord]:
    """Random trials whose score follows from the weight decay, and in the MLP a little from its size."""
    asker = Asker(space, (), sampler="random", seed=4)
    found = []
    for number in range(count):
        params = asker.ask()
        score = -abs(float(params["weight_decay"]) - 1e-3) + params.get("mlp.hidden", 0) * 1e-7
        found.append(
            TrialRecord(
                number=number,
                kind=TrialKind.SEARCH,
                state=TrialState.COMPLETED,
                params=params,
                recipe=space.recipe(params).to_json(),
                score=score,
            )
        )
    return found


def test_the_parameter_that_decides_has_the_largest_share() -> None:
    space = space_of(config())

    told = parameter_importance(space, history_of(space, 80))

    assert told["withheld"] is None
    assert next(iter(told["shared"])) == "weight_decay"
    assert sum(told["shared"].values()) == pytest.approx(1.0)
    assert told["shared"].keys().isdisjoint({"mlp.hidden", "suffix_lr_scale", "large.width"})
    assert json.loads(json.dumps(told)) == told


def test_conditional_parameters_are_told_within_their_branch() -> None:
    space = space_of(config())
    history = history_of(space, 80)

    branches = parameter_importance(space, history)["branches"]

    mlp = [record for record in history if record.params["head"] == "mlp"]
    assert branches["head=mlp"]["n"] == len(mlp)
    assert branches["head=mlp"]["shares"].keys() == {
        "mlp.learning_rate",
        "mlp.hidden",
        "mlp.layers",
        "mlp.dropout",
    }
    assert 0 < sum(branches["head=mlp"]["shares"].values()) < 1
    assert branches["unfrozen>0"]["shares"].keys() == {"suffix_lr_scale"}


def test_a_branch_of_few_trials_tells_their_number_alone() -> None:
    space = space_of(config())
    linear = [r for r in history_of(space, 80) if r.params["head"] == "linear"]
    mlp = [r for r in history_of(space, 80) if r.params["head"] == "mlp"][:3]

    branches = parameter_importance(space, [*linear, *mlp])["branches"]

    assert branches["head=mlp"] == {"n": 3, "shares": {}}


def test_under_twenty_completed_trials_shares_are_withheld() -> None:
    space = space_of(config())
    history = history_of(space, 30)
    failed = [replace(r, state=TrialState.FAILED, score=None) for r in history[19:]]
    baselines = [replace(r, kind=TrialKind.BASELINE) for r in history[19:]]

    told = parameter_importance(space, [*history[:19], *failed, *baselines])

    assert told["shared"] == told["branches"] == {}
    assert "19 trials completed" in told["withheld"]


def test_equal_scores_tell_nothing() -> None:
    space = space_of(config())
    equal = [replace(record, score=0.9) for record in history_of(space, 30)]

    assert "one score" in parameter_importance(space, equal)["withheld"]


def test_shares_are_told_without_scikit_learn_which_others_can_load_afterwards() -> None:
    """Importing it takes two seconds, and no share needs it."""
    script = (
        "import sys\n"
        "from test_importance import *\n"
        "space = space_of(config())\n"
        "told = parameter_importance(space, history_of(space, 80))\n"
        "print(next(iter(told['shared'])), sorted({'sklearn', 'scipy'} & sys.modules.keys()))\n"
        "import sklearn.ensemble\n"
        "print(sklearn.ensemble.RandomForestRegressor.__name__)"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent)}
    done = subprocess.run([sys.executable, "-c", script], env=environment, check=True, capture_output=True, text=True)
    assert done.stdout.splitlines() == ["weight_decay []", "RandomForestRegressor"]
