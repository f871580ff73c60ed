# SPDX-License-Identifier: Apache-2.0
"""Who registers proves it to the server, and the server to the operator: registrationAuth, CAs."""

from __future__ import annotations

import base64
import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from e2e.acmedns.client import AcmeDns
from e2e.cluster import Object
from e2e.operator import Operator
from e2e.peers import ROOT
from e2e.pki import Authority
from e2e.scene import GROUP, SECRET, Scene, Site, condition, is_write, records, registration
from e2e.scene import secret_ref as named

FOR = f"{GROUP}/credentials-for"
LOGIN_TYPE = "kubernetes.io/basic-auth"
PASSWORD = "s3cret-of-the-proxy"
BASIC: Object = {"basic": {"secretRef": {"name": "login"}}}
HEADERS: Object = {
    "headers": [
        {"name": "Authorization", "secretKeyRef": {"name": "token", "key": "bearer"}},
        {"name": "X-Token", "secretKeyRef": {"name": "token", "key": "x"}},
    ]
}
CA_REF: Object = {"kind": "ConfigMap", "name": "roots", "key": "ca.crt"}


@pytest.fixture(autouse=True)
def operator(site: Site) -> Operator:
    """Run the operator so that it logs whatever it may."""
    return site.run("--leader-elect", "--secret-resync=1s", "--register-timeout=2s", "-v", "9")


@pytest.fixture(autouse=True)
def _silent(operator: Operator) -> Iterator[None]:
    """See that no password came into the log."""
    yield
    assert PASSWORD not in operator.log.read_text()


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """Make an authority that no system trusts."""
    return Authority(tmp_path_factory.mktemp("private"), "a private CA")


@pytest.fixture(scope="module")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """Make another, which has nothing to do with the server."""
    return Authority(tmp_path_factory.mktemp("stranger"), "a private CA")


@pytest.fixture(scope="module")
def tls_server(authority: Authority) -> Iterator[AcmeDns]:
    """Run an acme-dns stand-in with a certificate of that authority."""
    pair = authority.server("acme-dns", ["127.0.0.1"])
    with AcmeDns(tls=(pair.certificate, pair.key), ca=authority.ca_file) as server:
        yield server


@pytest.fixture
def tls(site: Site, tls_server: AcmeDns) -> Iterator[Scene]:
    """Make a namespace whose server is that one."""
    scene = Scene(site, tls_server)
    yield scene
    scene.close()
    tls_server.clear()


def encoded(pem: bytes) -> str:
    """Return spec.caBundle."""
    return base64.b64encode(pem).decode()


def bound(url: str) -> Object:
    """Return metadata that binds a Secret to a URL."""
    return {"annotations": {FOR: url}}


def put_login(scene: Scene, password: str = PASSWORD, name: str = "login", **more: Any) -> None:
    """Create a Secret for basic authentication; bound to the server unless told otherwise."""
    more = {"type": LOGIN_TYPE, "metadata": bound(scene.server.url), **more}
    scene.put_secret({"username": "operator", "password": password}, name, **more)


def put_token(scene: Scene, value: str = PASSWORD, name: str = "token", **more: Any) -> None:
    """Create a Secret with two header values, one with a newline at its end."""
    more = {"metadata": bound(scene.server.url), **more}
    scene.put_secret({"bearer": f"Bearer {value}\n", "x": value}, name, **more)


def put_roots(scene: Scene, pem: bytes | str, name: str = "roots") -> None:
    """Create or change a ConfigMap."""
    text = pem.decode() if isinstance(pem, bytes) else pem
    data = {"metadata": {"name": name}, "data": {"ca.crt": text}}
    path = f"/api/v1/namespaces/{scene.namespace}/configmaps"
    if scene.plane.find("configmap", name, scene.namespace) is None:
        scene.plane.api("POST", path, data)
    else:
        scene.plane.api("PATCH", f"{path}/{name}", data)


def ask_login(scene: Scene) -> None:
    """Have the proxy demand basic authentication."""
    scene.server.settings(basic_auth=f"operator:{PASSWORD}")


def ask_token(scene: Scene) -> None:
    """Have the proxy demand header fields."""
    wanted = {"Authorization": f"Bearer {PASSWORD}", "X-Token": PASSWORD}
    scene.server.settings(required_headers=wanted)


def told(obj: Object, kind: str = "Registered") -> str:
    """Return a condition's message."""
    found = condition(obj, kind)
    assert found is not None
    return found["message"]


