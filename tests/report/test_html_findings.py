"""What was found in the data, on the page: what matters first, with labels and pictures, in the terminal's words."""

from pathlib import Path
from typing import Any

from page_skeleton import Skeleton, built, data_of, written
from page_world import PageStudy

from tlsearch.report.alike import MOST_GROUPS, MOST_OF_A_SET, MOST_SETS, near_pairs, shown_files
from tlsearch.report.data_findings import in_sentences


def near(one: str, other: str, likeness: float, *labels: str) -> dict[str, Any]:
    return {"files": [one, other], "likeness": likeness, "how": "pixels", "labels": list(labels)}


def alike(count: int) -> list[dict[str, Any]]:
    """Pairs under one label, the likest first."""
    return [near(f"cat/a{i}.png", f"cat/b{i}.png", 0.999 - 0.001 * i, "cat", "cat") for i in range(count)]


def of(tmp_path: Path, **findings: Any) -> Skeleton:
    return built(written(PageStudy(findings=findings), tmp_path))


def test_pairs_under_two_labels_come_first_however_much_likelier_others_are(tmp_path: Path) -> None:
    odd = near("cat/odd.png", "dog/odd.png", 0.91, "cat", "dog")
    found = of(tmp_path, near=[*alike(30), odd])
    titles = found.having("title")
    assert titles.index("cat/odd.png") < titles.index("cat/a0.png")
    assert "1 pair stands under two labels, and comes first" in found.text


def test_pairs_that_are_only_listed_tell_both_labels_where_they_differ(tmp_path: Path) -> None:
    odd = [near(f"cat/{i}.png", f"dog/{i}.png", 0.9, "cat", "dog") for i in range(MOST_SETS + 2)]
    text = of(tmp_path, near=[*alike(1), *odd]).text
    assert f"cat/{MOST_SETS}.png (cat) = dog/{MOST_SETS}.png (dog)" in text
    assert "cat/a0.png = cat/b0.png" in text
    assert "Show 3 more" in text


def test_large_groups_show_some_of_their_pictures_and_name_all(tmp_path: Path) -> None:
    study = PageStudy()
    found = of(tmp_path, too_alike=[study.files[:20]])
    (place,) = [i for i, text in enumerate(found.texts) if "20 pictures; the first 6" in text]
    assert set(study.files[:MOST_OF_A_SET]) <= set(map(str.strip, found.texts[:place]))
    assert f"20 pictures: {', '.join(study.files[:20])}" in found.text


def test_a_run_keeps_small_copies_of_what_the_page_shows_the_most_telling_first() -> None:
    odd = near("cat/odd.png", "dog/odd.png", 0.91, "cat", "dog")
    findings = {
        "near": [*alike(30), odd],
        "duplicates": [[f"fox/{i}.png", f"fox/{i}_copy.png"] for i in range(30)],
        "too_alike": [[f"sky/{g}/{i}.png" for i in range(40)] for g in range(9)],
    }
    files = shown_files(findings)
    assert files[:4] == ["cat/odd.png", "dog/odd.png", "cat/a0.png", "cat/b0.png"]
    assert len(files) == 2 * MOST_SETS + 2 * MOST_SETS + MOST_GROUPS * MOST_OF_A_SET
    assert files.index("fox/0.png") < files.index("sky/0/0.png")
    assert shown_files({}) == []


def test_pairs_without_labels_keep_the_order_of_their_likeness() -> None:
    plain = [{"files": ["a", "b"], "likeness": 0.8}, {"files": ["c", "d"], "likeness": 0.9}]
    assert [pair["files"] for pair in near_pairs({"near": plain})] == [["c", "d"], ["a", "b"]]


def test_the_page_says_of_each_finding_what_a_terminal_says(tmp_path: Path) -> None:
    study = PageStudy()
    text = built(written(study, tmp_path)).text.casefold()
    sentences = in_sentences(study._findings())
    assert len(sentences) == 8
    for sentence in sentences:
        title, _, said = sentence.partition(": ")
        assert title.casefold() in text
        assert said.casefold() in text


def test_everything_worth_a_picture_has_its_own(tmp_path: Path) -> None:
    study = PageStudy()
    found = built(written(study, tmp_path))
    assert "no small copy" not in found.text
    assert all(uri for pictures in data_of(found)["cells"].values() for uri, _, _ in pictures)
