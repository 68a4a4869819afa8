"""What the files for containers and services say is what the program understands."""

from __future__ import annotations

import configparser
import re
import subprocess
import sysconfig
from pathlib import Path

import click
import pytest
import yaml

from lipstream.cli.program import cli

ROOT = Path(__file__).resolve().parents[2]
FILES = ("Dockerfile", "compose.yaml", "deploy/lipstream.service")
VARIABLE = re.compile(r"\bLIPSTREAM_[A-Z_]+\b")


def serve_options() -> list[click.Option]:
    return [one for one in cli.commands["serve"].params if isinstance(one, click.Option)]


@pytest.mark.parametrize("name", FILES)
def test_every_variable_is_one_of_the_program(name: str) -> None:
    known = {str(option.envvar) for option in serve_options()}
    named = set(VARIABLE.findall((ROOT / name).read_text()))
    assert named and named <= known


def test_a_stop_is_given_longer_than_the_speech_it_waits_for() -> None:
    (drain,) = (option.default for option in serve_options() if option.name == "drain_timeout_s")
    assert isinstance(drain, int)
    unit = configparser.RawConfigParser(strict=False, interpolation=None)
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read(ROOT / "deploy/lipstream.service")
    assert int(unit["Service"]["TimeoutStopSec"]) > drain
    (grace,) = re.findall(r"stop_grace_period: (\d+)s", (ROOT / "compose.yaml").read_text())
    assert int(grace) > drain


def test_the_ranges_of_ports_do_not_overlap() -> None:
    compose = (ROOT / "compose.yaml").read_text()
    (viewers,) = re.findall(r"LIPSTREAM_UDP_PORTS: (\d+)-(\d+)", compose)
    relay = re.findall(r"--(?:min|max)-port=(\d+)", compose)
    assert int(viewers[0]) < int(viewers[1]) < int(relay[0]) < int(relay[1])


def test_grafana_is_given_its_board_and_the_prometheus_beside_it() -> None:
    services = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]
    mounted = dict(one.split(":")[:2] for one in services["grafana"]["volumes"])
    provisioning = next(ROOT / path for path, to in mounted.items() if to.endswith("provisioning"))
    boards = yaml.safe_load((provisioning / "dashboards/lipstream.yml").read_text())["providers"]
    board = mounted["./deploy/grafana/lipstream.json"]
    assert [one["options"]["path"] for one in boards] == [str(Path(board).parent)]
    assert (ROOT / "deploy/grafana/lipstream.json").is_file()
    (source,) = yaml.safe_load((provisioning / "datasources/prometheus.yml").read_text())[
        "datasources"
    ]
    (listens,) = (
        option.partition("=")[2]
        for option in services["prometheus"]["command"]
        if option.startswith("--web.listen-address")
    )
    assert (source["type"], source["url"]) == ("prometheus", f"http://{listens}")


def test_the_image_is_given_only_what_it_needs() -> None:
    lines = (ROOT / ".dockerignore").read_text().split()
    assert lines[0] == "*"
    named = [line.removeprefix("!") for line in lines if line.startswith("!")]
    copied = re.findall(r"^COPY ((?!--from).*) \S+$", (ROOT / "Dockerfile").read_text(), re.M)
    assert sorted(named) == sorted(" ".join(copied).split())
    assert all((ROOT / name).exists() for name in named)


def test_the_dockerfile_has_no_findings() -> None:
    hadolint = Path(sysconfig.get_path("scripts")) / "hadolint"
    if not hadolint.exists():
        pytest.skip("hadolint has no package for this system")
    done = subprocess.run(
        [hadolint, ROOT / "Dockerfile"], capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stdout) == (0, "")
