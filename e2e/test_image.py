# SPDX-License-Identifier: Apache-2.0
"""The image: what is in it, what it is called, and that it does the main job as a Pod would."""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import shutil
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from e2e.cluster import Object
from e2e.operator import NAMESPACE, SERVICE_ACCOUNT, Operator, binary
from e2e.peers import ROOT
from e2e.scene import Scene, condition

USER = 65532
PROGRAM = "/usr/local/bin/acme-dns-operator"
ACCOUNT = "var/run/secrets/kubernetes.io/serviceaccount"
CERTIFICATES = "/etc/ssl/certs/ca-certificates.crt"
CONFIGURATION = {"/etc/passwd", "/etc/group", "/etc/nsswitch.conf", CERTIFICATES}

# A container in little: mounts that nobody else sees, nothing writable, no capabilities.
CONTAINER = f"""set -eu
root=$1 account=$2; shift 2
mount --bind "$root" "$root"
mount -t proc -o nosuid,nodev,noexec proc "$root/proc"
mount --bind "$account" "$root/{ACCOUNT}"
mount -o remount,bind,ro "$root/{ACCOUNT}"
mount -o remount,bind,ro "$root"
cd "$root"
exec env -i PATH="$PATH" KUBERNETES_SERVICE_HOST="${{KUBERNETES_SERVICE_HOST-}}" \\
  KUBERNETES_SERVICE_PORT="${{KUBERNETES_SERVICE_PORT-}}" \\
  setpriv --no-new-privs chroot --userspec={USER}:{USER} --groups= "$root" {PROGRAM} "$@"
"""


def make_image(out: Path, *args: str | Path) -> None:
    """Run hack/image for the program under test."""
    env = {**os.environ, "OPERATOR": str(binary()), "OUT": str(out)}
    subprocess.run([ROOT / "hack/image", *args], env=env, check=True, capture_output=True)


@pytest.fixture(scope="module")
def rootfs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make the root file system."""
    root = tmp_path_factory.mktemp("image") / "rootfs"
    make_image(root.parent, "--rootfs", root)
    return root


def files(root: Path) -> set[str]:
    """Return the paths of all files, as they are in the image."""
    found = [path for path in root.rglob("*") if not path.is_dir() or path.is_symlink()]
    return {f"/{path.relative_to(root)}" for path in found}


def linked() -> set[str]:
    """Return the names of the shared objects that the loader takes, and of the loader."""
    text = subprocess.run(["ldd", binary()], capture_output=True, text=True, check=True).stdout
    named = {line.split()[0] for line in text.splitlines()}
    return {Path(name).name for name in named if not name.startswith("linux-vdso")}


def deployment() -> Object:
    """Return the container of the Deployment."""
    objects = yaml.safe_load_all((ROOT / "manifests/manager/deployment.yaml").read_text())
    (found,) = (each for each in objects if each["kind"] == "Deployment")
    (container,) = found["spec"]["template"]["spec"]["containers"]
    return container


# --- what is in it ---


def test_root_holds_the_program_what_it_links_and_four_files_of_configuration(
    rootfs: Path,
) -> None:
    found = files(rootfs)
    libraries = {path for path in found if ".so" in Path(path).name}
    assert found - libraries == {PROGRAM, *CONFIGURATION}
    assert {Path(path).name for path in libraries} == linked()
    assert len(libraries) == len(linked())


def test_root_has_nothing_that_is_writable_or_runs_as_another(rootfs: Path) -> None:
    for path in rootfs.rglob("*"):
        mode = path.lstat().st_mode
        assert not path.is_symlink()
        assert mode & 0o6022 == 0, path
        assert mode & 0o004, path


def test_list_of_files_is_that_of_the_root(rootfs: Path) -> None:
    lines = (rootfs.parent / "files.txt").read_text().splitlines()
    listed = {path: (int(size), digest) for _, size, digest, path in map(str.split, lines)}
    assert set(listed) == files(rootfs)
    for path, (size, digest) in listed.items():
        content = (rootfs / path[1:]).read_bytes()
        assert (len(content), hashlib.sha256(content).hexdigest()) == (size, digest)


def test_root_knows_the_user_and_the_authorities(rootfs: Path) -> None:
    users = [line.split(":") for line in (rootfs / "etc/passwd").read_text().splitlines()]
    assert [user[2] for user in users] == ["0", str(USER)]
    assert "BEGIN CERTIFICATE" in (rootfs / CERTIFICATES[1:]).read_text()


# --- what it is called ---


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, bytes]]:
    """Make the archive; its files by name."""
    if shutil.which("buildah") is None:
        pytest.skip("buildah is not installed (hack/install-deps image)")
    out = tmp_path_factory.mktemp("archive")
    make_image(out)
    with tarfile.open(out / "image/acme-dns-operator.tar") as tar:
        files = {member.name.removeprefix("./"): tar.extractfile(member) for member in tar}
        yield {name: file.read() for name, file in files.items() if file is not None}
    shutil.rmtree(out)


def blob(archive: dict[str, bytes], descriptor: Object) -> bytes:
    """Return what a descriptor stands for, and see that it is that."""
    kind, _, digest = descriptor["digest"].partition(":")
    content = archive[f"blobs/{kind}/{digest}"]
    assert hashlib.sha256(content).hexdigest() == digest
    assert len(content) == descriptor["size"]
    return content


def manifest(archive: dict[str, bytes]) -> Object:
    """Return the manifest of the one image in the archive."""
    (descriptor,) = json.loads(archive["index.json"])["manifests"]
    return json.loads(blob(archive, descriptor))


def test_archive_is_an_oci_layout_of_one_image_with_one_layer(archive: dict[str, bytes]) -> None:
    assert json.loads(archive["oci-layout"])["imageLayoutVersion"] == "1.0.0"
    found = manifest(archive)
    config = json.loads(blob(archive, found["config"]))
    assert len(found["layers"]) == len(config["rootfs"]["diff_ids"]) == 1
    assert config["os"] == "linux"
    blobs = {found["config"]["digest"], found["layers"][0]["digest"]}
    assert len([name for name in archive if name.startswith("blobs/")]) == len(blobs) + 1


def test_archive_has_the_name_and_tag_of_the_deployment(archive: dict[str, bytes]) -> None:
    (descriptor,) = json.loads(archive["index.json"])["manifests"]
    name = descriptor["annotations"]["org.opencontainers.image.ref.name"]
    image = deployment()["image"]
    assert name == f"docker.io/library/{image}"
    assert re.fullmatch(r"[a-z-]+:v\d+\.\d+\.\d+", image)
    done = subprocess.run([ROOT / "hack/image", "--ref"], capture_output=True, text=True)
    assert done.stdout == f"{image}\n"
    assert deployment()["imagePullPolicy"] == "IfNotPresent"


def test_archive_runs_the_program_as_a_numeric_user(archive: dict[str, bytes]) -> None:
    config = json.loads(blob(archive, manifest(archive)["config"]))["config"]
    assert config["User"] == f"{USER}:{USER}"
    assert config["Entrypoint"] == [PROGRAM]
    assert not config.get("Cmd")
    assert config["Labels"]["org.opencontainers.image.licenses"] == "Apache-2.0"


def test_archive_holds_the_root_owned_by_root(archive: dict[str, bytes], rootfs: Path) -> None:
    layer = blob(archive, manifest(archive)["layers"][0])
    with tarfile.open(fileobj=io.BytesIO(layer)) as tar:
        members = tar.getmembers()
    assert {"/" + m.name.removeprefix("./") for m in members if m.isfile()} == files(rootfs)
    assert {(m.uid, m.gid) for m in members} == {(0, 0)}


# --- running it ---


@pytest.fixture
def container(rootfs: Path, tmp_path: Path) -> list[str | Path]:
    """Return a command that runs the image's program; what Pods get lies in `account`."""
    if os.geteuid() != 0:
        pytest.skip("only root may mount and chroot")
    root, account = tmp_path / "root", tmp_path / "account"
    shutil.copytree(rootfs, root)
    (root / ACCOUNT).mkdir(parents=True)
    account.mkdir()
    return ["unshare", "--mount", "--", "sh", "-c", CONTAINER, "sh", root, account]


