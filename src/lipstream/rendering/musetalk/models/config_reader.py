"""The `config.json` of a published network: every value is honoured or refused.

A config that is quietly ignored loads well and generates nonsense.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import NoReturn, TypeVar

from lipstream.errors import CheckpointError

_Value = TypeVar("_Value")
MAX_COUNT = 1 << 16  # of anything that is counted; the widest published layer has 10,240


class ConfigReader:
    """The values of one config; each is taken once, and what is left at the end is refused."""

    def __init__(self, config: Mapping[str, object], source: str, kind: str) -> None:
        self._source = source  # file or network, as the user would look for it
        if not isinstance(config, Mapping):
            raise CheckpointError(f"{source} holds no JSON object; it should describe one {kind}.")
        found = config.get("_class_name", kind)
        if found != kind:
            raise CheckpointError(f"{source} describes {found!r}, but this must be one {kind}.")
        # Keys with an underscore are about the program that wrote the file.
        self._left = {key: value for key, value in config.items() if not key.startswith("_")}

    def count(self, key: str, default: int) -> int:
        """A whole number from 1 to `MAX_COUNT`."""
        value = self._left.pop(key, default)
        if isinstance(value, int) and _is_count(value):
            return value
        return self._refuse(key, value, f"a whole number from 1 to {MAX_COUNT}")

    def number(self, key: str, default: float) -> float:
        """A finite number."""
        value = self._left.pop(key, default)
        if isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < 1e30:
            return float(value)
        return self._refuse(key, value, "a number")

    def positive(self, key: str, default: float) -> float:
        """A number above 0."""
        value = self.number(key, default)
        return value if value > 0 else self._refuse(key, value, "a number above 0")

    def flag(self, key: str, default: bool) -> bool:
        """True or false."""
        value = self._left.pop(key, default)
        return value if isinstance(value, bool) else self._refuse(key, value, "true or false")

    def counts(self, key: str, default: tuple[int, ...]) -> tuple[int, ...]:
        """A list of whole numbers from 1 to `MAX_COUNT`."""
        value = self._left.pop(key, default)
        if isinstance(value, (list, tuple)) and value and all(map(_is_count, value)):
            return tuple(value)
        return self._refuse(key, value, f"a list of whole numbers from 1 to {MAX_COUNT}")

    def per_level(self, key: str, default: int, levels: int) -> tuple[int, ...]:
        """One whole number for all levels, or a list with one for each."""
        if _is_count(self._left.get(key, default)):
            return (self.count(key, default),) * levels
        values = self.counts(key, ())
        if len(values) == levels:
            return values
        return self._refuse(key, list(values), f"one whole number or a list of {levels}")

    def choice(self, key: str, default: _Value, known: Collection[_Value]) -> _Value:
        """One of a few values."""
        value = self._left.pop(key, default)
        if type(value) is type(default) and value in known:  # True is no 1
            return value
        return self._refuse(key, value, " or ".join(map(str, known)))

    def choices(self, key: str, default: tuple[str, ...], known: Collection[str]) -> list[str]:
        """A list of names, each of them known."""
        value = self._left.pop(key, default)
        names = list(known)
        if isinstance(value, (list, tuple)) and value and all(name in names for name in value):
            return list(value)
        return self._refuse(key, value, f"a list of {' or '.join(known)}")

    def same_length(self, key: str, values: Collection[_Value], levels: int) -> None:
        """Refuse a list that has not one value per level."""
        if len(values) != levels:
            self._refuse(key, list(values), f"a list of {levels}, one per block_out_channels")

    def uniform(self, key: str, values: Collection[int]) -> None:
        """Refuse a list of different values."""
        if len(set(values)) > 1:
            self._refuse(key, list(values), "one value in every place")

    def multiple(self, key: str, values: Collection[int], divisors: Collection[int]) -> None:
        """Refuse widths that cannot be cut into as many groups or heads."""
        for value, divisor in zip(values, divisors, strict=True):
            if value % divisor:
                self._refuse(key, value, f"a multiple of {divisor}, its groups or heads")

    def fixed(self, **accepted: object) -> None:
        """Keys for which only one value is supported."""
        for key, value in accepted.items():
            found = self._left.pop(key, value)
            if found != value or isinstance(found, bool) != isinstance(value, bool):
                self._refuse(key, found, repr(value))

    def ignore(self, *keys: str) -> None:
        """Keys that change nothing in what is computed."""
        for key in keys:
            self._left.pop(key, None)

    def finish(self) -> None:
        """Refuse the keys that were not read, unless they are off."""
        for key, value in self._left.items():
            if value is not None and value is not False:
                raise CheckpointError(
                    f"{self._source} sets {key} to {value!r}, which lipstream does not know; "
                    "remove the key if the network does not need it."
                )

    def _refuse(self, key: str, value: object, expected: str) -> NoReturn:
        raise CheckpointError(
            f"{self._source} sets {key} to {value!r}, but lipstream supports only {expected}."
        )


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 < value <= MAX_COUNT
