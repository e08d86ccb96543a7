"""`--set` of a key that wants a text takes what was typed, though TOML reads something else."""

from collections.abc import Callable

import pytest

from tlsearch.study import StudyConfig

Load = Callable[..., StudyConfig]
Faults = Callable[..., dict[str, str]]


@pytest.mark.parametrize("typed", ["2024", "007", "1_000", "1e5", "true", "nan", "2024-01-01", '"2024"'])
def test_a_folder_may_be_called_like_a_number(load: Load, typed: str) -> None:
    text = "[study]\nname = 'x'\n[data]\npath = 'photos'\n"
    assert load(text, f"data.path={typed}").data.options == {"path": typed.strip('"')}


def test_so_may_a_study_and_other_values_stay_what_they_are(load: Load) -> None:
    config = load("[study]\nname = 'x'\n[data]\npath = 'photos'\n", "study.name=2", "study.seed=2", "data.path=3")
    assert (config.study.name, config.study.seed, config.data.options["path"]) == ("2", 2, "3")


def test_a_text_where_a_number_belongs_and_a_list_where_a_text_does_are_still_refused(faults: Faults) -> None:
    text = "[study]\nname = 'x'\n[data]\npath = 'photos'\n"
    assert set(faults(text, "study.seed=two", "data.path=3")) == {"study.seed"}
    assert "a text in quotes" in faults(text, "data.path=[3]")["data.path"]


def test_a_number_in_the_file_is_no_text(faults: Faults) -> None:
    assert "a text in quotes" in faults("[study]\nname = 2\n[data]\npath = 'p'\n", "study.seed=3")["study.name"]
