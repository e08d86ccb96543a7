"""From a study file and the plugins' declarations to dimensions; every fault is found before any is raised."""

import difflib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from tlsearch.errors import Fault, StudyFileError
from tlsearch.search.dimensions import Condition, Dimension
from tlsearch.space import Choice, Params, Range, ranges_of
from tlsearch.specs import BackboneSpec, HeadSpec
from tlsearch.study import StudyConfig


def build_dimensions(
    config: StudyConfig, backbones: Sequence[BackboneSpec], heads: Mapping[str, HeadSpec]
) -> tuple[Dimension, ...]:
    """All dimensions of a study, in the order in which they are chosen.

    Raises:
        StudyFileError: With every fault.
    """
    faults = [*_unknown_heads(config, heads), *_fractions(config)]
    dimensions = list(_shared(config, backbones))
    for name in config.search.heads:
        if name in heads:
            dimensions += _of_head(heads[name], config.search.head.get(name, {}), faults)
    written = {table.name: table.params for table in config.backbones}
    for backbone in backbones:
        dimensions += _of_backbone(backbone, written.get(backbone.name, {}), faults)
    if faults:
        raise StudyFileError(config.study.name, faults)
    return tuple(dimensions)


def _shared(config: StudyConfig, backbones: Sequence[BackboneSpec]) -> Iterator[Dimension]:
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
    yield Dimension(name="suffix_lr_scale", range=search.suffix_lr_scale, when=Condition(on="unfrozen"))


def _of_head(spec: HeadSpec, written: Mapping[str, Range], faults: list[Fault]) -> Iterator[Dimension]:
    when = Condition(on="head", equals=spec.name)
    rate = written.get("learning_rate", spec.learning_rate)
    yield Dimension(name=f"{spec.name}.learning_rate", range=rate, when=when)
    own = {key: value for key, value in written.items() if key != "learning_rate"}
    place = f"search.head.{spec.name}"
    faults += _refused(place, spec.params, own, also=("learning_rate",))
    yield from _of_plugin(spec.name, spec.params, own, when)


def _of_backbone(spec: BackboneSpec, written: Mapping[str, Any], faults: list[Fault]) -> Iterator[Dimension]:
    # what a [[backbones]] table writes is set, not searched
    ranges: dict[str, Range] = {key: Choice(value, strict=False) for key, value in written.items()}
    faults += _refused(f"backbones.{spec.name}.params", spec.params, ranges)
    yield from _of_plugin(spec.name, spec.params, ranges, Condition(on="backbone", equals=spec.name))


def _of_plugin(owner: str, params: type[Params], written: Mapping[str, Range], when: Condition) -> Iterator[Dimension]:
    """A plugin's own parameters: declared ranges, replaced by what the study file says."""
    for key, found in {**ranges_of(params), **written}.items():
        field = params.model_fields.get(key)
        default = None if field is None or field.is_required() else field.default
        yield Dimension(name=f"{owner}.{key}", range=found, when=when, default=default)


def _unknown_heads(config: StudyConfig, heads: Mapping[str, HeadSpec]) -> Iterator[Fault]:
    for name in config.search.heads:
        if name not in heads:
            yield Fault(place="search.heads", message=_unknown(f"no plugin provides head '{name}'", name, heads))
    for name in config.search.head:
        if name not in heads:
            place = f"search.head.{name}"
            yield Fault(place=place, message=_unknown(f"no plugin provides head '{name}'", name, heads))


def _fractions(config: StudyConfig) -> Iterator[Fault]:
    """Faults of what must be whole numbers: stages, epochs and pictures."""
    for key, low in (("unfrozen", 0), ("epochs", 1), ("batch_size", 1)):
        found: Range = getattr(config.search, key)
        for value in _ends(found):
            if isinstance(value, bool) or not isinstance(value, int) or value < low:
                message = f"{value!r} is no whole number from {low} up"
                yield Fault(place=f"search.{key}", message=message)


def _refused(
    place: str, params: type[Params], written: Mapping[str, Range], *, also: Iterable[str] = ()
) -> Iterator[Fault]:
    """Faults of names that a plugin does not know and of values that it refuses."""
    for key, found in written.items():
        if key not in params.model_fields:
            known = (*also, *params.model_fields)
            yield Fault(place=f"{place}.{key}", message=_unknown("unknown parameter", key, known))
            continue
        for value in _ends(found):
            message = _why_refused(params, key, value)
            if message is not None:
                yield Fault(place=f"{place}.{key}", message=message)


def _why_refused(params: type[Params], key: str, value: Any) -> str | None:
    try:
        params(**{key: value})
    except ValidationError as error:
        # other parameters may have no default: only this one is in question
        ours = [e["msg"] for e in error.errors() if e["loc"][:1] == (key,)]
        return ours[0] if ours else None
    return None


def _ends(found: Range) -> tuple[Any, ...]:
    """The values that speak for a range: all of a choice, both ends of the others."""
    return found.values if isinstance(found, Choice) else (found.low, found.high)


def _unknown(message: str, name: str, known: Iterable[str]) -> str:
    names = sorted(known)
    close = difflib.get_close_matches(name, names, n=1)
    if close:
        return f"{message}; did you mean '{close[0]}'?"
    return f"{message}; there are: {', '.join(names) or 'none'}"
