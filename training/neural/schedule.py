"""The common part of the three trainings: rates over time, an average of the weights, a log."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import torch
from torch import Tensor, nn

_RISE = 0.03  # of all steps: the rate grows from nothing
_CLIP = 1.0  # norm of a step's gradients
_REPORT = 100  # steps between two lines of the log


class Trainer:
    """AdamW at a rate that rises fast and falls as a cosine; averages the weights as it goes.

    The steps decide, never the clock, so a seed makes the same weights again on the same machine.
    """

    def __init__(
        self,
        network: nn.Module,
        steps: int,
        rate: float,
        *,
        factors: Mapping[str, float] = MappingProxyType({}),
        heads: nn.Module | None = None,
        average: float = 0.998,
        log: Path | None = None,
    ) -> None:
        """Parameters with a word of `factors` in their name learn at so many times the rate.

        `heads` learn along and are not averaged.
        """
        self.network, self.steps, self._rate = network, steps, rate
        parts: dict[float, list[Tensor]] = {1.0: [] if heads is None else list(heads.parameters())}
        for name, tensor in network.named_parameters():
            if tensor.requires_grad:
                found = (factor for word, factor in factors.items() if word in name)
                parts.setdefault(next(found, 1.0), []).append(tensor)
        self._parameters = [tensor for some in parts.values() for tensor in some]
        groups = [{"params": some, "factor": factor} for factor, some in parts.items()]
        self._optimizer = torch.optim.AdamW(groups, rate, betas=(0.9, 0.99), weight_decay=0.01)
        self._average = {name: tensor.clone() for name, tensor in network.state_dict().items()}
        self._decay, self._log = average, log
        self._losses: dict[str, list[float]] = {}
        self._began = time.process_time()
        self.done = 0  # steps

    def step(self, loss: Tensor, **shown: float) -> None:
        """Learn from one loss; `shown` are figures for the log."""
        part = self.done / self.steps
        rate = self._rate * min(1.0, (part + 1e-9) / _RISE) * (0.5 + 0.5 * math.cos(math.pi * part))
        for group in self._optimizer.param_groups:
            group["lr"] = rate * group["factor"]
        self._optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        nn.utils.clip_grad_norm_(self._parameters, _CLIP)
        self._optimizer.step()
        self.done += 1
        self._follow()
        for name, value in {"loss": float(loss.detach()), **shown}.items():
            self._losses.setdefault(name, []).append(value)
        if self.done % _REPORT == 0:
            means = {name: sum(all_) / len(all_) for name, all_ in self._losses.items()}
            self._losses.clear()
            self.report(step=self.done, **means)

    def report(self, **figures: float) -> None:
        """A line of the log: JSON, with the seconds of the processor so far."""
        rounded = {name: round(value, 5) for name, value in figures.items()}
        line = json.dumps({**rounded, "cpu_s": round(time.process_time() - self._began)})
        print(line, flush=True)
        if self._log is not None:
            with self._log.open("a") as file:
                file.write(line + "\n")

    def averaged(self) -> dict[str, Tensor]:
        """The running average of the network's state."""
        return {name: tensor.clone() for name, tensor in self._average.items()}

    @torch.no_grad()
    def _follow(self) -> None:
        # At first the average follows faster: it would else keep what the network began with.
        keep = min(self._decay, self.done / (self.done + 10))
        for name, tensor in self.network.state_dict().items():
            self._average[name].lerp_(tensor, 1 - keep)
