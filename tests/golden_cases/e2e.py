"""The published scripts from pictures and sound to finished frames, through our real path.

The recordings show pictures forth and back with both ends twice; ours shows each end once. So the
pictures are given to our path in the recorded order, as an avatar that is as long as the clip: then
every frame must agree, and only the order is ours alone (see `cycle`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from lipstream.avatar.avatar import Avatar, AvatarFrame
from lipstream.engine import Engine
from lipstream.media.audio import AudioChunk
from lipstream.media.image import Box, paste
from lipstream.offline import render_stream
from lipstream.rendering.musetalk.compositing.base import FaceRequest
from lipstream.rendering.musetalk.compositing.blend import (
    FEATHER,
    blend,
    feathered_mask,
    plan_blend,
)
from lipstream.rendering.musetalk.compositing.cpu import CpuCompositor
from lipstream.rendering.musetalk.models.unet import add_positions
from lipstream.rendering.musetalk.preprocess.masks import repaint_mask
from lipstream.rendering.musetalk.preprocess.prepare import (
    FaceSettings,
    PreparedFaces,
    attach,
    configured_box,
    prepare_faces,
)
from lipstream.rendering.musetalk.renderer import MuseTalkRenderer
from lipstream.rendering.musetalk.weights.loader import MuseTalkNetworks
from lipstream.rendering.registry import Backend
from lipstream.speech.musetalk.audio_windows import AudioWindowEncoder
from lipstream.speech.musetalk.whisper import WhisperSpeech
from lipstream.timeline import FPS, SAMPLE_RATE
from tests.fakes import blank_avatar
from tests.golden_cases import unet, vae, whisper
from tests.golden_cases.blending import FEATHER_OFFLINE
from tests.golden_cases.comparing import Case, box_of, corners, label, near, not_compared, read_case
from tests.golden_cases.outcome import Outcome
from tests.golden_cases.windows import difference, rate

if TYPE_CHECKING:
    from lipstream.media.image import Image
    from lipstream.rendering.musetalk.preprocess.masks import Mask

LATENTS = 1e-4
GENERATED_LATENTS = 5e-4
GENERATED = 1.0, 0.001  # largest difference of a face, and the share of values that may differ
FINAL = 2.0, 0.005  # the same of finished frames
SMALL = 2.0  # of a block's rounded mean
BLOCK = 8  # pixels of a side of a block of the `_small` arrays

KNOWN = {  # inputs, then what is compared
    *("source_frames_bgr", "waveform_i16", "fps", "version", "bbox_shift_used", "landmarks"),
    *("detector_bbox", "parse_labels512", "parsing_mode", "cheek_width", "extra_margin", "roi"),
    *("source_index_per_output", "sel", "recon_sel_idx", "final_sel", "final_realtime_sel"),
    *("coords", "coords_realtime", "mask_boxes", "realtime_masks_concat", "realtime_mask_shapes"),
    *("latents_mode", "n_frames_offline", "n_frames_realtime", "pred_latents_sel", "recon_sel"),
    *(
        f"final_{script}_{what}"
        for script in ("offline", "realtime")
        for what in ("roi", "all_small")
    ),
}
ONE_LESS = "upstream's live script stops one frame before the end; ours renders every frame"


class _Recorder(CpuCompositor):
    """Keeps the generated faces, so that they can be put back in the offline script's way."""

    def __init__(self, networks: MuseTalkNetworks) -> None:
        super().__init__(networks)
        self.generated: list[Image] = []

    def faces(self, requests: Sequence[FaceRequest]) -> list[Image | None]:
        faces = super().faces(requests)
        self.generated += [face for face in faces if face is not None]
        return faces


def check(path: Path) -> list[Outcome]:
    """Compare every array of one recording."""
    case = read_case(path)
    clip = _Clip(path, case)
    return [
        *clip.boxes(),
        *clip.masks(),
        *clip.latents(),
        *clip.frames(),
        *not_compared(path, case, KNOWN),
    ]


