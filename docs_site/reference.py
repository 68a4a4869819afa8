"""The API reference: every public name of lipstream, from its signature and docstring."""

from __future__ import annotations

import ast
import dataclasses
import inspect
import textwrap
from collections.abc import Iterator
from typing import Any

import lipstream

INTRODUCTION = """\
# Python reference

Every public name of `lipstream`, as its own docstring says it. [From Python](python.md) shows them
at work. All images are `(height, width, 3)` uint8 RGB; times are integers: samples, indices of
frames, or milliseconds.
"""
MAX_WIDTH = 90  # of a signature on one line
GROUPS = {
    "Render and open": "render render_stream open_engine open_backend open_avatar build_avatar "
    "load_avatar save_avatar source_rate open_synthesizer",
    "Engine and streams": "Engine Backend LipSyncStream Segment AudioChunk TimedFrame RenderResult",
    "Avatars": "Avatar QualityReport Box",
    "Live": "Scheduler Session Utterance Unit SessionEvent SessionLimits SessionCounts Caption",
    "Text to speech": "Synthesizer SynthesizedSpeech",
    "Settings": "AvatarConfig MotionConfig Mp4Config MuseTalkConfig PcmFormat RuntimeOptions",
    "The original interface": "MuseTalkInference RealtimeLipSyncEngine OptimizedLipSyncEngine "
    "BatchLipSyncProcessor FrameBuffer",
    "Errors": "LipstreamError OptionError InputError ArchiveError AudioError CheckpointError "
    "FaceError PictureError OutputError MissingError BufferFullError SynthesisError",
}


def reference_page() -> str:
    """The page as Markdown. Raises SystemExit for a public name that belongs to no group."""
    grouped = [name for names in GROUPS.values() for name in names.split()]
    if set(grouped) != set(lipstream.__all__):
        odd = sorted(set(grouped) ^ set(lipstream.__all__))
        raise SystemExit(f"docs_site: GROUPS and lipstream.__all__ differ in {', '.join(odd)}.")
    parts = [INTRODUCTION]
    for title, names in GROUPS.items():
        parts.append(f"## {title}\n")
        parts += [section for name in names.split() for section in _described(name)]
    return "\n".join(parts)


def _described(name: str) -> Iterator[str]:
    thing = getattr(lipstream, name)
    yield f"### {name}\n"
    yield _code(_declaration(name, thing))
    yield f"{_docstring(thing)}\n"
    if not inspect.isclass(thing):
        return
    if fields := list(_fields(thing)):
        yield "\n".join(["| field | type | |", "|---|---|---|", *fields, ""])
    for member, value in _members(thing):
        yield f"#### {name}.{member}\n"
        yield _code(_declaration(member, value))
        if text := _docstring(value):
            yield f"{text}\n"


def _declaration(name: str, thing: Any) -> str:
    if isinstance(thing, property):
        returned = inspect.signature(thing.fget).return_annotation if thing.fget else ""
        return f"{name}: {returned}"
    if isinstance(thing, (classmethod, staticmethod)):
        return f"@{type(thing).__name__}\n{_declaration(name, thing.__func__)}"
    if inspect.isclass(thing):
        if issubclass(thing, BaseException):
            return f"class {name}({', '.join(base.__name__ for base in thing.__bases__)})"
        return f"class {name}{_signature(thing).removesuffix(' -> None')}"
    word = "async def" if inspect.iscoroutinefunction(thing) else "def"
    return f"{word} {name}{_signature(thing)}"


class _Written:
    """An annotation that prints as it stands in the source."""

    def __init__(self, text: object) -> None:
        self._text = str(text)

    def __repr__(self) -> str:
        return self._text


def _signature(thing: Any) -> str:
    """As it is written, one parameter a line where it is long."""
    signature = inspect.signature(thing)
    parameters = [
        parameter.replace(annotation=_written(parameter.annotation))
        for name, parameter in signature.parameters.items()
        if name not in ("self", "cls")
    ]
    returned = _written(signature.return_annotation)
    text = str(signature.replace(parameters=parameters, return_annotation=returned))
    if len(text) <= MAX_WIDTH or not parameters:
        return text
    lines: list[str] = []
    shown = str(signature.replace(parameters=[], return_annotation=returned))
    by_name = False
    for parameter in parameters:
        if parameter.kind is parameter.KEYWORD_ONLY and not by_name:
            lines, by_name = [*lines, "*"], True
        lines.append(str(parameter))
    return "(\n" + "".join(f"    {line},\n" for line in lines) + shown.removeprefix("(")


def _written(annotation: object) -> object:
    return annotation if annotation is inspect.Signature.empty else _Written(annotation)


def _fields(thing: type) -> Iterator[str]:
    """Rows of a table: name, type, and the comment behind it in the source."""
    if not dataclasses.is_dataclass(thing):
        return
    source = textwrap.dedent(inspect.getsource(thing))
    lines = source.splitlines()
    body = ast.parse(source).body[0]
    assert isinstance(body, ast.ClassDef)
    for node in body.body:
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            name, kind = node.target.id, ast.unparse(node.annotation).replace("|", "\\|")
            _, _, comment = lines[(node.end_lineno or 1) - 1].partition("  # ")
            if not name.startswith("_"):
                yield f"| `{name}` | `{kind}` | {comment.replace('|', chr(92) + '|')} |"


def _members(thing: type) -> Iterator[tuple[str, Any]]:
    """Public methods and properties of its own, as they stand in the source."""
    for name, value in vars(thing).items():
        known = (property, classmethod, staticmethod)
        if not name.startswith("_") and (inspect.isfunction(value) or isinstance(value, known)):
            yield name, value


def _docstring(thing: Any) -> str:
    """Its docstring; dataclasses without one have a signature there, which is left out."""
    text = inspect.getdoc(thing) or ""
    return "" if text.startswith(f"{getattr(thing, '__name__', '')}(") else text


def _code(text: str) -> str:
    return f"```python\n{text}\n```\n"
