"""A worker imports what its study needs: MobileNetV2 and EfficientNet-Lite0 are built by torch alone."""

import subprocess
import sys

BUILD = """
import sys
import tlsearch.workbench.bench
from tlsearch.host import PluginHost
from tlsearch.model import Network, build_backbone, measure_stages
from tlsearch.specs import Preprocessing
from torch import nn

host = PluginHost.load()
for name in ("efficientnet_lite0", "mobilenet_v2"):
    spec = host.backbone(name)
    backbone = build_backbone(spec, params={}, image_px=64, variant="", weights=None, seed=0).backbone
    measure_stages(Network(Preprocessing(), backbone, nn.Sequential()).eval(), 64)
print(*sorted(name for name in sys.modules if "." not in name or name == "torch._dynamo"))
"""
HEAVY = {
    "torchvision", "keras", "torch._dynamo", "sklearn", "scipy", "onnx", "onnxruntime", "optuna", "sqlalchemy", "h5py",
}  # fmt: skip


def test_a_worker_of_torch_networks_loads_no_other_framework_nor_what_comes_later() -> None:
    told = subprocess.run([sys.executable, "-c", BUILD], capture_output=True, text=True, check=True)
    loaded = set(told.stdout.split())
    assert "torch" in loaded
    assert loaded & HEAVY == set()
