"""The application that `serve run lipstream.cluster.ray:app` runs.

The deployments are defined in a module, so that Serve knows them again: what is defined in a script
is new code each time, and all replicas would be replaced.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from ray import serve
from ray.serve import Application

from lipstream.cluster.ray.options import RayOptions, read_options
from lipstream.cluster.ray.policy import PlacesPolicy
from lipstream.cluster.ray.replicas import FrontReplica, WorkerReplica

END_S = 30.0  # for a replica to end after its worker's --drain-timeout
METRICS_S = 1.0  # between two reports of a worker's places
HEALTH_S = 5.0
MAX_REQUESTS = 100_000  # of a front at once; each open WebSocket is one


def build(arguments: Mapping[str, Any]) -> Application:
    """A front, and the workers that it stands for. OptionError for what is no option."""
    options = read_options(arguments, os.environ)
    front = serve.deployment(FrontReplica).options(
        name="Front",
        num_replicas=options.fronts,
        max_ongoing_requests=MAX_REQUESTS,
        graceful_shutdown_wait_loop_s=1,
        graceful_shutdown_timeout_s=options.drain_timeout_s,
        ray_actor_options={"num_cpus": 0.1},
    )
    return front.bind(options, _workers(options).bind(options))


def _workers(options: RayOptions) -> Any:
    cpus = options.cores if options.num_cpus is None else options.num_cpus
    return serve.deployment(WorkerReplica).options(
        name="Worker",
        num_replicas="auto",
        autoscaling_config={
            "min_replicas": options.min_workers,
            "max_replicas": options.max_workers,
            "upscale_delay_s": options.upscale_delay_s,
            "downscale_delay_s": options.downscale_delay_s,
            "metrics_interval_s": METRICS_S,
            "look_back_period_s": 2 * METRICS_S,
            "policy": {"policy_function": PlacesPolicy, "policy_kwargs": {"fill": options.fill}},
        },
        health_check_period_s=HEALTH_S,
        health_check_timeout_s=2 * HEALTH_S,
        graceful_shutdown_timeout_s=options.drain_timeout_s + END_S,
        ray_actor_options={"num_cpus": cpus, "num_gpus": options.num_gpus},
    )
