"""Settings that are unsafe or impossible are refused in a sentence, and secrets are not printed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from lipstream.errors import OptionError
from lipstream.server.settings import ServeSettings

TOKEN = "right-token-0123"


KEY = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"  # of the specification's own example


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"host": "0.0.0.0"}, "0.0.0.0 can be reached from other machines, so a token is needed.*"),
        ({"host": "::"}, ":: can be reached.*"),
        ({"host": "192.168.1.5"}, ".*give --token or set LIPSTREAM_TOKEN.*"),
        ({"host": "example.org"}, ".*so a token is needed.*"),
        ({"host": ""}, ".*so a token is needed.*"),
        ({"token": "short"}, "the token must be 8 to 256 letters.*"),
        ({"token": "with spaces in it"}, "the token must be.*"),
        ({"origins": ("example.org",)}, "--origin: 'example.org' is no origin; write https://.*"),
        ({"origins": ("https://example.org/page",)}, "--origin: .* is no origin.*"),
        ({"origins": ("*",)}, "--origin: .* is no origin.*"),
        ({"origins": ("http://[::1",)}, "--origin: .* is no origin.*"),
        ({"origins": ("https://*.example.org",)}, "--origin: .* is no origin.*"),
        ({"origins": ("https://me@example.org",)}, "--origin: .* is no origin.*"),
        ({"origins": ("https://example.org:65536",)}, "--origin: .* is no origin.*"),
        ({"trusted_proxies": ("proxy",)}, "--trusted-proxy: 'proxy' is no IP address or network.*"),
        ({"turn_urls": ("turn:a",)}, "--turn-url needs --turn-secret.*"),
        ({"turn_urls": ("stun:a",), "turn_secret": "s"}, "--turn-url: 'stun:a' is no TURN .*"),
        ({"turn_urls": ("turn:a?transport=x",), "turn_secret": "s"}, "--turn-url: .*"),
        ({"stun_urls": ("stun://a",)}, "--stun-url: 'stun://a' is no STUN server; write stun:.*"),
        ({"public_ip": "0.0.0.0"}, "--public-ip: '0.0.0.0' is no IP address of a machine; .*"),
        ({"public_ip": "example.org"}, "--public-ip: 'example.org' is no IP address.*"),
        ({"front_host": "0.0.0.0"}, "0.0.0.0 can be reached from other machines, so a token.*"),
        ({"worker_id": "A-1"}, "--worker-id: 'A-1' is no id; write 1 to 16 small letters or .*"),
        ({"worker_id": "a" * 17}, "--worker-id: .* is no id.*"),
        ({"udp_ports": "40000"}, "--udp-ports: '40000' is no range of ports; write 40000-40999."),
        ({"udp_ports": "50000-40000"}, "--udp-ports: .* is no range.*"),
        ({"udp_ports": "0-10"}, "--udp-ports: .* is no range.*"),
        ({"udp_ports": "60000-65536"}, "--udp-ports: .* is no range.*"),
        ({"webhook": "https://example.org/"}, "--webhook and --webhook-secret need each other.*"),
        ({"webhook_secret": KEY}, "--webhook and --webhook-secret need each other.*"),
        ({"webhook": "ftp://a/s3cret", "webhook_secret": KEY}, "--webhook is no URL; write .*"),
        ({"webhook": "https://a:0", "webhook_secret": KEY}, "--webhook is no URL; write .*"),
        ({"webhook": "https://a:65536", "webhook_secret": KEY}, "--webhook is no URL; write .*"),
        ({"webhook": "http://999.1.1.1", "webhook_secret": KEY}, "--webhook is no URL; write .*"),
        ({"webhook": "https://a", "webhook_secret": "short"}, "--webhook-secret must be whsec_.*"),
        ({"webhook": "https://a", "webhook_secret": KEY[6:]}, "--webhook-secret must be whsec_.*"),
    ],
)
def test_unsafe_settings_are_refused(settings: Any, message: str) -> None:
    with pytest.raises(OptionError, match=message):
        ServeSettings(**settings)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1.2.3", "::1", "localhost"])
def test_loopback_needs_no_token(host: str) -> None:
    assert ServeSettings(host=host).loopback


def test_addresses_of_ice_servers_may_be_what_the_rfcs_allow() -> None:
    turn = ("turn:a", "turns:turn.example.org:5349?transport=tcp", "turn:[2001:db8::1]:3478")
    stun = ("stun:stun.example.org", "stuns:203.0.113.5:3478", "stun:[::1]")
    ServeSettings(turn_urls=turn, turn_secret="s", stun_urls=stun, public_ip="2001:db8::1")


def test_secrets_are_not_printed() -> None:
    settings = ServeSettings(token=TOKEN, turn_secret="turn-secret", turn_urls=("turn:a",))
    assert TOKEN not in repr(settings) and "turn-secret" not in repr(settings)
    settings = ServeSettings(webhook="https://a/path-secret", webhook_secret=KEY)
    assert "path-secret" not in repr(settings) and KEY not in repr(settings)


def test_uploads_are_kept_in_one_place() -> None:
    assert ServeSettings().store_folder is None
    for store in ("/srv/avatars", "file:///srv/avatars"):
        assert ServeSettings(store=store).store_folder == Path("/srv/avatars")
    with pytest.raises(OptionError, match="--store keeps uploads, and so does --data"):
        ServeSettings(store="/srv/avatars", data=Path("/srv/data"))
