"""`tlsearch init`: a commented study file for a folder of photos."""

import os
import shlex
import tomllib
from collections import Counter
from pathlib import Path
from typing import Annotated, Literal

import typer

from tlsearch.cli.output import line, out, plain_table
from tlsearch.cli.places import refuse_among_photos, to_folder_above
from tlsearch.data.sizes import class_sizes, is_skewed
from tlsearch.data.source import check_dataset, ready_parts
from tlsearch.errors import DataError, Fault, StudyFileError
from tlsearch.host import PluginHost
from tlsearch.paths import RUNS, cache_root
from tlsearch.specs import Dataset
from tlsearch.study import DEFAULT_BACKBONES, DataTable, StudyConfig, check_study
from tlsearch.text import safe, slug, toml_text

CLASSES_SHOWN = 12


def init_command(
    photos: Annotated[Path, typer.Argument(metavar="PHOTOS", help="A folder with one sub-folder a class.")],
    to: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="Where to write; left out, studies/NAME.toml.")
    ] = None,
    name: Annotated[str | None, typer.Option("--name", help="The study's name; left out, the folder's.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite the file.")] = False,
) -> None:
    """Look at a folder of photos and write a study file for it; no picture is decoded."""
    host = PluginHost.load()
    dataset = _look(photos, host)
    study = name or photos.resolve().name or "photos"
    target = to or Path("studies") / f"{slug(study)}.toml"
    _refuse_among_photos(dataset.root, target)
    if target.exists() and not force:
        raise StudyFileError(str(target), [Fault(place="", message="is there already")], hint="--force overwrites it")
    text = study_text(study, photos, dataset, target, host)
    config = check_study(tomllib.loads(text), str(target), host)
    _refuse_what_no_run_can_split(dataset, config)
    _write(target, text)
    _tell(dataset, target)


def study_text(study: str, photos: Path, dataset: Dataset, target: Path, host: PluginHost) -> str:
    """A study file with its reasons beside it.

    Args:
        study: The study's name.
        photos: The folder, as the user wrote it.
        dataset: What is in it.
        target: Where the file will lie; its comments name it.
        host: Whose other backbones the comments name.
    """
    counts = _counts(dataset)
    skewed = is_skewed(_learned_from(dataset))
    others = ", ".join(name for name in host.backbones() if name not in DEFAULT_BACKBONES)
    backbones = "\n".join(f"[[backbones]]\nname = {toml_text(name)}\n" for name in DEFAULT_BACKBONES)
    return f"""\
# {len(dataset.images)} pictures in {len(counts)} classes: {_each(counts)}
#   tlsearch run {_comment(shlex.quote(str(target)))}
# Any value can be changed there as well, such as: --set search.epochs.high=5

[study]
name = {toml_text(study)}
metric = "{"balanced_accuracy" if skewed else "accuracy"}" # accuracy | balanced_accuracy | macro_f1 | log_loss
budget = {{ trials = 60, time = "10m" }} # whichever comes first; time is the sum over all runs
seed = 0

[data]
source = "folder"
path = {toml_text(str(photos))} # relative to where the command runs
{_split_text(dataset)}
# group_by = '(?P<group>.+)_\\d+' # pictures whose names give one group stay on one side of every split
bad_images = "error" # or "skip": leave out what cannot be read, up to 5 % a class

# Pretrained networks to try. Also here: {_comment(others)}
{backbones}
[search]
unfrozen = {{ low = 0, high = 4 }} # stages trained, counted from the head: the freeze depth
heads = ["linear", "mlp"]
epochs = {{ low = 2, high = 20 }}
augment = ["none", "flip"] # take "flip" out where left and right differ in meaning

# A recipe to beat: run first and exactly as written, and compared with the winner in every report.
[[baselines]]
name = "frozen linear probe"
backbone = "{DEFAULT_BACKBONES[-1]}"
unfrozen = 0
head = "linear"
learning_rate = 1e-2
epochs = 10

[run]
on_missing_weights = "skip" # go on without a backbone whose weights are out of reach, and say so; or "error"
"""


