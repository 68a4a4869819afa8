"""A Ray cluster of several raylets on this machine, with the application on it: a program.

`python -m tests.cluster.ray_cluster '{"avatars": {...}}'` prints the line of `lipstream serve` when
the application answers. Each line of JSON on standard input deploys it anew; the end of the input
ends everything.
"""

from __future__ import annotations

import json
import os
import socket
import sys
from typing import Any

import ray
from ray import serve
from ray.cluster_utils import Cluster

from lipstream.cluster.ray import app

ADDRESS = "127.0.0.1"
NODE = {"num_cpus": 4, "object_store_memory": 80 << 20, "include_dashboard": False}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((ADDRESS, 0))
        return int(probe.getsockname()[1])


def deploy(arguments: dict[str, Any]) -> None:
    serve.run(app(arguments), name="lipstream")


def main() -> None:
    cluster = Cluster(initialize_head=True, head_node_args=NODE)
    cluster.add_node(**NODE)
    ray.init(address=cluster.address, log_to_driver="RAY_LOGS" in os.environ, logging_level="ERROR")
    port = free_port()
    try:
        serve.start(proxy_location="HeadOnly", http_options={"host": ADDRESS, "port": port})
        deploy(json.loads(sys.argv[1]))
        print(
            f"lipstream is at http://{ADDRESS}:{port} (ray: {len(ray.nodes())} nodes)", flush=True
        )
        for line in sys.stdin:
            deploy(json.loads(line))
            print("deployed", flush=True)
    finally:
        serve.shutdown()
        ray.shutdown()
        cluster.shutdown()


if __name__ == "__main__":
    main()
