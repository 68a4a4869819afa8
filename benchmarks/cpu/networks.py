"""The speed of MuseTalk's networks on one face, next to diffusers in the same run.

    python -m benchmarks.cpu.networks [--batch N] [--runs N] [--threads N] [--each] [--tiny]
        [--out F]

UNet and decoder, latents and audio in, uint8 pictures out, on the same synthetic weights. All take
turns in every run, so that a busy machine disturbs all alike; the ratio is the median over the
runs. Beside the speed stands the distance to diffusers in float32. Needs torch and diffusers; on a
machine with CUDA everything runs there.
"""

from __future__ import annotations

import argparse
import copy
import json
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from importlib import import_module
from pathlib import Path
from statistics import median
from typing import Any, cast

import torch
from torch import Tensor, nn

from benchmarks.gpu.synthetic_workload import UNET, VAE
from benchmarks.machine import describe
from lipstream.rendering.musetalk.models.unet import UNet, UNetDimensions, add_positions
from lipstream.rendering.musetalk.models.vae import Vae, VaeDimensions, to_pictures
from lipstream.rendering.musetalk.optimizations.options import OptimizationOptions, optimized
from lipstream.rendering.musetalk.weights.loader import MuseTalkNetworks
from lipstream.speech.musetalk.backbone import SpeechNetwork

TARGET = 3.0  # times faster than diffusers on a CPU with bfloat16 units
TINY_UNET = UNET | {"block_out_channels": [32, 64, 64, 64], "norm_num_groups": 8}
TINY_VAE = VAE | {"block_out_channels": [16, 32, 32, 32], "norm_num_groups": 8}

Paint = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True, slots=True)
class Result:
    """One contestant: its times, and how far it is from the first."""

    name: str
    ms: list[float]  # per frame, one for each run
    ratio: float  # times faster than the first, median over the runs
    error: float  # root of the mean square difference over that of the first's values
    psnr: float  # dB between the pictures

    def __str__(self) -> str:
        return (
            f"{self.name:<36}{min(self.ms):>9.1f}{median(self.ms):>9.1f}{self.ratio:>8.2f}"
            f"{self.error:>12.2g}{self.psnr:>10.1f}"
        )


def main() -> None:
    options = _options()
    if options.threads:
        torch.set_num_threads(options.threads)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    facts = describe() | {"torch": torch.__version__}
    contestants = _contestants(device, options.tiny, options.each)
    latents, audio = _inputs(options.batch, device)
    results = race(contestants, latents, audio, options.runs)
    size = "tiny networks" if options.tiny else "published size"
    print(f"{size}, batch {options.batch}, {device}, {torch.get_num_threads()} threads")
    print(f"{'ms per frame':<36}{'best':>9}{'median':>9}{'ratio':>8}{'error':>12}{'PSNR dB':>10}")
    print(*results, sep="\n")
    if device == "cpu" and not options.tiny:
        print(f"target: ratio {TARGET:g} at the last line")
    if options.out:
        found = [{name: getattr(result, name) for name in Result.__slots__} for result in results]
        report = {"machine": facts, "device": device, "batch": options.batch, "results": found}
        options.out.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--batch", type=int, default=1, help="frames painted together")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--threads", type=int, default=0, help="torch's own choice unless given")
    parser.add_argument("--each", action="store_true", help="also every saving alone")
    parser.add_argument("--tiny", action="store_true", help="small networks: does it run at all?")
    parser.add_argument("--out", type=Path, help="write a JSON report")
    return parser.parse_args()


def _inputs(batch: int, device: str) -> tuple[Tensor, Tensor]:
    drawn = torch.Generator().manual_seed(1)
    latents = torch.randn((batch, 8, 32, 32), generator=drawn)
    audio = torch.randn((batch, 50, 384), generator=drawn)
    return latents.to(device), audio.to(device)


