#!/usr/bin/env python3
"""cri.py SOCKET METHOD [JSON]   calls the runtime service of Kubernetes' container runtime interface, as the kubelet does.
cri.py image ROOTFS FILE       packs a directory as an image that `ctr images import` takes.

Requests and answers are JSON here; only the fields that the tests use are known.
"""
import hashlib
import io
import json
import subprocess
import sys
import tarfile

# Field numbers of k8s.io/cri-api/pkg/apis/runtime/v1/api.proto. A list is a repeated field.
MESSAGES = {
    "RunPodSandboxRequest": {"config": (1, "PodSandboxConfig"), "runtime_handler": (2, str)},
    "RunPodSandboxResponse": {"pod_sandbox_id": (1, str)},
    "PodSandboxRequest": {"pod_sandbox_id": (1, str)},
    "PodSandboxStatusResponse": {"status": (1, "PodSandboxStatus")},
    "PodSandboxStatus": {"id": (1, str), "state": (3, int), "network": (5, "Network")},
    "Network": {"ip": (1, str)},
    "PodSandboxConfig": {
        "metadata": (1, "Metadata"), "hostname": (2, str), "log_directory": (3, str), "linux": (8, "LinuxPod"),
    },
    "Metadata": {"name": (1, str), "uid": (2, str), "namespace": (3, str)},
    "LinuxPod": {"cgroup_parent": (1, str), "security_context": (2, "PodSecurity")},
    "PodSecurity": {"namespace_options": (1, "NamespaceOptions")},
    "NamespaceOptions": {"network": (1, int), "pid": (2, int), "ipc": (3, int), "userns_options": (5, "UserNamespace")},
    "UserNamespace": {"mode": (1, int), "uids": (2, ["IdMapping"]), "gids": (3, ["IdMapping"])},
    "IdMapping": {"host_id": (1, int), "container_id": (2, int), "length": (3, int)},
    "CreateContainerRequest": {
        "pod_sandbox_id": (1, str), "config": (2, "ContainerConfig"), "sandbox_config": (3, "PodSandboxConfig"),
    },
    "CreateContainerResponse": {"container_id": (1, str)},
    "ContainerConfig": {
        "metadata": (1, "Metadata"), "image": (2, "Image"), "command": (3, [str]), "log_path": (11, str),
        "linux": (15, "LinuxContainer"),
    },
    "Image": {"image": (1, str)},
    "LinuxContainer": {"resources": (1, "Resources"), "security_context": (2, "ContainerSecurity")},
    "Resources": {"cpu_period": (1, int), "cpu_quota": (2, int), "cpu_shares": (3, int), "memory": (4, int)},
    "ContainerSecurity": {"namespace_options": (3, "NamespaceOptions")},
    "ContainerRequest": {"container_id": (1, str), "timeout": (2, int)},
    "ContainerStatusResponse": {"status": (1, "ContainerStatus")},
    "ContainerStatus": {"id": (1, str), "state": (3, int), "exit_code": (7, int), "reason": (10, str)},
    "UpdateContainerResourcesRequest": {"container_id": (1, str), "linux": (2, "Resources")},
    "ExecSyncRequest": {"container_id": (1, str), "cmd": (2, [str]), "timeout": (3, int)},
    "ExecSyncResponse": {"stdout": (1, str), "stderr": (2, str), "exit_code": (3, int)},
    "ContainerStatsResponse": {"stats": (1, "ContainerStats")},
    "ContainerStats": {"cpu": (2, "Cpu"), "memory": (3, "Memory")},
    "Cpu": {"usage": (2, "Number")},
    "Memory": {"working_set": (2, "Number")},
    "Number": {"value": (1, int)},
    "VersionResponse": {"runtime_name": (2, str), "runtime_version": (3, str)},
    "Empty": {},
}

