"""Links: what is linked stays together; what is too much alike is told, and not held together."""

from pathlib import Path

import numpy as np
import pytest
from near_world import cropped, drawn_scene, mirrored, recompressed

from tlsearch.data.components import linked_components
from tlsearch.data.linking import Link, Links, links_of, near_findings, recorded_links
from tlsearch.data.near import near_pairs
from tlsearch.data.perceptual import pairs_by_hash
from tlsearch.data.pixels import PixelStore
from tlsearch.data.prepare import PreparedData, prepare_data
from tlsearch.data.split import group_keys
from tlsearch.errors import DataError
from tlsearch.specs import Dataset, ImageFile
from tlsearch.study import DataTable

EACH = 12
CLASSES = ("bird", "cat")


def link(one: str, other: str) -> Link:
    return Link(one=one, other=other, likeness=0.99, mirrored=False)


def chain(letter: str, pictures: int) -> list[Link]:
    return [link(f"{letter}{index:03d}", f"{letter}{index + 1:03d}") for index in range(pictures - 1)]


def test_components_join_what_is_linked_through_others() -> None:
    assert linked_components(6, [(4, 1), (5, 4), (0, 2)]) == [[0, 2], [1, 4, 5], [3]]


def test_linked_pictures_get_one_key_and_join_the_groups_they_are_in() -> None:
    assert group_keys(["c", "a", "b"], [None] * 3, [("c", "b")]) == ("pixels:b", "pixels:a", "pixels:b")
    keys = group_keys(["a", "b", "c", "d"], ["one", None, "one", None], [("a", "b")])
    assert keys == ("group:one", "group:one", "group:one", "pixels:d")


@pytest.mark.parametrize(("largest", "pictures"), [(10, 500), (20, 2000)])
def test_a_component_above_ten_pictures_and_one_percent_is_told_and_not_held_together(
    largest: int, pictures: int
) -> None:
    links = links_of([*chain("a", largest), *chain("b", largest + 1)], pictures)
    assert {one.one[0] for one in links.kept} == {"a"}
    assert [len(linked) for linked in links.too_alike] == [largest + 1]


def test_findings_name_files_and_labels_and_give_the_links_back() -> None:
    links = links_of([link("p", "q"), Link(one="q", other="r", likeness=0.98, mirrored=True)], 4)
    hashes, files = ["r", "q", "q", "p"], ["1.png", "2.png", "2 again.png", "3.png"]
    near, _ = near_findings(links, hashes, files, [0, 1, 1, 1], CLASSES)
    assert [pair["files"] for pair in near] == [["2.png", "3.png"], ["1.png", "2.png"]]
    assert [pair["how"] for pair in near] == ["pixels", "mirrored"]
    assert near[1]["labels"] == ["bird", "cat"]
    assert recorded_links({"near": near}) == links


def test_a_study_that_began_before_pictures_were_compared_has_no_links() -> None:
    assert recorded_links({"duplicates": []}) == Links()


def test_pairs_of_hashes_equal_a_plain_search() -> None:
    rng = np.random.default_rng(0)
    plain = rng.integers(0, 1 << 63, (60, 2), dtype=np.uint64)
    near = plain[:30] ^ np.uint64(0b10101)  # three bits
    plain = np.concatenate([plain, near])
    far = rng.integers(0, 1 << 63, plain.shape, dtype=np.uint64)
    far[7, 1] = plain[33, 0]  # the mirror image of one is another
    for others, wanted in ((plain, {(index, index + 60) for index in range(30)}), (far, {(7, 33)})):
        found = {tuple(pair) for pair in pairs_by_hash(plain, others).tolist()}
        assert found >= wanted
        assert found == {
            (i, j)
            for i in range(90)
            for j in range(i + 1, 90)
            if min((int(a) ^ int(b)).bit_count() for a in plain[i] for b in others[j]) <= 8
            or min((int(a) ^ int(b)).bit_count() for a in plain[j] for b in others[i]) <= 8
        }


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """Two classes; the first four birds are in the folder again: recompressed, cropped, mirrored, and as a cat."""
    root = tmp_path_factory.mktemp("photos")
    pictures = {f"{CLASSES[n % 2]}/{n:02d}.png": drawn_scene(n) for n in range(2 * EACH)}
    scenes = list(pictures.values())
    pictures |= {
        "bird/again.png": recompressed(scenes[0], 50),
        "bird/cropped.png": cropped(scenes[2], 0.02),
        "bird/turned.png": mirrored(scenes[4]),
        "cat/bird.png": recompressed(scenes[6], 50),
    }
    for name, picture in pictures.items():
        (root / name).parent.mkdir(exist_ok=True)
        picture.save(root / name)
    images = tuple(ImageFile(path=root / name, label=CLASSES.index(name.split("/")[0])) for name in pictures)
    return Dataset(root=root, classes=CLASSES, images=images)


COPIES = {
    "bird/again.png": "bird/00.png",
    "bird/cropped.png": "bird/02.png",
    "bird/turned.png": "bird/04.png",
    "cat/bird.png": "bird/06.png",
}


def find_links(store: PixelStore, _: object, indices: list[int]) -> Links:
    found = [
        Link(one=one, other=other, likeness=pair.likeness, mirrored=pair.mirrored)
        for pair in near_pairs(store, indices, lambda: np.zeros((0, 2), np.int64))
        for one, other in [sorted((store.hashes[pair.one], store.hashes[pair.other]))]
    ]
    return links_of(found, len(indices))


def prepared(photos: Dataset, cache: Path, *, seed: int = 0, leaks: str = "error") -> PreparedData:
    config = DataTable.model_validate({"source": "folder", "holdout": 0.3, "folds": 3, "leaks": leaks})
    return prepare_data(config, photos, shorter_px=256, seed=seed, repeats=2, cache_dir=cache, find_links=find_links)


def side(data: PreparedData, file: str) -> tuple[int, ...]:
    """The fold of a picture in each repeat; empty where it is held out."""
    index = data.files.index(file)
    if index in data.holdout:
        return ()
    return tuple(folds[data.development.index(index)] for folds in data.folds)


@pytest.mark.parametrize("seed", range(4))
def test_copies_are_on_one_side_of_every_split(photos: Dataset, tmp_path: Path, seed: int) -> None:
    data = prepared(photos, tmp_path, seed=seed)
    assert all(side(data, copy) == side(data, original) for copy, original in COPIES.items())


def test_a_copy_under_another_label_is_a_finding_and_no_error(photos: Dataset, tmp_path: Path) -> None:
    near = prepared(photos, tmp_path).findings.near
    assert {tuple(sorted(pair["files"])) for pair in near} == {tuple(sorted(pair)) for pair in COPIES.items()}
    assert [pair["files"] for pair in near if len(set(pair["labels"])) == 2] == [["bird/06.png", "cat/bird.png"]]


def test_a_copy_on_both_sides_of_ready_parts_is_a_leak(photos: Dataset, tmp_path: Path) -> None:
    def part(image: ImageFile) -> str:
        return "test" if image.path.stem in ("again", "20", "21") else "train"

    images = tuple(ImageFile(path=image.path, label=image.label, part=part(image)) for image in photos.images)
    split = Dataset(root=photos.root, classes=CLASSES, images=images)
    with pytest.raises(
        DataError, match=r"1 picture is on both sides.*bird/00\.png \(train\) and bird/again\.png \(test"
    ):
        prepared(split, tmp_path)
    data = prepared(split, tmp_path, leaks="drop")
    assert data.findings.dropped == ("bird/00.png",)