def _look(photos: Path, host: PluginHost) -> Dataset:
    """What the run will see in the folder; raises DataError where no study can be made of it."""
    try:
        str(photos).encode()
    except UnicodeEncodeError as error:
        raise DataError(
            f"{safe(str(photos))}: the name is not UTF-8, which a study file must be", hint="rename the folder"
        ) from error
    folder = host.dataset("folder")
    dataset = folder.load(folder.options.model_validate({"path": str(photos)}), cache_root() / "datasets" / "folder")
    check_dataset(dataset)
    return dataset


def _refuse_among_photos(root: Path, target: Path) -> None:
    """Refuse a study file, or a place to run it from, in the folder of the photos."""
    command = shlex.join(["tlsearch", "init", root.name])
    above = f"run it from the folder above: {to_folder_above(root)} && {command}"
    refuse_among_photos(root, RUNS, hint=above)
    refuse_among_photos(root, target, hint="name a file elsewhere with --out FILE")


def _refuse_what_no_run_can_split(dataset: Dataset, config: StudyConfig) -> None:
    from tlsearch.data.sides import check_sides  # NumPy: only where there is a study

    check_sides(dataset, config.data)


def _counts(dataset: Dataset) -> dict[str, int]:
    found = Counter(image.label for image in dataset.images)
    return {name: found[label] for label, name in enumerate(dataset.classes)}


def _learned_from(dataset: Dataset) -> dict[str, int]:
    labels = [image.label for image in dataset.images]
    sizes = class_sizes(dataset.classes, labels, ready_parts(dataset), range(len(labels)))
    return {name: count for name, count in sizes.items() if count}  # an empty class is refused, and not called small


def _each(counts: dict[str, int]) -> str:
    fewest, most = min(counts.values()), max(counts.values())
    return f"{fewest} each." if fewest == most else f"{fewest} to {most} each."


def _split_text(dataset: Dataset) -> str:
    folds = _folds(dataset)
    fixed = f"folds = {folds} # no more fit the smallest class"
    parts = sorted({image.part for image in dataset.images if image.part is not None})
    if parts:
        kept = f"# The folder comes with ready parts ({', '.join(parts)}), which are kept as they are."
        return kept if folds == "auto" else f"{kept}\n{fixed}"
    auto = 'folds = "auto" # 5 below 500 development images, 3 below 2000, else one part of 20 %'
    return f"holdout = 0.2 # kept apart, and opened once at the end\n{auto if folds == 'auto' else fixed}"


def _folds(dataset: Dataset) -> Literal["auto"] | int:
    """The most folds that every class is large enough for; "auto" where it decides, and where the check will refuse."""
    from tlsearch.data.sides import check_sides  # NumPy: only where there is a study

    tried: tuple[Literal["auto"] | int, ...] = ("auto", 4, 3, 2, 1)
    for folds in tried:
        try:
            check_sides(dataset, DataTable(folds=folds))
        except DataError:
            continue
        return folds
    return "auto"


def _comment(text: str) -> str:
    return safe(text)


def _write(target: Path, text: str) -> None:
    part = target.with_name(f"{target.name}.part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        part.write_text(text, encoding="utf-8")
        os.replace(part, target)
    except OSError as error:
        fault = Fault(place="", message=f"cannot be written: {error.strerror}")
        raise StudyFileError(str(target), [fault], hint="name another file with --out FILE") from error


def _tell(dataset: Dataset, target: Path) -> None:
    console = out()
    counts = sorted(_counts(dataset).items(), key=lambda entry: -entry[1])
    table = plain_table("class", "pictures")
    for name, count in counts[:CLASSES_SHOWN]:
        table.add_row(line(name), line(str(count)))
    console.print(table)
    if len(counts) > CLASSES_SHOWN:
        console.print(line(f"and {len(counts) - CLASSES_SHOWN} more classes"))
    if dataset.ignored:
        console.print(line(f"{len(dataset.ignored)} other files are ignored, such as {dataset.ignored[0]}"))
    console.print(line("wrote ", (str(target), "bold")))
    console.print(line("next: ", (f"tlsearch run {shlex.quote(str(target))}", "bold")), soft_wrap=True)
