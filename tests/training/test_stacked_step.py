"""Steps that are recorded once and repeated learn what steps learn that are taken one by one."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from recording import Recorder
from test_stacked import CLASSES, DROPOUT_SEED, FOLD_LIST, WIDTH, Told, deep, linear, material, normalised, recipe
from torch import nn

from tlsearch.cuda_graph import cuda_graph
from tlsearch.training import stacked_step
from tlsearch.training.loop import NonFiniteError
from tlsearch.training.recipe import Phase
from tlsearch.training.stacked import Answers, StackedRow, fit_stacked

STEPS = 5  # an epoch
RATES = (0.03, 0.1, 0.01)
EPOCHS = (4, 2, 4)  # the second row leaves the others
PHASES = tuple(Phase(epochs=count, learning_rate=rate) for count, rate in zip(EPOCHS, RATES, strict=True))
Build = Callable[[], nn.Sequential]


@pytest.fixture(autouse=True)
def always_worth_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stacked_step, "WORTH", 1)


def rows(build: Build, **changes: Any) -> list[StackedRow]:
    plans = [recipe(phases=(phase,), **changes) for phase in PHASES]
    found = []
    for seed, plan in enumerate(plans):
        torch.manual_seed(seed)
        found.append(StackedRow(recipe=plan, head=build(), on_epoch=Told()))
    return found


def fitted(given: Sequence[StackedRow], *, capture: Any = None, **stuff: Any) -> list[Answers | NonFiniteError]:
    return fit_stacked(given, material(**stuff), FOLD_LIST, dropout_seed=DROPOUT_SEED, capture=capture)


def assert_same(ours: Sequence[Any], theirs: Sequence[Any]) -> None:
    for one, other in zip(ours, theirs, strict=True):
        for mine, its in zip(one, other, strict=True):
            np.testing.assert_allclose(np.exp(mine), np.exp(its), rtol=1e-5)


@pytest.mark.parametrize("build", [linear, deep, normalised])
@pytest.mark.parametrize("optimizer", ["adamw", "sgd", "rmsprop"])
def test_a_graph_learns_what_its_steps_learn(build: Build, optimizer: str) -> None:
    recorder = Recorder()
    ours, theirs = rows(build, optimizer=optimizer), rows(build, optimizer=optimizer)
    assert_same(fitted(ours, capture=recorder), fitted(theirs))
    for one, other in zip(ours, theirs, strict=True):
        assert one.on_epoch.losses == {  # type: ignore[attr-defined]
            fold: pytest.approx(losses, rel=1e-5)
            for fold, losses in other.on_epoch.losses.items()  # type: ignore[attr-defined]
        }
    # one that is looked at, and one for the rows that stay
    assert recorder.repeats == [1 + 2 * STEPS, 1 + 2 * STEPS]


@pytest.mark.parametrize(
    "changes",
    [
        {"imbalance": "class_weights", "label_smoothing": 0.1},
        {"imbalance": "logit_adjustment", "schedule": "constant"},
        {"imbalance": "balanced_sampling", "weight_decay": 0.1},
        {"clip_norm": 0.01},
        {"batch_size": 100},  # all pictures at once: a fold has one more than the others
    ],
    ids=str,
)
def test_whatever_a_recipe_asks_for(changes: dict[str, Any]) -> None:
    recorder = Recorder()
    assert_same(fitted(rows(linear, **changes), capture=recorder), fitted(rows(linear, **changes)))
    assert sum(recorder.repeats) > len(recorder.repeats)


def test_pictures_have_their_views() -> None:
    recorder = Recorder()
    ours = fitted(rows(linear, augment="flip"), capture=recorder, views=2)
    assert_same(ours, fitted(rows(linear, augment="flip"), views=2))
    assert recorder.repeats


def test_a_picture_that_is_left_over_joins_a_batch_of_full_size() -> None:
    folds = [fold for fold in FOLD_LIST if len(fold.train) == 34]
    recorder = Recorder()
    ours, theirs = (
        fit_stacked(rows(linear, batch_size=11), material(), folds, dropout_seed=DROPOUT_SEED, capture=capture)
        for capture in (recorder, None)
    )
    assert_same(ours, theirs)
    assert recorder.repeats == [1 + 2 * 3, 1 + 2 * 3], "batches of 11, 11 and 12"


def test_one_row_and_several_phases() -> None:
    phases = (Phase(epochs=2, learning_rate=0.1), Phase(epochs=3, learning_rate=0.01))
    recorder = Recorder()
    ours, theirs = ([replace(rows(deep)[0], recipe=recipe(phases=phases))] for _ in range(2))
    assert_same(fitted(ours, capture=recorder), fitted(theirs))
    assert recorder.repeats == [1 + 2 * STEPS, 1 + 3 * STEPS], "each phase has an optimizer of its own"


def test_heads_that_drop_differently() -> None:
    def given() -> list[StackedRow]:
        return [
            replace(one, head=nn.Sequential(nn.Dropout(chance), nn.Linear(WIDTH, CLASSES)).apply(zeros))
            for one, chance in zip(rows(linear), (0.5, 0.0, 0.2), strict=True)
        ]

    assert_same(fitted(given(), capture=Recorder()), fitted(given()))


def zeros(layer: nn.Module) -> None:
    if isinstance(layer, nn.Linear):
        nn.init.zeros_(layer.weight)
        nn.init.zeros_(layer.bias)


def test_a_row_that_diverges_leaves_the_others_as_they_are() -> None:
    def given() -> list[StackedRow]:
        first, *others = rows(linear, clip_norm=None)
        wild = replace(first.recipe, phases=(Phase(epochs=4, learning_rate=1e38),))
        return [replace(first, recipe=wild), *others]

    wild, *ours = fitted(given(), capture=Recorder())
    assert isinstance(wild, NonFiniteError)
    assert_same(ours, fitted(given())[1:])


def test_few_steps_are_no_graph(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stacked_step, "WORTH", 3 * STEPS)
    recorder = Recorder()
    assert_same(fitted(rows(linear), capture=recorder), fitted(rows(linear)))
    assert recorder.repeats == [], "all rows are together for two epochs, and two of them for two more"


def never(compute: Callable[[], Sequence[torch.Tensor]], device: torch.device) -> Any:
    compute()
    raise RuntimeError("operation not permitted when stream is capturing")


def wrong(compute: Callable[[], Sequence[torch.Tensor]], device: torch.device) -> Any:
    compute()
    return (lambda: None), ()


@pytest.mark.parametrize(("capture", "reason"), [(never, "not permitted"), (wrong, "something else")])
def test_what_can_be_no_graph_goes_on_without(capture: Any, reason: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert_same(fitted(rows(normalised), capture=capture), fitted(rows(normalised)))
    told = capsys.readouterr().err
    assert "without a CUDA graph" in told
    assert reason in told
    assert told.count("without a CUDA graph") == 1, "it is tried once"


@pytest.mark.skipif(not torch.cuda.is_available(), reason="CUDA graphs need a GPU")
@pytest.mark.parametrize("build", [linear, deep, normalised])
def test_on_a_gpu_a_graph_learns_what_its_steps_learn(build: Build, capsys: pytest.CaptureFixture[str]) -> None:
    there = torch.device("cuda")
    stuff = replace(material(), device=there, labels=material().labels.to(there))
    ours = fit_stacked(rows(build), stuff, FOLD_LIST, dropout_seed=DROPOUT_SEED)
    assert capsys.readouterr().err == "", "each of the graphs was made"
    assert_same(ours, fit_stacked(rows(build), stuff, FOLD_LIST, dropout_seed=DROPOUT_SEED, capture=never))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="CUDA graphs need a GPU")
def test_on_a_gpu_a_capture_that_fails_leaves_the_next_one_as_it_is() -> None:
    there = torch.device("cuda")
    values = torch.ones(3, device=there)

    def asks() -> Sequence[torch.Tensor]:
        return [values * float(values.sum())]

    with pytest.raises(RuntimeError):
        cuda_graph(asks, there)
    replay, (doubled,) = cuda_graph(lambda: [values * 2], there)
    values.fill_(4)
    replay()
    assert doubled.tolist() == [8, 8, 8]
