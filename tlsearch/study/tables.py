"""The tables of a study file, with the engine's defaults and limits."""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from tlsearch.space import Choice, FloatRange, IntRange
from tlsearch.study.values import (
    Count,
    Duration,
    Name,
    Rate,
    SearchedRange,
    by_class,
    distinct,
    listed,
    numbers,
    pattern,
)

Metric = Literal["accuracy", "balanced_accuracy", "macro_f1", "log_loss"]
Augment = Literal["none", "flip", "light"]
Imbalance = Literal["none", "class_weights", "balanced_sampling", "logit_adjustment"]
ByClass = Annotated[dict[str, Annotated[float, Field(gt=0, le=1)]], BeforeValidator(by_class)]


class Table(BaseModel):
    """A table of the file. In the file a field goes by its alias, in Python by its name."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        validate_default=True,
        validate_by_name=True,
        validate_by_alias=True,
        arbitrary_types_allowed=True,
        allow_inf_nan=False,
    )


class Budget(Table):
    """Whichever comes first; time is the sum over all runs and covers everything from caching to the final fit."""

    trials: Count = 60
    time_s: Annotated[Duration | None, Field(validation_alias="time")] = None  # written as time = "10m"


class StudyTable(Table):
    """`[study]`."""

    name: Name
    metric: Metric | None = None  # None: accuracy, or balanced accuracy where classes are skewed over 3 to 1
    budget: Budget = Budget()
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0
    plugins: tuple[str, ...] = ()


class DataTable(Table):
    """`[data]`: the engine's own keys; the dataset plugin's stand in `options`, with its defaults in them."""

    source: str = "folder"
    holdout: Annotated[float, Field(ge=0, lt=1)] = 0.2
    folds: Literal["auto"] | Annotated[int, Field(ge=1, le=20)] = "auto"
    group_by: Annotated[str, AfterValidator(pattern)] | None = None
    views: Annotated[int, Field(ge=1, le=64)] = 8
    bad_images: Literal["error", "skip"] = "error"
    leaks: Literal["error", "drop"] = "error"
    options: dict[str, Any] = {}


class BackboneTable(Table):
    """One `[[backbones]]`."""

    name: str
    weights: Name = "auto"  # a source's name, "random", or a file
    image_px: Annotated[int, Field(ge=1, le=2048)] | None = None  # None: the backbone's default
    params: dict[str, Any] = {}


class SearchTable(Table):
    """`[search]`: ranges that the engine owns, and overrides of those that plugins declare."""

    sampler: Literal["tpe", "random"] = "tpe"
    unfrozen: Annotated[SearchedRange, AfterValidator(numbers(at_least=0, whole=True))] = IntRange(0, 4)
    heads: Annotated[tuple[str, ...], AfterValidator(distinct)] = ("linear", "mlp")
    epochs: Annotated[SearchedRange, AfterValidator(numbers(at_least=1, whole=True))] = IntRange(2, 20)
    batch_size: Annotated[SearchedRange, AfterValidator(numbers(at_least=1, whole=True))] = Choice(
        16, 32, 64, strict=False
    )
    augment: Annotated[tuple[Augment, ...], AfterValidator(distinct)] = ("none",)
    weight_decay: Annotated[SearchedRange, AfterValidator(numbers(at_least=0))] = FloatRange(1e-6, 1e-1, log=True)
    suffix_lr_scale: Annotated[SearchedRange, AfterValidator(numbers(at_least=0))] = FloatRange(1e-3, 0.3, log=True)
    label_smoothing: Annotated[SearchedRange, AfterValidator(numbers(at_least=0, below=1))] = Choice(
        0.0, 0.1, strict=False
    )
    # None: every answer where classes are skewed over 3 to 1, else none is needed
    imbalance: Annotated[tuple[Imbalance, ...], BeforeValidator(listed), AfterValidator(distinct)] | None = None
    # [search.head.mlp]: the head's own parameters, and learning_rate
    head: dict[str, dict[str, SearchedRange]] = {}


class ConstraintsTable(Table):
    """`[constraints]`: what the named configuration must reach, by class."""

    min_recall: ByClass = {}
    min_precision: ByClass = {}


class BaselinePhase(Table):
    """One `[[baselines.phases]]`."""

    epochs: Count
    unfrozen: Annotated[int, Field(ge=0)] | Literal["all"] = 0
    learning_rate: Rate = 1e-3
    suffix_lr_scale: Annotated[float, Field(ge=0)] = 1.0


class BaselineTable(Table):
    """One `[[baselines]]`: a recipe to beat, run exactly as written."""

    name: Name
    backbone: str
    head: str = "linear"
    head_params: dict[str, Any] = {}  # keys of the table that the head's plugin declares, such as hidden
    freeze_until: Name | None = None
    unfrozen: Annotated[int, Field(ge=0)] | Literal["all"] = 0
    start: Literal["probe", "random"] = "random"
    optimizer: Literal["adamw", "sgd", "rmsprop"] = "adamw"
    learning_rate: Rate = 1e-3
    suffix_lr_scale: Annotated[float, Field(ge=0)] = 1.0  # a published recipe has one rate for all
    weight_decay: Annotated[float, Field(ge=0)] = 0.0
    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.0
    imbalance: Imbalance = "none"
    epochs: Count = 5
    batch_size: Count = 32
    augment: Augment = "none"
    preprocessing: dict[str, Any] = {}
    phases: tuple[BaselinePhase, ...] = ()


class RunTable(Table):
    """`[run]`: where and how; changing it continues a study."""

    on_missing_weights: Literal["error", "skip"] = "error"
    store: Name | None = None  # None: sqlite in runs/<slug>/study.db
    devices: Literal["auto"] | Annotated[tuple[str, ...], AfterValidator(distinct)] = "auto"
    executor: Literal["local"] = "local"
    trial_timeout_s: Annotated[Duration, Field(validation_alias="trial_timeout")] = 600.0
    grace_s: Annotated[Duration, Field(validation_alias="grace")] = 20.0
    cache_gb: Annotated[float, Field(gt=0)] = 20.0
    deterministic: bool = False


class StudyConfig(Table):
    """A whole study file."""

    study: StudyTable
    data: DataTable = DataTable()
    backbones: tuple[BackboneTable, ...] = ()
    search: SearchTable = SearchTable()
    constraints: ConstraintsTable = ConstraintsTable()
    baselines: tuple[BaselineTable, ...] = ()
    run: RunTable = RunTable()