def failed(scene: Scene, reason: str, name: str = "example") -> Object:
    """Wait until Registered and Ready give the reason, and trying goes on."""
    wanted = {"Registered": f"False/{reason}", "Ready": f"False/{reason}"}
    obj = scene.wait(name, **wanted, Reconciling="True/ProgressingWithRetry")
    assert PASSWORD not in json.dumps([obj, scene.events(name)])
    return obj


def assert_unclaimed(scene: Scene) -> None:
    """See that nothing was sent to the server and nothing written to a Secret."""
    assert scene.posts() == []
    written = {e["objectRef"]["resource"] for e in scene.requests() if is_write(e)}
    assert written <= {"acmednsregistrations", "events"}


# --- a proxy that asks who registers ---


def test_basic_authentication(scene: Scene) -> None:
    ask_login(scene)
    put_login(scene, PASSWORD + "\n")
    scene.register("example.com", registrationAuth=BASIC)
    (post,) = scene.posts()
    assert post["status"] == 201
    assert scene.counts()["get secrets"] == 2
    assert scene.present("example.com") == scene.accounts()["example.com"]["subdomain"]


def test_header_fields(scene: Scene) -> None:
    ask_token(scene)
    put_token(scene)
    scene.register("example.com", registrationAuth=HEADERS)
    (post,) = scene.posts()
    assert post["status"] == 201
    assert post["headers"]["Content-Type"] == "application/json"
    assert scene.counts()["get secrets"] == 2


def test_wrong_password_is_denied_and_the_right_one_is_not(scene: Scene) -> None:
    ask_login(scene)
    put_login(scene, "wrong")
    scene.create(registration(scene.server.url, "example.com", registrationAuth=BASIC))
    failed(scene, "RegistrationDenied")
    scene.set_value(PASSWORD, "password", "login")
    scene.change(allowFrom=["127.0.0.0/8"])  # or wait for half a minute
    scene.wait_ready()


def test_credentials_go_with_the_object_that_has_them_only(scene: Scene) -> None:
    ask_login(scene)
    put_login(scene)
    scene.register("example.com", registrationAuth=BASIC)
    other = registration(
        scene.server.url, "www.example.com", name="other", accountSecretRef=named("other")
    )
    scene.create(other)
    failed(scene, "RegistrationDenied", "other")
    first, second = scene.posts()
    assert "Authorization" in first["headers"] and "Authorization" not in second["headers"]


BINDINGS = {
    "no annotation": None,
    "another host": "https://other.example.net",
    "a path of the host": "{url}/other",
    "another scheme": "https://{host}",
    "no URL": "true",
}


@pytest.mark.parametrize("binding", BINDINGS.values(), ids=list(BINDINGS))
def test_secret_that_is_not_bound_to_the_host_is_never_sent(
    scene: Scene, binding: str | None
) -> None:
    url = scene.server.url
    metadata = bound(binding.format(url=url, host=url.rpartition("/")[2])) if binding else {}
    put_login(scene, metadata=metadata)
    scene.create(registration(url, "example.com", registrationAuth=BASIC))
    assert "spec.registrationAuth.basic.secretRef: " in told(failed(scene, "InvalidReference"))
    scene.wait_looks(2, "login")
    assert_unclaimed(scene)
    scene.patch_secret({"metadata": {"annotations": {FOR: url + "/"}}}, "login")
    scene.wait_ready()
    assert [post["status"] for post in scene.posts()] == [201]


def test_secret_of_another_namespace_is_not_read(scene: Scene) -> None:
    scene.plane.api(
        "POST",
        f"/api/v1/namespaces/{scene.another_namespace()}/secrets",
        {
            "metadata": {"name": "login", **bound(scene.server.url)},
            "type": LOGIN_TYPE,
            "stringData": {"username": "operator", "password": PASSWORD},
        },
    )
    scene.create(registration(scene.server.url, "example.com", registrationAuth=BASIC))
    failed(scene, "InvalidReference")
    assert_unclaimed(scene)


def test_secrets_that_do_not_serve_are_told_and_heal_when_mended(scene: Scene) -> None:
    ask_token(scene)
    metadata = bound(scene.server.url)
    bad: dict[str, dict[str, bytes | str]] = {
        "no-key": {"bearer": f"Bearer {PASSWORD}"},
        "empty": {"bearer": f"Bearer {PASSWORD}", "x": "\n"},
        "two-lines": {"bearer": f"Bearer {PASSWORD}", "x": f"{PASSWORD}\r\nHost: inside"},
        "large": {"bearer": f"Bearer {PASSWORD}", "x": "x" * 9000},
    }
    for name, data in bad.items():
        scene.put_secret(data, name, metadata=metadata)
        text = json.dumps(HEADERS).replace('"token"', f'"{name}"')
        spec = {"registrationAuth": json.loads(text), "accountSecretRef": named(f"of-{name}")}
        scene.create(registration(scene.server.url, f"{name}.example.com", name=name, **spec))
    for name in bad:
        message = told(failed(scene, "InvalidReference", name))
        assert "spec.registrationAuth.headers[1].secretKeyRef: " in message
        assert "its x" in message
    assert_unclaimed(scene)
    for name in bad:
        scene.set_value(PASSWORD, "x", name)
    for name in bad:
        scene.wait_ready(name)
    assert len(scene.posts()) == len(bad)


