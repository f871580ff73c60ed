# SPDX-License-Identifier: Apache-2.0
"""The CRD and the other manifests, on a real API server. The inputs stand in crd_cases.yaml."""

from __future__ import annotations

import copy
import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from e2e.cluster import ApiError, Cluster, ControlPlane, Object
from e2e.process import eventually
from e2e.scene import Site

ROOT = Path(__file__).resolve().parents[1]
MANIFESTS = ROOT / "manifests"
GROUP = "acme-dns-operator.github.io"
SYSTEM = "acme-dns-operator-system"
ROLES = "rbac.authorization.k8s.io"
CASES = yaml.safe_load((ROOT / "e2e" / "crd_cases.yaml").read_text(encoding="utf-8"))

LISTS = {
    "domains": lambda i: f"d{i}.example.com",
    "networks": lambda i: f"10.{i}.0.0/16",
    "headers": lambda i: {"name": f"X-{i}", "secretKeyRef": {"name": "a", "key": "b"}},
}


# --- the cases ---


def expand(value: Any) -> Any:
    """Write out what crd_cases.yaml abbreviates."""
    if isinstance(value, dict):
        return {expand(k): expand(v) for k, v in value.items()}
    if isinstance(value, list):
        return [expand(v) for v in value]
    if not isinstance(value, str):
        return value
    whole = re.fullmatch(r"<(domains|networks|headers|map)\*(\d+)>", value)
    if whole:
        kind, count = whole[1], range(int(whole[2]))
        return {f"k{i}": "v" for i in count} if kind == "map" else [LISTS[kind](i) for i in count]
    return re.sub(r"<([^<>]+)\*(\d+)>", lambda m: m[1] * int(m[2]), value)


def put(spec: Any, path: str, value: Any) -> None:
    """Set what stands at a dotted path, in which a number is an index of a list."""
    *parents, last = [int(p) if p.isdigit() else p for p in path.split(".")]
    for step in parents:
        spec = spec[step]
    if isinstance(spec, list) and last == len(spec):
        spec.append(value)
    else:
        spec[last] = value


def lay_over(spec: Object, changes: Object) -> Object:
    """Return a spec with the changes in it; None removes a field."""
    return {k: v for k, v in {**spec, **changes}.items() if v is not None}


def spec_of(group: Object, value: Any) -> Object:
    """Return the spec that a row stands for."""
    spec = copy.deepcopy(lay_over(CASES["base"], group.get("with", {})))
    if "put" in group:
        put(spec, group["put"], expand(value))
        return spec
    return lay_over(spec, expand(value))


def registration(name: str, spec: Object) -> Object:
    """Return an object with that spec."""
    kind = {"apiVersion": f"{GROUP}/v1alpha1", "kind": "AcmeDnsRegistration"}
    return {**kind, "metadata": {"name": name}, "spec": spec}


def parameters(kind: str) -> list[Any]:
    """Return (group, row) for each row of all groups."""

    def name(group: Object, row: Any) -> str:
        value = row[0] if kind == "bad" else row
        return f"{group['about']}: {json.dumps(value)}"[:60]

    return [
        pytest.param(group, row, id=name(group, row))
        for group in CASES[kind]
        for row in group["rows"]
    ]


# --- the server's side ---


class Server:
    """The control plane with our CRD, and a namespace of it."""

    def __init__(self, cluster: Cluster, namespace: str) -> None:
        """Keep both."""
        self.cluster = cluster
        self.namespace = namespace
        self._path = f"/apis/{GROUP}/v1alpha1/namespaces/{namespace}/acmednsregistrations"

    def kubectl(self, *arguments: str) -> str:
        """Run kubectl in the namespace and return what it printed."""
        return self.cluster.kubectl("-n", self.namespace, *arguments).stdout

    def create(self, obj: Object, query: str = "") -> Object:
        """Create an AcmeDnsRegistration."""
        return self.cluster.api("POST", f"{self._path}?{query}", obj)

    def patch(self, name: str, change: Object, rest: str = "") -> Object:
        """Send a merge patch for one; `rest` is what follows the name in the URL."""
        return self.cluster.api("PATCH", f"{self._path}/{name}{rest}", change)

    def get(self, name: str) -> Object:
        """Return one."""
        return self.cluster.api("GET", f"{self._path}/{name}")

    def delete(self, name: str) -> None:
        """Delete one."""
        self.cluster.api("DELETE", f"{self._path}/{name}")


