"""A configuration of nginx that does what a front must: pin, place, and try the next one.

Sessions are pinned by their ids, which end in their worker's, and by their tokens, which do too,
where those alone say which one is meant.

nginx knows no loads: it takes the worker with the fewest connections, and the next where that one
has no room. What is merged of all workers, `GET /v1/sessions` and ending one by its short id, is
the front's alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlsplit

from lipstream.cluster.front.routing import DIALECT_SOCKETS
from lipstream.server.dialects.liveavatar.addresses import LED

TEMPLATE = """\
# Made by `lipstream front --nginx`; include it in the http block of nginx.
upstream lipstream {{
    least_conn;
    # A worker without room has not failed; else nobody is served for 10 s once all are full.
{servers}
}}
map "$uri $arg_session_token $http_authorization" $lipstream_worker {{
    default lipstream;
{pins}
}}
map $http_upgrade $lipstream_connection {{
    default upgrade;
    "" "";
}}
server {{
    listen {listen};
    client_max_body_size {upload_mib}m;
    location / {{
        proxy_pass http://$lipstream_worker;
        proxy_http_version 1.1;
        proxy_set_header Host $http_host;
        proxy_set_header X-Forwarded-For $remote_addr;
        proxy_set_header X-Forwarded-Proto $scheme;
        proxy_set_header Upgrade $http_upgrade;
        proxy_set_header Connection $lipstream_connection;
        proxy_connect_timeout 2s;
        proxy_read_timeout 1h;
        proxy_next_upstream error timeout http_503 non_idempotent;
        proxy_next_upstream_tries {tries};
    }}
    # Files go to one worker as they come: they cannot be sent twice.
    location ~ ^/v1/(avatars|sessions/[^/]+/speech)$ {{
        proxy_pass http://$lipstream_worker;
        proxy_http_version 1.1;
        proxy_set_header Host $http_host;
        proxy_set_header X-Forwarded-For $remote_addr;
        proxy_set_header X-Forwarded-Proto $scheme;
        proxy_set_header Connection "";
        proxy_connect_timeout 2s;
        proxy_read_timeout 11m;
        proxy_request_buffering off;
        proxy_next_upstream off;
    }}
}}
"""
TOKEN = "[A-Za-z0-9_-]{43}[.]"  # of a session, and its worker's id
SOCKETS = "|".join(DIALECT_SOCKETS)  # with the token in the query
BEARERS = "|".join((*LED, "/v1/avatars/[^/ ]+/picture"))  # with nothing else that says whose
MAX_TRIES = 8


def nginx_configuration(workers: Mapping[str, str], listen: str, upload_mib: int) -> str:
    """The configuration for workers by their ids and base URLs, at `listen`, host:port."""
    addresses = {worker: urlsplit(url).netloc for worker, url in workers.items()}
    return TEMPLATE.format(
        servers="\n".join(f"    server {address} max_fails=0;" for address in addresses.values()),
        pins="\n".join(
            f'    "~{pattern}" {address};'
            for worker, address in addresses.items()
            for pattern in (
                f"^/v1/sessions/[0-9a-f]{{32}}-{worker}[/ ]",
                f"^({SOCKETS}) {TOKEN}{worker} ",
                f"^({BEARERS}) [^ ]* (?i:bearer) +{TOKEN}{worker}$",
            )
        ),
        listen=listen,
        upload_mib=upload_mib,
        tries=min(len(addresses), MAX_TRIES),
    )
