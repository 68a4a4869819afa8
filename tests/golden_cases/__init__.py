"""The kinds of golden cases: one module each, with `check(path) -> list[Outcome]`."""
