"""What every backbone must do, each rule a plain function."""

import tempfile
import warnings
from collections import Counter
from collections.abc import Mapping
from itertools import product
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import nn

from tlsearch.errors import WeightsError
from tlsearch.freezing import layer_names
from tlsearch.model import LoadedBackbone, build_backbone
from tlsearch.space import ParamValue
from tlsearch.specs import BackboneSpec
from tlsearch.testing.support import ends, require, require_equal

ONNX_TOLERANCE = 1e-5  # relative L2; elementwise tolerances fail for any runtime, eager float32 included
GMACS_TOLERANCE = 0.02  # relative: specs write three digits


def check_builds_at_the_ends_of_its_ranges(spec: BackboneSpec) -> None:
    """Every variant, and the lowest and highest values of the plugin's parameters, build and give features."""
    variants = {source.variant for source in spec.weights} or {""}
    for variant, params in product(sorted(variants), ends(spec.params)):
        features = _features(_built(spec, variant=variant, params=params), _pictures(spec))
        require(
            bool(features.isfinite().all()),
            f"{spec.name} with {params} and variant '{variant}' gives features that are not finite",
        )


def check_features_are_finite_and_shaped(spec: BackboneSpec) -> None:
    """Two pictures of the smallest side become finite float32 `(2, feature_dim)`; pooling has no parameters."""
    loaded = _built(spec)
    features = _features(loaded, _pictures(spec))
    expected = (2, loaded.backbone.feature_dim)
    require(tuple(features.shape) == expected, f"{spec.name}: expected {expected}, got {tuple(features.shape)}")
    require(features.dtype == torch.float32, f"{spec.name}: expected float32 features, got {features.dtype}")
    bad = int((~features.isfinite()).sum())
    require(bad == 0, f"{spec.name}: {bad} of {features.numel()} features are not finite")
    pooling = sum(p.numel() for p in loaded.backbone.pool.parameters())
    require(pooling == 0, f"{spec.name}: pooling has {pooling} parameters; make it a part of the last stage")


def check_declares_its_cost(spec: BackboneSpec) -> None:
    """`parameters` is exact, and `gmacs` is what one picture of `image_px` takes."""
    from torch.utils.flop_counter import FlopCounterMode

    loaded = _built(spec, image_px=spec.image_px)
    parameters = sum(p.numel() for stage in loaded.weights for p in stage)
    require(
        parameters == spec.parameters,
        f"{spec.name} declares {spec.parameters:,} parameters and has {parameters:,}",
    )
    with FlopCounterMode(display=False) as counter:
        _features(loaded, _pictures(spec, count=1, side_px=spec.image_px))
    gmacs = counter.get_total_flops() / 2e9
    require(
        abs(gmacs - spec.gmacs) <= GMACS_TOLERANCE * gmacs,
        f"{spec.name} declares {spec.gmacs} GMACs at {spec.image_px} px and takes {gmacs:.3f}",
    )


@torch.no_grad()
def check_can_be_cut_anywhere(spec: BackboneSpec) -> None:
    """Each stage takes one tensor, leaves it as it is, and gives the same for a copy of it, so any cut is exact."""
    loaded = _built(spec)
    x = _pictures(spec)
    for number, stage in enumerate(loaded.backbone.stages):
        before = x.clone(memory_format=torch.contiguous_format)  # as a cache on disk would hand it back
        after = stage(x)
        require(
            isinstance(after, torch.Tensor),
            f"{spec.name}: stage {number} gives a {type(after).__name__}, not one tensor",
        )
        require_equal(x, before, f"{spec.name}: stage {number} overwrites its input")
        require_equal(stage(before), after, f"{spec.name}: stage {number} gives other values for a copy of its input")
        x = after


def check_frozen_stages_stay_frozen(spec: BackboneSpec) -> None:
    """A training step of the later half changes neither weights nor BatchNorm statistics of the earlier."""
    loaded = _built(spec)
    stages = loaded.backbone.stages
    owners = Counter(id(p) for stage in stages for p in stage.parameters())
    shared = sum(count > 1 for count in owners.values())
    require(shared == 0, f"{spec.name}: {shared} parameters belong to two stages: freezing one would freeze both")
    cut = len(stages) // 2
    prefix, suffix = nn.Sequential(*stages[:cut]), nn.Sequential(*stages[cut:], loaded.backbone.pool)
    trained = [p.requires_grad_() for weights in loaded.weights[cut:] for p in weights]
    before = {name: value.clone() for name, value in prefix.state_dict().items()}
    suffix.train()
    prefix.eval()
    loss = suffix(prefix(_pictures(spec, count=4))).square().mean()
    if loss.requires_grad:
        torch.autograd.backward(loss)
    reached = sum(p.grad is not None and bool(p.grad.isfinite().all()) for p in trained)
    require(reached > 0, f"{spec.name}: no parameter of the {len(stages) - cut} trained stages gets a gradient")
    with torch.no_grad():
        for p in trained:
            if p.grad is not None:
                p.sub_(0.1 * p.grad)
    leaked = [name for name, p in prefix.named_parameters() if p.grad is not None]
    require(not leaked, f"{spec.name}: {len(leaked)} frozen parameters get a gradient: {leaked[:3]}")
    changed = [name for name, value in prefix.state_dict().items() if not torch.equal(value, before[name])]
    require(
        not changed,
        f"{spec.name}: training changes {len(changed)} tensors of frozen stages, such as {changed[:3]}",
    )


