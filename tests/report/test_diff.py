"""Two contenders on the pictures they share: paired by content, classes by name; refused where that says nothing."""

from pathlib import Path

import numpy as np
import pytest
from diff_world import CLASSES, World, answers

from tlsearch.errors import DataError, NothingCompletedError, UnknownNameError
from tlsearch.report.diff import FEWEST, compare
from tlsearch.stats import Verdict, difference

TURNED = ("chidi", "ada", "bruno")
PICTURES = tuple(f"sha-{i}" for i in range(120))
TRUTH = tuple(CLASSES[i % 3] for i in range(120))


def test_pictures_are_paired_by_content_and_classes_by_name_whatever_their_order(tmp_path: Path) -> None:
    same = World(name="b", classes=TURNED, trials=[answers(TRUTH, TURNED, {5: "ada"})])
    order = list(range(119, -1, -1))
    same.pictures, same.truth = [PICTURES[i] for i in order], [TRUTH[i] for i in order]
    same.trials = [same.trials[0][order]]
    a = World(name="a", trials=[answers(TRUTH, CLASSES, {0: "bruno", 4: "chidi"})])
    found = compare(a.contender(tmp_path / "a"), same.contender(tmp_path / "b"))
    assert (found.pairing.compared, found.pairing.a_only, found.pairing.b_only) == (120, 0, 0)
    assert (found.a_score, found.b_score) == pytest.approx((118 / 120, 119 / 120))
    assert [(one.file, one.other_file, one.label, one.mistaken) for one in found.b_right] == [
        ("a/sha-0.png", "b/sha-0.png", "ada", "bruno"),
        ("a/sha-4.png", "b/sha-4.png", "bruno", "chidi"),
    ]
    assert [(one.file, one.label, one.mistaken) for one in found.a_right] == [("a/sha-5.png", "chidi", "ada")]
    by_name = {one.name: (one.pictures, one.a_found, one.b_found, one.only_a, one.only_b) for one in found.classes}
    assert by_name == {"ada": (40, 39, 40, 0, 1), "bruno": (40, 39, 40, 0, 1), "chidi": (40, 40, 39, 1, 0)}


def test_the_difference_is_the_paired_one_and_turns_with_the_sides(tmp_path: Path) -> None:
    weak = answers(TRUTH, CLASSES, {i: CLASSES[(i + 1) % 3] for i in range(30)})
    strong = answers(TRUTH, CLASSES, {1: "ada"})
    a, b = (World(name=name, trials=[one]).contender(tmp_path / name) for name, one in (("a", strong), ("b", weak)))
    there, back = compare(a, b), compare(b, a)
    labels = np.arange(120) % 3
    assert there.difference == difference(strong, weak, labels, "accuracy")
    assert there.difference.value == pytest.approx(29 / 120)
    assert (there.difference.verdict, back.difference.verdict) == (Verdict.BETTER, Verdict.WORSE)
    assert back.difference.value == pytest.approx(-there.difference.value)
    assert (len(there.a_right), len(back.b_right)) == (30 - 1, 30 - 1)


def test_equal_answers_cannot_be_told_apart(tmp_path: Path) -> None:
    a, b = (World(name=name).contender(tmp_path / name) for name in ("a", "b"))
    found = compare(a, b)
    assert (found.difference.value, found.difference.verdict) == (0.0, Verdict.ALIKE)
    assert found.a_right == found.b_right == ()


def test_pictures_with_another_label_are_told_and_left_out(tmp_path: Path) -> None:
    other = ("bruno", "ada", *TRUTH[2:])
    a = World(name="a").contender(tmp_path / "a")
    b = World(name="b", truth=other, trials=[answers(other, CLASSES)]).contender(tmp_path / "b")
    found = compare(a, b)
    assert found.pairing.relabelled == ("a/sha-0.png", "a/sha-1.png")
    assert (found.pairing.shared, found.pairing.compared) == (120, 118)
    assert (found.a_score, found.b_score) == (1.0, 1.0)


def test_pictures_that_one_of_both_was_never_asked_about_are_left_out(tmp_path: Path) -> None:
    partly = answers(TRUTH, CLASSES)
    partly[:15] = np.nan
    a = World(name="a", trials=[partly]).contender(tmp_path / "a")
    found = compare(a, World(name="b").contender(tmp_path / "b"))
    assert (found.pairing.shared, found.pairing.unscored, found.pairing.compared) == (120, 15, 105)


def test_a_picture_that_a_study_has_twice_counts_once(tmp_path: Path) -> None:
    twice, truth = (*PICTURES, "sha-0"), (*TRUTH, "ada")
    doubled = World(
        name="a", pictures=twice, truth=truth, groups=twice, trials=[answers(truth, CLASSES, {120: "chidi"})]
    )
    found = compare(doubled.contender(tmp_path / "a"), World(name="b").contender(tmp_path / "b"))
    assert (found.pairing.a_only, found.pairing.compared, found.a_score) == (0, 120, 1.0)


