"""Every fault fits the source as it is, names tests that exist, and an unnoticed one is told."""

from __future__ import annotations

import ast
from dataclasses import replace

import pytest

from tests.faults.catalogue import PROMISES
from tests.faults.fault import Fault, StaleFaultError
from tests.faults.trial import PACKAGE, ROOT, attempt, passing

FAULTS = {
    f"{promise.name}: {fault.what}": fault
    for promise in PROMISES.values()
    for fault in promise.faults
}
LOG = "server/rtc/guards/test_drop_log.py::test_a_cause_has_one_line_a_minute"
HARMLESS = Fault(
    "a bound is told otherwise",
    "server/rtc/guards/drop_log.py",
    "# between two lines about one cause",
    "# between two lines",
    (LOG,),
)


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_fits_the_source_as_it_is(name: str) -> None:
    fault = FAULTS[name]
    text = (PACKAGE / fault.file).read_text("utf-8")
    ast.parse(fault.changed(text))
    assert fault.changed(text) != text


@pytest.mark.parametrize("name", FAULTS)
def test_the_tests_that_must_notice_it_exist(name: str) -> None:
    assert FAULTS[name].tests
    for test in FAULTS[name].tests:
        file, _, function = test.partition("::")
        tree = ast.parse((ROOT / "tests" / file).read_text("utf-8"))
        found = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
        assert not function or function.partition("[")[0] in found, test


def test_no_two_faults_have_one_name() -> None:
    assert len(FAULTS) == sum(len(promise.faults) for promise in PROMISES.values())


def test_a_fault_whose_place_has_changed_is_stale() -> None:
    gone = replace(HARMLESS, old="never was here")
    with pytest.raises(StaleFaultError, match=r"drop_log.py holds 0 times what .* replaces"):
        gone.changed((PACKAGE / gone.file).read_text("utf-8"))
    assert attempt(gone, LOG).verdict == "stale"


@pytest.mark.full
def test_what_is_noticed_is_told_from_what_is_not() -> None:
    noisy = replace(
        HARMLESS,
        old="if now - self._logged_ms.get(cause, now - MIN_LINE_MS) >= MIN_LINE_MS:",
        new="if True:",
    )
    assert passing([LOG]).code == 0
    assert attempt(noisy, LOG).verdict == "noticed"
    assert attempt(HARMLESS, LOG).verdict == "NOT NOTICED"
    assert attempt(replace(HARMLESS, new="\nimport nothing.such"), LOG).verdict == "broken"


@pytest.mark.full
@pytest.mark.parametrize("name", ["reports", "settings"])
def test_promises_that_are_cheap_to_try_are_kept(name: str) -> None:
    for fault in PROMISES[name].faults:
        for test in fault.tests:
            found = attempt(fault, test)
            assert found.verdict == "noticed", f"{fault.what}: {found.reason}"
