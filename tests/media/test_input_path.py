"""A file that cannot be opened is refused in a sentence that says what to do."""

from __future__ import annotations

from pathlib import Path

import pytest

from lipstream.errors import AudioError
from lipstream.media.input_path import opened


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("gone.wav", "gone.wav does not exist; check the name."),
        (
            "https://example.org/a.wav",
            "https://example.org/a.wav is an address, and only local files are read; "
            "download it first.",
        ),
        ("rtmp://host/live", "rtmp://host/live is an address, and only local files are read; do"),
        ("file:///home/a.wav", "file:///home/a.wav is an address; give the path alone, /home/a.w"),
        ("~/a.wav", "~/a.wav does not exist, as only a shell expands ~; write the whole path."),
        ("a/~/b.wav", "a/~/b.wav does not exist; check the name."),
        ("c:/a.wav", "c:/a.wav does not exist; check the name."),
    ],
)
def test_what_is_not_there_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str, sentence: str
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(AudioError) as refused, opened(Path(name), AudioError):
        pass
    assert str(refused.value).startswith(sentence)


def test_a_file_that_is_called_like_an_address_is_opened(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("http:").mkdir()
    Path("http:/a.wav").write_bytes(b"abc")
    with opened(Path("http://a.wav"), AudioError) as file:
        assert file.read() == b"abc"