@pytest.fixture(scope="module")
def server(control_plane: ControlPlane, site: Site) -> Server:
    """Put the CRD in place and make a namespace, with no operator that would answer."""
    site.vacate()
    control_plane.kubectl("apply", "-k", MANIFESTS / "crd")
    control_plane.wait("crd", f"acmednsregistrations.{GROUP}", "condition=Established")
    return Server(control_plane, control_plane.create_namespace("crd"))


@pytest.fixture
def stored(server: Server) -> Iterator[str]:
    """Store an object, give its name, and delete it afterwards."""
    server.create(registration("stored", CASES["base"]))
    yield "stored"
    server.delete("stored")


# --- the schema ---


@pytest.mark.parametrize(("group", "row"), parameters("bad"))
def test_bad_input_is_refused_and_the_field_named(server: Server, group: Object, row: Any) -> None:
    value, words = row
    with pytest.raises(ApiError) as refusal:
        server.create(registration("bad", spec_of(group, value)), "dryRun=All")
    assert refusal.value.status == 422
    answer = str(refusal.value)
    assert group["field"] in answer
    assert words in answer
    assert "evaluat" not in answer, "a rule must not fail by an error of its own"


@pytest.mark.parametrize(("group", "row"), parameters("good"))
def test_good_input_is_accepted(server: Server, group: Object, row: Any) -> None:
    server.create(registration("good", spec_of(group, row)), "dryRun=All&fieldValidation=Strict")


def largest_spec() -> Object:
    """Return a spec with every list full and every string as long as it may be."""
    tail = ".".join(["a" * 63, "b" * 63, "c" * 63, "d" * 40])
    prefix = ".".join(["p" * 63, "q" * 63, "r" * 63, "s" * 61])
    labels = {f"{prefix}/{'k' * 61}{i:02}": "v" * 63 for i in range(16)}
    annotations = dict.fromkeys(labels, "v" * 4096)
    reference = {"name": "n" * 253, "key": "k" * 253}
    headers = [{"name": f"{'h' * 126}{i:02}", "secretKeyRef": reference} for i in range(16)]
    return {
        "host": "https://[ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255]:65535/".ljust(2048, "p"),
        "accountSecretRef": {"name": "n" * 253, "key": "k" * 240},
        "domains": [f"*.d{i:03}.{tail}." for i in range(100)],
        "allowFrom": ["ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255/128"] * 100,
        "registrationAuth": {"headers": headers},
        "caBundle": "YWFh" * 21846,
        "secretTemplate": {"labels": labels, "annotations": annotations},
        "cname": {"dnsEndpoint": {"labels": labels, "annotations": annotations}},
    }


def test_the_largest_object_is_accepted(server: Server) -> None:
    server.create(registration("l" * 253, largest_spec()), "dryRun=All&fieldValidation=Strict")


def test_kubectl_shows_the_message(server: Server) -> None:
    obj = registration("bad", {**CASES["base"], "domains": ["example.com", "192.0.2.1"]})
    where = ("-n", server.namespace)
    text = json.dumps(obj)
    done = server.cluster.kubectl("apply", *where, "-f", "-", input=text, check=False)
    assert done.returncode == 1
    assert re.search(r"spec\.domains\[1\]: .*must hold names, not IP addresses", done.stderr)


@pytest.mark.parametrize("case", CASES["defaults"])
def test_defaults(server: Server, case: Object) -> None:
    obj = server.create(registration("defaults", case["spec"]), "dryRun=All")
    assert obj["spec"] == case["stored"]


def test_status_says_that_nobody_has_looked_yet(server: Server, stored: str) -> None:
    assert server.get(stored)["status"] == {"observedGeneration": -1}


@pytest.mark.parametrize("case", CASES["changes"], ids=lambda c: json.dumps(c["patch"])[:60])
def test_change(server: Server, stored: str, case: Object) -> None:
    change = {"spec": case["patch"]}
    if "words" not in case:
        server.patch(stored, change)
        return
    with pytest.raises(ApiError) as refusal:
        server.patch(stored, change)
    assert refusal.value.status == 422
    assert case["words"] in str(refusal.value)


@pytest.mark.parametrize(("change", "path"), CASES["unknown"])
def test_unknown_field_is_refused_and_named(server: Server, change: Object, path: str) -> None:
    obj = registration("unknown", lay_over(CASES["base"], change))
    with pytest.raises(ApiError, match=rf'unknown field "{re.escape(path)}"'):
        server.create(obj, "dryRun=All&fieldValidation=Strict")


