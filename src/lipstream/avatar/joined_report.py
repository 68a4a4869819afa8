"""One report of the parts of a clip that were measured one by one."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from lipstream.avatar.avatar import QualityReport
from lipstream.avatar.quality import loss_warnings

# Means over the parts; those without a face say nothing of it.
MEANS = ("eye_distance", "face_height", "mouth_width", "mouth_open", "roll", "yaw", "jitter")


def joined_reports(reports: Sequence[QualityReport]) -> QualityReport:
    """Sums of counts, means of measures, and each kind of warning once. There must be one part.

    Frames that two parts share count twice.
    """
    with_face = [report for report in reports if report.faces_found] or list(reports)
    frames = sum(report.frames for report in with_face)
    means = {
        name: sum(getattr(report, name) * report.frames for report in with_face) / frames
        for name in MEANS
    }
    joined = replace(
        reports[0],
        frames=sum(report.frames for report in reports),
        faces_found=sum(report.faces_found for report in reports),
        faces_filled=sum(report.faces_filled for report in reports),
        faces_lost=sum(report.faces_lost for report in reports),
        shots=sum(report.shots for report in reports),
        people=max(report.people for report in reports),
        **means,
    )
    return replace(joined, warnings=(*_once(reports), *loss_warnings(joined)))


def _once(reports: Sequence[QualityReport]) -> list[str]:
    """Each warning about a face in the words of its first part; their figures differ."""
    kinds: dict[str, list[str]] = {}
    for report in reports:
        for warning in report.warnings if report.faces_found else ():
            kinds.setdefault(re.sub(r"\d+", "", warning), []).append(warning)
    parts = len(reports)
    return [
        same[0] if parts == 1 else f"In {len(same)} of {parts} parts of the clip: {same[0]}"
        for same in kinds.values()
    ]
