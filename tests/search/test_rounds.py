import os
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from search_world import (
    BACKBONES,
    PROBES,
    SET,
    config,
    ended,
    play,
    record_of,
    space_of,
    through_json,
)

from tlsearch.records import TrialKind, TrialRecord, TrialState
from tlsearch.search import Proposal, SpaceExhausted, next_round
from tlsearch.search.jobs import Known
from tlsearch.study import StudyConfig

TWO = {**SET, "head": {"linear": {"learning_rate": [0.01, 0.001], "dropout": 0.0}}}


@pytest.mark.parametrize("sampler", ["tpe", "random"])
def test_a_study_rebuilt_from_its_records_at_every_step_is_the_same(sampler: str) -> None:
    study = config(trials=40, search={"sampler": sampler, "augment": ["none", "flip"]})
    space = space_of(study)

    through, _, _ = play(study, space=lambda: space, known=Known())
    rebuilt, _, _ = play(study, space=lambda: space_of(study), kept=through_json)

    assert [r.params for r in through] == [r.params for r in rebuilt]
    assert [(r.number, r.kind, r.state, r.score) for r in through] == [
        (r.number, r.kind, r.state, r.score) for r in rebuilt
    ]
    assert Counter(r.kind for r in through)[TrialKind.SEARCH] == 28


