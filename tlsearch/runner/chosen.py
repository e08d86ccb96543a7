"""Chosen backbones: whose weights are at hand, and how large pictures must be kept for them."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from tlsearch.data.pixels import resize_px
from tlsearch.errors import StudyChangedError, WeightsError
from tlsearch.host import PluginHost
from tlsearch.hubs import Hubs
from tlsearch.records import Json, StudyRecord
from tlsearch.specs import Preprocessing
from tlsearch.study import BackboneTable, StudyConfig, config_json, differences
from tlsearch.weights import resolve_weights
from tlsearch.work import BackboneChoice


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """The backbones whose weights are at hand, and why the others are not among them."""

    backbones: Mapping[str, BackboneChoice]
    left_out: tuple[Mapping[str, str], ...]

    def say_what_is_missing(self, notice: Callable[[str], None]) -> None:
        """Tell a person of every backbone that is left out."""
        for missing in self.left_out:
            notice(f"left out: backbone '{missing['name']}': {missing['why']}")


def choose_backbones(
    config: StudyConfig, stored: StudyRecord | None, *, host: PluginHost, cache: Path, hubs: Hubs
) -> Chosen:
    """Resolve every backbone's weights; a study that began with some source stays with it.

    Raises:
        WeightsError: Where weights cannot be had, and the study does not say that they may be left out.
        StudyChangedError: Where the study lists a backbone that it began without.
    """
    began_with = stored.context["backbones"] if stored else None
    left_out = list(stored.context["left_out"]) if stored else []
    out_of_reach = {missing["name"] for missing in left_out}  # when the study began: it stays so
    found: dict[str, BackboneChoice] = {}
    for table in config.backbones:
        if table.name in out_of_reach:
            continue
        if stored and began_with is not None and table.name not in began_with:
            raise StudyChangedError(config.study.name, differences(stored.config, config_json(config)))
        wanted = began_with[table.name]["source"] if began_with and table.weights == "auto" else table.weights
        try:
            found[table.name] = _resolve(table, wanted, config, host=host, cache=cache, hubs=hubs)
        except WeightsError as error:
            if began_with is not None or config.run.on_missing_weights == "error":
                raise WeightsError(f"backbone '{table.name}': {error.message}", hint=error.hint) from error
            left_out.append({"name": table.name, "why": error.message})
    if not found:
        why = "; ".join(f"{missing['name']}: {missing['why']}" for missing in left_out)
        raise WeightsError(f"no backbone can be used: {why}", hint="see: tlsearch doctor")
    return Chosen(backbones=found, left_out=tuple(left_out))


def kept_px(config: StudyConfig, stored: StudyRecord | None, chosen: Chosen) -> int:
    """The shorter side at which pictures are kept; a study that began with some side stays with it.

    Raises:
        StudyChangedError: Where that is too small for what the study asks for now.
    """
    needed = _needed_px(config, chosen)
    if stored is None:
        return needed
    kept = int(stored.context["shorter_px"])
    if needed > kept:
        told = differences(stored.config, config_json(config))
        baseline = f"a baseline needs pictures of {needed} px, and the study keeps {kept} px"
        raise StudyChangedError(config.study.name, told or [baseline])
    return kept


def _needed_px(config: StudyConfig, chosen: Chosen) -> int:
    """The shorter side that nothing enlarges: neither the weights' own preparation nor a baseline's."""
    found = chosen.backbones
    asked: list[tuple[BackboneChoice, Mapping[str, Json]]] = [(choice, {}) for choice in found.values()]
    asked += [(found[table.backbone], table.preprocessing) for table in config.baselines if table.backbone in found]
    return max(
        resize_px(Preprocessing().changed(choice.preprocessing).changed(overrides), choice.image_px)
        for choice, overrides in asked
    )


def _resolve(
    table: BackboneTable, wanted: str, config: StudyConfig, *, host: PluginHost, cache: Path, hubs: Hubs
) -> BackboneChoice:
    spec = host.backbone(table.name)
    weights = resolve_weights(spec, wanted, cache_dir=cache / "weights", seed=config.study.seed, hubs=hubs)
    return BackboneChoice(
        name=table.name,
        params=table.params,
        image_px=table.image_px or spec.image_px,
        source=weights.source,
        path=str(weights.path or ""),
        digest=weights.digest,
        variant=weights.variant,
        preprocessing=asdict(weights.preprocessing),
        trained_on=weights.trained_on,
        license=weights.license,
    )
