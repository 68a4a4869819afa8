"""The options of the application on Ray, by argument or by environment."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_validator

from lipstream.errors import OptionError

PREFIX = "LIPSTREAM_RAY_"
SHARED = {
    "avatars": "LIPSTREAM_AVATARS",
    "token": "LIPSTREAM_TOKEN",
}  # as `lipstream serve` has them
Words = Annotated[tuple[str, ...], Field(default=())]


class RayOptions(BaseModel):
    """The arguments of `serve run lipstream.cluster.ray:app name=value ...`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    avatars: dict[str, str] = {}  # names and paths, which are the same on every machine
    token: SecretStr | None = None  # that clients send; needed once machines reach each other
    min_workers: int = Field(1, ge=1, le=10_000)
    max_workers: int = Field(4, ge=1, le=10_000)
    fill: float = Field(0.75, gt=0, le=1)  # the share of places that is taken before one more comes
    upscale_delay_s: float = Field(2, ge=0)
    downscale_delay_s: float = Field(300, ge=0)
    fronts: int = Field(1, ge=1, le=1000)
    cores: int = Field(4, ge=1, le=1024)  # of each worker
    num_cpus: float | None = Field(None, ge=0)  # that Ray sets aside for a worker; default `cores`
    num_gpus: float = Field(0, ge=0)  # the same of GPUs
    drain: Literal["speech", "sessions"] = "sessions"  # what a worker that is to end waits for
    drain_timeout_s: int = Field(300, ge=0)
    origins: Words
    trusted_proxies: Words  # networks of fronts that join later than a worker
    upload_limit: int = Field(64, ge=1, le=4096)  # MiB
    serve: Words  # further options of `lipstream serve`

    @field_validator("avatars", mode="before")
    @classmethod
    def _named_paths(cls, value: Any) -> Any:
        """Read "NAME=PATH:NAME=PATH", as the variable of `lipstream serve` is written."""
        if not isinstance(value, str):
            return value
        pairs = [one.partition("=") for one in value.split(":") if one]
        if not all(name and path for name, _, path in pairs):
            raise ValueError("write NAME=PATH:NAME=PATH")
        return {name: path for name, _, path in pairs}

    @field_validator("origins", "trusted_proxies", "serve", mode="before")
    @classmethod
    def _words(cls, value: Any) -> Any:
        """Read one text as a shell would."""
        return shlex.split(value) if isinstance(value, str) else value

    @property
    def secret(self) -> str | None:
        """The token itself."""
        return None if self.token is None else self.token.get_secret_value()


def read_options(arguments: Mapping[str, Any], environment: Mapping[str, str]) -> RayOptions:
    """Arguments first, then variables such as LIPSTREAM_RAY_MAX_WORKERS. OptionError for one that
    does not exist or fit."""
    given: dict[str, Any] = {}
    for name in RayOptions.model_fields:
        variable = SHARED.get(name, PREFIX + name.upper())
        if environment.get(variable):
            given[name] = environment[variable]
    try:
        options = RayOptions.model_validate({**given, **arguments})
    except ValidationError as error:
        wrong = error.errors(include_input=False, include_url=False)[0]
        name = ".".join(map(str, wrong["loc"]))
        raise OptionError(
            f"{name}: {wrong['msg']}; change this option of the application."
        ) from None
    if options.min_workers > options.max_workers:
        raise OptionError(
            f"min_workers {options.min_workers} is more than max_workers {options.max_workers}; "
            "change one of them."
        )
    return options