class _Clip:
    """One recording, its inputs in our types, and our answer."""

    def __init__(self, path: Path, case: Case) -> None:
        self.case, self.name = case, label(path)
        self.sources = [np.ascontiguousarray(bgr[..., ::-1]) for bgr in case["source_frames_bgr"]]
        self.landmarks = np.asarray(case["landmarks"], np.float32)
        self.detected = [box_of(row) for row in case["detector_bbox"]]
        self.labels = np.asarray(case["parse_labels512"], np.uint8)
        self.order = [int(index) for index in case["source_index_per_output"]]
        self.fps = rate(float(case["fps"]))
        # Of frames and of all that depends on their audio.
        self.intended = difference(case["waveform_i16"].size, float(case["fps"]))
        self.settings = replace(
            FaceSettings.published(str(case["version"]), int(case["bbox_shift_used"])),
            margin=int(case["extra_margin"]) if str(case["version"]) != "v1" else 0,
            mask=str(case["parsing_mode"]),
            cheeks=(int(case["cheek_width"]),) * 2,
            landmarks="dwpose",
            labels="bisenet",
            checkpoint="recorded",
        )
        self.mask = repaint_mask(self.labels, self.settings.mask, self.settings.cheeks)
        self.networks = networks(path, str(case["version"]))
        self.faces = prepare_faces(
            self.avatar(range(len(self.sources))),
            self._encode,
            self.settings,
            locate=self._locate,
            parse=lambda square: self.labels,
            scaling=self.networks.vae.dimensions.scaling,
        )

    def box(self, source: int, margin: bool = True) -> Box:
        settings = self.settings if margin else replace(self.settings, margin=0)
        height = self.sources[source].shape[0]
        found = configured_box(self.landmarks[source], settings, height, self.detected[source])
        assert found is not None
        return found

    def boxes(self) -> list[Outcome]:
        """The boxes of the faces, before and after the margin."""
        cycle = [*range(len(self.sources)), *reversed(range(len(self.sources)))]
        plain = [corners(self.box(source, margin=False)) for source in range(len(self.sources))]
        final = [corners(self.box(source)) for source in cycle]
        return [
            near(f"{self.name} coords", plain, self.case["coords"]),
            near(f"{self.name} coords_realtime", final, self.case["coords_realtime"]),
        ]

    def masks(self) -> list[Outcome]:
        """The squares that masks are drawn on, and the masks of the live script."""
        squares = [square for square in self.faces.squares if square is not None]
        drawn = [self.feathered(source, FEATHER) for source in range(len(squares))]
        flat = np.concatenate([part.ravel() for part in drawn])
        shapes = [part.shape for part in drawn]
        case, latents = self.case, self.faces.latents
        return [
            near(f"{self.name} mask_boxes", [corners(s) for s in squares], case["mask_boxes"]),
            near(f"{self.name} realtime_mask_shapes", shapes, case["realtime_mask_shapes"]),
            near(f"{self.name} realtime_masks", flat, case["realtime_masks_concat"], 1),
            near(f"{self.name} latents_mode", latents, case["latents_mode"], LATENTS),
        ]

    def feathered(self, source: int, feather: float) -> Mask:
        square = self.faces.squares[source]
        assert square is not None
        return feathered_mask(self.mask, self.box(source), square, feather)

    def avatar(self, order: Sequence[int]) -> Avatar:
        """The pictures in `order`, each with a face somewhere."""
        somewhere = np.zeros((468, 2), np.float32)
        frames = tuple(AvatarFrame(self.sources[source], somewhere) for source in order)
        height, width = self.sources[0].shape[:2]
        return Avatar(frames, True, "golden", blank_avatar(width, height, len(frames)).report)

    def ordered_faces(self) -> PreparedFaces:
        """The faces of the pictures in the recorded order."""
        squares = tuple(self.faces.squares[source] for source in self.order)
        plans = tuple(self.faces.plans[source] for source in self.order)
        return PreparedFaces(self.settings, self.faces.latents[self.order], squares, plans)

    def latents(self) -> list[Outcome]:
        """The UNet's latents at the recorded frames."""
        chosen = [int(index) for index in self.case["sel"]]
        conditionings = self.conditionings()
        pictures = self.faces.latents[[self.order[index] for index in chosen]]
        with torch.inference_mode():
            audio = add_positions(torch.from_numpy(conditionings[chosen]))
            generated = self.networks.unet(torch.from_numpy(pictures), audio).numpy()
        recorded = self.case["pred_latents_sel"]
        return [self._near("pred_latents_sel", generated, recorded, GENERATED_LATENTS)]

    def conditionings(self) -> NDArray[np.float32]:
        """One conditioning per frame, through the stream."""
        engine = self._engine(CpuCompositor(self.networks))
        stream = engine.open_stream(blank_avatar())
        segments = stream.push(self.sound()) + stream.end()
        rows = engine.backend.encoder.encode([segment.context for segment in segments])
        return np.concatenate(rows)

    def sound(self) -> AudioChunk:
        return AudioChunk(np.asarray(self.case["waveform_i16"], np.int16), SAMPLE_RATE)

    def frames(self) -> list[Outcome]:
        """Finished pictures: the live script's through our engine, then the offline script's."""
        avatar = attach(self.avatar(self.order), self.ordered_faces())
        recorder = _Recorder(self.networks)
        live = [f.frame for f in render_stream(self._engine(recorder), avatar, [self.sound()])]
        offline = self._offline(recorder.generated)
        shown = [int(index) for index in self.case["recon_sel_idx"]]
        recon = np.stack([recorder.generated[index][..., ::-1] for index in shown])
        one_less = self._near("n_frames_realtime", len(live), self.case["n_frames_realtime"])
        if one_less.error == 1:
            one_less = replace(one_less, intended=ONE_LESS)
        return [
            self._near("n_frames_offline", len(offline), self.case["n_frames_offline"]),
            one_less,
            *self._pictures("recon_sel", recon, self.case["recon_sel"], GENERATED),
            *self._finals("offline", offline, "final_sel"),
            *self._finals("realtime", live, "final_realtime_sel"),
        ]

    def _offline(self, generated: Sequence[Image]) -> list[Image]:
        """Generated faces put back as the offline script does: with half the feather."""
        plans = []
        for source, picture in enumerate(self.sources):
            square, size = self.faces.squares[source], (picture.shape[1], picture.shape[0])
            assert square is not None
            soft = self.feathered(source, FEATHER_OFFLINE)
            plans.append(plan_blend(soft, self.box(source), square, size))
        return [
            paste(self.sources[source], *blend(self.sources[source], face, plans[source]))
            for source, face in zip(self.order, generated, strict=False)
        ]

    def _finals(self, script: str, ours: list[Image], chosen: str) -> list[Outcome]:
        indices = [int(index) for index in self.case[chosen]]
        roi = box_of(self.case["roi"]).slices
        regions = np.stack([ours[index][roi][..., ::-1] for index in indices])
        recorded = self.case[f"final_{script}_all_small"]
        means = np.stack([small(picture[..., ::-1]) for picture in ours[: len(recorded)]])
        return [
            *self._pictures(f"final_{script}", regions, self.case[f"final_{script}_roi"], FINAL),
            self._near(f"final_{script}_all_small", means, recorded, SMALL),
        ]

    def _pictures(
        self,
        name: str,
        ours: NDArray[np.uint8],
        recorded: NDArray[np.generic],
        limits: tuple[float, float],
    ) -> list[Outcome]:
        """Largest difference and share of differing values."""
        largest = self._near(name, ours, recorded, limits[0])
        if np.isinf(largest.error):
            return [largest]
        share, title = float((ours != recorded).mean()), f"{self.name} {name}, share that differs"
        return [largest, Outcome(title, share, limits[1], self.intended)]

    def _near(self, name: str, ours: ArrayLike, recorded: ArrayLike, limit: float = 0.0) -> Outcome:
        """The comparison of an array that depends on the audio."""
        return replace(near(f"{self.name} {name}", ours, recorded, limit), intended=self.intended)

    def _engine(self, compositor: CpuCompositor) -> Engine:
        """An engine at the recording's rate; the avatar's own pictures advance frame by frame."""
        renderer = MuseTalkRenderer(
            self.networks, FPS, settings=self.settings, compositor=compositor
        )
        encoder = AudioWindowEncoder(self.networks.speech)
        return Engine(Backend("musetalk", encoder, renderer, self.fps, 8, "a recording"))

    def _encode(self, images: NDArray[np.float32]) -> NDArray[np.float32]:
        with torch.inference_mode():
            return np.asarray(self.networks.vae.encode(torch.from_numpy(images)).numpy())

    def _locate(self, picture: Image) -> NDArray[np.float32]:
        """The recorded landmarks of the picture that is this one."""
        same = [np.array_equal(picture, source) for source in self.sources]
        return np.asarray(self.landmarks[same.index(True)], np.float32)


def small(picture: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Each block's rounded mean."""
    height, width = (side // BLOCK for side in picture.shape[:2])
    blocks = picture[: height * BLOCK, : width * BLOCK].reshape(height, BLOCK, width, BLOCK, 3)
    return np.asarray(np.round(blocks.astype(np.float64).mean((1, 3))))


def networks(path: Path, version: str) -> MuseTalkNetworks:
    """The small networks that the recordings of whole clips were made with."""
    manifests = path.parents[1] / "manifests"
    return MuseTalkNetworks(
        version,
        unet.filled(manifests / "unet_tiny.json", 1.0),
        vae.filled(manifests / "vae_tiny.json", 1.0),
        WhisperSpeech(whisper.filled(path, 1.0)),
        torch.device("cpu"),
        torch.float32,
    )
