# SPDX-License-Identifier: Apache-2.0
"""A scene for one test: a namespace and an acme-dns stand-in of its own, and the operator."""

from __future__ import annotations

import base64
import json
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from e2e.acmedns.client import AcmeDns
from e2e.cluster import ControlPlane, Object
from e2e.operator import NAMESPACE, SERVICE_ACCOUNT, USER, Operator, install
from e2e.pebble import Certificate, Pebble
from e2e.peers import present
from e2e.process import eventually

GROUP = "acme-dns-operator.github.io"
SECRET = "acme-dns"
KEY = "acmedns.json"
OWN_KEY = "acme-dns-operator.json"
ADOPT = f"{GROUP}/adopt"
# Enough for a busy machine and the sanitizers; nothing waits that long when all is well.
PATIENCE = 30.0


def registration(host: str, *names: str, name: str = "example", **spec: Any) -> Object:
    """Build an AcmeDnsRegistration for names; more of the spec, or other values, by keyword.

    Its CNAMEs are not looked up unless that says so.
    """
    return {
        "apiVersion": f"{GROUP}/v1alpha1",
        "kind": "AcmeDnsRegistration",
        "metadata": {"name": name},
        "spec": {
            "host": host,
            "accountSecretRef": {"name": SECRET},
            "domains": list(names),
            "cname": {"verify": False},
            **spec,
        },
    }


def secret_ref(name: str = SECRET, key: str = KEY) -> Object:
    """Return spec.accountSecretRef."""
    return {"name": name, "key": key}


def account(number: int = 1, **more: Any) -> Object:
    """Return an account as acme-dns answers it, of no server; more members by keyword."""
    subdomain = f"{number:08x}-0000-4000-8000-000000000000"
    return {
        "username": f"{number:08x}-0000-4000-8000-000000000001",
        "password": f"{number:040d}",
        "fulldomain": f"{subdomain}.auth.test",
        "subdomain": subdomain,
        "allowfrom": [],
        **more,
    }


def condition(obj: Object, kind: str) -> Object | None:
    """Return a condition of the object if it speaks of the present spec."""
    for each in obj.get("status", {}).get("conditions", []):
        if each["type"] == kind and each.get("observedGeneration") == _generation(obj):
            return each
    return None


def records(obj: Object) -> dict[str, str]:
    """Return the value of each record by domain."""
    return {each["domain"]: each["value"] for each in obj["status"].get("records", [])}


def _generation(obj: Object) -> int:
    return obj["metadata"]["generation"]


class Site:
    """The control plane with the operator installed, and at most one operator running on it."""

    def __init__(self, plane: ControlPlane, directory: Path) -> None:
        """Install CRD, ServiceAccount and RBAC, as shipped."""
        self.plane = plane
        self.directory = directory
        install(plane)
        self.kubeconfig = self.credentials("operator")
        self._operator: Operator | None = None

    def credentials(self, name: str) -> Path:
        """Write a kubeconfig with a fresh token of the operator's ServiceAccount."""
        path = self.directory / f"{name}.kubeconfig"
        return self.plane.service_account_kubeconfig(NAMESPACE, SERVICE_ACCOUNT, path)

    def run(
        self,
        *flags: str,
        without: str | None = None,
        program: Sequence[str | Path] | None = None,
    ) -> Operator:
        """Return the operator with these flags, ending one with others.

        One of the flags that it has for the tests' sake may be left out. A program may stand
        before it.
        """
        wanted = Operator(self.kubeconfig, self.directory, *flags, program=program)
        if without is not None:
            wanted.process.argv.remove(without)
        if self._operator is not None:
            if not self._operator.process.running:
                self.vacate()
            elif self._flags(self._operator) == self._flags(wanted):
                return self._operator
            else:
                self.vacate()
        self._operator = wanted
        wanted.start()
        return wanted

    def vacate(self) -> None:
        """End the operator, if one runs, and see that it ends well."""
        operator, self._operator = self._operator, None
        if operator is not None:
            operator.stop()

    @staticmethod
    def _flags(operator: Operator) -> list[str]:
        return [flag for flag in operator.process.argv if "-bind-address=" not in flag]


