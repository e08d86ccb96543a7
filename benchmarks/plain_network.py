"""MobileNetV2 as a plain script has it: torchvision's, with weights that come from Keras. Knows nothing of tlsearch."""

from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.models import mobilenet_v2

FEATURES = 1280


class Stem(nn.Module):
    """Bytes `(N, S, S, 3)` to what the first convolution takes, `(N, 3, S, S)` in channels_last."""

    def forward(self, pictures: Tensor) -> Tensor:
        """Scale to -1 to 1, as the weights were trained."""
        return pictures.permute(0, 3, 1, 2).float() / 127.5 - 1


def load_network(weights: Path) -> list[nn.Module]:
    """MobileNetV2's 19 stages with weights that come from Keras, in inference mode: the last is pooled to 1280."""
    stages = mobilenet_v2(weights=None).features
    stages.load_state_dict(torch.load(weights, weights_only=True))
    for module in list(stages.modules()):
        if isinstance(module, nn.BatchNorm2d):
            module.eps = 1e-3  # Keras's
        elif isinstance(module, nn.Conv2d) and module.stride == (2, 2):
            module.padding = (0, 0)  # TensorFlow pads an even side at its end alone
            module.register_forward_pre_hook(lambda _, inputs: (F.pad(inputs[0], (0, 1, 0, 1)),))
    stages.to(memory_format=torch.channels_last).eval().requires_grad_(False)
    return [*stages[:-1], nn.Sequential(stages[-1], nn.AdaptiveAvgPool2d(1), nn.Flatten())]
