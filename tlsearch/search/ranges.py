"""From a study file and the plugins' declarations to dimensions; all names are looked up before a fault is raised."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from tlsearch.errors import Fault, StudyFileError
from tlsearch.params import Params, ranges_of
from tlsearch.search.dimensions import Condition, Dimension
from tlsearch.space import Choice, Range
from tlsearch.specs import BackboneSpec, HeadSpec
from tlsearch.study import Imbalance, StudyConfig
from tlsearch.text import did_you_mean


def build_dimensions(
    config: StudyConfig,
    backbones: Sequence[BackboneSpec],
    heads: Mapping[str, HeadSpec],
    imbalance: Sequence[Imbalance],
) -> tuple[Dimension, ...]:
    """All dimensions of a study, in the order in which they are chosen.

    Raises:
        StudyFileError: With every fault.
    """
    faults = [*_unknown_heads(config, heads)]
    dimensions = list(_shared(config, backbones, imbalance))
    for name in config.search.heads:
        if name in heads:
            dimensions += _of_head(heads[name], config.search.head.get(name, {}), faults)
    written = {table.name: table.params for table in config.backbones}
    for backbone in backbones:
        dimensions += _of_backbone(backbone, written.get(backbone.name, {}), faults)
    if faults:
        raise StudyFileError(config.study.name, faults)
    return tuple(dimensions)


def _shared(
    config: StudyConfig, backbones: Sequence[BackboneSpec], imbalance: Sequence[Imbalance]
) -> Iterator[Dimension]:
    """The engine's own dimensions; their names are shared by all backbones."""
    search = config.search
    yield Dimension(name="backbone", range=Choice(*(b.name for b in backbones)))
    yield Dimension(name="head", range=Choice(*search.heads))
    yield Dimension(name="unfrozen", range=search.unfrozen)
    yield Dimension(name="epochs", range=search.epochs)
    yield Dimension(name="batch_size", range=search.batch_size)
    yield Dimension(name="augment", range=Choice(*search.augment))
    yield Dimension(name="weight_decay", range=search.weight_decay)
    yield Dimension(name="label_smoothing", range=search.label_smoothing)
    yield Dimension(name="imbalance", range=Choice(*imbalance))
    yield Dimension(name="suffix_lr_scale", range=search.suffix_lr_scale, when=Condition(on="unfrozen"))


def _of_head(spec: HeadSpec, written: Mapping[str, Range], faults: list[Fault]) -> Iterator[Dimension]:
    when = Condition(on="head", equals=spec.name)
    rate = written.get("learning_rate", spec.learning_rate)
    yield Dimension(name=f"{spec.name}.learning_rate", range=rate, when=when)
    own = {key: value for key, value in written.items() if key != "learning_rate"}
    faults += _unknown(f"search.head.{spec.name}", own, ["learning_rate", *spec.params.model_fields])
    yield from _of_plugin(spec.name, spec.params, own, when)


def _of_backbone(spec: BackboneSpec, written: Mapping[str, Any], faults: list[Fault]) -> Iterator[Dimension]:
    # what a [[backbones]] table writes is set, not searched
    ranges: dict[str, Range] = {key: Choice(value, strict=False) for key, value in written.items()}
    faults += _unknown(f"backbones.{spec.name}.params", written, [*spec.params.model_fields])
    yield from _of_plugin(spec.name, spec.params, ranges, Condition(on="backbone", equals=spec.name))


def _of_plugin(owner: str, params: type[Params], written: Mapping[str, Range], when: Condition) -> Iterator[Dimension]:
    """A plugin's own parameters: declared ranges, replaced by what the study file says."""
    for key, found in {**ranges_of(params), **written}.items():
        field = params.model_fields.get(key)
        default = None if field is None or field.is_required() else field.default
        yield Dimension(name=f"{owner}.{key}", range=found, when=when, default=default)


def _unknown_heads(config: StudyConfig, heads: Mapping[str, HeadSpec]) -> Iterator[Fault]:
    places = {name: f"search.head.{name}" for name in config.search.head}
    places |= dict.fromkeys(config.search.heads, "search.heads")
    for name, place in places.items():
        if name not in heads:
            message = f"no plugin provides head '{name}'{did_you_mean(name, heads)}"
            yield Fault(place=place, message=message)


def _unknown(place: str, written: Iterable[str], known: Sequence[str]) -> Iterator[Fault]:
    for key in written:
        if key not in known:
            yield Fault(place=f"{place}.{key}", message=f"unknown{did_you_mean(key, known)}")
