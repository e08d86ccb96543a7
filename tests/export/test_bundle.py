import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from final_model import SMALL_NET

from tlsearch.errors import DataError, TlsearchError, UnknownNameError, WeightsError
from tlsearch.export.bundle import BundleReport
from tlsearch.export.facts import StudyFacts
from tlsearch.export.manifest import BundleError, read_manifest, verify_files
from tlsearch.host import PluginHost
from tlsearch.stats import Interval

Export = Callable[..., BundleReport]


def everything_under(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_bundle_holds_every_format_that_the_model_has_and_says_why_others_are_left_out(
    exported: BundleReport,
) -> None:
    assert {path.name for path in exported.folder.iterdir()} == {
        "model.json",
        "model.onnx",
        "model.safetensors",
        "MODEL_CARD.md",
        "predict.py",
    }
    assert [name for name, _ in exported.left_out] == ["keras"]


def test_a_new_bundle_passes_its_own_check(exported: BundleReport) -> None:
    manifest = read_manifest(exported.folder)
    verify_files(exported.folder, manifest)
    assert manifest == exported.manifest
    assert manifest.notes == ("these are drawings",)


def test_every_file_is_proven_on_both_parts_of_the_data(exported: BundleReport) -> None:
    proven = {(entry.file, entry.part): entry for entry in exported.manifest.checks}
    files, parts = ("model.onnx", "model.safetensors"), ("development", "holdout")
    assert set(proven) == {(file, part) for file in files for part in parts}
    for (_, part), entry in proven.items():
        assert entry.n == (8 if part == "development" else 4)
        assert entry.max_dp <= 1e-4
        assert entry.label_agreement == 1.0


def test_the_card_shows_figures_notes_and_proof_with_names_as_plain_text(exported: BundleReport) -> None:
    card = (exported.folder / "MODEL_CARD.md").read_text(encoding="utf-8")
    assert "these are drawings" in card
    assert "20.0% to 70.0%" in card
    assert "15.0% to 85.0%" in card
    assert "model.onnx | holdout | 4" in card
    assert "CC0-1.0" in card
    assert "<b>" not in card
    assert r"bodo \| caro" in card


def test_the_measured_part_names_the_interval_of_a_loss_with_its_sign_turned(
    own_facts: StudyFacts, export: Export, tmp_path: Path
) -> None:
    losing = replace(own_facts, metric="log_loss", expected=(-0.5, Interval(low=-0.7, high=-0.25)))
    export(losing, tmp_path / "bundle", open_holdout=lambda: None)
    assert "| 0.500 | 0.250 to 0.700 |" in (tmp_path / "bundle" / "MODEL_CARD.md").read_text(encoding="utf-8")


def test_a_file_that_nothing_loads_is_said_to_be_unverified_and_opens_no_holdout(
    facts: StudyFacts, export: Export, tmp_path: Path
) -> None:
    def opened() -> None:
        raise AssertionError("the holdout was opened to prove nothing")

    report = export(facts, tmp_path / "bundle", open_holdout=opened)
    assert report.manifest.checks == ()
    card = (tmp_path / "bundle" / "MODEL_CARD.md").read_text(encoding="utf-8")
    assert "Not verified, since nothing here loads them: model.bin." in card
    assert "fresh process" not in card


@pytest.mark.full
def test_a_study_without_a_holdout_exports_too(facts: StudyFacts, export: Export, tmp_path: Path) -> None:
    report = export(facts, tmp_path / "bundle", open_holdout=lambda: None)
    assert report.holdout is None
    assert "holdout, opened once" not in (tmp_path / "bundle" / "MODEL_CARD.md").read_text(encoding="utf-8")


@pytest.mark.full
def test_parents_of_the_target_are_made(facts: StudyFacts, export: Export, tmp_path: Path) -> None:
    assert export(facts, tmp_path / "a" / "b" / "bundle").folder.is_dir()


def test_whoever_may_read_one_file_may_read_them_all(exported: BundleReport) -> None:
    assert len({path.stat().st_mode for path in exported.folder.iterdir()}) == 1


def test_force_replaces_a_bundle_of_ours(facts: StudyFacts, export: Export, tmp_path: Path) -> None:
    target = tmp_path / "bundle"
    export(facts, target)
    (target / "MODEL_CARD.md").write_text("edited")
    with pytest.raises(BundleError, match="exists"):
        export(facts, target)
    export(facts, target, force=True)
    assert (target / "MODEL_CARD.md").read_text(encoding="utf-8") != "edited"
    assert [path.name for path in tmp_path.iterdir()] == ["bundle"]


@pytest.mark.parametrize("force", [False, True])
def test_what_is_not_ours_is_never_replaced(facts: StudyFacts, export: Export, tmp_path: Path, force: bool) -> None:
    empty, file, mixed, link = (tmp_path / name for name in ("empty", "file", "mixed", "link"))
    empty.mkdir()
    file.write_text("mine")
    export(facts, mixed)
    (mixed / "notes.txt").write_text("mine")
    link.symlink_to(mixed)
    before = everything_under(tmp_path)
    for target in (empty, file, mixed, link):
        with pytest.raises(BundleError, match="no bundle of tlsearch"):
            export(facts, target, force=force)
    assert everything_under(tmp_path) == before


def test_a_target_among_the_pictures_is_refused(facts: StudyFacts, export: Export) -> None:
    before = everything_under(facts.root)
    for target in (facts.root / "bundle", facts.root, facts.root / "x" / ".." / "bundle"):
        with pytest.raises(BundleError, match="pictures"):
            export(facts, target)
    assert everything_under(facts.root) == before


def test_beside_a_list_of_pictures_there_is_room_for_a_bundle(own_facts: StudyFacts, export: Export) -> None:
    work = own_facts.root.parent
    below = [tuple(f"{own_facts.root.name}/{file}" for file in part) for part in (own_facts.development, ())]
    listed = replace(own_facts, root=work, development=below[0], holdout=below[1], walked=False)
    for target in (work / "pictures" / "bundle", work / "bundle" / ".." / "pictures" / "deep" / "bundle"):
        with pytest.raises(BundleError, match="lies in the folder of the pictures"):
            export(listed, target)
    for target in (work, work / "pictures"):
        with pytest.raises(BundleError):
            export(listed, target)
    export(listed, work / "bundle")
    assert (work / "bundle" / "model.json").is_file()
    with pytest.raises(BundleError, match="lies in the folder of the pictures"):
        export(replace(listed, walked=True), work / "other")


def test_a_target_that_cannot_be_written_is_refused(facts: StudyFacts, export: Export, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(BundleError, match="not writable"):
        export(facts, tmp_path / "file" / "bundle")


def test_an_unknown_format_is_refused_with_a_suggestion(facts: StudyFacts, export: Export, tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'onnx'"):
        export(facts, tmp_path / "bundle", formats=["onx"])


def test_a_format_that_the_model_does_not_have_is_refused_with_the_reason(
    facts: StudyFacts, export: Export, tmp_path: Path
) -> None:
    with pytest.raises(BundleError, match="keras: its backbone is a PyTorch network"):
        export(facts, tmp_path / "bundle", formats=["safetensors", "keras"])
    assert list(tmp_path.iterdir()) == []


def test_an_exporter_that_fails_is_named_and_leaves_nothing(facts: StudyFacts, export: Export, tmp_path: Path) -> None:
    files = [SMALL_NET, SMALL_NET.with_name("broken_exporter.py")]
    with pytest.raises(BundleError, match=r"'broken' failed: ZeroDivisionError: no\\x1b\[2J luck$"):
        export(facts, tmp_path / "bundle", host=PluginHost.load(files=files), formats=["broken"])
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_final_model_is_not_exported(own_facts: StudyFacts, export: Export, tmp_path: Path) -> None:
    weights = own_facts.final / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    with pytest.raises(WeightsError, match="damaged"):
        export(own_facts, tmp_path / "bundle")


def test_vanished_pictures_are_named(own_facts: StudyFacts, export: Export, tmp_path: Path) -> None:
    (own_facts.root / own_facts.development[2]).unlink()
    with pytest.raises(DataError, match=r"1 of 8 development pictures are gone.*picture 2\.jpg"):
        export(own_facts, tmp_path / "bundle", formats=["safetensors"])
    assert not (tmp_path / "bundle").exists()


def test_answers_that_do_not_fit_the_pictures_are_refused(
    own_facts: StudyFacts, export: Export, tmp_path: Path
) -> None:
    less = replace(own_facts, development=own_facts.development[:7])
    with pytest.raises(TlsearchError, match="8 answers for 7"):
        export(less, tmp_path / "bundle", formats=["safetensors"])


def test_the_manifest_tells_where_the_weights_come_from(exported: BundleReport) -> None:
    data = json.loads((exported.folder / "model.json").read_text(encoding="utf-8"))
    assert data["format"] == 1
    assert data["weights"]["backbone"] == "small_net"
    assert data["preprocessing"]["crop_fraction"] == 0.875
    assert data["stored_px"] == 37
