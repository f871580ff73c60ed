# SPDX-License-Identifier: Apache-2.0
"""No password, user name or token is in status, events, logs or metrics, however much is logged."""

from __future__ import annotations

import base64
import json
import re
import urllib.request
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import yaml

from e2e.operator import Operator
from e2e.process import eventually
from e2e.scene import ADOPT, KEY, PATIENCE, Scene, account, registration, secret_ref


def known(number: int, **more: Any) -> dict[str, Any]:
    """Return an account whose password can be told from everything else."""
    return account(number, **{"password": f"p4ssw0rd-{number:02d}-q9Zx7LmW3vTk5RnB-8HsD2c", **more})


# Accounts that a server answers with something wrong about them, or only in part.
SPOILED = {
    "flawed": {"kind": "answer", "status": 201, "body": known(31, subdomain="none")},
    "other": {"kind": "answer", "status": 500, "body": known(32)},
    "cut": {"kind": "truncate", "status": 201, "body": json.dumps(known(33)), "keep": 150},
    "bare": {"kind": "raw", "body": json.dumps(known(34))},
    "redirect": {"kind": "answer", "status": 302, "headers": {"Location": known(35)["password"]}},
    "denied": {
        "kind": "answer",
        "status": 401,
        "headers": {"WWW-Authenticate": f'Basic realm="{known(36)["password"]}"'},
    },
}
# Secrets that hold accounts and cannot be used, or can.
KEPT: dict[str, dict[str, Any]] = {
    "adopted": {"data": {KEY: json.dumps({"adopted.example": known(41)})}},
    "broken": {"data": {KEY: json.dumps({"broken.example": known(42)})[:-1]}},
    "mistyped": {"data": {KEY: json.dumps({"d": {**known(43), "username": [known(44)]}})}},
    "twice": {"data": {KEY: f'{{"d": {json.dumps(known(45))}, "d": {json.dumps(known(46))}}}'}},
    "incomplete": {"data": {KEY: json.dumps({"incomplete.example": known(47, fulldomain=1)})}},
    "another-type": {"data": {"x": known(48)["password"]}, "type": "example.com/other"},
    "immutable": {"data": {KEY: json.dumps({"d": known(49)})}, "immutable": True},
    "not-adopted": {"data": {"x": known(50)["password"], KEY: "{}"}},
}


def spellings(word: str) -> set[str]:
    """Return the word as it could be met: plain, in base64 at each of three places, in hex."""
    raw = word.encode()
    found = {word, raw.hex(), raw.hex().upper()}
    for offset in range(3):
        text = base64.b64encode(b"\0" * offset + raw).decode()
        # the characters at either end also hold bits of what is beside the word
        first, last = (offset * 8 + 5) // 6, (offset + len(raw)) * 8 // 6
        found.add(text[first:last])
    return found


def found_in(text: str, words: set[str]) -> set[str]:
    """Return which of the words the text gives away."""
    return {word for word in words if any(each in text for each in spellings(word))}


def test_the_search_finds_what_is_there() -> None:
    word = known(1)["password"]
    encoded = [base64.b64encode(f"{'x' * i}{word}yz".encode()).decode() for i in range(5)]
    for text in [f'{{"password":"{word}"}}', f"a{word}b", word.encode().hex(), *encoded]:
        assert found_in(f"before {text} after", {word, "absent-word"}) == {word}
    assert found_in("nothing to see", {word}) == set()


def token_words(kubeconfig: Path) -> set[str]:
    """Return the operator's token, and its signature, without which the rest is worth nothing."""
    token = yaml.safe_load(kubeconfig.read_text())["users"][0]["user"]["token"]
    return {token, token.rsplit(".", 1)[1]}


def create(scene: Scene, name: str) -> None:
    """Create an object with a domain and a Secret of its name."""
    where = {"accountSecretRef": secret_ref(name)}
    scene.create(registration(scene.server.url, f"{name}.example", name=name, **where))


def live(scene: Scene) -> None:
    """Have the operator meet everything that holds a secret."""
    for name, secret in KEPT.items():
        scene.put_secret(name=name, **secret)
        create(scene, name)
    for name in KEPT:
        scene.wait(name, Ready="True" if name == "adopted" else "False")
    for name, fault in SPOILED.items():
        scene.server.fault(**fault, times=1)
        create(scene, name)
        scene.wait(name, Ready="False")
    scene.register("example.com", "www.example.com")
    scene.patch_secret({"metadata": {"annotations": {ADOPT: "true"}}}, "not-adopted")
    scene.wait_ready("not-adopted")
    scene.change(domains=["example.com", "more.example.com"])
    scene.wait_ready()
    for name, status in {"example": "True", "adopted": "Unknown"}.items():
        scene.annotate("probe", "1", name)
        scene.wait_handled("probe", "1", name)
        scene.wait(name, CredentialsValid=status)
    for name in ("example", *KEPT, *SPOILED):
        eventually(lambda name=name: scene.events(name), PATIENCE, f"an event of {name}")


def credentials(scene: Scene) -> set[str]:
    """Return those of every account that was seen, kept or answered."""
    texts = [json.dumps([SPOILED, KEPT])]
    for secret in scene.secrets().values():
        texts += [base64.b64decode(value).decode() for value in secret.get("data", {}).values()]
    pattern = r'\\*"(?:username|password)\\*": ?\\*"([^"\\]+)'
    return {word for text in texts for word in re.findall(pattern, text)} | {
        known(number)["password"] for number in range(31, 51)
    }


def published(scene: Scene, operator: Operator) -> dict[str, str]:
    """Return all that others may read: objects, events, metrics."""
    events = f"/apis/events.k8s.io/v1/namespaces/{scene.namespace}/events"
    url = f"http://127.0.0.1:{operator.metrics_port}/metrics"
    with urllib.request.urlopen(url, timeout=5) as answer:
        metrics = answer.read().decode()
    return {
        "objects": json.dumps(scene.objects()),
        "events": json.dumps(scene.plane.api("GET", events)),
        "metrics": metrics,
    }


@pytest.mark.parametrize("verbosity", range(10))
def test_no_secret_is_told(scene: Scene, tmp_path: Path, verbosity: int) -> None:
    scene.site.vacate()
    form = ("text", "json")[verbosity % 2]
    flags = [
        f"--watch-namespaces={scene.namespace}",
        f"--leader-election-id={scene.namespace}",
        "--leader-elect",
        "--register-timeout=2s",
        "--secret-resync=1s",
        f"--log-format={form}",
        f"-v{verbosity}",
    ]
    operator = Operator(scene.site.kubeconfig, tmp_path, *flags)
    with operator:
        live(scene)
        shown = published(scene, operator)
        words = credentials(scene) | token_words(scene.site.kubeconfig)
    paths = Counter(request["path"] for request in scene.server.requests())
    assert paths.keys() <= {"/register", "/health", "/update"} and paths["/update"] == 2
    shown["log"] = operator.log.read_text()
    assert len(words) > 40 and min(map(len, words)) >= 35
    assert all(len(text) > 500 for text in shown.values())
    assert {where: found_in(text, words) for where, text in shown.items()} == {
        "objects": set(),
        "events": set(),
        "metrics": set(),
        "log": set(),
    }
