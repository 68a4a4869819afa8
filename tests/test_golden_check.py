"""The program that compares recordings honours every field and survives every case."""

from __future__ import annotations

import sys
from fractions import Fraction
from pathlib import Path
from shutil import copytree

import numpy as np
import pytest
from numpy.typing import NDArray

pytest.importorskip("torch")

import torch

from lipstream.rendering.musetalk.compositing.blend import FEATHER, crop_square, feathered_mask
from lipstream.rendering.musetalk.models.unet import add_positions
from lipstream.rendering.musetalk.models.vae import to_pictures
from lipstream.rendering.musetalk.preprocess.masks import repaint_mask
from lipstream.speech.musetalk.backbone import Excerpt
from lipstream.speech.musetalk.windowing import tokens
from lipstream.timeline import SAMPLE_RATE, frame_count
from tests import golden_check
from tests.golden_cases import e2e
from tests.golden_cases.blending import FEATHER_OFFLINE, composed
from tests.golden_cases.comparing import Case, box_of, read_case
from tests.golden_cases.windows import upstream_steps

GOLDEN = Path(__file__).parent / "golden"
SHORT = 1600  # samples: three frames at 30 per second, two at 25


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str | Path) -> int:
    monkeypatch.setattr(sys, "argv", ["golden_check", *map(str, arguments)])
    return golden_check.main()


def test_a_case_that_raises_fails_and_the_others_are_compared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    cases = copytree(GOLDEN / "pe", tmp_path / "pe")
    count = len(list(cases.glob("*.npz")))
    (cases / "a_broken.npz").write_bytes(b"no archive\nat all")
    np.savez(cases / "z_empty.npz")
    assert run(monkeypatch, tmp_path) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("FAIL     pe/a_broken raises ")
    assert lines[-2].startswith("FAIL     pe/z_empty raises KeyError: ")
    assert [line[:4] for line in lines[1:-2]] == ["pass"] * 2 * count
    assert lines[-1] == f"{2 * count + 2} comparisons, 2 failed"


def test_without_manifests_one_sentence_says_what_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    copytree(GOLDEN / "unet", tmp_path / "unet")
    with pytest.raises(SystemExit) as exited:
        run(monkeypatch, tmp_path)
    assert exited.value.code == 2
    sentence = f"{tmp_path} has no manifests/, which cases of unet need: copy it there"
    assert capsys.readouterr().err.endswith(f"error: {sentence}\n")
    copytree(GOLDEN / "pe", tmp_path / "pe")
    assert run(monkeypatch, tmp_path, "--only", "pe") == 0


@pytest.mark.slow
def test_the_frame_rate_of_a_clip_is_honoured(tmp_path: Path) -> None:
    """A recording at 30 frames per second, made of upstream's rules written down again."""
    copytree(GOLDEN / "manifests", tmp_path / "manifests")
    path = tmp_path / "e2e" / "e2e_30fps_v1.npz"
    path.parent.mkdir()
    recorded = clip_at_30_fps(path, read_case(GOLDEN / "e2e" / "e2e_a_v1.npz"))
    np.savez(path, **recorded)  # type: ignore[arg-type]
    outcomes = e2e.check(path)
    assert [str(outcome) for outcome in outcomes if not outcome.passed] == []
    intended = {outcome.name.split()[-1] for outcome in outcomes if outcome.intended}
    assert intended == {"n_frames_realtime"}
    np.savez(path, **{**recorded, "fps": np.array(25)})  # type: ignore[arg-type]
    assert not all(outcome.passed for outcome in golden_check.outcomes(tmp_path, ("e2e",)))


def clip_at_30_fps(path: Path, case: Case) -> dict[str, NDArray[np.generic]]:
    """The beginning of a recording at 25 frames per second as it would be at 30."""
    frames = frame_count(SHORT, SAMPLE_RATE, Fraction(30))
    order, live = list(range(frames)), list(range(frames - 1))
    sound = np.asarray(case["waveform_i16"][:SHORT], np.int16)
    networks = e2e.networks(path, "v1")
    steps = upstream_steps(SHORT, 30)
    assert steps is not None and len(steps) == frames
    (features,) = networks.speech.features([Excerpt(np.asarray(sound / 32768, np.float32))])
    audio = torch.from_numpy(tokens(features, steps))
    latents = torch.from_numpy(np.asarray(case["latents_mode"], np.float32)[order])
    with torch.inference_mode():
        generated = networks.unet(latents, add_positions(audio))
        faces = to_pictures(networks.vae.decode_scaled(generated)).numpy()
    offline = [whole(case, index, faces[index], FEATHER_OFFLINE) for index in order]
    realtime = [whole(case, index, faces[index], FEATHER) for index in live]
    roi = (..., *box_of(case["roi"]).slices, slice(None))
    return {
        **case,
        "fps": np.array(30),
        "waveform_i16": sound,
        **dict.fromkeys(("source_index_per_output", "sel", "recon_sel_idx"), np.array(order)),
        **{"final_sel": np.array(order), "final_realtime_sel": np.array(live)},
        "n_frames_offline": np.array(frames),
        "n_frames_realtime": np.array(frames - 1),
        "pred_latents_sel": generated.numpy(),
        "recon_sel": faces[..., ::-1],
        "final_offline_roi": np.stack(offline)[roi][..., ::-1],
        "final_realtime_roi": np.stack(realtime)[roi][..., ::-1],
        "final_offline_all_small": np.stack([e2e.small(one[..., ::-1]) for one in offline]),
        "final_realtime_all_small": np.stack([e2e.small(one[..., ::-1]) for one in realtime]),
    }


def whole(case: Case, index: int, face: NDArray[np.uint8], feather: float) -> NDArray[np.uint8]:
    """The picture of a frame with its face put back by the recorded box."""
    picture = np.ascontiguousarray(case["source_frames_bgr"][index][..., ::-1]).astype(np.uint8)
    box = box_of(case["coords"][index])
    square = crop_square(box)
    cheeks = (int(case["cheek_width"]),) * 2
    mask = repaint_mask(case["parse_labels512"].astype(np.uint8), str(case["parsing_mode"]), cheeks)
    soft = feathered_mask(mask, box, square, feather)
    return np.asarray(composed(picture, face, soft, box, square), np.uint8)
