"""docs/study-file.md, held to the tables that read a study file: every key, its true default, and nothing else."""

import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import fields
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from tlsearch.data.pillow_rules import FORMATS, ORIENTATION_TAG, decode_bytes
from tlsearch.host import PluginHost
from tlsearch.specs import Preprocessing
from tlsearch.study import (
    DEFAULT_BACKBONES,
    BackboneTable,
    BaselinePhase,
    BaselineTable,
    Budget,
    ConstraintsTable,
    DataTable,
    RunTable,
    SearchTable,
    StudyTable,
    read_range,
)
from tlsearch.study.arrange import default_range

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "study-file.md").read_text(encoding="utf-8")
TABLES: dict[str, type[BaseModel]] = {
    "[study]": StudyTable,
    "[data]": DataTable,
    "[[backbones]]": BackboneTable,
    "[search]": SearchTable,
    "[constraints]": ConstraintsTable,
    "[[baselines]]": BaselineTable,
    "[[baselines.phases]]": BaselinePhase,
    "[run]": RunTable,
}


def section(heading: str) -> str:
    """The text below a heading, up to the next one."""
    _, below = re.split(rf"^#+ {re.escape(heading)}$", PAGE, maxsplit=1, flags=re.MULTILINE)
    return re.split(r"^#", below, maxsplit=1, flags=re.MULTILINE)[0]


def rows(heading: str) -> dict[str, str]:
    """Each key of a section's table with its default, as the page writes it."""
    found = re.findall(r"^\| `([^`]+)` \|.*\| ([^|]+) \|$", section(heading), flags=re.MULTILINE)
    assert len(dict(found)) == len(found), "a key stands twice"
    return dict(found)


def keys(model: type[BaseModel]) -> Iterator[tuple[str, type[BaseModel], FieldInfo]]:
    """Every key as a file writes it, with the model and the field it belongs to."""
    for name, field in model.model_fields.items():
        if field.annotation is Budget:
            yield from ((f"budget.{key}", owner, inner) for key, owner, inner in keys(Budget))
        else:
            yield str(field.validation_alias or name), model, field


def read(model: type[BaseModel], key: str, written: str) -> Any:
    """What a model makes of a value that is written in TOML, all its required keys given."""
    own = key.rpartition(".")[2]
    required = {name: field for name, field in model.model_fields.items() if field.is_required()}
    given = {name: 1 if field.annotation is int else "x" for name, field in required.items()}
    table = model.model_validate({**given, own: tomllib.loads(f"value = {written}")["value"]})
    (name,) = (name for name, field in model.model_fields.items() if own == (field.validation_alias or name))
    return getattr(table, name)


def assert_told_as_read(told: Mapping[str, str], model: type[BaseModel]) -> None:
    """Compare a section's table with the model that reads it."""
    known = {key: (owner, field) for key, owner, field in keys(model)}
    assert told.keys() == known.keys()
    for key, (owner, field) in known.items():
        if field.is_required():
            assert told[key] == "required", key
        elif field.default is None:
            assert "`" not in told[key], f"{key} has no value unless it is written"
        else:
            assert read(owner, key, told[key].strip("`")) == field.default, key


@pytest.mark.parametrize("heading", TABLES)
def test_a_table_of_the_page_has_every_key_with_its_true_default(heading: str) -> None:
    assert_told_as_read(rows(f"`{heading}`"), TABLES[heading])


def test_the_page_has_no_section_of_a_table_that_no_file_has(host: PluginHost) -> None:
    told = re.findall(r"^#+ `(.*)`$", PAGE, flags=re.MULTILINE)
    sources = [f'source = "{name}"' for name in host.datasets()]
    heads = [f"[search.head.{name}]" for name in host.heads()]
    assert sorted(told) == sorted([*TABLES, *sources, *heads])


def test_each_source_has_its_own_keys(host: PluginHost) -> None:
    for name, spec in host.datasets().items():
        assert_told_as_read(rows(f'`source = "{name}"`'), spec.options)


def test_each_head_has_the_ranges_that_are_searched(host: PluginHost) -> None:
    for name, spec in host.heads().items():
        told = rows(f"`[search.head.{name}]`")
        assert told.keys() == {"learning_rate", *spec.params.model_fields}
        for key, written in told.items():
            value = tomllib.loads(f"value = {written.strip('`')}")["value"]
            assert read_range(value) == default_range(spec, key), key


def test_the_networks_of_a_file_that_lists_none_are_named(host: PluginHost) -> None:
    assert all(f"`{name}`" in section("`[[backbones]]`") for name in DEFAULT_BACKBONES)
    assert all(not spec.params.model_fields for spec in host.backbones().values()), "the page tells of none"


def test_every_key_of_a_recipes_preprocessing_is_named() -> None:
    assert all(f"`{field.name}`" in section("`[[baselines]]`") for field in fields(Preprocessing))


def test_every_variable_of_ours_is_named_and_no_other() -> None:
    read_in = {
        name
        for folder in ("tlsearch", "plugins")
        for file in (ROOT / folder).rglob("*.py")
        for name in re.findall(r"TLSEARCH_[A-Z_]+[A-Z]", file.read_text(encoding="utf-8"))
    }
    assert set(re.findall(r"TLSEARCH_[A-Z_]+[A-Z]", section("Environment variables"))) == read_in


def saved(image: Image.Image, format: str = "PNG", **options: Any) -> bytes:
    file = BytesIO()
    image.save(file, format, **options)
    return file.getvalue()


def test_odd_pictures_are_converted_under_the_names_that_the_page_gives() -> None:
    exif = Image.Exif()
    exif[ORIENTATION_TAG] = 6
    plain = Image.new("RGB", (8, 4))
    pictures = [
        saved(plain, "JPEG", exif=exif),
        saved(Image.new("L", (4, 4))),
        saved(Image.new("P", (4, 4))),
        saved(Image.new("CMYK", (4, 4)), "JPEG"),
        saved(Image.new("RGBA", (4, 4))),
        saved(Image.new("I;16", (4, 4))),
        saved(plain, "GIF", save_all=True, append_images=[Image.new("RGB", (8, 4), "red")]),
        saved(Image.new("RGB", (40, 2))),
    ]
    named = {rule for data in pictures for rule in decode_bytes(data)[1]}
    told = set(re.findall(r"`([^`]+)`", "".join(re.findall(r"^\| (`[^|]*) \|", section("Pictures"), re.MULTILINE))))
    assert named <= told
    assert told - named == {"damaged EXIF"}  # tests/data/test_pillow_rules.py has one
    assert all(name in section("Pictures") for name in FORMATS)
    assert "`LAB`" in section("Pictures")
    assert decode_bytes(saved(Image.new("LAB", (4, 4)), "TIFF"))[1] == ("LAB",)
