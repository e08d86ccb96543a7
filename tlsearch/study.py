"""StudyConfig: a study file as checked values, with every default in it."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, PlainValidator

from tlsearch.space import Choice, FloatRange, IntRange, Range


class _Table(BaseModel):
    model_config = ConfigDict(
        frozen=True, extra="forbid", validate_default=True, arbitrary_types_allowed=True
    )


def read_range(value: Any) -> Range:
    """Read `[64, 128]`, `{ low = 1, high = 9, log = true }` or one plain value as a range.

    Raises:
        ValueError: Where it is none of these, or its ends don't make a range.
    """
    if isinstance(value, Choice | IntRange | FloatRange):
        return value
    if isinstance(value, list | tuple):
        return Choice(*value, strict=False)
    if isinstance(value, dict):
        unknown = set(value) - {"low", "high", "log"}
        if unknown or not {"low", "high"} <= set(value):
            raise ValueError("a range is { low = …, high = …, log = true or false }")
        whole = isinstance(value["low"], int) and isinstance(value["high"], int)
        return IntRange(**value) if whole else FloatRange(**value)
    return Choice(value, strict=False)


SearchedRange = Annotated[Range, PlainValidator(read_range)]
Metric = Literal["accuracy", "balanced_accuracy", "macro_f1", "log_loss"]
Augment = Literal["none", "flip", "light"]


class Budget(_Table):
    """Whichever comes first; time is the sum over all runs and covers everything from caching to the final fit."""

    trials: Annotated[int, Field(ge=1)] = 60
    time_s: float | None = None  # written as time = "10m"


class StudyTable(_Table):
    """`[study]`."""

    name: str
    metric: Metric | None = None  # None: accuracy, or balanced accuracy where classes are skewed over 3 to 1
    budget: Budget = Budget()
    seed: int = 0
    plugins: tuple[str, ...] = ()


class DataTable(_Table):
    """`[data]`: the engine's own keys; the dataset plugin's stand in `options`."""

    source: str = "folder"
    holdout: Annotated[float, Field(ge=0, lt=1)] = 0.2
    folds: Literal["auto"] | Annotated[int, Field(ge=1, le=20)] = "auto"
    group_by: str | None = None
    views: Annotated[int, Field(ge=1, le=64)] = 8
    bad_images: Literal["error", "skip"] = "error"
    leaks: Literal["error", "drop"] = "error"
    options: dict[str, Any] = {}


class BackboneTable(_Table):
    """One `[[backbones]]`."""

    name: str
    weights: str = "auto"  # a source's name, "random", or a file
    image_px: int | None = None  # None: the backbone's default
    params: dict[str, Any] = {}


class SearchTable(_Table):
    """`[search]`: ranges that the engine owns, and overrides of those that plugins declare."""

    sampler: Literal["tpe", "random"] = "tpe"
    unfrozen: SearchedRange = IntRange(0, 4)
    heads: tuple[str, ...] = ("linear", "mlp")
    epochs: SearchedRange = IntRange(2, 20)
    batch_size: SearchedRange = Choice(16, 32, 64)
    augment: tuple[Augment, ...] = ("none",)
    weight_decay: SearchedRange = FloatRange(1e-6, 1e-1, log=True)
    suffix_lr_scale: SearchedRange = FloatRange(1e-3, 0.3, log=True)
    label_smoothing: SearchedRange = Choice(0.0, 0.1)
    head: dict[
        str, dict[str, SearchedRange]
    ] = {}  # [search.head.mlp]: the head's own parameters, and learning_rate


class BaselinePhase(_Table):
    """One `[[baselines.phases]]`."""

    epochs: Annotated[int, Field(ge=1)]
    unfrozen: Annotated[int, Field(ge=0)] | Literal["all"] = 0
    learning_rate: float = 1e-3
    suffix_lr_scale: float = 1.0


class BaselineTable(_Table):
    """One `[[baselines]]`: a recipe to beat, run exactly as written."""

    name: str
    backbone: str
    head: str = "linear"
    head_params: dict[str, Any] = {}  # keys of the table that the head's plugin declares, such as hidden
    freeze_until: str | None = None
    unfrozen: Annotated[int, Field(ge=0)] | Literal["all"] = 0
    start: Literal["probe", "random"] = "random"
    optimizer: Literal["adamw", "sgd", "rmsprop"] = "adamw"
    learning_rate: float = 1e-3
    suffix_lr_scale: float = 1.0  # a published recipe has one rate for all
    weight_decay: float = 0.0
    label_smoothing: float = 0.0
    epochs: Annotated[int, Field(ge=1)] = 5
    batch_size: Annotated[int, Field(ge=1)] = 32
    augment: Augment = "none"
    preprocessing: dict[str, Any] = {}
    phases: tuple[BaselinePhase, ...] = ()


class RunTable(_Table):
    """`[run]`: where and how; changing it continues a study."""

    on_missing_weights: Literal["error", "skip"] = "error"
    store: str | None = None  # None: sqlite in runs/<slug>/study.db
    devices: Literal["auto"] | tuple[str, ...] = "auto"
    executor: Literal["local"] = "local"
    trial_timeout_s: float = 600.0  # written as trial_timeout = "10m"
    grace_s: float = 20.0  # written as grace = "20s"
    cache_gb: float = 20.0
    deterministic: bool = False


class StudyConfig(_Table):
    """A whole study file."""

    study: StudyTable
    data: DataTable = DataTable()
    backbones: tuple[BackboneTable, ...] = ()
    search: SearchTable = SearchTable()
    baselines: tuple[BaselineTable, ...] = ()
    run: RunTable = RunTable()
