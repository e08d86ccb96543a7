"""What a plugin's answers must look like before anybody uses them."""

from collections.abc import Mapping, Sequence
from typing import Any

from tlsearch.errors import PluginError
from tlsearch.params import Params
from tlsearch.specs import Backbone, BackboneSpec, DatasetSpec, ExporterSpec, HeadSpec, WeightsSource

Spec = BackboneSpec | HeadSpec | DatasetSpec | ExporterSpec

PROVIDING_HOOKS: Mapping[str, type[Spec]] = {
    "tlsearch_backbones": BackboneSpec,
    "tlsearch_heads": HeadSpec,
    "tlsearch_datasets": DatasetSpec,
    "tlsearch_exporters": ExporterSpec,
}
TAKEN_NAMES = ("auto", "random")  # a study file's words for "any source" and "none"
_KINDS: Mapping[type[Spec], str] = {
    BackboneSpec: "backbone",
    HeadSpec: "head",
    DatasetSpec: "dataset",
    ExporterSpec: "exporter",
}


def kind_of(spec: Spec) -> str:
    """ "backbone", "head", "dataset" or "exporter"."""
    return _KINDS[type(spec)]


def check_answer(hook: str, answer: Any) -> tuple[Spec, ...]:
    """A providing hook's answer as a tuple, once every value in it has been looked at.

    Raises:
        PluginError: Where it is no sequence of the hook's type, or a value in it cannot be used.
    """
    expected = PROVIDING_HOOKS[hook]
    if not isinstance(answer, Sequence) or isinstance(answer, str | bytes):
        raise PluginError(f"{hook} returned {_described(answer)}, not a list of {expected.__name__}")
    for spec in answer:
        if not isinstance(spec, expected):
            raise PluginError(f"{hook} returned a list with {_described(spec)} in it, not {expected.__name__}")
        faults = _faults(spec)
        if faults:
            raise PluginError(f"{kind_of(spec)} {spec.name!r}: {'; '.join(faults)}")
    return tuple(answer)


def check_backbone(name: str, built: Any) -> Backbone:
    """What a plugin's `build` gave, once its parts have been looked at.

    Raises:
        PluginError: Where it is no backbone, has no stages, or leaves a stage without a layer's name.
    """
    if not isinstance(built, Backbone):
        raise PluginError(f"backbone '{name}' built a {type(built).__name__}, not a tlsearch.Backbone")
    if not built.stages:
        raise PluginError(f"backbone '{name}' has no stages")
    if built.layer_names and [bool(layers) for layers in built.layer_names] != [True] * len(built.stages):
        told = [len(layers) for layers in built.layer_names]
        raise PluginError(
            f"backbone '{name}' names {told} layers in its {len(built.stages)} stages",
            hint="layer_names has an entry for each stage, with at least one name in it; or leave it empty",
        )
    return built


def _faults(spec: Spec) -> list[str]:
    """What is wrong with a spec's values; dataclasses don't look at them."""
    faults = [] if isinstance(spec.name, str) and spec.name.strip() else ["a name is a text that is not empty"]
    match spec:
        case BackboneSpec():
            faults += _params_faults("params", spec.params) + _not_callable(spec, "build", "load")
            faults += _backbone_faults(spec)
        case HeadSpec():
            faults += _params_faults("params", spec.params) + _not_callable(spec, "build")
            if spec.input not in ("features", "map"):
                faults.append(f"input is 'features' or 'map', not {spec.input!r}")
            if spec.learning_rate.low <= 0:
                faults.append(f"learning_rate starts above 0, not at {spec.learning_rate.low}")
        case DatasetSpec():
            faults += _params_faults("options", spec.options) + _not_callable(spec, "load")
        case ExporterSpec():
            faults += _not_callable(spec, "refuses", "export")
    return faults


def _backbone_faults(spec: BackboneSpec) -> list[str]:
    faults = []
    if spec.framework not in ("torch", "keras"):
        faults.append(f"framework is 'torch' or 'keras', not {spec.framework!r}")
    if not 1 <= spec.min_image_px <= spec.image_px:
        faults.append(f"image_px {spec.image_px} is below min_image_px {spec.min_image_px}")
    if not all(isinstance(source, WeightsSource) for source in spec.weights):
        faults.append("weights is a list of WeightsSource")
    else:
        names = [source.name for source in spec.weights]
        if len(set(names)) < len(names):
            faults.append("two weights sources have one name")
        faults += [f"a weights source cannot be called '{name}'" for name in names if name in TAKEN_NAMES]
    return faults


def _params_faults(field: str, value: Any) -> list[str]:
    fits = isinstance(value, type) and issubclass(value, Params)
    return [] if fits else [f"{field} is a subclass of tlsearch.Params, not {_described(value)}"]


def _not_callable(spec: Spec, *fields: str) -> list[str]:
    return [f"{field} cannot be called" for field in fields if not callable(getattr(spec, field))]


def _described(value: Any) -> str:
    return "None" if value is None else f"a value of type {type(value).__name__}"
