"""A wrong call is refused in one sentence that names the option, variable or file to change."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from lipstream.cli.program import cli
from tests.cli.program import Program

NAMES = ("render", "--avatar", "a.png", "--audio", "a.wav", "-o", "out.mp4")


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (("rendr",), "no such command 'rendr'.*"),
        (("--wrong",), "no such option.*--wrong.*"),
        (("--zz",), "no such option.* '?--zz'?; see `lipstream --help`."),
        (("render", "--wrong"), "no such option.* '?--wrong'?; see `lipstream render --help`."),
        (("render", "--avatr", "x"), "no such option.*avatr.*--avatar.*"),
        (("render", "--fps"), "option '--fps' requires an argument; see `lipstream render --h.*"),
        (("render", "--fps", "25", "x"), ".*LIPSTREAM_AVATAR, or see `lipstream render --help`."),
        ((*NAMES, "more"), "got unexpected extra argument.*more.*; see `lipstream render --help`."),
        (("render",), "--avatar is missing; give it, set LIPSTREAM_AVATAR, or see `l.* --help`."),
        (NAMES[:3], "--out is missing; give it, set LIPSTREAM_OUT, or see `l.* --help`."),
        (NAMES[:5], "--out is missing; give it, set LIPSTREAM_OUT, or see `lip.* render --help`."),
        (("prepare",), "SOURCE is missing; name it, or see `lipstream prepare --help`."),
        (("prepare", "x"), "--out is missing; give it, set LIPSTREAM_AVATAR_OUT, or see .*"),
        ((*NAMES, "--seed", "x"), "--seed: 'x' is not a valid integer; see `lipstream render .*"),
    ],
)
def test_a_wrong_call_is_refused(program: Program, call: tuple[str, ...], sentence: str) -> None:
    message = program.refused(*call, status=2)
    assert re.fullmatch(sentence, message), message


@pytest.mark.parametrize(
    ("value", "wrong"),
    [
        ("0", "0 frames per second are not possible; write 1 to 60."),
        ("61", "61 frames per second are not possible; write 1 to 60."),
        ("999999999", "999999999 frames per second are not possible; write 1 to 60."),
        ("-1", "'-1' is no frame rate; write 25, 29.97 or 30000/1001."),
        ("nan", "'nan' is no frame rate; write 25, 29.97 or 30000/1001."),
        ("1e9", "'1e9' is no frame rate; write 25, 29.97 or 30000/1001."),
        ("1e999999999", "'1e999999999' is no frame rate; write 25, 29.97 or 30000/1001."),
        ("abc", "'abc' is no frame rate; write 25, 29.97 or 30000/1001."),
        ("25/0", "'25/0' is no frame rate; write 25, 29.97 or 30000/1001."),
        ("", "'' is no frame rate; write 25, 29.97 or 30000/1001."),
        ("29.97002997", "'29.97002997' has too many digits; write fewer, or a fraction.*"),
    ],
)
def test_a_wrong_frame_rate_is_refused(program: Program, value: str, wrong: str) -> None:
    message = program.refused(*NAMES, "--fps", value, status=2)
    assert re.fullmatch(f"--fps: {wrong}", message), message


@pytest.mark.parametrize("value", ["0", "left", "1,2,3"])
def test_a_face_that_cannot_be_meant_is_refused(program: Program, value: str) -> None:
    sentence = program.refused(*NAMES, "--face", value, status=2)
    assert sentence.startswith(f"--face: {value!r} names no face; write 1 for the largest")


def test_an_unknown_rotation_is_refused(program: Program) -> None:
    wrong = "--rotate: there is no rotation '45'; use none, auto, 90, 180 or 270."
    assert program.refused(*NAMES, "--rotate", "45", status=2) == wrong


@pytest.mark.parametrize("value", ["white", "#12345", "#1234567", "#12345g", "# 1234", "1,2,3", ""])
def test_a_wrong_colour_is_refused(program: Program, value: str) -> None:
    wrong = f"--background: {value!r} is no colour; write #RRGGBB, such as #00B140, in quotes."
    assert program.refused(*NAMES, "--background", value, status=2) == wrong
    call = ("prepare", "a.png", "-o", "a", "--background", value)
    assert program.refused(*call, status=2) == wrong


@pytest.mark.parametrize("command", [NAMES, ("prepare", "a.png", "-o", "a")])
def test_a_backend_that_is_not_there_is_refused(program: Program, command: tuple[str, ...]) -> None:
    message = program.refused(*command, "--backend", "best", status=2)
    assert message == "--backend: there is no backend 'best'; use auto, puppet or musetalk."


@pytest.mark.parametrize(
    ("variable", "value", "wrong"),
    [
        ("FPS", "fast", "'fast' is no frame rate; write .*"),
        ("BACKGROUND", "white", "'white' is no colour; write .*"),
        ("BACKEND", "best", "there is no backend 'best'; use .*"),
        ("SEED", "many", "'many' is not a valid integer; see `lipstream render --help`."),
    ],
)
def test_a_wrong_variable_is_named(
    program: Program, monkeypatch: pytest.MonkeyPatch, variable: str, value: str, wrong: str
) -> None:
    monkeypatch.setenv(f"LIPSTREAM_{variable}", value)
    message = program.refused(*NAMES, status=2)
    assert re.fullmatch(f"LIPSTREAM_{variable}: {wrong}", message), message


@pytest.mark.parametrize("variable", ["BLINK", "SWAY", "DEBUG"])
def test_a_wrong_switch_is_named(
    program: Program, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    monkeypatch.setenv(f"LIPSTREAM_{variable}", "perhaps")
    message = program.refused(*NAMES, status=2)
    assert message == f"LIPSTREAM_{variable} is neither true nor false; write 1 or 0."


@pytest.mark.parametrize(
    ("content", "wrong"),
    [
        ("[render", "the file is no valid TOML: .*; correct it there"),
        ("a = " + "[" * 5000, "the file is nested too deep, or has an absurd number"),
        ("a = " + "9" * 5000, "the file is nested too deep, or has an absurd number"),
        ("\x00", "the file is no valid TOML: .*; correct it there"),
        ("[rendr]", r"'rendr' is no table of a command; use \[render\], .*"),
        ("fps = 25", r"'fps' is no table of a command; use \[render\], .*"),
        ("render = 1", r"'render' is no table of a command; use \[render\], .*"),
        ("debug = 1", "debug is 1; write true or false"),
        ("[render]\nfsp = 25", r"\[render\] has no option 'fsp'; use avatar, .*fps.*"),
        ("[render]\nhelp = true", r"\[render\] has no option 'help'; use avatar.*"),
        ("[prepare]\nsource = 'x'", r"\[prepare\] has no option 'source'; use out.*"),
        ("[render]\nblink = 'no'", r"blink in \[render\] is 'no'; write true or false"),
        ("[render]\nblink = 1", r"blink in \[render\] is 1; write true or false"),
        ("[render]\nseed = '1'", r"seed in \[render\] is '1'; write a whole number"),
        ("[render]\nseed = true", r"seed in \[render\] is True; write a whole number"),
        ("[render]\nseed = 1.5", r"seed in \[render\] is 1.5; write a whole number"),
        ("[render]\navatar = 1", r"avatar in \[render\] is 1; write a path in quotes"),
        ("[render]\naudio = ['a']", r"audio in \[render\] is \['a'\]; write a path in quotes"),
        ('[render]\nout = "a\\u0000"', r"out in \[render\] is 'a.x00'; write a path in quotes"),
        ("[render]\nfps = true", r"fps in \[render\] is True; write a text in quotes or a num.*"),
        ("[render]\nfps = 1979-05-27", r"fps in \[render\] is .*; write a text in quotes or .*"),
    ],
)
def test_a_wrong_file_of_settings_is_refused(program: Program, content: str, wrong: str) -> None:
    Path("settings.toml").write_text(content)
    message = program.refused("--config", "settings.toml", *NAMES, status=2)
    assert re.fullmatch(rf"--config settings\.toml: {wrong}\.", message), message


@pytest.mark.parametrize(
    ("content", "wrong"),
    [
        (
            b'[render]\r\n\r\navatar = "C:\\Users\\anna.png"\r\n',
            "line 3 has a backslash in double quotes; write a path with single quotes, as in "
            r"'C:\faces\anna.png', or with /.",
        ),
        (
            b'[render]\navatar = "C:\\new\\face.png"\n',
            r"avatar in [render] reads 'C:\new\x0cace.png', because of a backslash; write",
        ),
        ("[render]\nfps = 10\n".encode("utf-16"), "the file is UTF-16; save it as UTF-8."),
        ("# café".encode("latin-1"), "the file is not UTF-8; save it as UTF-8."),
    ],
)
def test_what_editors_on_windows_write_is_named(
    program: Program, content: bytes, wrong: str
) -> None:
    Path("settings.toml").write_bytes(content)
    message = program.refused("--config", "settings.toml", *NAMES, status=2)
    assert message.startswith(f"--config settings.toml: {wrong}"), message


@pytest.mark.parametrize(
    ("content", "wrong"),
    [
        ("fps = 100", "fps in [render]: 100 frames per second are not possible; write 1 to 60."),
        ("fps = nan", "fps in [render]: 'nan' is no frame rate; write 25, 29.97 or 30000/1001."),
        ("background = 7", "background in [render]: '7' is no colour; write #RRGGBB, such as"),
        ("backend = 'x'", "backend in [render]: there is no backend 'x'; use auto, puppet or"),
    ],
)
def test_a_wrong_setting_is_named_with_its_file(program: Program, content: str, wrong: str) -> None:
    Path("settings.toml").write_text(f"[render]\n{content}")
    message = program.refused("--config", "settings.toml", *NAMES, status=2)
    assert message.startswith(f"settings.toml: {wrong}")


@pytest.mark.parametrize("kind", ["missing", "folder"])
def test_settings_that_cannot_be_read_are_refused(
    program: Program, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    Path("folder").mkdir()
    message = program.refused("--config", kind, "doctor", status=2)
    assert re.fullmatch(f"--config {kind}: the file cannot be read: .*; check its name.", message)
    monkeypatch.setenv("LIPSTREAM_CONFIG", kind)
    assert program.refused("doctor", status=2) == message


def test_a_call_of_nothing_gets_the_help(program: Program) -> None:
    outcome = program.call()
    assert (outcome.status, outcome.out) == (2, "")
    assert "Usage: lipstream [OPTIONS] COMMAND [ARGS]..." in outcome.err


@pytest.mark.parametrize("command", ["", *cli.commands])
@pytest.mark.parametrize("flag", ["-h", "--help"])
def test_the_help_can_be_read_at_80_columns(
    program: Program, monkeypatch: pytest.MonkeyPatch, command: str, flag: str
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    help_text = program.done(*filter(None, [command]), flag).out
    assert all(len(line) <= 80 for line in help_text.splitlines())
    assert help_text.startswith("Usage: lipstream")
    for parameter in cli.commands[command].params if command else cli.params:
        assert max(parameter.opts, key=len).removeprefix("as_") in help_text.replace(
            "SOURCE", "source"
        )


def test_every_option_has_a_variable_of_its_own(program: Program) -> None:
    """Two commands share a variable only where the option means the same."""
    meanings: dict[str, set[tuple[str, str]]] = {}
    for command in cli.commands.values():
        for parameter in command.params:
            if parameter.param_type_name == "option":
                assert isinstance(parameter.envvar, str)
                meaning = (str(parameter.name), str(parameter.metavar))
                meanings.setdefault(parameter.envvar, set()).add(meaning)
    assert all(name.startswith("LIPSTREAM_") for name in meanings)
    assert all(len(meaning) == 1 for meaning in meanings.values())