def make_operator(container: list[str | Path], scene: Scene, directory: Path) -> Operator:
    """Describe the operator in its image, with what the kubelet gives to a Pod."""
    scene.plane.service_account_files(NAMESPACE, SERVICE_ACCOUNT, directory / "account")
    operator = Operator(
        Path("/unused"),
        directory,
        f"--watch-namespaces={scene.namespace}",
        "--leader-elect",
        f"--leader-election-id={scene.namespace}",
        program=container,
        env={
            "KUBERNETES_SERVICE_HOST": "127.0.0.1",
            "KUBERNETES_SERVICE_PORT": str(scene.plane.port),
        },
    )
    operator.process.argv.remove("--kubeconfig=/unused")
    return operator


def status_of(pid: int) -> dict[str, str]:
    """Return what the kernel says of a process."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}


def mount_options(pid: int, point: str) -> list[str]:
    """Return the options of a mount as the process sees it."""
    for line in Path(f"/proc/{pid}/mountinfo").read_text().splitlines():
        fields = line.split()
        if fields[4] == point:
            return fields[5].split(",")
    raise AssertionError(f"nothing is mounted on {point}")


def open_files(pid: int) -> list[str]:
    """Return the files that a process has open, other than its log."""
    names = [os.readlink(path) for path in Path(f"/proc/{pid}/fd").iterdir()]
    return [name for name in names if name.startswith("/") and not name.endswith((".log", "null"))]


def test_image_does_the_main_job_in_cluster_without_rights_and_without_writing(
    container: list[str | Path], scene: Scene, tmp_path: Path
) -> None:
    scene.site.vacate()
    with make_operator(container, scene, tmp_path) as operator:
        status = status_of(operator.process.pid)
        assert status["Name"].startswith("acme-dns")
        assert status["Uid"].split() == status["Gid"].split() == [str(USER)] * 4
        assert status["Groups"] == ""
        assert int(status["CapEff"], 16) == int(status["CapPrm"], 16) == 0
        assert status["NoNewPrivs"] == "1"
        assert mount_options(operator.process.pid, "/")[0] == "ro"
        obj = scene.register("example.com", "*.example.com", "www.example.com")
        assert condition(obj, "SecretReady")
        assert scene.present("www.example.com")
        assert not open_files(operator.process.pid)
    lease = f"/apis/coordination.k8s.io/v1/namespaces/{NAMESPACE}/leases/{scene.namespace}"
    assert scene.plane.api("GET", lease)["spec"]["holderIdentity"] == ""


@pytest.mark.parametrize("flag", ["--version", "--help"])
def test_image_tells_its_version_and_its_help(container: list[str | Path], flag: str) -> None:
    done = subprocess.run([*container, flag], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("acme-dns-operator ")


def test_image_without_a_token_says_what_it_lacks(container: list[str | Path]) -> None:
    env = {**os.environ, "KUBERNETES_SERVICE_HOST": "127.0.0.1", "KUBERNETES_SERVICE_PORT": "1"}
    done = subprocess.run(container, capture_output=True, text=True, env=env)
    assert done.returncode == 1
    assert f"/{ACCOUNT}/" in done.stderr