def check_same_seed_gives_the_same_network(spec: BackboneSpec) -> None:
    """torch's global generator decides random weights: equal seeds give equal features, others do not."""
    pictures = _pictures(spec)
    first = _features(_built(spec, seed=1), pictures)
    require_equal(_features(_built(spec, seed=1), pictures), first, f"{spec.name}: two builds with one seed differ")
    other = _features(_built(spec, seed=2), pictures)
    require(not torch.equal(other, first), f"{spec.name}: the seed does not change the random weights")


def check_state_survives_a_file(spec: BackboneSpec) -> None:
    """The weights, saved as safetensors and read into another build, give the same features."""
    saved, other = _built(spec, seed=1), _built(spec, seed=2)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "stages.safetensors"
        save_file(nn.ModuleList(saved.backbone.stages).state_dict(), file)
        nn.ModuleList(other.backbone.stages).load_state_dict(load_file(file))
    pictures = _pictures(spec)
    require_equal(_features(other, pictures), _features(saved, pictures), f"{spec.name}: reloaded weights differ")


def check_refuses_a_file_that_does_not_fit(spec: BackboneSpec) -> None:
    """`load` raises WeightsError for a file that holds no such weights."""
    loaded = _built(spec)
    with tempfile.TemporaryDirectory() as folder:
        for suffix in (".pth", ".h5", ".safetensors"):
            file = Path(folder) / f"broken{suffix}"
            file.write_bytes(b"these are no weights")
            try:
                spec.load(loaded.backbone, file)
            except WeightsError:
                continue
            except Exception as error:
                got = type(error).__name__
                raise AssertionError(f"{spec.name}: load({file.name}) raises {got}, not WeightsError") from error
            raise AssertionError(f"{spec.name}: load accepts {file.name}, which holds no weights")


def check_layer_names_are_unique(spec: BackboneSpec) -> None:
    """Every stage names its layers, and no name stands twice: `freeze_until` must mean one place."""
    backbone = _built(spec).backbone
    names = layer_names(backbone)
    twice = [name for name, count in Counter(n for layers in names for n in layers).items() if count > 1]
    require(not twice, f"{spec.name}: {len(twice)} layer names stand twice, such as {twice[:3]}")


def check_exports_to_onnx(spec: BackboneSpec) -> None:
    """ONNX Runtime gives the same features, for another batch size too."""
    import onnxruntime

    loaded = _built(spec)
    network = nn.Sequential(*loaded.backbone.stages, loaded.backbone.pool).eval()
    pictures = _pictures(spec, count=3)
    batch = torch.export.Dim("batch", min=1, max=4096)
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PyTorch's exporter deprecates parts of itself
        file = Path(folder) / "backbone.onnx"
        torch.onnx.export(
            network,
            (pictures[:2],),
            file,
            dynamo=True,
            dynamic_shapes=({0: batch},),
            external_data=False,
            verbose=False,
        )
        session = onnxruntime.InferenceSession(file.read_bytes(), providers=["CPUExecutionProvider"])
    answer = torch.from_numpy(session.run(None, {session.get_inputs()[0].name: pictures.numpy()})[0])
    reference = _features(loaded, pictures)
    distance = float((answer - reference).norm() / reference.norm())
    require(
        distance <= ONNX_TOLERANCE,
        f"{spec.name}: ONNX features are {distance:.1e} off (relative L2), allowed {ONNX_TOLERANCE:.0e}",
    )


def _built(
    spec: BackboneSpec,
    *,
    seed: int = 0,
    params: Mapping[str, ParamValue] | None = None,
    variant: str | None = None,
    image_px: int | None = None,
) -> LoadedBackbone:
    if variant is None:
        variant = spec.weights[0].variant if spec.weights else ""
    return build_backbone(
        spec,
        params=params or {},
        image_px=image_px or spec.min_image_px,
        variant=variant,
        weights=None,
        seed=seed,
    )


def _pictures(spec: BackboneSpec, *, count: int = 2, side_px: int | None = None) -> torch.Tensor:
    """Normalised noise, float32 `(count, 3, side, side)`, the same at every call."""
    side = side_px or spec.min_image_px
    return torch.randn(count, 3, side, side, generator=torch.Generator().manual_seed(0))


@torch.no_grad()
def _features(loaded: LoadedBackbone, x: torch.Tensor) -> torch.Tensor:
    """Pooled features, `(N, feature_dim)` where the backbone keeps its word."""
    for stage in loaded.backbone.stages:
        x = stage(x)
    pooled: torch.Tensor = loaded.backbone.pool(x)
    return pooled