@pytest.mark.parametrize("case", CASES["statuses"], ids=lambda c: json.dumps(c["status"])[:60])
def test_status(server: Server, stored: str, case: Object) -> None:
    change = {"status": case["status"]}
    if "words" not in case:
        server.patch(stored, change, "/status")
        assert server.get(stored)["status"] == case["status"]
        return
    with pytest.raises(ApiError) as refusal:
        server.patch(stored, change, "/status")
    assert refusal.value.status == 422
    assert case["words"] in str(refusal.value)


def test_status_is_not_written_with_the_object(server: Server, stored: str) -> None:
    server.patch(stored, {"status": {"observedGeneration": 7}})
    assert server.get(stored)["status"] == {"observedGeneration": -1}


def test_columns(server: Server, stored: str) -> None:
    status = CASES["statuses"][0]["status"]
    server.patch(stored, {"status": status}, "/status")
    short, wide = (
        [line.split() for line in server.kubectl("get", "adr", *options).splitlines()]
        for options in ([], ["-o", "wide"])
    )
    assert short[0] == ["NAME", "READY", "CNAME", "REASON", "AGE"]
    assert short[1][:4] == ["stored", "True", "Unknown", "Registered"]
    assert wide[0] == [*short[0], "HOST", "SECRET", "RECORD", "TARGET"]
    record = status["records"][0]
    assert wide[1][5:] == ["https://auth.example.com", "acme-dns", record["name"], record["value"]]


def test_names_of_the_kind(server: Server, stored: str) -> None:
    for name in ("adr", "acmednsregistration", "acmednsregistrations", "acme"):
        assert server.kubectl("get", name, "-o", "name").endswith(f"/{stored}\n")


@pytest.mark.parametrize(
    ("selector", "found"),
    [
        ("spec.host=https://auth.example.com", True),
        ("spec.host=https://other.example.com", False),
        ("spec.accountSecretRef.name=acme-dns", True),
        ("spec.accountSecretRef.name=other", False),
    ],
)
def test_selectable_fields(server: Server, stored: str, selector: str, found: bool) -> None:
    names = server.kubectl("get", "adr", "-o", "name", "--field-selector", selector)
    assert (stored in names) == found


def fields(schema: Object, path: str = "adr") -> Iterator[tuple[str, Object]]:
    """Yield every field below a schema, with its path, but for metadata: that is not ours."""
    for name, field in schema.get("properties", {}).items():
        if f"{path}.{name}" != "adr.metadata":
            yield f"{path}.{name}", field
            yield from fields(field, f"{path}.{name}")
    for key in ("items", "additionalProperties"):
        if key in schema:
            yield f"{path}[]", schema[key]
            yield from fields(schema[key], f"{path}[]")


def own_fields() -> list[tuple[str, Object]]:
    """Return the fields of the CRD's one version."""
    crd = yaml.safe_load(next((MANIFESTS / "crd").glob(f"{GROUP}_*.yaml")).read_text())
    (version,) = crd["spec"]["versions"]
    return list(fields(version["schema"]["openAPIV3Schema"]))


def test_every_field_is_described_and_bounded() -> None:
    for path, field in own_fields():
        assert len(field.get("description", "")) >= 12, path
        if field["type"] == "array":
            assert "maxItems" in field, path
            assert "x-kubernetes-list-type" in field, path
        if field["type"] == "string" and path not in ("adr.apiVersion", "adr.kind"):
            dated = field.get("format") == "date-time"
            assert dated or "maxLength" in field or "enum" in field, path
        if "additionalProperties" in field:
            assert "maxProperties" in field, path


def test_every_rule_has_a_short_message_that_names_the_field() -> None:
    for path, field in own_fields():
        names = path.replace("[]", "").split(".")[2:] or ["caBundle"]
        for rule in field.get("x-kubernetes-validations", []):
            assert len(rule["message"]) <= 256, path
            assert any(name in rule["message"] for name in names), path


@pytest.fixture(scope="module")
def _published(server: Server) -> None:
    """Wait for the schema, which is published a moment after the CRD is Established."""

    def is_there() -> bool:
        return server.cluster.kubectl("explain", "adr.spec", check=False).returncode == 0

    eventually(is_there, 30, "the schema is published")


