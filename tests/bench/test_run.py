"""Every part runs with tiny networks, and the report says what was found."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lipstream.bench import machine, plot, run
from lipstream.bench.command import bench
from lipstream.bench.plot import draw_report, plot_report
from lipstream.bench.puppet import PlainPuppet, find_portrait, measure_puppet
from lipstream.bench.report import FORMAT, Report, read_report, table, told, write_report
from lipstream.bench.run import PARTS, BenchOptions, run_bench
from lipstream.bench.schedule import Sustained
from lipstream.errors import InputError, LipstreamError, MissingError, OptionError, OutputError
from lipstream.timeline import FPS

PORTRAIT = Path(__file__).parents[1] / "data" / "portrait.png"
ROW = Sustained(
    "it", "sessions", True, 20.0, 19, 0.0, 0.001, 4.0, 340.0, 400.0, 20.0, 30.0, 40.0, 35.0
)
SPEED = {
    "side": "lipstream (b)", "batch": 8, "ms": 2.0, "best": 1.9, "worst": 2.2, "ratio": 3.0,
    "fps": 500.0, "stages": {"unet": 0.5, "decoder": 1.4, "copy to host": 0.01},
}  # fmt: skip
PARTS_FOUND: dict[str, Any] = {
    "throughput": {
        "speeds": [SPEED, SPEED | {"side": "baseline (a)"}],
        "loops": [{"side": "baseline (a)", "batch": 4, "fps": 9.0, "worst": 8.0, "best": 9.5,
                   "ratio": None}],
        "utilisation": [],
    },
    "schedule": [ROW.record()],
}  # fmt: skip


def report(**changes: Any) -> Report:
    return replace(Report({"lipstream": "0"}, "cpu", "bfloat16", "tiny networks"), **changes)


def quiet(line: str) -> None:
    pass


@pytest.mark.slow
def test_all_parts_run_with_tiny_networks(tmp_path: Path) -> None:
    pytest.importorskip("torch", reason="MuseTalk's networks need torch")
    lines: list[str] = []
    options = BenchOptions(PARTS, tiny=True, batches=(1, 2), seconds=1.0, avatar=PORTRAIT)
    bench(options, tmp_path, lines.append)
    found = read_report(tmp_path / "bench.json")
    assert tuple(found["parts"]) == tuple(found["seconds"]) == PARTS
    assert found["failed"] == [] and found["dtype"] == "bfloat16" and found["device"] == "cpu"
    assert all(check["equal"] for check in found["parts"]["equality"])
    assert [one["batch"] for one in found["parts"]["throughput"]["speeds"]] == [1, 1, 1, 2, 2, 2]
    assert {"encoded as H.264", "not encoded"} == set(found["parts"]["sessions"]["most"])
    assert {"commit", "processor", "packages"} <= set(found["machine"])
    assert (tmp_path / "bench.png").stat().st_size > 1000
    text = "\n".join(lines)
    for part in PARTS:
        assert f"[{part}: " in text


def test_without_the_baseline_only_ours_is_timed() -> None:
    pytest.importorskip("torch", reason="MuseTalk's networks need torch")
    options = BenchOptions(("throughput",), tiny=True, batches=(1,), baseline=False)
    found = run_bench(options, quiet).parts["throughput"]
    assert {one["side"] for one in found["speeds"]} == {"lipstream (b)", "turbo, approximate"}
    assert [one["side"] for one in found["loops"]] == ["lipstream (b)", "lipstream (b), planes"]
    assert all(one["ratio"] is None for one in found["loops"])


def test_a_broken_saving_is_a_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    torch = pytest.importorskip("torch", reason="MuseTalk's networks need torch")
    from lipstream.bench import sides

    real: Any = vars(sides)["converted"]

    def broken(networks: Any, dtype: Any, switches: Any) -> Any:
        made = real(networks, dtype, switches)
        if switches.channels_last:  # ours
            with torch.no_grad():
                dict(made.vae.decoder.named_parameters())["conv_norm_out.weight"][3] = 0
        return made

    monkeypatch.setattr(sides, "converted", broken)
    with pytest.raises(LipstreamError, match=r"^lipstream paints something else \(decoded.*\.$"):
        bench(BenchOptions(("equality",), tiny=True, batches=(4,)), tmp_path, quiet)
    assert read_report(tmp_path / "bench.json")["failed"]


def test_too_few_sessions_are_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "run_schedule", lambda seconds, devices: [replace(ROW, sessions=17)])
    found = run_bench(BenchOptions(("schedule",)), quiet)
    assert found.failed == ["the scheduler holds 17 sessions of 20.0 that 'it' could"]


def test_what_was_found_is_kept_when_a_later_part_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run, "run_schedule", lambda seconds, devices: [ROW])
    (tmp_path / "none.png").write_bytes(b"no picture")
    options = BenchOptions(("schedule", "puppet"), avatar=tmp_path / "none.png")
    with pytest.raises(LipstreamError, match="none.png"):
        bench(options, tmp_path, quiet)
    assert list(read_report(tmp_path / "bench.json")["parts"]) == ["schedule"]


def test_only_what_fits_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "find_spec", lambda name: None)
    monkeypatch.setattr(run, "drawable", lambda: False)
    assert run._parts(BenchOptions(), "cpu") == ("schedule",)
    with pytest.raises(MissingError, match="needs PyTorch"):
        run_bench(BenchOptions(("equality",)), quiet)
    with pytest.raises(MissingError, match="needs PyTorch"):
        run_bench(BenchOptions(device="cuda"), quiet)
    with pytest.raises(MissingError, match="install both"):
        run_bench(BenchOptions(("puppet",)), quiet)


def test_full_networks_are_not_timed_on_a_cpu_unasked() -> None:
    pytest.importorskip("torch", reason="without it there are fewer parts")
    assert run._parts(BenchOptions(avatar=PORTRAIT), "cpu") == ("ceilings", "schedule", "puppet")
    assert run._parts(BenchOptions(avatar=PORTRAIT), "cuda") == PARTS
    assert run._parts(BenchOptions(("puppet", "equality")), "cpu") == ("equality", "puppet")


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (BenchOptions(("speed",)), "there is no part 'speed'; use ceilings, .*, puppet."),
        (BenchOptions(("ceilings",), batches=(0,)), "batches must lie between 1 and 32."),
        (BenchOptions(("ceilings",), batches=(33,)), "batches must lie between 1 and 32."),
        (BenchOptions(device="abacus"), "there is no device 'abacus'; use cuda or cpu."),
        (BenchOptions(device="meta"), "there is no device 'meta'; use cuda or cpu."),
    ],
)
def test_what_cannot_be_is_refused(options: BenchOptions, sentence: str) -> None:
    pytest.importorskip("torch", reason="devices are torch's")
    with pytest.raises(OptionError, match=f"^{sentence}$"):
        run_bench(options, quiet)


def test_a_report_is_read_as_it_was_written(tmp_path: Path) -> None:
    path = write_report(report(parts=PARTS_FOUND, failed=["it is slow"]), tmp_path / "new")
    assert path == tmp_path / "new" / "bench.json"
    named = write_report(report(), tmp_path / "gpu" / "one.json")
    assert named == tmp_path / "gpu" / "one.json" and named.exists()
    found = read_report(path)
    assert found["format"] == FORMAT and found["failed"] == ["it is slow"]
    assert found["parts"] == json.loads(json.dumps(PARTS_FOUND))
    assert "random" in found["weights"] and found["profile"] == "exact" and found["excluded"]


def test_what_is_no_report_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        read_report(tmp_path / "none.json")
    (tmp_path / "it.json").write_text("[1, 2")
    with pytest.raises(InputError, match="is no report; name one"):
        read_report(tmp_path / "it.json")
    (tmp_path / "it.json").write_text('{"format": 0}')
    with pytest.raises(InputError, match="of this version"):
        read_report(tmp_path / "it.json")
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="choose another --out"):
        write_report(report(), tmp_path / "file")


def test_tables_are_straight() -> None:
    lines = list(table(("name", "ms"), [("a", 1.23456), ("long", 1234.5), ("x", None)]))
    assert lines == ["name    ms", "a     1.23", "long  1234", "x        -"]
    for part, found in PARTS_FOUND.items():
        assert "19" in "\n".join(told(part, found)) or part == "throughput"


def test_a_plot_has_a_panel_for_each_part(tmp_path: Path) -> None:
    picture = draw_report(report(parts=PARTS_FOUND).record())
    assert picture.shape == (3 * plot.PANEL, plot.WIDTH, 3) and picture.dtype == np.uint8
    assert draw_report(report().record()).shape[0] == plot.PANEL
    path = plot_report(report(parts=PARTS_FOUND).record(), tmp_path / "it.png")
    assert path.read_bytes().startswith(b"\x89PNG")
    with pytest.raises(OutputError, match="choose another place"):
        plot_report(report().record(), tmp_path / "none" / "it.png")


def test_without_opencv_the_plot_comes_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plot, "find_spec", lambda name: None)
    with pytest.raises(MissingError, match="plots need OpenCV"):
        plot_report(report().record(), tmp_path / "it.png")


def test_the_machine_is_described_without_names() -> None:
    found = machine.describe_machine()
    assert found["cores"] and found["python"]
    assert machine._said("there-is-no-such-program") is None
    assert set(found["packages"]) == set(machine.PACKAGES)  # type: ignore[call-overload]


def test_a_puppet_is_drawn_both_ways() -> None:
    plain, ours = measure_puppet(PORTRAIT, 3)
    assert plain.ratio == 1.0 and ours.name == "puppet"
    assert plain.size == ours.size and min(plain.median, ours.median, ours.hearing) > 0
    assert ours.sessions_per_core > 0


def test_the_plain_puppet_opens_its_mouth() -> None:
    from lipstream.avatar.builder import open_avatar
    from lipstream.config import AvatarConfig

    avatar = open_avatar(PORTRAIT, AvatarConfig())
    plain = PlainPuppet(avatar)
    shut, wide = np.zeros(7, np.float32), np.zeros(7, np.float32)
    wide[0] = 1
    apart = np.abs(plain.draw(0, FPS, wide).astype(int) - plain.draw(0, FPS, shut))
    assert apart.max() > 60
    assert np.array_equal(avatar.frames[0].pixels[0], plain.draw(0, FPS, wide)[0])


def test_a_portrait_is_given_or_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert find_portrait(PORTRAIT) == PORTRAIT
    assert find_portrait(None).name == "portrait.png"
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("lipstream.bench.puppet.__file__", str(tmp_path / "a" / "b" / "c" / "d.py"))
    with pytest.raises(MissingError, match="give one with --avatar"):
        find_portrait(None)
