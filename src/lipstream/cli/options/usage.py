"""The sentence for a wrong call, which names the option, variable or file to change."""

from __future__ import annotations

import re
from pathlib import Path

import click
from click.core import ParameterSource


def usage_sentence(error: click.ClickException) -> str:
    """Click's error as a sentence of ours."""
    context = getattr(error, "ctx", None)
    see = f"see `{context.command_path if context else 'lipstream'} --help`."
    if isinstance(error, click.BadParameter) and error.param and context:
        if isinstance(error, click.MissingParameter):
            return f"{_missing(error.param)}, or {see}"
        origin = _origin(error.param, context)
        if isinstance(error.param.type, click.types.BoolParamType):
            return f"{origin} is neither true nor false; write 1 or 0."
        message = f"{origin}: {error.message.rstrip('.')}"
        # Our own types say what to write instead; click's only say what is wrong.
        return f"{message}." if "; " in message else f"{message}; {see}"
    message = error.format_message().rstrip(".")
    message = re.sub(r"\. \(?Did you (.*\?)\)?$", r"; did you \1", message)
    message = message[:1].lower() + message[1:]
    return message if message.endswith("?") else f"{message}; {see}"


def _missing(parameter: click.Parameter) -> str:
    if isinstance(parameter, click.Option):
        return f"{flag(parameter)} is missing; give it, set {parameter.envvar}"
    return f"{parameter.human_readable_name} is missing; name it"


def _origin(parameter: click.Parameter, context: click.Context) -> str:
    """The place of a bad value: a variable, the configuration file, or the command line."""
    source = context.get_parameter_source(parameter.name or "")
    if source is ParameterSource.ENVIRONMENT:
        return str(parameter.envvar)
    if source is ParameterSource.DEFAULT_MAP:
        config: Path = context.find_root().params["config"]
        return f"{click.format_filename(config)}: {key(parameter)} in [{context.info_name}]"
    return flag(parameter) if isinstance(parameter, click.Option) else parameter.human_readable_name


def flag(parameter: click.Parameter) -> str:
    """The long name of an option, as it is typed."""
    return max(parameter.opts, key=len)


def key(parameter: click.Parameter) -> str:
    """The name of an option in a configuration file."""
    return flag(parameter).lstrip("-")
