"""Makes what an export starts from: pictures on disk, and a final model's folder as a run leaves it."""

import hashlib
import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from safetensors.torch import save_file
from torch import nn

from tlsearch.data.pixels import decode, fit, resize_px, shrink
from tlsearch.export.facts import StudyFacts
from tlsearch.host import PluginHost
from tlsearch.model import Network, build_backbone, build_head
from tlsearch.specs import Preprocessing
from tlsearch.stats import Interval
from tlsearch.training.recipe import Phase, Recipe

TEMPERATURE = 1.7  # not 1, so that every proof of an exported file proves the temperature too
CLASSES = ("<b>anna</b>", "bodo | caro", "dora")
SMALL_NET = Path(__file__).with_name("small_net.py")
OPAQUE = Path(__file__).with_name("opaque_exporter.py")


def small_host() -> PluginHost:
    return PluginHost.load(files=[SMALL_NET])


def save_picture(path: Path, seed: int) -> None:
    """Blobs of colour; JPEG, PNG with alpha, EXIF-rotated JPEG, palette GIF and grey WebP in turn."""
    rng = np.random.default_rng(seed)
    low = rng.integers(0, 256, (4, 5, 3), dtype=np.uint8)
    image = Image.fromarray(low).resize((70 + seed, 53), Image.Resampling.BICUBIC)
    kind = seed % 5
    if kind == 0:
        image.save(path, "JPEG")
    elif kind == 1:
        image.putalpha(Image.fromarray(rng.integers(0, 256, (53, 70 + seed), dtype=np.uint8)))
        image.save(path, "PNG")
    elif kind == 2:
        exif = Image.Exif()
        exif[0x0112] = 6
        image.save(path, "JPEG", exif=exif)
    else:
        image.convert("P" if kind == 3 else "L").save(path, "GIF" if kind == 3 else "WEBP")


def make_facts(folder: Path, host: PluginHost, *, backbone: str = "small_net", image_px: int = 32) -> StudyFacts:
    """Draw 8 development and 4 holdout pictures, and save a network with random weights as their final model."""
    root = folder / "pictures"
    root.mkdir(parents=True)
    files = [f"picture {index}.jpg" for index in range(12)]  # decoded by content, whatever the ending says
    for index, name in enumerate(files):
        save_picture(root / name, index)
    final = folder / "models" / "final-0003"
    _save_final(final, root, files, host, backbone, image_px)
    labels = [index % 3 for index in range(12)]
    return StudyFacts(
        name="small <study>",
        metric="accuracy",
        final=final,
        root=root,
        development=tuple(files[:8]),
        development_labels=tuple(labels[:8]),
        holdout=tuple(files[8:]),
        holdout_labels=tuple(labels[8:]),
        notes=("these are drawings",),
        license="CC0-1.0",
        counted=12,
        expected=(0.4, Interval(low=0.2, high=0.7)),
    )


def _save_final(final: Path, root: Path, files: list[str], host: PluginHost, backbone: str, image_px: int) -> None:
    rules = Preprocessing(value_range=(-1.0, 1.0), crop_fraction=0.875, mean=(0.1, 0.0, -0.1))
    stored_px = resize_px(rules, image_px)
    fitted = [fit(np.asarray(shrink(decode(root / name), stored_px)), rules, image_px) for name in files]
    pixels = torch.from_numpy(np.stack(fitted))
    network = _network(host, backbone, image_px, rules, pixels)
    final.mkdir(parents=True)
    save_file({key: value.contiguous() for key, value in network.state_dict().items()}, final / "model.safetensors")
    with torch.no_grad():
        log_probs = torch.log_softmax(network(pixels) / TEMPERATURE, dim=1).numpy()
    assert np.exp(log_probs).std(axis=0).min() > 1e-3, "the pictures must matter, or agreement shows nothing"
    np.savez(final / "development.npz", index=np.arange(8), log_probs=log_probs[:8])
    np.savez(final / "holdout.npz", index=np.arange(8, 12), log_probs=log_probs[8:])
    description = _description(final, host, backbone, image_px, stored_px, rules)
    (final / "final.json").write_text(json.dumps(description))


def _network(host: PluginHost, backbone: str, image_px: int, rules: Preprocessing, pixels: torch.Tensor) -> Network:
    spec = host.backbone(backbone)
    loaded = build_backbone(spec, params={}, image_px=image_px, variant="", weights=None, seed=1).backbone
    head = build_head(host.head("mlp"), params={"hidden": 16}, feature_dim=loaded.feature_dim, classes=3, seed=2)
    with torch.no_grad():
        # features of random weights are tiny and hardly differ between pictures; the answers must
        features = Network(rules, loaded, nn.Sequential()).eval()(pixels)  # (N, D)
        head[0].weight.mul_(3.0 / features.std(dim=0).mean())
        head[0].bias.sub_(head[0].weight @ features.mean(dim=0))
    return Network(rules, loaded, head).eval()


def _description(
    final: Path, host: PluginHost, backbone: str, image_px: int, stored_px: int, rules: Preprocessing
) -> dict[str, object]:
    recipe = Recipe(backbone=backbone, head="mlp", head_params={"hidden": 16}, phases=(Phase(epochs=3, unfrozen=2),))
    return {
        "format": 1,
        "trial": 3,
        "recipe": recipe.to_json(),
        "backbone": {
            "name": backbone,
            "params": {},
            "image_px": image_px,
            "source": "random",
            "path": "",
            "digest": "seed 1",
            "variant": "",
            "preprocessing": asdict(rules),
            "trained_on": "",
            "license": "",
        },
        "classes": CLASSES,
        "image_px": image_px,
        "stored_px": stored_px,
        "preprocessing": asdict(rules),
        "temperature": TEMPERATURE,
        "feature_dim": 24 if backbone == "small_net" else 1280,
        "framework": host.backbone(backbone).framework,
        "head_input": "features",
        "digest": hashlib.sha256((final / "model.safetensors").read_bytes()).hexdigest(),
    }
