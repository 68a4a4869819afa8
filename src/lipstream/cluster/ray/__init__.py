"""Workers and front as one application of Ray Serve: `serve run lipstream.cluster.ray:app`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ray.serve import Application


def app(arguments: Mapping[str, Any]) -> Application:
    """Build the application from `name=value` arguments, which are the fields of `RayOptions`, and
    from LIPSTREAM_RAY_... variables. OptionError for what is no option."""
    # Here, so that what needs no Ray can be imported where there is none.
    from lipstream.cluster.ray.application import build

    return build(arguments)