@pytest.mark.usefixtures("_published")
@pytest.mark.parametrize("path", ["adr.spec.host", "adr.spec.domains", "adr.status.records"])
def test_explain(server: Server, path: str) -> None:
    text = " ".join(server.kubectl("explain", path).split())
    assert " ".join(dict(own_fields())[path]["description"].split()) in text


@pytest.mark.usefixtures("_published")
def test_the_server_publishes_every_field_with_its_description(server: Server) -> None:
    document = server.cluster.api("GET", f"/openapi/v3/apis/{GROUP}/v1alpha1")
    schemas = document["components"]["schemas"]
    (schema,) = [schemas[name] for name in schemas if name.endswith(".AcmeDnsRegistration")]
    published = {path: field.get("description") for path, field in fields(schema)}
    for path, field in own_fields():
        if path not in ("adr.apiVersion", "adr.kind"):
            assert published[path] == field["description"], path


# --- the manifests ---


def read(file: Path) -> list[Object]:
    """Return the documents of a file."""
    return list(yaml.safe_load_all(file.read_text()))


def of_kind(documents: list[Object], *kinds: str) -> list[Object]:
    """Return the documents of these kinds."""
    return [document for document in documents if document["kind"] in kinds]


def named(documents: list[Object], kind: str, name: str) -> Object:
    """Return the one document of that kind and name."""
    (found,) = [d for d in of_kind(documents, kind) if d["metadata"]["name"] == name]
    return found


@pytest.fixture(scope="module")
def rendered(control_plane: ControlPlane) -> list[Object]:
    """Return what `kubectl kustomize manifests` makes."""
    return list(yaml.safe_load_all(control_plane.kubectl("kustomize", MANIFESTS).stdout))


@pytest.mark.parametrize(
    "file", sorted((MANIFESTS / "samples").glob("*.yaml")), ids=lambda f: f.name
)
def test_sample(server: Server, file: Path) -> None:
    kinds = set()
    for document in read(file):
        kinds.add(document["kind"])
        if document["kind"] == "AcmeDnsRegistration":
            document["metadata"].pop("namespace", None)
            server.create(document, "dryRun=All&fieldValidation=Strict")
    assert kinds <= {"AcmeDnsRegistration", "Issuer", "ClusterIssuer", "Secret", "ConfigMap"}


def test_samples_fit_their_issuers() -> None:
    samples = MANIFESTS / "samples"
    (ours,), (issuer,) = read(samples / "registration.yaml"), read(samples / "issuer.yaml")
    cluster_ours, cluster_issuer = read(samples / "clusterissuer.yaml")
    for registered, reader in ((ours, issuer), (cluster_ours, cluster_issuer)):
        solver = reader["spec"]["acme"]["solvers"][0]["dns01"]["acmeDNS"]
        assert solver == {key: registered["spec"][key] for key in ("host", "accountSecretRef")}
        namespace = reader["metadata"].get("namespace", "cert-manager")
        assert registered["metadata"]["namespace"] == namespace


def test_render(control_plane: ControlPlane, rendered: list[Object]) -> None:
    assert sorted(document["kind"] for document in rendered) == [
        *(["ClusterRole"] * 4),
        "ClusterRoleBinding",
        "CustomResourceDefinition",
        "Deployment",
        "Namespace",
        "PodDisruptionBudget",
        "Role",
        "RoleBinding",
        "ServiceAccount",
    ]
    default = control_plane.kubectl("kustomize", MANIFESTS / "default").stdout
    assert list(yaml.safe_load_all(default)) == rendered


def test_another_namespace_by_an_overlay(control_plane: ControlPlane, tmp_path: Path) -> None:
    overlay = {"namespace": "elsewhere", "resources": [os.path.relpath(MANIFESTS, tmp_path)]}
    (tmp_path / "kustomization.yaml").write_text(yaml.safe_dump(overlay))
    text = control_plane.kubectl("kustomize", tmp_path).stdout
    assert SYSTEM not in text
    documents = list(yaml.safe_load_all(text))
    assert named(documents, "Namespace", "elsewhere")
    for binding in of_kind(documents, "RoleBinding", "ClusterRoleBinding"):
        assert [subject["namespace"] for subject in binding["subjects"]] == ["elsewhere"]


@pytest.fixture(scope="module")
def applied(server: Server, rendered: list[Object]) -> str:
    """Apply all but the operator itself, which gets a dry run; return what kubectl said."""
    rest = of_kind(rendered, "Deployment", "PodDisruptionBudget")
    server.cluster.apply([document for document in rendered if document not in rest])
    stream = yaml.safe_dump_all(rest)
    done = server.cluster.kubectl("apply", "--dry-run=server", "-f", "-", input=stream)
    return done.stdout + done.stderr


