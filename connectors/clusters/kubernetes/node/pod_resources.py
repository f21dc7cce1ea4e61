"""Which GPUs a pod was given, asked of the kubelet of this node by its pod resources API (v1).

Of its messages, with the numbers of the fields:

- ``ListPodResourcesResponse``: pod_resources = 1, many ``PodResources``
- ``PodResources``: name = 1, namespace = 2, containers = 3, many ``ContainerResources``
- ``ContainerResources``: devices = 2, many ``ContainerDevices``
- ``ContainerDevices``: resource_name = 1, device_ids = 2, many texts

The request has no fields.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import grpc

from connectors.clusters.kubernetes.node.wire import fields_of, text, texts
from connectors.errors import Unavailable

SOCKET = Path("/var/lib/kubelet/pod-resources/kubelet.sock")
OF_NVIDIA = "nvidia.com/"

_LIST = "/v1.PodResourcesLister/List"
_ANSWERS_WITHIN_S = 10.0
_LARGEST_ANSWER = 16 * 2**20
_OPTIONS = (("grpc.max_receive_message_length", _LARGEST_ANSWER), ("grpc.enable_http_proxy", 0))
_UUID = re.compile(r"GPU-[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_SHARE = "::"  # between a GPU and the number of its share, as the device plugin writes it


@dataclass(frozen=True, slots=True)
class Given:
    """What a pod was given: GPUs by their UUIDs, or why no cap can be set on what it has."""

    gpus: tuple[str, ...] = ()
    refusal: str = ""


class PodResources:
    """Asks the kubelet at a socket. Every question is a connection of its own: kubelets restart."""

    def __init__(self, socket: Path = SOCKET) -> None:
        self._socket = socket

    async def given(self) -> Mapping[tuple[str, str], Given]:
        """Return what each pod that has devices of NVIDIA was given, by namespace and name.

        Raises
        ------
        ConnectorError
            The kubelet does not answer, or not as published.
        """
        address = f"unix://{self._socket.absolute()}"
        async with grpc.aio.insecure_channel(address, options=_OPTIONS) as channel:
            try:
                answer: bytes = await channel.unary_unary(_LIST)(b"", timeout=_ANSWERS_WITHIN_S)
            except grpc.aio.AioRpcError as error:
                words = f"{error.code().name}: {error.details()}"
                raise Unavailable(f"kubelet at {self._socket}: {words}") from error
        return read_answer(answer)


def read_answer(answer: bytes) -> dict[tuple[str, str], Given]:
    """Read a ``ListPodResourcesResponse``; pods without devices of NVIDIA are left out.

    Raises
    ------
    ContractBroken
        It is none.
    """
    found = {}
    for pod in map(fields_of, fields_of(answer).get(1, ())):
        ids: list[str] = []
        for container in map(fields_of, pod.get(3, ())):
            for devices in map(fields_of, container.get(2, ())):
                if text(devices, 1).startswith(OF_NVIDIA):
                    ids += texts(devices, 2)
        if ids:
            found[text(pod, 2), text(pod, 1)] = given_as(ids)
    return found


def given_as(ids: Sequence[str]) -> Given:
    """Return whole GPUs, or the words in which a cap on these devices is refused."""
    wrong = list(filter(None, map(_refusal, ids)))
    if wrong:
        return Given(refusal="; ".join(dict.fromkeys(wrong)))
    return Given(tuple(sorted(set(ids))))


def _refusal(device: str) -> str:
    if device.startswith("MIG-"):
        return f"{device} is an instance of a GPU (MIG), must be a whole one to have a cap"
    if _SHARE in device:
        gpu = device.partition(_SHARE)[0]
        return f"GPU {gpu} is shared by pods, must be of one alone to have a cap of its own"
    if _UUID.fullmatch(device) is None:
        return f"device {device!r:.80}: must be named by the UUID of a GPU to have a cap"
    return ""
