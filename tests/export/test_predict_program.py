import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tlsearch.cli.predict import predict
from tlsearch.data.pixels import decode, fit, shrink
from tlsearch.export.facts import StudyFacts
from tlsearch.export.manifest import read_manifest
from tlsearch.export.predict_template import Classifier, describe, read_pixels
from tlsearch.export.program import END, START, rules_source


def run(bundle: Path, *arguments: str | Path, missing: Sequence[str] = ()) -> subprocess.CompletedProcess[str]:
    """Run the bundle's program as its user does, in a process where nothing of ours is in reach."""
    block = f"import sys; sys.modules.update(dict.fromkeys({['tlsearch', 'torch', 'keras', *missing]}))"
    start = f"{block}; import runpy; sys.argv = sys.argv[1:]; runpy.run_path(sys.argv[0], run_name='__main__')"
    command = [sys.executable, "-I", "-c", start, str(bundle / "predict.py"), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, encoding="utf-8", check=False)


def test_the_program_carries_the_picture_rules_word_for_word(bundle: Path) -> None:
    program = (bundle / "predict.py").read_text(encoding="utf-8")
    assert program.partition(START)[2].partition(END)[0] == rules_source()
    assert "tlsearch.data" not in program.replace(rules_source(), "")


def test_the_program_answers_as_tlsearch_does_on_every_kind_of_picture(bundle: Path, facts: StudyFacts) -> None:
    pictures = [facts.root / name for name in (*facts.development, *facts.holdout)]
    done = run(bundle, "--json", *pictures)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == predict(bundle, pictures)


def test_the_answers_are_those_that_were_measured(bundle: Path, facts: StudyFacts) -> None:
    pictures = [facts.root / name for name in facts.development]
    measured = np.exp(np.load(facts.final / "development.npz")["log_probs"])
    np.testing.assert_allclose(Classifier.open(bundle).probabilities(pictures), measured, atol=1e-5)


def test_pixels_go_through_the_rules_of_the_pixel_store(bundle: Path, facts: StudyFacts) -> None:
    manifest = read_manifest(bundle)
    for name in facts.development:
        stored = np.asarray(shrink(decode(facts.root / name), manifest.stored_px))
        expected = fit(stored, manifest.preprocessing, manifest.image_px)
        assert np.array_equal(read_pixels(facts.root / name, describe(bundle)), expected)


def test_unreadable_pictures_are_named_and_the_others_answered(bundle: Path, facts: StudyFacts, tmp_path: Path) -> None:
    readable = facts.root / facts.development[0]
    (tmp_path / "torn.jpg").write_bytes(readable.read_bytes()[:300])
    (tmp_path / "words.png").write_text("no picture")
    done = run(bundle, tmp_path / "torn.jpg", readable, tmp_path / "words.png", tmp_path / "gone.png")
    assert done.returncode == 2
    assert len(done.stdout.splitlines()) == 1
    for name in ("torn.jpg", "words.png", "gone.png"):
        assert f"{name} cannot be read as a picture" in done.stderr
    assert "Traceback" not in done.stderr


def test_names_cannot_steer_the_terminal(bundle: Path, facts: StudyFacts, tmp_path: Path) -> None:
    hostile = tmp_path / "a\x1b[2J\n\u202eb.png"
    Image.open(facts.root / facts.development[1]).save(hostile, "PNG")
    done = run(bundle, hostile)
    assert done.returncode == 0
    assert len(done.stdout.splitlines()) == 1
    assert "\x1b" not in done.stdout
    assert "\u202e" not in done.stdout


@pytest.mark.parametrize("file", ["model.onnx", "model.json"])
def test_a_changed_bundle_is_refused_in_one_line(bundle: Path, facts: StudyFacts, file: str) -> None:
    with (bundle / file).open("ab") as model:
        model.write(b"\0")
    done = run(bundle, facts.root / facts.development[0])
    assert done.returncode == 2
    assert file in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize("missing", ["onnxruntime", "numpy", "PIL"])
def test_a_missing_library_is_told_in_one_line_with_the_command(bundle: Path, missing: str) -> None:
    done = run(bundle, "any.png", missing=[missing])
    assert done.returncode == 1
    assert done.stderr.splitlines() == [
        "predict.py needs onnxruntime, numpy and pillow: pip install onnxruntime numpy pillow"
    ]


def test_top_limits_the_classes_that_are_shown(bundle: Path, facts: StudyFacts) -> None:
    done = run(bundle, "--json", "--top", "1", facts.root / facts.development[0])
    (item,) = json.loads(done.stdout)
    assert len(item["top"]) == 1