class Scene:
    """A namespace of its own; every object in it is taken away at the end."""

    def __init__(self, site: Site, server: AcmeDns) -> None:
        """Make the namespace; the log and the audit log count from here."""
        self.site = site
        self.plane = site.plane
        self.server = server
        self.namespace = site.plane.create_namespace()
        self.mark = site.plane.audit_mark()
        self._namespaces = [self.namespace]

    def close(self) -> None:
        """Delete the objects, so that nothing is done for them while other tests run."""
        for namespace in self._namespaces:
            self.plane.api("DELETE", self._path(namespace))

    def another_namespace(self) -> str:
        """Make one more namespace."""
        self._namespaces.append(self.plane.create_namespace())
        return self._namespaces[-1]

    # objects

    def create(self, obj: Object, namespace: str | None = None) -> Object:
        """Create an AcmeDnsRegistration."""
        return self.plane.api("POST", self._path(namespace), obj)

    def register(self, *domains: str, name: str = "example", **spec: Any) -> Object:
        """Create an object for the stand-in and wait until it is Ready."""
        self.create(registration(self.server.url, *domains, name=name, **spec))
        return self.wait_ready(name)

    def get(self, name: str = "example", namespace: str | None = None) -> Object:
        """Return an AcmeDnsRegistration."""
        return self.plane.api("GET", f"{self._path(namespace)}/{name}")

    def objects(self) -> list[Object]:
        """Return all of them."""
        return self.plane.api("GET", self._path(None))["items"]

    def change(self, name: str = "example", **spec: Any) -> Object:
        """Change fields of the spec; None takes one away."""
        return self.plane.api("PATCH", f"{self._path(None)}/{name}", {"spec": spec})

    def annotate(self, act: str, value: str | None, name: str = "example") -> None:
        """Ask for an act, "rotate", "probe" or "verify"; None takes the wish back."""
        change = f"{GROUP}/{act}={value}" if value is not None else f"{GROUP}/{act}-"
        where = f"--namespace={self.namespace}"
        self.plane.kubectl("annotate", "--overwrite", "adr", name, where, change)

    def wait_handled(
        self, act: str, value: str, name: str = "example", timeout: float = PATIENCE
    ) -> Object:
        """Wait until an act is done, and return the object."""

        def done() -> bool:
            return bool(self.get(name)["status"].get("lastHandled", {}).get(act) == value)

        eventually(done, timeout, f"{act} {value} is handled")
        return self.get(name)

    def delete(self, name: str = "example") -> None:
        """Delete an AcmeDnsRegistration."""
        self.plane.api("DELETE", f"{self._path(None)}/{name}")

    def wait(
        self,
        name: str = "example",
        namespace: str | None = None,
        timeout: float = PATIENCE,
        **wanted: str,
    ) -> Object:
        """Wait until conditions are so, each Type="Status" or Type="Status/Reason"."""

        def is_so(obj: Object, kind: str, value: str) -> bool:
            found = condition(obj, kind)
            return found is not None and value in (
                found["status"],
                f"{found['status']}/{found['reason']}",
            )

        def all_so(obj: Object) -> bool:
            return all(is_so(obj, kind, value) for kind, value in wanted.items())

        return self._await(lambda: self.get(name, namespace), all_so, timeout, f"{wanted}")

    def wait_ready(
        self, name: str = "example", namespace: str | None = None, timeout: float = PATIENCE
    ) -> Object:
        """Wait until the object is Ready for its present spec."""
        return self.wait(name, namespace, timeout, Ready="True")

    def wait_all_ready(self, count: int, timeout: float) -> list[Object]:
        """Wait until so many objects are Ready."""

        def ready(items: list[Object]) -> bool:
            found = [condition(each, "Ready") for each in items]
            return [each["status"] for each in found if each] == ["True"] * count

        return self._await(self.objects, ready, timeout, f"{count} are Ready")

    # Secrets

    def put_secret(self, data: dict[str, bytes | str], name: str = SECRET, **more: Any) -> Object:
        """Create a Secret as a person would; metadata, type or immutable by keyword."""
        body = {"data": {key: _base64(value) for key, value in data.items()}, **more}
        body["metadata"] = {**more.get("metadata", {}), "name": name}
        return self.plane.api("POST", self._secrets(), body)

    def patch_secret(self, change: Object, name: str = SECRET) -> Object:
        """Send a merge patch."""
        return self.plane.api("PATCH", f"{self._secrets()}/{name}", change)

    def set_value(self, value: bytes | str, key: str = KEY, name: str = SECRET) -> None:
        """Write one value of a Secret."""
        self.patch_secret({"data": {key: _base64(value)}}, name)

    def secret(self, name: str = SECRET, namespace: str | None = None) -> Object:
        """Return a Secret as the API has it."""
        return self.plane.api("GET", f"{self._secrets(namespace)}/{name}")

    def secrets(self) -> dict[str, Object]:
        """Return all Secrets of the namespace by name."""
        items = self.plane.api("GET", self._secrets())["items"]
        return {each["metadata"]["name"]: each for each in items}

    def delete_secret(self, name: str = SECRET) -> Object:
        """Delete a Secret and return what it was, to be created again."""
        before = self.secret(name)
        self.plane.api("DELETE", f"{self._secrets()}/{name}")
        return {field: before[field] for field in ("data", "type")}

    def value(self, key: str = KEY, name: str = SECRET, namespace: str | None = None) -> bytes:
        """Return one value of a Secret."""
        return self.plane.secret_data(name, namespace or self.namespace)[key]

    def accounts(self, key: str = KEY, name: str = SECRET, namespace: str | None = None) -> Object:
        """Return the accounts in a Secret by domain."""
        return secret_documents(self.plane, namespace or self.namespace, name, key)

    def own_document(self, name: str = SECRET, namespace: str | None = None) -> Object:
        """Return the operator's own document in a Secret."""
        return self.accounts(OWN_KEY, name, namespace)

    def present(self, domain: str, key: str = KEY, namespace: str | None = None) -> str:
        """Have cert-manager's solver present a token for a domain; return the subdomain of it."""
        token = f"token-of-{domain}".replace(".", "-").replace("*", "all")[:43].ljust(43, "_")
        present(self.value(key, namespace=namespace), self.server.url, domain, token)
        update = self.server.updates()[-1]
        assert update["txt"] == token and update["status"] == 200
        return update["subdomain"]

    def issue(self, pebble: Pebble, *names: str, **options: float) -> Certificate:
        """Have a certificate made with the accounts in the Secret; see Pebble.issue()."""
        secret = f"{self.namespace}/{SECRET}/{KEY}"
        return pebble.issue(self.plane.kubeconfig, self.server.url, secret, *names, **options)

    # what was done

    def posts(self) -> list[Object]:
        """Return the registrations that the stand-in was asked for."""
        return self.server.requests("/register")

    def requests(self, namespace: str | None = None, since: int | None = None) -> list[Object]:
        """Return the audit events of the operator in the namespace: no list, watch or lease."""
        return self.plane.audit(
            self.mark if since is None else since,
            user=USER,
            namespace=namespace or self.namespace,
        )

    def counts(self, namespace: str | None = None, since: int | None = None) -> Counter[str]:
        """Count them by "verb resource", with the subresource behind a slash."""
        return Counter(summary(event) for event in self.requests(namespace, since))

    def events(self, name: str = "example") -> list[Object]:
        """Return the Kubernetes events about an object, oldest first."""
        path = f"/apis/events.k8s.io/v1/namespaces/{self.namespace}/events"
        found = self.plane.api("GET", path)["items"]
        of = [each for each in found if each["regarding"].get("name") == name]
        return sorted(of, key=lambda each: each["eventTime"])

    def wait_event(self, reason: str, name: str = "example") -> Object:
        """Wait for an event with that reason and return it."""

        def of(items: list[Object]) -> list[Object]:
            return [each for each in items if each["reason"] == reason]

        return of(self._await(lambda: self.events(name), of, PATIENCE, f"event {reason}"))[0]

    def wait_looks(self, count: int, name: str = SECRET, since: int | None = None) -> None:
        """Wait until the operator has read a Secret so many times from now, or since a mark."""
        mark = self.plane.audit_mark() if since is None else since
        eventually(
            lambda: len(self._looks(mark, name)) >= count, PATIENCE, f"{count} looks at {name}"
        )

    def _looks(self, since: int, name: str) -> list[Object]:
        events = self.requests(since=since)
        return [e for e in events if summary(e) == "get secrets" and _name(e) == name]

    def _await(
        self, read: Callable[[], Any], good: Callable[[Any], Any], timeout: float, what: str
    ) -> Any:
        """Read until it is good; an error shows what was read last."""
        last: list[Any] = [None]

        def check() -> Any:
            last[0] = read()
            return good(last[0])

        try:
            eventually(check, timeout, what)
        except AssertionError as error:
            shown = json.dumps(last[0], indent=1)[-6000:]
            raise AssertionError(f"{error}; it is:\n{shown}") from None
        return last[0]

    def _path(self, namespace: str | None = None) -> str:
        where = namespace or self.namespace
        return f"/apis/{GROUP}/v1alpha1/namespaces/{where}/acmednsregistrations"

    def _secrets(self, namespace: str | None = None) -> str:
        return f"/api/v1/namespaces/{namespace or self.namespace}/secrets"


def secret_documents(plane: ControlPlane, namespace: str, name: str, key: str) -> Object:
    """Return a value of a Secret, decoded from JSON."""
    return json.loads(plane.secret_data(name, namespace)[key])


def summary(event: Object) -> str:
    """Return "verb resource" of an audit event, with the subresource behind a slash."""
    reference = event.get("objectRef", {})
    parts = (reference.get("resource", event["requestURI"]), reference.get("subresource"))
    return f"{event['verb']} {'/'.join(filter(None, parts))}"


def is_write(event: Object) -> bool:
    """Whether an audit event is one of a write."""
    return event["verb"] not in ("get", "list", "watch")


def _name(event: Object) -> str:
    return event.get("objectRef", {}).get("name", "")


def _base64(value: bytes | str) -> str:
    return base64.b64encode(value.encode() if isinstance(value, str) else value).decode()