def test_the_operator_passes_a_dry_run_without_warnings(applied: str) -> None:
    assert sorted(applied.splitlines()) == [
        "deployment.apps/acme-dns-operator created (server dry run)",
        "poddisruptionbudget.policy/acme-dns-operator created (server dry run)",
    ]


def try_pod(cluster: Cluster, spec: Object) -> Object:
    """Create a pod in the operator's namespace, in a dry run."""
    metadata = {"name": "pod", "namespace": SYSTEM}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}
    return cluster.api("POST", f"/api/v1/namespaces/{SYSTEM}/pods?dryRun=All", pod)


def pod_spec(rendered: list[Object]) -> Object:
    """Return a copy of the Deployment's pod spec."""
    deployment = named(rendered, "Deployment", "acme-dns-operator")
    return copy.deepcopy(deployment["spec"]["template"]["spec"])


@pytest.mark.usefixtures("applied")
def test_pod_passes_restricted_pod_security(
    control_plane: ControlPlane, rendered: list[Object]
) -> None:
    labels = named(rendered, "Namespace", SYSTEM)["metadata"]["labels"]
    assert labels["pod-security.kubernetes.io/enforce"] == "restricted"
    pod = try_pod(control_plane, pod_spec(rendered))
    (volume,) = pod["spec"]["volumes"]
    assert volume["projected"]["sources"][0]["serviceAccountToken"]["path"] == "token"


@pytest.mark.usefixtures("applied")
@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("securityContext.runAsNonRoot", False),
        ("securityContext.runAsUser", 0),
        ("securityContext.seccompProfile", None),
        ("containers.0.securityContext.allowPrivilegeEscalation", True),
        ("containers.0.securityContext.capabilities", {"add": ["NET_ADMIN"]}),
        ("hostNetwork", True),
    ],
)
def test_a_looser_pod_is_refused(
    control_plane: ControlPlane, rendered: list[Object], path: str, value: Any
) -> None:
    spec = pod_spec(rendered)
    put(spec, path, value)
    with pytest.raises(ApiError, match='violates PodSecurity "restricted'):
        try_pod(control_plane, spec)


def test_deployment(rendered: list[Object]) -> None:
    deployment = named(rendered, "Deployment", "acme-dns-operator")
    assert deployment["spec"]["replicas"] == 2
    pod = deployment["spec"]["template"]["spec"]
    assert pod["terminationGracePeriodSeconds"] == 60
    assert pod["securityContext"]["runAsUser"] == 65532
    (container,) = pod["containers"]
    assert container["args"] == [
        "--leader-elect",
        "--metrics-bind-address=:8080",
        "--health-probe-bind-address=:8081",
    ]
    assert container["imagePullPolicy"] == "IfNotPresent"
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    assert container["resources"] == {
        "requests": {"cpu": "10m", "memory": "32Mi"},
        "limits": {"memory": "128Mi"},
    }


def test_image_stands_in_one_place_with_a_fixed_tag(rendered: list[Object]) -> None:
    image = pod_spec(rendered)["containers"][0]["image"]
    assert re.fullmatch(r"[a-z0-9./-]+:v\d+\.\d+\.\d+", image)
    lines = [
        line
        for file in MANIFESTS.rglob("*.yaml")
        for line in file.read_text().splitlines()
        if re.search(r"^\s*(- )?(image|newTag|newName):", line)
    ]
    assert [line.strip() for line in lines] == [f"image: {image}"]


