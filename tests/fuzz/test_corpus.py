"""All inputs of the corpus, without a fuzzer."""

from __future__ import annotations

import pytest

from tests.fuzz.targets import CORPUS, TARGETS


@pytest.mark.parametrize("name", TARGETS)
def test_no_input_of_the_corpus_is_a_fault(name: str) -> None:
    paths = sorted((CORPUS / name).iterdir())
    assert paths
    with TARGETS[name].open() as check:
        for path in paths:
            print(path.name)  # shown when it fails
            check(path.read_bytes())
