import pytest

from tlsearch.records import TrialKind, TrialRecord, TrialState
from tlsearch.search import prune_threshold
from tlsearch.training.recipe import Phase, Recipe


def trial(
    number: int,
    score: float,
    *,
    kind: TrialKind = TrialKind.SEARCH,
    unfrozen: int = 2,
    state: TrialState = TrialState.COMPLETED,
) -> TrialRecord:
    recipe = Recipe(backbone="small", head="linear", phases=(Phase(epochs=2, unfrozen=unfrozen),))
    return TrialRecord(
        number=number,
        kind=kind,
        state=state,
        params={},
        recipe=recipe.to_json(),
        fold_scores=(score, 0.0),
        rung_score=score / 2,
    )


SIX = [trial(i, score) for i, score in enumerate((0.1, 0.5, 0.2, 0.6, 0.4, 0.3))]


def test_the_median_of_first_folds_is_the_threshold() -> None:
    assert prune_threshold(SIX, folds=5) == pytest.approx(0.35)


def test_with_one_part_the_rungs_are_compared() -> None:
    assert prune_threshold(SIX, folds=1) == pytest.approx(0.175)


def test_nothing_is_pruned_before_six_trials_can_be_compared() -> None:
    assert prune_threshold(SIX[:5], folds=5) is None


def test_pruned_and_startup_trials_are_compared_too() -> None:
    mixed = [
        *SIX[:4],
        trial(4, 0.4, kind=TrialKind.STARTUP),
        trial(5, 0.3, state=TrialState.PRUNED),
    ]

    assert prune_threshold(mixed, folds=5) == pytest.approx(0.35)


@pytest.mark.parametrize(
    "other",
    [
        trial(6, 9.0, kind=TrialKind.BASELINE),
        trial(6, 9.0, kind=TrialKind.DUPLICATE),
        trial(6, 9.0, unfrozen=0),
        trial(6, float("nan")),
    ],
)
def test_baselines_duplicates_frozen_backbones_and_non_numbers_do_not_count(other: TrialRecord) -> None:
    assert prune_threshold([*SIX, other], folds=5) == pytest.approx(0.35)
