"""Multiply-accumulates: those that torch's own counter finds."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from tlsearch.multiplications import count_macs


class Attention(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        parts = x.flatten(2).unflatten(1, (2, -1))  # (N, 4, 8, 8) -> (N, 2, 2, 64): heads, length, width
        made = F.scaled_dot_product_attention(parts, torch.cat([parts, parts], dim=2), torch.cat([parts, parts], dim=2))
        return made @ made.transpose(2, 3)


NETWORKS = {
    "convolutions": nn.Sequential(nn.Conv2d(4, 6, 3, stride=2, padding=1), nn.BatchNorm2d(6), nn.ReLU6()),
    "in groups": nn.Conv2d(4, 8, (3, 1), groups=4, bias=False),
    "transposed": nn.ConvTranspose2d(4, 6, 3, stride=2, groups=2),
    "layers": nn.Sequential(nn.Flatten(), nn.Linear(256, 5), nn.GELU(), nn.Linear(5, 3, bias=False)),
    "attention": Attention(),
}


@pytest.mark.parametrize("network", NETWORKS.values(), ids=NETWORKS.keys())
@pytest.mark.parametrize("pictures", [1, 3])
def test_it_finds_what_torchs_own_counter_finds(network: nn.Module, pictures: int) -> None:
    x = torch.rand(pictures, 4, 8, 8, generator=torch.Generator().manual_seed(1))
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        expected = network.eval()(x)
    macs, made = count_macs(network.eval(), x)
    assert macs == counter.get_total_flops() // 2 > 0
    assert torch.equal(made, expected)
