import json
import random
from pathlib import Path

import pytest

from tlsearch.cli.predict import predict
from tlsearch.errors import TlsearchError
from tlsearch.export.manifest import BundleError, read_manifest, verify_files
from tlsearch.export.predict_template import PredictError, describe


def check(folder: Path) -> None:
    verify_files(folder, read_manifest(folder))


def test_a_folder_without_a_description_is_no_bundle(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="no bundle"):
        check(tmp_path)


def test_an_unknown_version_is_refused(bundle: Path) -> None:
    data = json.loads((bundle / "model.json").read_text(encoding="utf-8"))
    (bundle / "model.json").write_text(json.dumps({**data, "format": 2}))
    with pytest.raises(BundleError, match="version '2' is unknown"):
        check(bundle)
    with pytest.raises(PredictError, match="version 2 is unknown"):
        describe(bundle)


def test_extra_missing_and_changed_files_are_all_named_at_once(bundle: Path) -> None:
    (bundle / "extra.py").write_text("")
    (bundle / "predict.py").unlink()
    with (bundle / "MODEL_CARD.md").open("a") as card:
        card.write("!")
    with pytest.raises(BundleError) as refused:
        check(bundle)
    assert "'extra.py' is not part of the bundle" in refused.value.message
    assert "'predict.py' is missing" in refused.value.message
    assert "'MODEL_CARD.md' was changed" in refused.value.message


def test_a_link_in_place_of_a_file_is_refused(bundle: Path, tmp_path: Path) -> None:
    (bundle / "predict.py").rename(tmp_path / "elsewhere.py")
    (bundle / "predict.py").symlink_to(tmp_path / "elsewhere.py")
    with pytest.raises(BundleError, match="no plain file"):
        check(bundle)


def test_unknown_keys_and_wrong_types_are_named(bundle: Path) -> None:
    data = json.loads((bundle / "model.json").read_text(encoding="utf-8"))
    (bundle / "model.json").write_text(json.dumps({**data, "image_px": -3, "run": "me"}))
    with pytest.raises(BundleError, match=r"image_px: .*run: "):
        check(bundle)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "it is no JSON"),
        (b"\xff\xfe\x00{", "it is no JSON"),
        (b"[" * 10**5, "it is no JSON"),
        (b"[1]", ""),
        (b"{}", ""),
    ],
)
def test_a_damaged_description_is_told_without_the_parsers_words(bundle: Path, content: bytes, why: str) -> None:
    (bundle / "model.json").write_bytes(content)
    told = f"model.json of {bundle} is damaged ({why}"
    with pytest.raises(BundleError) as refused:
        check(bundle)
    assert refused.value.message.startswith(told)
    assert "export it again" in str(refused.value.hint)
    with pytest.raises(PredictError) as refused_alone:
        describe(bundle)
    assert str(refused_alone.value).startswith(told)
    assert str(refused_alone.value).endswith("): export it again")


def test_mutated_bundles_are_refused_with_our_own_errors(bundle: Path) -> None:
    rng = random.Random(0)
    whole = {path: path.read_bytes() for path in bundle.iterdir()}
    for _ in range(150):
        path = rng.choice(sorted(whole))
        content = bytearray(whole[path])
        for _ in range(rng.randint(1, 4)):
            content[rng.randrange(len(content))] = rng.randrange(256)
        changed = bytes(content[: rng.randrange(len(content))] if rng.random() < 0.3 else content)
        path.write_bytes(changed)
        try:
            predict(bundle, [])
        except TlsearchError:
            pass  # refused in our own words
        else:
            # a description may change where nothing depends on it; any other file is refused
            assert changed == whole[path] or path.name == "model.json"
        path.write_bytes(whole[path])