def _contestants(device: str, tiny: bool, each: bool) -> dict[str, Paint]:
    """By name; the first is what the others are measured against."""
    unet_config, vae_config = (TINY_UNET, TINY_VAE) if tiny else (UNET, VAE)
    with torch.device("meta"):
        unet = UNet(UNetDimensions.from_config(unet_config))
        vae = Vae(VaeDimensions.from_config(vae_config))
    fill(unet, device, seed=2)
    fill(vae, device, seed=3)
    contestants = {
        "diffusers, float32": _theirs(unet, vae, unet_config, vae_config),
        "ours, float32": _networks(unet, vae, torch.float32).generate,
    }
    for dtype in [torch.bfloat16, torch.float16] if device == "cuda" else [torch.bfloat16]:
        plain = _networks(copy.deepcopy(unet), copy.deepcopy(vae), dtype)
        exact = OptimizationOptions.exact(plain.device, dtype)
        layout = OptimizationOptions(channels_last=True)
        plain = optimized(plain, layout)  # once, for all to share
        rows = {"channels_last": layout}
        if each:
            rows |= {
                switch: replace(layout, **{switch: True})
                for switch in (field.name for field in fields(OptimizationOptions))
                if switch != "channels_last" and getattr(exact, switch)
            }
        for named, options in (rows | {"all exact savings": exact}).items():
            name = f"ours, {str(dtype).removeprefix('torch.')}, {named}"
            contestants[name] = _paint(optimized(plain, options))
    return contestants


def fill(network: nn.Module, device: str, seed: int) -> None:
    """Weights under which values keep their scale from layer to layer."""
    drawn = torch.Generator().manual_seed(seed)

    def weight(name: str, shape: torch.Size) -> Tensor:
        values = torch.randn(shape, generator=drawn)
        if len(shape) > 1:
            return values / math.sqrt(math.prod(shape[1:]))
        return 1 + 0.1 * values if name.endswith(".weight") else 0.02 * values

    state = {
        name: weight(name, empty.shape).to(device) for name, empty in network.state_dict().items()
    }
    network.load_state_dict(state, strict=True, assign=True)
    network.train(False)


def _theirs(unet: UNet, vae: Vae, unet_config: Any, vae_config: Any) -> Paint:
    """The way the published code calls diffusers."""
    diffusers: Any = import_module("diffusers")
    with torch.device("meta"):
        their_unet = diffusers.UNet2DConditionModel(**unet_config)
        their_vae = diffusers.AutoencoderKL(**vae_config)
    their_unet.load_state_dict(unet.state_dict(), strict=True, assign=True)
    their_vae.load_state_dict(vae.state_dict(), strict=True, assign=True)
    step = torch.zeros((), dtype=torch.long, device=unet.conv_in.weight.device)

    def paint(latents: Tensor, audio: Tensor) -> Tensor:
        made = their_unet(latents, step, encoder_hidden_states=add_positions(audio)).sample
        raw: Tensor = their_vae.decode(made / their_vae.config.scaling_factor).sample
        return raw

    return paint


def _networks(unet: UNet, vae: Vae, dtype: torch.dtype) -> MuseTalkNetworks:
    device = unet.conv_in.weight.device
    speech = cast(SpeechNetwork, None)  # its features are given here
    return MuseTalkNetworks("v15", unet.to(dtype), vae.to(dtype), speech, device, dtype)


def _paint(networks: MuseTalkNetworks) -> Paint:
    dtype = networks.dtype
    return lambda latents, audio: networks.generate(latents.to(dtype), audio.to(dtype))


@torch.inference_mode()
def race(contestants: dict[str, Paint], latents: Tensor, audio: Tensor, runs: int) -> list[Result]:
    """Let all paint the same frames by turns, after one round that does not count."""
    painted = {name: paint(latents, audio) for name, paint in contestants.items()}
    ms: dict[str, list[float]] = {name: [] for name in contestants}
    for _ in range(runs):
        for name, paint in contestants.items():
            ms[name].append(_time(paint, latents, audio) / len(latents))
    first = next(iter(contestants))
    expected = painted[first].float()
    results = []
    for name, made in painted.items():
        ratios = [one / other for one, other in zip(ms[first], ms[name], strict=True)]
        error = float((made.float() - expected).norm() / expected.norm())
        psnr = _psnr(to_pictures(made), to_pictures(expected))
        results.append(Result(name, ms[name], median(ratios), error, psnr))
    return results


def _time(paint: Paint, latents: Tensor, audio: Tensor) -> float:
    """Milliseconds."""
    start = time.perf_counter()
    to_pictures(paint(latents, audio)).cpu()  # on a GPU this waits for the result
    return (time.perf_counter() - start) * 1e3


def _psnr(pictures: Tensor, expected: Tensor) -> float:
    error = float((pictures.double() - expected.double()).square().mean())
    return 10 * math.log10(255**2 / error) if error else math.inf


if __name__ == "__main__":
    main()
