"""Rates and averages of the trainings."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

pytest.importorskip("torch")

import torch

from training.neural import schedule
from training.neural.schedule import Trainer


def _trained(log: Path | None = None) -> Trainer:
    torch.manual_seed(0)
    network = torch.nn.Linear(3, 1)
    trainer = Trainer(network, 200, 0.05, factors={"bias": 2.0}, log=log)
    for _ in range(200):
        given = torch.randn(8, 3)
        trainer.step(((network(given) - given.sum(dim=1, keepdim=True) - 2) ** 2).mean())
    return trainer


def test_learns_and_ends_near_its_average() -> None:
    trainer = _trained()
    average = trainer.averaged()
    assert torch.allclose(average["weight"], torch.ones(1, 3), atol=0.1)
    assert torch.allclose(average["bias"], trainer.network.state_dict()["bias"], atol=0.1)


def test_the_same_seed_makes_the_same_weights() -> None:
    one, other = _trained().averaged(), _trained().averaged()
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_writes_a_line_every_hundred_steps(tmp_path: Path) -> None:
    _trained(tmp_path / "log.jsonl")
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [schedule._REPORT, 2 * schedule._REPORT]
    assert lines[1]["loss"] < lines[0]["loss"]