METHODS = {
    "Version": ("Empty", "VersionResponse"),
    "RunPodSandbox": ("RunPodSandboxRequest", "RunPodSandboxResponse"),
    "PodSandboxStatus": ("PodSandboxRequest", "PodSandboxStatusResponse"),
    "StopPodSandbox": ("PodSandboxRequest", "Empty"),
    "RemovePodSandbox": ("PodSandboxRequest", "Empty"),
    "CreateContainer": ("CreateContainerRequest", "CreateContainerResponse"),
    "StartContainer": ("ContainerRequest", "Empty"),
    "StopContainer": ("ContainerRequest", "Empty"),
    "RemoveContainer": ("ContainerRequest", "Empty"),
    "ContainerStatus": ("ContainerRequest", "ContainerStatusResponse"),
    "ContainerStats": ("ContainerRequest", "ContainerStatsResponse"),
    "UpdateContainerResources": ("UpdateContainerResourcesRequest", "Empty"),
    "ExecSync": ("ExecSyncRequest", "ExecSyncResponse"),
}


def varint(number):
    """The bytes of a number."""
    number &= (1 << 64) - 1
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes(out) + bytes([number])


def encode(kind, value):
    """A message's bytes."""
    out = b""
    for name, item in value.items():
        number, of = MESSAGES[kind][name]
        items, of = (item, of[0]) if isinstance(of, list) else ([item], of)
        for one in items:
            if of is int:
                out += varint(number << 3) + varint(one)
            else:
                data = one.encode() if of is str else encode(of, one)
                out += varint(number << 3 | 2) + varint(len(data)) + data
    return out


def read_varint(stream):
    """The next number of a stream, None at its end."""
    number, shift = 0, 0
    while byte := stream.read(1):
        number |= (byte[0] & 0x7F) << shift
        shift += 7
        if byte[0] < 0x80:
            return number
    return None


def decode(kind, data):
    """What is known of a message; numbers and texts that are not there are 0 and empty."""
    known = {number: (name, of) for name, (number, of) in MESSAGES[kind].items()}
    out = {name: of() for name, of in known.values() if of in (int, str)}
    stream = io.BytesIO(data)
    while (key := read_varint(stream)) is not None:
        name, of = known.get(key >> 3, (None, None))
        item = read_varint(stream) if key & 7 == 0 else None
        if key & 7 == 2:
            item = stream.read(read_varint(stream))
            item = item.decode() if of is str else decode(of, item) if isinstance(of, str) else item
        if name:
            out[name] = item
    return out


def call(socket, method, request):
    """Calls a method and returns its answer."""
    import grpc

    with grpc.insecure_channel("unix://" + socket) as channel:
        asked, answered = METHODS[method]
        function = channel.unary_unary(
            "/runtime.v1.RuntimeService/" + method, lambda value: encode(asked, value), lambda data: decode(answered, data)
        )
        try:
            return function(request, timeout=60, wait_for_ready=True)
        except grpc.RpcError as error:
            sys.exit(f"{method}: {error.code().name}: {error.details()}")


def pack(rootfs, file):
    """An archive as `docker save` writes them; without a command the image sleeps, as one for pods does."""
    layer = subprocess.run(["tar", "-C", rootfs, "-c", "."], stdout=subprocess.PIPE, check=True).stdout
    config = {
        "architecture": "amd64", "os": "linux", "config": {"Entrypoint": ["/bin/sleep", "100000"], "Env": ["PATH=/bin"]},
        "rootfs": {"type": "layers", "diff_ids": ["sha256:" + hashlib.sha256(layer).hexdigest()]},
    }
    manifest = [{"Config": "config.json", "RepoTags": ["busybox:test"], "Layers": ["layer.tar"]}]
    files = {"config.json": json.dumps(config).encode(), "manifest.json": json.dumps(manifest).encode(), "layer.tar": layer}
    with tarfile.open(file, "w") as archive:
        for name, data in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))


def main():
    """Does what the command line says."""
    if sys.argv[1] == "image":
        pack(sys.argv[2], sys.argv[3])
    else:
        socket, method, request = (*sys.argv[1:], "{}")[:3]
        print(json.dumps(call(socket, method, json.loads(request))))


main()