def test_pictures_that_either_study_ties_together_are_drawn_together(tmp_path: Path) -> None:
    # ten groups, in five of which A is wrong throughout: 120 pictures say no more than ten
    wrong = {i: CLASSES[(i + 1) % 3] for i in range(120) if i // 12 < 5}
    groups = [str(i // 12) for i in range(120)]
    spans = []
    for case, (of_a, of_b) in enumerate(((None, None), (groups, None), (None, groups), (groups, groups))):
        a = World(name="a", groups=of_a, trials=[answers(TRUTH, CLASSES, wrong)]).contender(tmp_path / f"a{case}")
        b = World(name="b", groups=of_b).contender(tmp_path / f"b{case}")
        gain = compare(a, b).difference
        spans.append(gain.high - gain.low)
    assert spans[1] == spans[2] == spans[3]
    assert spans[1] > 2 * spans[0]


@pytest.mark.parametrize("shared", [FEWEST - 1, FEWEST])
def test_too_few_shared_pictures_are_refused_with_their_number(tmp_path: Path, shared: int) -> None:
    others = [*PICTURES[:shared], *(f"other-{i}" for i in range(120 - shared))]
    a = World(name="a").contender(tmp_path / "a")
    b = World(name="b", pictures=others).contender(tmp_path / "b")
    if shared == FEWEST:
        assert compare(a, b).pairing.compared == FEWEST
    else:
        with pytest.raises(DataError, match="'a' and 'b' share 99 pictures: at least 100"):
            compare(a, b)


def test_studies_without_a_common_picture_are_refused(tmp_path: Path) -> None:
    a = World(name="a").contender(tmp_path / "a")
    b = World(name="b", pictures=[f"other-{i}" for i in range(120)]).contender(tmp_path / "b")
    with pytest.raises(DataError, match="share 0 pictures"):
        compare(a, b)


def test_other_classes_are_refused_with_their_names(tmp_path: Path) -> None:
    names = ("ada", "bruno", "dana")
    truth = [names[i % 3] for i in range(120)]
    a = World(name="a").contender(tmp_path / "a")
    b = World(name="b", classes=names, truth=truth, trials=[answers(truth, names)]).contender(tmp_path / "b")
    with pytest.raises(DataError, match=r"1 class only in 'a' \('chidi'\) and 1 class only in 'b' \('dana'\)"):
        compare(a, b)


def test_the_second_scoring_is_compared_where_both_have_one(tmp_path: Path) -> None:
    lucky = World(name="a", again={0: answers(TRUTH, CLASSES, {i: CLASSES[(i + 1) % 3] for i in range(12)})})
    plain, scored_again = World(name="b"), World(name="c", again={0: answers(TRUTH, CLASSES)})
    a = lucky.contender(tmp_path / "a")
    once = compare(a, plain.contender(tmp_path / "b"))
    twice = compare(a, scored_again.contender(tmp_path / "c"))
    assert (once.again, once.a_score) == (False, 1.0)
    assert (twice.again, twice.a_score) == (True, pytest.approx(0.9))


def test_the_named_best_was_picked_and_a_trial_of_ones_own_choice_was_not(tmp_path: Path) -> None:
    study = World(name="a", chosen=1)
    best = study.contender(tmp_path / "best")
    assert (best.entry.trial, best.picked_from) == (1, 2)
    assert study.contender(tmp_path / "named", 1).picked_from == 2
    other = study.contender(tmp_path / "other", 0)
    assert (other.entry.trial, other.picked_from) == (0, None)


def test_a_choice_that_later_trials_may_beat_is_outdated_and_was_not_picked_from_them(tmp_path: Path) -> None:
    study = World(name="a", chosen=1, trials=[answers(TRUTH, CLASSES)] * 4, told=(2, 3))
    best = study.contender(tmp_path / "best")
    assert (best.entry.trial, best.later, best.picked_from) == (1, 2, 2)
    assert study.contender(tmp_path / "asked for", 3).later == 0


def test_before_a_run_has_chosen_its_best_so_far_stands_for_it(tmp_path: Path) -> None:
    weak = answers(TRUTH, CLASSES, {0: "bruno"})
    running = World(name="a", trials=[weak, answers(TRUTH, CLASSES)], chosen=None)
    assert running.contender(tmp_path / "a").entry.trial == 1


def test_a_trial_against_itself_is_refused(tmp_path: Path) -> None:
    a = World(name="a").contender(tmp_path / "a")
    with pytest.raises(DataError, match="A and B are one trial: 0 of study 'a'"):
        compare(a, a)


def test_a_study_without_hashes_says_that_it_is_older(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="was run before tlsearch stored") as caught:
        World(name="a", with_hashes=False).contender(tmp_path / "a")
    assert "--new-study" in str(caught.value.hint)


def test_an_unknown_trial_and_an_unknown_metric_are_refused_with_what_there_is(tmp_path: Path) -> None:
    study = World(name="a")
    with pytest.raises(UnknownNameError, match="no trial 7: they are 0 to 1"):
        study.contender(tmp_path / "a", 7)
    a, b = (World(name=name).contender(tmp_path / f"{name}-b") for name in ("a", "b"))
    with pytest.raises(UnknownNameError, match="no metric 'acuracy'; did you mean 'accuracy'"):
        compare(a, b, metric="acuracy")


def test_a_study_in_which_nothing_completed_has_nothing_to_compare(tmp_path: Path) -> None:
    with pytest.raises(NothingCompletedError, match="no trial of study 'a' completed"):
        World(name="a", ended=False, chosen=None).contender(tmp_path / "a")
