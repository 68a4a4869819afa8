from __future__ import annotations

from lipstream.cli.serve import serve
from lipstream.cluster.ray.command import worker_command
from lipstream.cluster.ray.options import read_options

ARGUMENTS = {
    "avatars": {"anna": "/a/anna.avatar"},
    "token": "right-token-0123",
    "cores": 2,
    "origins": ["https://a.example"],
    "trusted_proxies": ["10.1.0.0/16"],
    "serve": ["--udp-ports", "40000-40999", "--port", "80"],
}


def command() -> list[str]:
    machines = ["10.0.0.1", "10.0.0.2", "10.0.0.1"]
    return worker_command(read_options(ARGUMENTS, {}), "aw1", "10.0.0.2", machines, "/c")


def test_the_worker_is_told_its_place_and_whom_to_believe() -> None:
    said = command()
    pairs = list(zip(said, said[1:], strict=False))
    assert ("--worker-id", "aw1") in pairs and ("--host", "10.0.0.2") in pairs
    assert ("--avatar", "anna=/a/anna.avatar") in pairs
    assert [to for option, to in pairs if option == "--trusted-proxy"] == [
        "10.0.0.1",
        "10.0.0.2",
        "10.1.0.0/16",
    ]
    assert said.index("--udp-ports") < said.index("--worker-id")  # ours are the last word
    assert "right-token-0123" not in said


def test_the_worker_understands_every_option() -> None:
    known = {name for option in serve.params for name in option.opts}
    assert {word for word in command() if word.startswith("--")} <= known
