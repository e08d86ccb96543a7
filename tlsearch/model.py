"""Joins a backbone and a head: normalisation, cuts and the BatchNorm policy.

The policy: a backbone is always in inference mode, also where its weights are trained. So frozen means frozen,
statistics included, and a fine-tuned suffix keeps the statistics that it was pretrained with.
"""

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import load
from torch import nn

from tlsearch.errors import DataError, WeightsError
from tlsearch.final_files import read_final, read_weights
from tlsearch.freezing import layer_names
from tlsearch.host import PluginHost
from tlsearch.multiplications import count_macs
from tlsearch.plugin_contract import check_backbone
from tlsearch.records import Json, ModelFacts
from tlsearch.specs import Backbone, BackboneSpec, ExportableModel, HeadSpec, Preprocessing


class Normalise(nn.Module):
    """uint8 pictures `(N, S, S, 3)` to what a network was trained on, float32 `(N, 3, S, S)`."""

    scale: torch.Tensor
    shift: torch.Tensor

    def __init__(self, preprocessing: Preprocessing) -> None:
        super().__init__()
        low, high = preprocessing.value_range
        std = torch.tensor(preprocessing.std)
        mean = torch.tensor(preprocessing.mean)
        self.bgr = preprocessing.channels == "bgr"
        self.register_buffer("scale", ((high - low) / 255 / std).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("shift", ((low - mean) / std).view(1, 3, 1, 1), persistent=False)

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """Scale, shift and reorder the channels."""
        x = pixels.permute(0, 3, 1, 2)  # (N, S, S, 3) -> (N, 3, S, S)
        if self.bgr:
            x = x.flip(1)
        return x.to(self.scale.dtype) * self.scale + self.shift


class Network(nn.Module):
    """Pictures to logits: what is trained, measured and exported.

    Args:
        preprocessing: What the pictures go through first.
        backbone: Its stages are shared, not copied.
        head: On top of the pooled features, or of the map where the head asks for one.
        pools: False for heads that take the map.
    """

    def __init__(
        self, preprocessing: Preprocessing, backbone: Backbone, head: nn.Sequential, *, pools: bool = True
    ) -> None:
        super().__init__()
        self.normalise = Normalise(preprocessing)
        self.stages = nn.ModuleList(backbone.stages)
        self.pool = backbone.pool if pools else nn.Identity()
        self.head = head

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """uint8 `(N, S, S, 3)` to logits `(N, C)`."""
        x = self.normalise(pixels)
        for stage in self.stages:
            x = stage(x)
        logits: torch.Tensor = self.head(self.pool(x))
        return logits


class Probabilities(nn.Module):
    """A network's calibrated answer: softmax of its logits over the temperature."""

    def __init__(self, network: Network, temperature: float) -> None:
        super().__init__()
        self.network = network
        self.temperature = temperature

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """uint8 `(N, S, S, 3)` to probabilities `(N, C)`."""
        return torch.softmax(self.network(pixels) / self.temperature, dim=1)


class Prefix(nn.Module):
    """The frozen part of a network with every wanted cut as an output.

    Args:
        preprocessing: What the pictures go through first.
        backbone: Put into inference mode, and frozen.
        cuts: Frozen stages up to each cut, each at least 1; a cut after the last stage is the map itself.
        pooled: Whether the pooled features are an output as well, after the cuts.
    """

    def __init__(self, preprocessing: Preprocessing, backbone: Backbone, cuts: Sequence[int], *, pooled: bool) -> None:
        super().__init__()
        self.normalise = Normalise(preprocessing)
        self.cuts = tuple(cuts)
        depth = len(backbone.stages) if pooled else max(cuts)
        self.stages = nn.ModuleList(list(backbone.stages)[:depth])
        self.pool = backbone.pool if pooled else None
        self.eval().requires_grad_(False)

    def forward(self, pixels: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """uint8 `(N, S, S, 3)` to one tensor a cut, and the pooled features last."""
        outputs = []
        x = self.normalise(pixels)
        for frozen, stage in enumerate(self.stages, start=1):
            x = stage(x)
            if frozen in self.cuts:
                outputs.append(x)
        if self.pool is not None:
            outputs.append(self.pool(x))
        return tuple(outputs)


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedBackbone:
    """A built backbone, frozen and in inference mode.

    Args:
        spec: The plugin's spec.
        backbone: With its weights.
        weights: Of each stage, the parameters that may be trained. Keras keeps BatchNorm's moving statistics as
            parameters too; they are not among these.
    """

    spec: BackboneSpec
    backbone: Backbone
    weights: tuple[tuple[nn.Parameter, ...], ...]


def build_backbone(
    spec: BackboneSpec,
    *,
    params: Mapping[str, Json],
    image_px: int,
    variant: str,
    weights: Path | None,
    seed: int,
) -> LoadedBackbone:
    """Build a backbone and read its weights; it comes frozen and in inference mode.

    Args:
        spec: The plugin's spec.
        params: The plugin's own parameters.
        image_px: Side of the input.
        variant: Of the architecture, from the weights source.
        weights: The file to read; None leaves random weights.
        seed: Decides random weights.

    Raises:
        DataError: Where `image_px` is below the backbone's minimum.
        WeightsError: Where the file does not fit.
    """
    if image_px < spec.min_image_px:
        raise DataError(
            f"backbone '{spec.name}' needs pictures of at least {spec.min_image_px} px, not {image_px}",
            hint=f"set image_px = {spec.image_px} for it",
        )
    torch.manual_seed(seed)
    wants_variant = len(inspect.signature(spec.build).parameters) > 2
    arguments = (spec.params(**params), image_px, variant)
    backbone = check_backbone(spec.name, spec.build(*(arguments if wants_variant else arguments[:2])))
    if weights is not None:
        spec.load(backbone, weights)
    trained = tuple(tuple(p for p in stage.parameters() if p.requires_grad) for stage in backbone.stages)
    for module in (*backbone.stages, backbone.pool):
        module.eval().requires_grad_(False)
    return LoadedBackbone(spec=spec, backbone=backbone, weights=trained)


def build_head(
    spec: HeadSpec, *, params: Mapping[str, Json], feature_dim: int, classes: int, seed: int
) -> nn.Sequential:
    """Build a head with random weights that the seed decides."""
    torch.manual_seed(seed)
    return spec.build(spec.params(**params), feature_dim, classes)


@dataclass(frozen=True, slots=True, kw_only=True)
class StageCosts:
    """What a backbone costs, whatever head is on top.

    Args:
        macs: Multiply-accumulates of each stage, for one picture.
        map_shape: Of what the last stage gives for it, `(1, …)`.
    """

    macs: tuple[int, ...]
    map_shape: tuple[int, ...]


def measure_stages(network: Network, image_px: int) -> StageCosts:
    """Count what each stage of a network computes; takes as long as a few pictures."""
    macs = []
    black = torch.zeros(1, image_px, image_px, 3, dtype=torch.uint8, device=network.normalise.scale.device)
    x = network.normalise(black)
    for stage in network.stages:
        macs_of_stage, x = count_macs(stage, x)
        macs.append(macs_of_stage)
    return StageCosts(macs=tuple(macs), map_shape=tuple(x.shape))


def measure_facts(network: Network, loaded: LoadedBackbone, *, frozen: int, stages: StageCosts) -> ModelFacts:
    """Count parameters and multiply-accumulates of a network, in all and of the part that is trained."""
    was_training = network.head.training
    network.head.eval()
    top = nn.Sequential(network.pool, network.head)
    macs_of_top, _ = count_macs(top, torch.zeros(stages.map_shape, device=network.normalise.scale.device))
    network.head.train(was_training)
    macs = [*stages.macs, macs_of_top]
    counts = [sum(p.numel() for p in weights) for weights in loaded.weights]
    counts.append(sum(p.numel() for p in network.head.parameters()))
    return ModelFacts(
        unfrozen=len(network.stages) - frozen,
        stages=len(network.stages),
        cut=layer_names(loaded.backbone)[frozen - 1][-1] if frozen else "input",
        parameters=sum(counts),
        trained_parameters=sum(counts[frozen:]),
        macs=sum(macs),
        trained_macs=sum(macs[frozen:]),
    )


def load_final(folder: Path, host: PluginHost) -> ExportableModel:
    """Read the final model that a run saved.

    Raises:
        WeightsError: Where a file is missing, damaged or of another shape.
    """
    final, weights = read_final(folder), read_weights(folder)
    network, model = _built(final, host)
    try:
        network.load_state_dict(load(weights))
    except RuntimeError as error:  # torch's only type for weights that do not fit
        raise WeightsError(
            f"the final model in {folder} does not fit what its plugins build now: {str(error).splitlines()[0]}",
            hint=f"'{final['backbone']['name']}' or '{final['recipe']['head']}' changed since the run: run it again",
        ) from error
    return model


def build_final(folder: Path, host: PluginHost) -> ExportableModel:
    """Build what `load_final` reads, with random weights.

    Raises:
        WeightsError: Where the description is missing or damaged.
    """
    return _built(read_final(folder), host)[1]


def _built(final: Mapping[str, Json], host: PluginHost) -> tuple[Network, ExportableModel]:
    """The network with random weights, and the model that holds it."""
    choice, recipe = final["backbone"], final["recipe"]
    spec, head_spec = host.backbone(choice["name"]), host.head(recipe["head"])
    backbone = build_backbone(
        spec,
        params=recipe["backbone_params"],
        image_px=final["image_px"],
        variant=choice["variant"],
        weights=None,
        seed=0,
    ).backbone
    classes = tuple(final["classes"])
    head = build_head(
        head_spec, params=recipe["head_params"], feature_dim=final["feature_dim"], classes=len(classes), seed=0
    )
    preprocessing = Preprocessing().changed(final["preprocessing"])
    pools = head_spec.input == "features"
    network = Network(preprocessing, backbone, head, pools=pools).eval()
    model = ExportableModel(
        network=Probabilities(network, final["temperature"]).eval(),
        backbone=backbone,
        head=head,
        pools=pools,
        framework=spec.framework,
        preprocessing=preprocessing,
        temperature=final["temperature"],
        image_px=final["image_px"],
        classes=classes,
    )
    return network, model
