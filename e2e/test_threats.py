# SPDX-License-Identifier: Apache-2.0
"""SECURITY.md: what it promises is tested, and what needs no cluster is tested here."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import yaml

from e2e.peers import ROOT

CRD = ROOT / "manifests/crd/acme-dns-operator.github.io_acmednsregistrations.yaml"


def test_every_test_that_is_named_exists() -> None:
    text = re.sub(r"\s+", " ", (ROOT / "SECURITY.md").read_text())
    named = re.findall(r"`(\w+\.(?:c|py))(?:: (\w+))?`", text)
    assert len(named) > 30
    for file, test in named:
        (path,) = [*ROOT.glob(f"pkg/*/{file}"), *ROOT.glob(f"e2e/{file}")]
        assert re.search(rf"\b{test}\(" if test else ".", path.read_text()), (file, test)


def test_every_line_of_a_table_names_a_test() -> None:
    lines = [line for line in (ROOT / "SECURITY.md").read_text().splitlines() if line[:1] == "|"]
    rows = [line for line in lines if not re.match(r"\|(---|.* tests \|$)", line)]
    assert len(rows) > 10
    for row in rows:
        assert re.search(r"`\w+\.(c|py)\b", row.strip("|").split(" | ")[-1]), row


def names(schema: dict[str, Any]) -> Iterator[str]:
    """Return the names of all fields below."""
    for name, field in schema.get("properties", {}).items():
        yield name
        yield from names(field)
    for below in ("items", "additionalProperties"):
        if isinstance(schema.get(below), dict):
            yield from names(schema[below])


def test_no_field_names_a_namespace() -> None:
    (version,) = yaml.safe_load(CRD.read_text())["spec"]["versions"]
    spec = version["schema"]["openAPIV3Schema"]["properties"]["spec"]
    found = list(names(spec))
    assert "accountSecretRef" in found and "key" in found
    assert not [name for name in found if "namespace" in name.lower()]