def grants(role: Object) -> set[tuple[str, str, str]]:
    """Return a role's rules as a set of (group, resource, verb)."""
    return {
        (group, resource, verb)
        for rule in role["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }


def test_rbac_grants_exactly_what_is_used(rendered: list[Object]) -> None:
    main = named(rendered, "ClusterRole", "acme-dns-operator")
    kinds, status = "acmednsregistrations", "acmednsregistrations/status"
    assert grants(main) == {
        *((GROUP, kinds, verb) for verb in ("get", "list", "watch", "patch")),
        (GROUP, status, "patch"),
        *(("", "secrets", verb) for verb in ("get", "create", "patch")),
        ("", "configmaps", "get"),
        *(("events.k8s.io", "events", verb) for verb in ("create", "patch")),
    }
    leases = named(rendered, "Role", "acme-dns-operator-leader-election")
    assert grants(leases) == {
        ("coordination.k8s.io", "leases", verb) for verb in ("get", "create", "update")
    }
    assert leases["metadata"]["namespace"] == SYSTEM
    subject = {"kind": "ServiceAccount", "name": "acme-dns-operator", "namespace": SYSTEM}
    bindings = of_kind(rendered, "RoleBinding", "ClusterRoleBinding")
    assert [b["subjects"] for b in bindings] == [[subject], [subject]]
    assert {b["roleRef"]["name"] for b in bindings} == {
        main["metadata"]["name"],
        leases["metadata"]["name"],
    }


def test_rbac_for_dns_endpoints_is_apart(control_plane: ControlPlane) -> None:
    text = control_plane.kubectl("kustomize", MANIFESTS / "dns-endpoint").stdout
    role, binding = yaml.safe_load_all(text)
    assert (role["kind"], binding["kind"]) == ("ClusterRole", "ClusterRoleBinding")
    verbs = ("get", "create", "patch", "delete")
    assert grants(role) == {("externaldns.k8s.io", "dnsendpoints", verb) for verb in verbs}
    assert binding["roleRef"]["name"] == role["metadata"]["name"]
    subject = {"kind": "ServiceAccount", "name": "acme-dns-operator", "namespace": SYSTEM}
    assert binding["subjects"] == [subject]


def test_roles_for_users(rendered: list[Object]) -> None:
    views, writes = {"get", "list", "watch"}, {"create", "update", "patch", "delete"}
    expected = {
        "view": (views, {"view", "edit", "admin"}),
        "edit": (writes, {"edit", "admin"}),
        "admin": (views | writes | {"deletecollection"}, {"admin"}),
    }
    for name, (verbs, into) in expected.items():
        role = named(rendered, "ClusterRole", f"acme-dns-operator-{name}")
        granted = grants(role)
        assert {v for _, resource, v in granted if "/" not in resource} == verbs
        assert {v for _, resource, v in granted if "/" in resource} <= {"get"}
        assert {group for group, _, _ in granted} == {GROUP}
        prefix = f"{ROLES}/aggregate-to-"
        labels = {k for k, v in role["metadata"]["labels"].items() if v == "true"}
        assert labels == {prefix + i for i in into}


@pytest.mark.usefixtures("applied")
@pytest.mark.parametrize(
    ("verb", "resource", "namespace", "allowed"),
    [
        ("get", "secrets", "default", True),
        ("create", "secrets", "default", True),
        ("patch", "secrets", "default", True),
        ("list", "secrets", "default", False),
        ("watch", "secrets", "default", False),
        ("update", "secrets", "default", False),
        ("delete", "secrets", "default", False),
        ("deletecollection", "secrets", "default", False),
        ("list", f"acmednsregistrations.{GROUP}", "default", True),
        ("patch", f"acmednsregistrations.{GROUP}/status", "default", True),
        ("patch", f"acmednsregistrations.{GROUP}", "default", True),
        ("update", f"acmednsregistrations.{GROUP}", "default", False),
        ("delete", f"acmednsregistrations.{GROUP}", "default", False),
        ("create", "events.events.k8s.io", "default", True),
        ("create", "events", "default", False),
        ("update", "leases.coordination.k8s.io", SYSTEM, True),
        ("delete", "leases.coordination.k8s.io", SYSTEM, False),
        ("get", "leases.coordination.k8s.io", "default", False),
        ("get", "configmaps", "default", True),
        ("list", "configmaps", "default", False),
        ("watch", "configmaps", "default", False),
        ("create", "configmaps", "default", False),
        ("get", "pods", SYSTEM, False),
        ("get", "dnsendpoints.externaldns.k8s.io", "default", False),
    ],
)
def test_service_account_can(
    control_plane: ControlPlane, verb: str, resource: str, namespace: str, allowed: bool
) -> None:
    resource, _, subresource = resource.partition("/")
    resource, _, group = resource.partition(".")
    attributes = {"verb": verb, "group": group, "resource": resource, "namespace": namespace}
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SubjectAccessReview",
        "spec": {
            "user": f"system:serviceaccount:{SYSTEM}:acme-dns-operator",
            "resourceAttributes": {**attributes, "subresource": subresource},
        },
    }
    path = "/apis/authorization.k8s.io/v1/subjectaccessreviews"
    assert control_plane.api("POST", path, review)["status"]["allowed"] == allowed
