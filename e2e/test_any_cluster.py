# SPDX-License-Identifier: Apache-2.0
"""What holds on any cluster that the operator runs in, with any acme-dns that it can reach.

By itself this module uses the local control plane, a stand-in and an operator of its own. In a
pipeline, with the operator installed in a cluster of yours:

    pytest e2e/test_any_cluster.py --kubeconfig FILE --acme-dns-url URL

The URL is the one that the operator reaches; the kubeconfig's user makes a namespace for each test.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from e2e.acmedns.client import AcmeDns
from e2e.cluster import Cluster
from e2e.scene import GROUP, KEY, SECRET, Site, registration


@dataclass
class Place:
    """A cluster with the operator in it, an acme-dns, and a namespace for one test."""

    cluster: Cluster
    url: str
    namespace: str

    def apply(self, *domains: str, name: str = "example", **spec: object) -> None:
        """Apply an object as a user does."""
        obj = registration(self.url, *domains, name=name, **spec)
        obj["metadata"]["namespace"] = self.namespace
        self.cluster.apply(obj)

    def wait_ready(self, name: str = "example") -> None:
        """Wait with kubectl."""
        self.cluster.wait("adr", name, "condition=Ready", self.namespace, timeout=60)

    def records(self, name: str = "example") -> dict[str, str]:
        """Return the CNAME that status asks for, by domain."""
        status = self.cluster.get("adr", name, self.namespace)["status"]
        return {each["domain"]: each["value"] for each in status["records"]}

    def accounts(self) -> dict[str, dict[str, object]]:
        """Return the accounts in the Secret."""
        return json.loads(self.cluster.secret_data(SECRET, self.namespace)[KEY])


@pytest.fixture
def place(request: pytest.FixtureRequest) -> Iterator[Place]:
    """Make a namespace in the cluster that was named, or in our own."""
    kubeconfig = request.config.getoption("--kubeconfig")
    if kubeconfig:
        cluster = Cluster(Path(kubeconfig))
        url = request.config.getoption("--acme-dns-url")
    else:
        site: Site = request.getfixturevalue("site")
        server: AcmeDns = request.getfixturevalue("acme_dns")
        site.run()
        cluster, url = site.plane, server.url
    namespace = cluster.create_namespace()
    yield Place(cluster, url, namespace)
    cluster.kubectl("delete", "adr", "--all", "-n", namespace)
    cluster.kubectl("delete", "namespace", namespace, "--wait=false")


def test_each_domain_gets_an_account_and_a_record(place: Place) -> None:
    place.apply("example.com", "*.example.com", "www.example.org")
    place.wait_ready()
    accounts = place.accounts()
    assert sorted(accounts) == ["example.com", "www.example.org"]
    assert place.records() == {name: each["fulldomain"] for name, each in accounts.items()}
    assert all(each["server_url"] == place.url for each in accounts.values())


def test_two_objects_share_a_secret(place: Place) -> None:
    place.apply("one.example.com", name="one")
    place.apply("two.example.com", name="two")
    place.wait_ready("one")
    place.wait_ready("two")
    assert sorted(place.accounts()) == ["one.example.com", "two.example.com"]


def test_an_account_survives_its_object(place: Place) -> None:
    place.apply("example.com")
    place.wait_ready()
    before = place.accounts()
    place.cluster.delete("adr", "example", place.namespace)
    place.apply("example.com")
    place.wait_ready()
    assert place.accounts() == before


def test_shared_means_one_account(place: Place) -> None:
    place.apply("example.com", "example.org", accountPolicy="Shared")
    place.wait_ready()
    names = {each["subdomain"] for each in place.accounts().values()}
    assert len(names) == 1 and len(place.accounts()) == 2


def test_the_secret_gets_what_the_template_says(place: Place) -> None:
    place.apply("example.com", secretTemplate={"labels": {"mine": "yes"}})
    place.wait_ready()
    secret = place.cluster.get("secret", SECRET, place.namespace)
    assert secret["metadata"]["labels"]["mine"] == "yes"


def test_foreign_entries_are_kept(place: Place) -> None:
    foreign = {"other.example.net": {"username": "u", "note": [1, {"deep": None}]}}
    place.cluster.apply(
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {
                "name": SECRET,
                "namespace": place.namespace,
                "annotations": {f"{GROUP}/adopt": "true"},
            },
            "stringData": {KEY: json.dumps(foreign), "README": "mine"},
        }
    )
    place.apply("example.com")
    place.wait_ready()
    assert place.accounts()["other.example.net"] == foreign["other.example.net"]
    assert place.cluster.secret_data(SECRET, place.namespace)["README"] == b"mine"
