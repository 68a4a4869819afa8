"""A Ray cluster of two raylets on this machine, with the application on it: a program.

`python -m tests.cluster.ray.program '{"avatars": {...}}'` prints the front's address. Each line of
JSON on standard input deploys it anew, null takes it away, and "done" is printed when that is done.
The end of the input ends everything.
"""

from __future__ import annotations

import json
import os
import socket
import sys
from collections.abc import Mapping
from typing import Any

import ray
from ray import serve
from ray.cluster_utils import Cluster

from lipstream.cluster.ray import app

HOST = "127.0.0.1"  # of Serve's proxy
NODE = {"num_cpus": 4, "object_store_memory": 80 << 20, "include_dashboard": False}
NAME = "lipstream"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def deploy(options: Mapping[str, Any] | None) -> None:
    if options is None:
        serve.delete(NAME)
    else:
        serve.run(app(options), name=NAME)


def main() -> None:
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    cluster = Cluster(initialize_head=True, head_node_args=NODE)
    cluster.add_node(**NODE)
    ray.init(address=cluster.address, log_to_driver=False, logging_level="ERROR")
    port = free_port()
    try:
        serve.start(proxy_location="HeadOnly", http_options={"host": HOST, "port": port})
        deploy(json.loads(sys.argv[1]))
        print(f"http://{HOST}:{port}", flush=True)
        for line in sys.stdin:
            deploy(json.loads(line))
            print("done", flush=True)
    finally:
        serve.shutdown()
        ray.shutdown()
        cluster.shutdown()


if __name__ == "__main__":
    main()
