"""Which pictures a page shows of a confusion cell, and which mistakes are the worst."""

import numpy as np

from tlsearch.report.cells import cell_pictures, worst_mistakes

NOT_PREDICTED = [np.nan, np.nan]


def log_probs(*of_class_one: float) -> np.ndarray:
    """Two classes; how likely the second is, by picture."""
    sure = np.array(of_class_one)
    return np.log(np.stack([1 - sure, sure], axis=1)).astype(np.float32)


def test_every_picture_is_in_the_cell_of_its_class_and_its_answer_the_surest_first() -> None:
    predictions = log_probs(0.1, 0.6, 0.9, 0.8, 0.3, 0.7)
    cells = cell_pictures(predictions, [0, 0, 0, 1, 1, 1])
    assert cells == {(0, 0): (0,), (0, 1): (2, 1), (1, 0): (4,), (1, 1): (3, 5)}
    assert list(cells) == sorted(cells)


def test_a_wrong_cell_shows_its_surest_pictures() -> None:
    predictions = log_probs(*np.linspace(0.51, 0.99, 30))
    assert cell_pictures(predictions, [0] * 30, most=3) == {(0, 1): (29, 28, 27)}
    assert len(cell_pictures(predictions, [0] * 30)[0, 1]) == 24


def test_right_answers_show_the_surest_and_the_least_sure() -> None:
    predictions = log_probs(*np.linspace(0.51, 0.99, 30))
    assert cell_pictures(predictions, [1] * 30, most=4) == {(1, 1): (29, 28, 1, 0)}
    assert cell_pictures(predictions, [1] * 30, most=5) == {(1, 1): (29, 28, 27, 1, 0)}
    assert cell_pictures(predictions, [1] * 30, most=1) == {(1, 1): (29,)}
    assert cell_pictures(predictions[:4], [1] * 4, most=4) == {(1, 1): (3, 2, 1, 0)}


def test_a_picture_that_no_fold_predicted_is_nowhere() -> None:
    predictions = np.vstack([log_probs(0.9, 0.8), [NOT_PREDICTED]]).astype(np.float32)
    assert cell_pictures(predictions, [1, 0, 0]) == {(0, 1): (1,), (1, 1): (0,)}
    assert worst_mistakes(predictions, [1, 0, 0]) == (1,)


def test_the_worst_mistakes_are_the_wrong_answers_that_were_surest() -> None:
    predictions = log_probs(0.6, 0.02, 0.9, 0.99, 0.6)
    labels = [0, 1, 0, 1, 0]
    assert worst_mistakes(predictions, labels) == (1, 2, 0, 4), "equally sure ones in their own order"
    assert worst_mistakes(predictions, labels, most=2) == (1, 2)
    assert worst_mistakes(predictions, [1, 0, 1, 1, 1]) == ()