def test_secret_of_another_type_is_no_login(scene: Scene) -> None:
    put_login(scene, type="Opaque")
    scene.create(registration(scene.server.url, "example.com", registrationAuth=BASIC))
    assert LOGIN_TYPE in told(failed(scene, "InvalidReference"))
    assert_unclaimed(scene)
    scene.delete_secret("login")
    put_login(scene)
    scene.wait_ready()


# --- a server with a certificate of a private CA ---


def untrusted(scene: Scene, name: str = "example") -> None:
    """Wait until the server's certificate is refused; nothing was sent then."""
    assert "certificate" in told(failed(scene, "ServerUnavailable", name))


def test_private_ca_in_the_object(tls: Scene, authority: Authority, stranger: Authority) -> None:
    tls.register("example.com", caBundle=encoded(stranger.ca_pem + authority.ca_pem))
    assert tls.accounts()["example.com"]["server_url"] == tls.server.url


def test_private_ca_in_a_config_map(tls: Scene, authority: Authority) -> None:
    put_roots(tls, authority.ca_pem)
    tls.register("example.com", caBundleRef=CA_REF)
    assert tls.counts()["get configmaps"] == 1


def test_server_is_not_trusted_without_its_ca(tls: Scene, stranger: Authority) -> None:
    tls.create(registration(tls.server.url, "example.com"))
    untrusted(tls)
    tls.change(caBundle=encoded(stranger.ca_pem))
    untrusted(tls)
    assert tls.posts() == []


def test_trust_is_the_object_s_own(tls: Scene, authority: Authority, stranger: Authority) -> None:
    tls.register("example.com", caBundle=encoded(authority.ca_pem))
    for name, spec in (("none", {}), ("stranger", {"caBundle": encoded(stranger.ca_pem)})):
        ref = named(f"of-{name}")
        tls.create(
            registration(tls.server.url, "a.example", name=name, accountSecretRef=ref, **spec)
        )
        untrusted(tls, name)
    assert len(tls.posts()) == 1


def test_ca_replaces_the_roots_and_is_no_use_for_plain_http(
    scene: Scene, stranger: Authority
) -> None:
    scene.register("example.com", caBundle=encoded(stranger.ca_pem))


