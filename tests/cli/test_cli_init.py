import shlex
from pathlib import Path

import pytest

from tlsearch.cli import main
from tlsearch.host import PluginHost
from tlsearch.study import load_study


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TLSEARCH_CACHE", str(tmp_path / "cache"))
    return tmp_path


def photos(name: str, **counts: int) -> Path:
    """Class folders whose files are no pictures: `init` must not mind, for it decodes none."""
    root = Path(name)
    for folder, count in counts.items():
        (root / folder.replace("__", "/")).mkdir(parents=True)
        for number in range(count):
            (root / folder.replace("__", "/") / f"{number}.jpg").write_text("x")
    return root


def test_the_written_study_loads_and_names_the_next_command(capsys: pytest.CaptureFixture[str]) -> None:
    photos("My Photos", cat=5, dog=6)
    assert main(["init", "My Photos"]) == 0
    (path,) = Path("studies").glob("*.toml")
    config = load_study(path, host=PluginHost.load(allow=["tlsearch"]))
    assert config.study.name == "My Photos"
    assert config.data.options == {"path": "My Photos"}
    assert config.study.metric == "accuracy"
    shown = capsys.readouterr().out
    assert f"next: tlsearch run {path}" in shown
    assert shown.index("dog") < shown.index("cat")
    assert "# 11 pictures in 2 classes: 5 to 6 each." in path.read_text()


def test_skewed_classes_are_measured_by_balanced_accuracy() -> None:
    photos("p", cat=3, dog=10)
    assert main(["init", "p", "--out", "x.toml"]) == 0
    assert load_study(Path("x.toml"), host=PluginHost.load(allow=["tlsearch"])).study.metric == "balanced_accuracy"


def test_ready_parts_are_left_as_they_are() -> None:
    photos("p", train__cat=5, train__dog=5, test__cat=2, test__dog=2)
    assert main(["init", "p", "--out", "x.toml"]) == 0
    text = Path("x.toml").read_text()
    assert "ready parts (test, train)" in text
    assert "holdout =" not in text
    assert "folds =" not in text


def test_a_file_that_is_there_is_not_overwritten_unless_forced(capsys: pytest.CaptureFixture[str]) -> None:
    photos("p", cat=4, dog=4)
    Path("x.toml").write_text("mine")
    assert main(["init", "p", "--out", "x.toml"]) == 2
    assert "--force" in capsys.readouterr().err
    assert Path("x.toml").read_text() == "mine"
    assert main(["init", "p", "--out", "x.toml", "--force"]) == 0
    assert "[study]" in Path("x.toml").read_text()


@pytest.mark.parametrize("name", ['a"b', "a\\b", "a\nb", "[x]", "{a}", "\x7f", "\u202e", "'; DROP", "-x", "é" * 60])
def test_a_hostile_folder_name_is_only_a_name(name: str) -> None:
    photos(name, cat=4, dog=4)
    assert main(["init", "--out", "x.toml", "--", name]) == 0
    config = load_study(Path("x.toml"), host=PluginHost.load(allow=["tlsearch"]))
    assert config.study.name == name
    assert config.data.options == {"path": name}


def test_a_folder_that_no_study_can_be_made_of_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["init", "nowhere"]) == 2
    photos("one", cat=4)
    assert main(["init", "one"]) == 2
    Path("empty").mkdir()
    assert main(["init", "empty"]) == 2
    assert capsys.readouterr().err.count("error: ") == 3
    assert not Path("studies").exists()


@pytest.mark.parametrize(("count", "text"), [(0, "0 images"), (1, "1 image"), (2, "2 images")])
def test_a_class_that_no_run_can_split_is_refused_in_the_words_of_the_run(
    capsys: pytest.CaptureFixture[str], count: int, text: str
) -> None:
    photos("p", cat=count, dog=20)
    assert main(["init", "p", "--out", "x.toml"]) == 2
    told = capsys.readouterr()
    assert f"class 'cat' has {text}; a study with 5 folds needs at least 7 of each class" in told.err
    assert "add pictures or remove the class" in told.err
    assert "next:" not in told.out
    assert not Path("x.toml").exists()


@pytest.mark.parametrize(("count", "folds"), [(3, 1), (6, 4), (7, "auto")])
def test_folds_fit_the_smallest_class(count: int, folds: int | str) -> None:
    photos("p", cat=count, dog=20)
    assert main(["init", "p", "--out", "x.toml"]) == 0
    assert load_study(Path("x.toml"), host=PluginHost.load(allow=["tlsearch"])).data.folds == folds


def test_folds_fit_the_smallest_class_of_a_ready_part() -> None:
    photos("p", train__cat=4, train__dog=5, test__cat=2, test__dog=2)
    assert main(["init", "p", "--out", "x.toml"]) == 0
    assert load_study(Path("x.toml"), host=PluginHost.load(allow=["tlsearch"])).data.folds == 4


def test_a_class_that_lacks_in_a_ready_part_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    photos("p", train__cat=9, train__dog=9, test__cat=2, test__dog=0)
    assert main(["init", "p", "--out", "x.toml"]) == 2
    assert "part 'test' has no image of class 'dog'" in capsys.readouterr().err


def test_a_name_that_a_study_file_cannot_hold_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    photos("p\udce9", cat=4, dog=4)
    assert main(["init", "p\udce9", "--out", "x.toml"]) == 2
    assert "rename the folder" in capsys.readouterr().err


def test_a_study_of_the_folder_one_is_in_is_refused_with_the_command_that_makes_it(
    here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    root = photos("my photos", cat=4, dog=4).resolve()
    monkeypatch.chdir(root)
    assert main(["init", "."]) == 2
    hint = capsys.readouterr().err.splitlines()[-1]
    assert sorted(path.name for path in root.iterdir()) == ["cat", "dog"]
    cd, init = (shlex.split(part) for part in hint.partition("above: ")[2].split(" && "))
    assert (cd, init[0]) == (["cd", str(here)], "tlsearch")
    monkeypatch.chdir(cd[1])
    assert main(init[1:]) == 0


def test_a_study_file_among_the_photos_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    photos("p", cat=4, dog=4)
    assert main(["init", "p", "--out", "p/studies/x.toml"]) == 2
    assert "every sub-folder is a class" in capsys.readouterr().err
    assert not Path("p/studies").exists()


def test_the_command_in_the_file_can_be_typed_whatever_the_file_is_called() -> None:
    photos("p", cat=4, dog=4)
    assert main(["init", "p", "--out", "my studies/it's.toml"]) == 0
    text = Path("my studies/it's.toml").read_text()
    (command,) = [line for line in text.splitlines() if line.startswith("#   tlsearch run ")]
    assert shlex.split(command.removeprefix("# ")) == ["tlsearch", "run", "my studies/it's.toml"]


def test_a_file_that_cannot_be_written_is_an_error(capsys: pytest.CaptureFixture[str]) -> None:
    photos("p", cat=4, dog=4)
    Path("taken").write_text("a file")
    assert main(["init", "p", "--out", "taken/x.toml"]) == 2
    assert "cannot be written" in capsys.readouterr().err
