"""What deploy/ offers fits the program: its metrics, its addresses, its options."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from pathlib import Path
from typing import Any

import yaml
from prometheus_client.parser import text_string_to_metric_families

from lipstream.cli.front import front
from lipstream.cli.serve import serve
from tests.cluster.fake_workers import FakeCluster, run_cluster

DEPLOY = Path(__file__).parents[2] / "deploy"
NAME = re.compile(r"\b(?:lipstream|process)_[a-z0-9_]+")
SELECTED = re.compile(r"\b([a-z0-9_]+)\{([^}]*)\}")
GROUPED = re.compile(r"\bby \(([^)]*)\)")
OF_PROMETHEUS = {"worker", "instance", "le"}  # labels of targets, and of histograms
Labels = dict[str, set[str]]


def read_metrics(text: str, known: Labels) -> None:
    """Add the names of the metrics, as queries spell them, with their labels."""
    for family in text_string_to_metric_families(text):
        names = {sample.name for sample in family.samples}
        if family.type == "histogram":
            names |= {f"{family.name}_{end}" for end in ("bucket", "sum", "count")}
        if family.type == "counter":
            names.add(f"{family.name}_total")
        for name in names:
            for sample in family.samples:
                known[name] |= set(sample.labels)
            known[name] |= OF_PROMETHEUS


def board_queries() -> list[str]:
    board = json.loads((DEPLOY / "grafana" / "lipstream.json").read_text())
    return [target["expr"] for panel in board["panels"] for target in panel["targets"]]


def test_every_query_of_the_board_asks_for_what_is_told() -> None:
    known: Labels = defaultdict(set)

    async def test(cluster: FakeCluster) -> None:
        for _ in range(3):
            made = await cluster.open()
        assert (await cluster.http.post("/v1/sessions", json={"avatar": "face"})).is_error
        await cluster.http.delete(f"/v1/sessions/{made['id']}")
        cluster.front.metrics.refused("full")
        (worker,) = cluster.workers.values()
        read_metrics(await worker.metrics(), known)
        read_metrics((await cluster.http.get("/metrics")).text, known)

    run_cluster(test, 1)
    queries = board_queries()
    assert len(queries) > 10
    for query in queries:
        names = NAME.findall(query)
        assert names and not [name for name in names if name not in known], query
        labels = {part.strip() for group in GROUPED.findall(query) for part in group.split(",")}
        for _, selected in SELECTED.findall(query):
            labels |= set(re.findall(r"([a-z_]+)\s*(?:=|!)", selected))
        assert labels <= set.union(*(known[name] for name in names)), query


def test_prometheus_finds_the_workers_where_the_front_lists_them() -> None:
    read = yaml.safe_load((DEPLOY / "prometheus-cluster.yml").read_text())
    one, workers = read["scrape_configs"]
    (found,) = workers["http_sd_configs"]
    (target,) = one["static_configs"][0]["targets"]
    assert found["url"] == f"http://{target}/v1/cluster"


def documents() -> list[dict[str, Any]]:
    return list(yaml.safe_load_all((DEPLOY / "kubernetes.yaml").read_text()))


def test_options_in_kubernetes_are_options_of_the_program() -> None:
    checked = []
    for document in documents():
        for one in document["spec"].get("template", {}).get("spec", {}).get("containers", []):
            _, command = one["command"]
            options = {"serve": serve, "front": front}[command].params
            known = {flag for option in options for flag in option.opts}
            assert {argument.partition("=")[0] for argument in one["args"]} <= known
            paths = {probe["httpGet"]["path"] for key, probe in one.items() if "Probe" in key}
            assert paths <= {"/healthz", "/readyz"}
            checked.append(command)
    assert checked == ["serve", "front"]


def test_names_in_kubernetes_lead_to_each_other() -> None:
    by_kind: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for document in documents():
        by_kind[document["kind"]].append(document)
    (workers,), (fronts,) = by_kind["StatefulSet"], by_kind["Deployment"]
    name, service = workers["metadata"]["name"], workers["spec"]["serviceName"]
    arguments = fronts["spec"]["template"]["spec"]["containers"][0]["args"]
    given = [argument for argument in arguments if argument.startswith("--worker=")]
    expected = [
        f"--worker=w{n}=http://{name}-{n}.{service}:8080"
        for n in range(workers["spec"]["replicas"])
    ]
    assert given == expected
    applications = {
        document["spec"]["template"]["metadata"]["labels"]["app"] for document in (workers, fronts)
    }
    assert {one["spec"]["selector"]["app"] for one in by_kind["Service"]} == applications