def test_another_process_proposes_the_same_and_loads_no_framework() -> None:
    script = (
        "import sys\n"
        "from search_world import *\n"
        "study = config(trials=20)\n"
        "history, _, _ = play(study, space=lambda: space_of(study))\n"
        "print([sorted(r.params.items()) for r in history])\n"
        "print(sorted({'torch', 'keras', 'sklearn', 'sqlalchemy'} & sys.modules.keys()))"
    )
    here = Path(__file__).parent

    def told(hash_seed: str) -> list[str]:
        environment = {**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": str(here)}
        command = [sys.executable, "-c", script]
        return subprocess.run(
            command, env=environment, cwd=here.parents[1], capture_output=True, text=True, check=True
        ).stdout.splitlines()

    study = config(trials=20)
    history, _, _ = play(study, space=lambda: space_of(study))
    expected = [str([sorted(record.params.items()) for record in history]), "[]"]
    assert told("1") == told("2") == expected


def first_round(study: StudyConfig) -> list[Proposal]:
    found = next_round(space_of(study), [], config=study, probe_scores=PROBES, room=100)
    assert isinstance(found, list)
    return found


def test_how_much_room_there_is_changes_no_startup_trial() -> None:
    study = config(trials=20)

    at_once, _, _ = play(study, space=lambda: space_of(study))
    one_by_one, _, _ = play(study, space=lambda: space_of(study), room=1)

    count = sum(r.kind is TrialKind.STARTUP for r in at_once)
    assert [r.params for r in at_once[:count]] == [r.params for r in one_by_one[:count]]


@pytest.mark.parametrize(("trials", "startups"), [(60, 18), (20, 9), (9, 9), (4, 4), (1, 1)])
def test_startup_takes_its_share_of_the_budget(trials: int, startups: int) -> None:
    study = config(trials=trials)

    assert [proposal.kind for proposal in first_round(study)] == [TrialKind.STARTUP] * startups


@pytest.mark.parametrize("trials", [12, 60])
def test_every_backbone_gets_three_trials_and_one_is_fine_tuned(trials: int) -> None:
    study = config(trials=trials)

    first = first_round(study)

    for name in PROBES:
        own = [p for p in first if p.recipe.backbone == name]
        assert len(own) >= 3
        assert sum(p.recipe.fine_tunes for p in own) == len(own) // 2
        assert {p.recipe.head for p in own} == {"linear", "mlp"}
    depths = {p.recipe.phases[0].unfrozen for p in first}
    assert depths == {0, 1, 2, 3, 4} if trials == 60 else 0 in depths


def test_startup_begins_with_the_backbone_of_the_best_probe() -> None:
    study = config()

    found = next_round(space_of(study), [], config=study, probe_scores={"large": 0.9, "small": 0.8}, room=6)

    assert [p.recipe.backbone for p in found] == ["large", "small", "middle"] * 2


def test_every_backbone_begins_with_what_its_probe_says_nearly_untrained() -> None:
    study = config(search={"epochs": {"low": 3, "high": 9}})

    first = first_round(study)

    for name in PROBES:
        recipe = next(p.recipe for p in first if p.recipe.backbone == name)
        (phase,) = recipe.phases
        assert (recipe.head, recipe.start, phase.unfrozen) == ("linear", "probe", 0)
        assert (phase.epochs, phase.learning_rate, recipe.weight_decay) == (3, 1e-3, 1e-6)
        assert (recipe.head_params, recipe.label_smoothing) == ({"dropout": 0.0}, 0.0)


def test_without_a_linear_head_or_a_frozen_depth_the_first_trials_are_drawn_freely() -> None:
    for search in ({"heads": ["mlp"]}, {"unfrozen": {"low": 1, "high": 2}}):
        study = config(search={**search, "epochs": {"low": 3, "high": 9}})

        first = first_round(study)[:3]

        assert {p.recipe.phases[0].epochs for p in first} != {3}


@pytest.mark.parametrize(("unfrozen", "depths"), [(0, {0}), ([0, 3], {0, 3}), ([2, 3], {2, 3})])
def test_startup_keeps_to_the_depths_of_the_study(unfrozen: object, depths: set[int]) -> None:
    study = config(trials=60, search={"unfrozen": unfrozen})

    first = first_round(study)

    assert {p.recipe.phases[0].unfrozen for p in first} == depths


@pytest.mark.parametrize("unfrozen", [0, [0, 1]])
def test_rows_of_a_job_share_what_they_must(unfrozen: object) -> None:
    study = config(trials=80, search={"augment": ["none", "flip"], "unfrozen": unfrozen})
    space = space_of(study)

    _, rounds, _ = play(study, space=lambda: space)

    for found in rounds:
        jobs: dict[int, list] = {}
        for proposal in found:
            jobs.setdefault(proposal.group, []).append(proposal)
        for rows in jobs.values():
            recipes = [row.recipe for row in rows]
            assert len({(r.backbone, r.head, r.augment, r.batch_size, str(r.backbone_params)) for r in recipes}) == 1
            assert len({(r.phases[0].unfrozen, r.head_params.get("layers")) for r in recipes}) == 1
            assert len({r.digest() for r in recipes}) == len(rows)
            assert len(rows) == 1 or not recipes[0].fine_tunes


@pytest.mark.parametrize(("room", "rows"), [(4, 4), (100, 6)])
def test_a_search_round_is_one_job_of_a_tenth_of_the_budget_or_what_fits(room: int, rows: int) -> None:
    study = config(trials=60, search={"unfrozen": 0})

    _, rounds, _ = play(study, space=lambda: space_of(study), room=room)

    searched = [found for found in rounds if found[0].kind is TrialKind.SEARCH]
    assert {len(found) for found in searched[:-1]} == {rows}
    assert all(len({proposal.group for proposal in found}) == 1 for found in searched)


@pytest.mark.parametrize(
    ("search", "rows"),
    [
        ({"heads": ["linear"], "batch_size": [16, 32]}, 45),  # a tenth of the budget
        ({"heads": ["linear", "mlp"], "batch_size": [16, 32, 64]}, 12),  # with the layers of the mlp 18 in all
        ({"heads": ["linear"], "batch_size": {"low": 16, "high": 64}}, 8),
    ],
)
def test_jobs_are_smaller_where_there_is_more_that_their_rows_share(search: dict[str, object], rows: int) -> None:
    study = config(trials=450, search={**search, "unfrozen": 0})
    space = space_of(study, BACKBONES[:1])
    startup = next_round(space, [], config=study, probe_scores=PROBES, room=450)
    assert isinstance(startup, list)
    history = [ended(record_of(number, proposal)) for number, proposal in enumerate(startup)]

    found = next_round(space, history, config=study, probe_scores=PROBES, room=450)

    assert isinstance(found, list)
    assert len(found) == rows
    assert {proposal.kind for proposal in found} == {TrialKind.SEARCH}
    assert len({proposal.group for proposal in found}) == 1


def several_heads(trials: int, workers: int) -> list[Proposal]:
    """What a study of one backbone and linear heads alone begins with."""
    study = config(trials=trials, search={"heads": ["linear"], "unfrozen": 0, "batch_size": 16})
    space = space_of(study, BACKBONES[:1])
    found = next_round(space, [], config=study, probe_scores=PROBES, room=trials, workers=workers)
    assert isinstance(found, list)
    return found


@pytest.mark.parametrize(("workers", "jobs"), [(1, [60]), (4, [5] * 12)])
def test_start_up_is_one_job_for_one_worker_and_jobs_that_are_shared_for_several(workers: int, jobs: list[int]) -> None:
    first = several_heads(200, workers)

    assert [proposal.kind for proposal in first] == [TrialKind.STARTUP] * 60
    assert list(Counter(proposal.group for proposal in first).values()) == jobs


def test_how_many_workers_there_are_changes_no_startup_trial() -> None:
    alone, several = several_heads(200, 1), several_heads(200, 4)

    assert {p.recipe.digest() for p in alone} == {p.recipe.digest() for p in several}


@pytest.mark.parametrize(("workers", "rows"), [(1, 20), (2, 10), (4, 5), (64, 1)])
def test_the_more_jobs_are_in_work_the_fewer_rows_each_has(workers: int, rows: int) -> None:
    study = config(trials=200, search={"heads": ["linear"], "unfrozen": 0, "batch_size": 16})
    space = space_of(study, BACKBONES[:1])
    history = [ended(record_of(number, proposal)) for number, proposal in enumerate(several_heads(200, 1))]

    found = next_round(space, history, config=study, probe_scores=PROBES, room=200, workers=workers)

    assert isinstance(found, list)
    assert len(found) == rows


def test_the_sampler_is_not_asked_before_a_first_start_up_trial_has_ended() -> None:
    study = config(trials=30)
    space = space_of(study)
    startup = first_round(study)
    baseline = TrialRecord(
        number=0, kind=TrialKind.BASELINE, state=TrialState.FAILED, params={}, recipe=startup[0].recipe.to_json()
    )
    history = [baseline, *(record_of(number, proposal) for number, proposal in enumerate(startup, 1))]

    def asked() -> list[Proposal] | SpaceExhausted:
        return next_round(space, history, config=study, probe_scores=PROBES, room=30)

    assert asked() == []
    history[3] = ended(history[3])
    assert {proposal.kind for proposal in asked()} == {TrialKind.SEARCH}


@pytest.mark.parametrize("workers", [1, 3])
def test_no_proposal_goes_beyond_the_budget(workers: int) -> None:
    study = config(trials=30)
    space = space_of(study)
    history: list[TrialRecord] = []
    while True:
        found = next_round(space, history, config=study, probe_scores=PROBES, room=5)
        assert isinstance(found, list)
        history += [record_of(len(history) + i, proposal) for i, proposal in enumerate(found)]
        waiting = [r.number for r in history if not r.state.ended]
        assert sum(r.kind is not TrialKind.DUPLICATE for r in history) <= 30
        if not waiting:
            break
        for number in waiting[: None if len(waiting) < 5 * workers else 5]:
            history[number] = ended(history[number])

    assert sum(r.counted for r in history) == 30


def test_a_larger_budget_goes_on_without_another_startup() -> None:
    small, large = config(trials=20), config(trials=40)
    history, _, _ = play(small, space=lambda: space_of(small))

    found = next_round(space_of(large), history, config=large, probe_scores=PROBES, room=9)

    assert {proposal.kind for proposal in found} == {TrialKind.SEARCH}


def test_no_trial_is_proposed_twice_while_one_is_in_flight() -> None:
    study = config(trials=60, search=TWO)
    space = space_of(study, BACKBONES[:1])
    first = next_round(space, [], config=study, probe_scores=PROBES, room=60)
    assert len(first) == 2

    history = [ended(record_of(0, first[0])), record_of(1, first[1])]

    again = next_round(space, history, config=study, probe_scores=PROBES, room=60)
    assert {proposal.duplicate_of for proposal in again} == {0}


def test_a_trial_that_ended_answers_an_equal_proposal() -> None:
    study = config(trials=60, search=TWO)
    space = space_of(study, BACKBONES[:1])
    first = next_round(space, [], config=study, probe_scores=PROBES, room=60)
    history = [
        replace(record_of(i, proposal), state=TrialState.COMPLETED, score=0.5) for i, proposal in enumerate(first)
    ]

    again = next_round(space, history, config=study, probe_scores=PROBES, room=60)

    assert again
    for proposal in again:
        assert proposal.kind is TrialKind.DUPLICATE
        assert proposal.duplicate_of is not None
        assert history[proposal.duplicate_of].recipe == proposal.recipe.to_json()


@pytest.mark.parametrize("sampler", ["tpe", "random"])
def test_a_study_ends_when_nothing_new_is_left(sampler: str) -> None:
    study = config(trials=60, search={**TWO, "sampler": sampler})
    space = space_of(study, BACKBONES[:1])

    history, _, exhausted = play(study, space=lambda: space)

    assert exhausted == SpaceExhausted(duplicates=len(history) - 2)
    assert 50 <= exhausted.duplicates <= 60
    assert sum(r.counted for r in history) == 2


def test_a_small_space_is_searched_to_its_last_configuration() -> None:
    study = config(trials=60, search={**TWO, "epochs": {"low": 1, "high": 4}})
    space = space_of(study, BACKBONES[:2])

    history, _, exhausted = play(study, space=lambda: space)

    assert exhausted is not None
    assert sum(r.counted for r in history) == 16


def test_an_exhausted_study_still_runs_a_new_baseline() -> None:
    study = config(trials=60, search=TWO)
    history, _, _ = play(study, space=lambda: space_of(study, BACKBONES[:1]))
    grown = config(trials=60, search=TWO, baselines=[{"name": "theirs", "backbone": "small"}])
    space = space_of(grown, BACKBONES[:1])

    (baseline,) = next_round(space, history, config=grown, probe_scores=PROBES, room=5)

    assert baseline.name == "theirs"
    told = [*history, ended(record_of(len(history), baseline))]
    assert isinstance(next_round(space, told, config=grown, probe_scores=PROBES, room=5), SpaceExhausted)