def test_certificates_that_do_not_serve_are_told_and_heal_when_mended(
    tls: Scene, authority: Authority
) -> None:
    good = authority.ca_pem.decode()
    bad = {
        "absent": None,
        "words": "not a certificate",
        "damaged": good + good.replace("MII", "MIX", 1),
        "cut": good[: len(good) // 2],
        "large": "#" * 65536 + "\n" + good,
    }
    for name, text in bad.items():
        if text is not None:
            put_roots(tls, text, name)
        spec = {"caBundleRef": {**CA_REF, "name": name}, "accountSecretRef": named(f"of-{name}")}
        tls.create(registration(tls.server.url, f"{name}.example.com", name=name, **spec))
    for name in bad:
        assert "spec.caBundleRef: " in told(failed(tls, "InvalidReference", name))
    assert_unclaimed(tls)
    for name in bad:
        put_roots(tls, good, name)
    for name in bad:
        tls.wait_ready(name)


def test_bad_certificates_in_the_object_wait_for_another_spec(
    tls: Scene, authority: Authority
) -> None:
    tls.create(registration(tls.server.url, "example.com", caBundle=encoded(b"no PEM")))
    tls.wait(Registered="False/InvalidReference", Stalled="True/InvalidReference")
    assert_unclaimed(tls)
    tls.change(caBundle=encoded(authority.ca_pem))
    tls.wait_ready()


# --- each field makes a difference, to the next registration ---


def snapshot(obj: Object) -> Object:
    """Return what status says, but for times and generations."""
    said = [
        {key: each[key] for key in ("type", "status", "reason", "message")}
        for each in obj["status"]["conditions"]
    ]
    return {"conditions": said, "records": records(obj)}


def there_and_back(scene: Scene, field: str, good: Any, other: Any, reason: str) -> None:
    """See what another value changes, and that nothing is left of it."""
    before = snapshot(scene.register("example.com", **{field: good}))
    mark = scene.plane.audit_mark()
    scene.change(**{field: other})
    assert snapshot(scene.wait_ready()) == before
    assert not [e for e in scene.requests(since=mark) if reads(e)]
    both = ["example.com", "www.example.com"]
    scene.change(domains=both)
    failed(scene, reason)
    scene.change(**{field: good, "domains": both[:1]})
    assert snapshot(scene.wait_ready()) == before
    scene.change(domains=both)
    scene.wait_ready()
    assert list(scene.accounts()) == both


def reads(event: Object) -> bool:
    """Whether an audit event is of a read of what a spec refers to."""
    reference = event.get("objectRef", {})
    return reference.get("resource") == "configmaps" or (
        reference.get("resource") == "secrets" and reference.get("name") != SECRET
    )


def test_there_and_back_with_basic(scene: Scene) -> None:
    ask_login(scene)
    put_login(scene)
    put_login(scene, "wrong", "wrong")
    wrong = {"basic": {"secretRef": {"name": "wrong"}}}
    there_and_back(scene, "registrationAuth", BASIC, wrong, "RegistrationDenied")


def test_there_and_back_with_headers(scene: Scene) -> None:
    ask_token(scene)
    put_token(scene)
    fewer = {"headers": HEADERS["headers"][:1]}
    there_and_back(scene, "registrationAuth", HEADERS, fewer, "RegistrationDenied")


def test_there_and_back_with_ca_bundle(
    tls: Scene, authority: Authority, stranger: Authority
) -> None:
    good, other = encoded(authority.ca_pem), encoded(stranger.ca_pem)
    there_and_back(tls, "caBundle", good, other, "ServerUnavailable")


def test_there_and_back_with_ca_bundle_ref(tls: Scene, authority: Authority) -> None:
    put_roots(tls, authority.ca_pem)
    other = {**CA_REF, "key": "other.crt"}
    there_and_back(tls, "caBundleRef", CA_REF, other, "InvalidReference")


# --- the samples ---


def apply_sample(scene: Scene, file: str, **replace: str) -> list[str]:
    """Apply a sample for the scene's server; return the names of the registrations in it."""
    text = (ROOT / "manifests/samples" / file).read_text()
    text = text.replace("https://auth.example.com", scene.server.url)
    documents = list(yaml.safe_load_all(text))
    for document in documents:
        document["metadata"]["namespace"] = scene.namespace
        document.get("data", {}).update(replace)
    scene.plane.apply(documents)
    return [each["metadata"]["name"] for each in documents if "spec" in each]


def test_sample_of_a_private_ca(tls: Scene, authority: Authority) -> None:
    (name,) = apply_sample(tls, "private-ca.yaml", **{"ca.crt": authority.ca_pem.decode()})
    tls.wait_ready(name)


def test_sample_of_a_private_ca_is_pem_as_it_stands(tls: Scene) -> None:
    (name,) = apply_sample(tls, "private-ca.yaml")
    untrusted(tls, name)


def test_samples_of_authentication(scene: Scene) -> None:
    login, token = apply_sample(scene, "auth.yaml")
    assert (login, token) == ("with-login", "with-token")
    scene.wait_ready(login)
    scene.wait_ready(token)
    first, second = scene.posts()
    for post in (first, second):
        assert "Authorization" in post["headers"]


def test_sample_login_and_token_are_what_a_proxy_would_ask_for(scene: Scene) -> None:
    scene.server.settings(basic_auth="operator:change-me")
    login, token = apply_sample(scene, "auth.yaml")
    scene.wait_ready(login)
    failed(scene, "RegistrationDenied", token)
    scene.server.settings(basic_auth=None, required_headers={"Authorization": "Bearer change-me"})
    scene.change(token, allowFrom=["127.0.0.0/8"])
    scene.wait_ready(token)


# --- the README ---


def readme_commands() -> list[str]:
    """Return the commands of its section, as they stand there."""
    section = (ROOT / "README.md").read_text().split("## A login, or a CA", 1)[1].split("##", 1)[0]
    return re.findall(r"^    kubectl (.*)$", section, re.M)


def test_commands_of_the_readme(
    tls: Scene, authority: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "password").write_text(PASSWORD + "\n")
    (tmp_path / "ca.crt").write_bytes(authority.ca_pem)
    monkeypatch.chdir(tmp_path)
    ask_login(tls)
    tls.create(registration(tls.server.url, "example.com"))
    untrusted(tls)
    for line in readme_commands():
        words = shlex.split(line.replace("https://auth.example.com", tls.server.url))
        tls.plane.kubectl("--namespace", tls.namespace, *words)
    tls.wait_ready()
    assert [post["status"] for post in tls.posts()] == [201]
