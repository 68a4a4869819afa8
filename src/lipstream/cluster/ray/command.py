"""The command line of a worker under Ray."""

from __future__ import annotations

from collections.abc import Iterable

from lipstream.cluster.ray.options import RayOptions


def worker_command(
    options: RayOptions, worker: str, host: str, machines: Iterable[str], costs: str
) -> list[str]:
    """The arguments of the `lipstream serve` called `worker`.

    It listens on `host`, an address of its machine. Fronts may be on any of the `machines` of the
    cluster: it believes them who their clients are. `costs` is the folder of --costs.
    """
    command = ["serve", *options.serve]
    for name, path in options.avatars.items():
        command += ["--avatar", f"{name}={path}"]
    for origin in options.origins:
        command += ["--origin", origin]
    for proxy in dict.fromkeys([*machines, *options.trusted_proxies]):
        command += ["--trusted-proxy", proxy]
    command += ["--workers", "0", "--supervised", "--worker-id", worker]
    command += ["--host", host, "--port", "0", "--front-host", host]
    command += ["--cores", str(options.cores), "--costs", costs]
    command += ["--upload-limit", str(options.upload_limit)]
    return [*command, "--drain", options.drain, "--drain-timeout", str(options.drain_timeout_s)]
