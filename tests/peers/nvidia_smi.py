"""A stand-in for ``nvidia-smi``: the options the node's script uses, on GPUs that are files.

It follows the manual of the program: ``--query-gpu`` with ``--format=csv,noheader,nounits`` prints
a line for each GPU, fields parted by comma and blank, ``[N/A]`` where a GPU has no such value;
``-pl`` needs root and a value between the limits of the GPU, says what it did in a sentence, and
ends with 4 without permission, 2 with an argument that cannot be, 6 where there is no such GPU.
Where a GPU's limit cannot be changed it says so as a warning and ends with 0.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

_PROGRAM = """#!/bin/bash
folder={folder} gpu= fields= asked=
echo "$*" >>"$folder/calls"
while [ $# -gt 0 ]; do
    case $1 in
        -i) gpu=$2; shift ;;
        -pl) asked=$2; shift ;;
        --query-gpu=*) fields=${{1#*=}} ;;
        --format=csv,noheader,nounits) ;;
        *) echo "Invalid combination of input arguments. ($1)"; exit 1 ;;
    esac
    shift
done
file=$(grep -lxE "(index|pci.bus_id|uuid)=$gpu" "$folder"/gpu-* | head -n 1)
[ -n "$file" ] || {{ echo "No devices were found"; exit 6; }}
value() {{ sed -n "s/^$1=//p" "$file"; }}
if [ -n "$fields" ]; then
    line=
    for field in ${{fields//,/ }}; do
        found=$(value "$field")
        [ "$found" = N/A ] && found="[N/A]" || found=$(printf '%.2f' "$found")
        line+="${{line:+, }}$found"
    done
    echo "$line"
    exit 0
fi
bus=$(value pci.bus_id) least=$(value power.min_limit) most=$(value power.max_limit)
case $(value refuses) in
    hang) exec sleep 60 ;;
    slow) sleep 5 ;;
    permission)
        echo "Failed to set power management limit for GPU $bus: Insufficient Permissions"
        echo "Terminating early due to previous errors."
        exit 4
        ;;
    support)
        echo "Changing power management limit is not supported for GPU: $bus."
        echo "Treating as warning and moving on."
        echo "All done."
        exit 0
        ;;
esac
if ! awk "BEGIN {{ exit !($asked >= $least && $asked <= $most) }}"; then
    printf 'Provided power limit %.2f W is not a valid power limit which should be' "$asked"
    printf ' between %.2f W and %.2f W for GPU %s\\n' "$least" "$most" "$bus"
    echo "Terminating early due to previous errors."
    exit 2
fi
printf 'Power limit for GPU %s was set to %.2f W from %.2f W.\\n' \\
    "$bus" "$asked" "$(value power.limit)"
sed "s/^\\(enforced\\.\\)\\?power\\.limit=.*/\\1power.limit=$asked/" "$file" >"$folder/.$gpu" &&
    mv "$folder/.$gpu" "$file"
echo "All done."
"""
_LIMITS = {
    "power.limit": 700.0,
    "power.default_limit": 700.0,
    "power.min_limit": 100.0,
    "power.max_limit": 700.0,
    "enforced.power.limit": 700.0,
}


def uuid_of(gpu: int) -> str:
    """Return the name that a GPU keeps wherever it is, as its driver and device plugin write it."""
    return f"GPU-6b8d4f1e-0000-4000-8000-{gpu:012x}"


class FakeGpus:
    """GPUs of 100 to 700 W under a folder, and the program that manages them in ``bin`` there."""

    def __init__(self, folder: Path, gpus: int = 4) -> None:
        self.folder = folder
        self.bin = folder / "bin"
        self.bin.mkdir(parents=True)
        folder.chmod(0o755)
        program = self.bin / "nvidia-smi"
        program.write_text(_PROGRAM.format(folder=folder))
        program.chmod(0o755)
        for index in range(gpus):
            bus = f"00000000:{index + 1:02x}:00.0"
            named = {"index": index, "pci.bus_id": bus, "uuid": uuid_of(index)}
            self._write(index, {**named, **_LIMITS, "refuses": ""})

    def limit(self, gpu: int) -> float:
        """The limit in force on a GPU [W]."""
        return float(str(self._read(gpu)["power.limit"]))

    def limits(self) -> list[float]:
        """Those of all of them."""
        return [self.limit(index) for index in range(len(list(self.folder.glob("gpu-*"))))]

    def set_limit(self, gpu: int, watts: float | None, enforced: float | None = None) -> None:
        """Let somebody else set a limit, or another limiter stand below; ``None``: not managed."""
        limit = "N/A" if watts is None else watts
        also = limit if enforced is None else enforced
        self._write(gpu, self._read(gpu) | {"power.limit": limit, "enforced.power.limit": also})

    def set_default(self, gpu: int, watts: float) -> None:
        """Let the limit that the maker gave a GPU be below the most it takes."""
        self._write(gpu, self._read(gpu) | {"power.default_limit": watts})

    def refuse(self, why: str, gpus: Iterable[int] = range(4)) -> None:
        """Let changes be refused for want of ``permission`` or ``support``; ``""``: no more.

        ``hang`` lets the driver not answer them, ``slow`` five seconds later than it might.
        """
        for gpu in gpus:
            self._write(gpu, self._read(gpu) | {"refuses": why})

    def calls(self) -> list[str]:
        """What the program was called with."""
        file = self.folder / "calls"
        return file.read_text().splitlines() if file.exists() else []

    def _read(self, gpu: int) -> dict[str, object]:
        lines = (self.folder / f"gpu-{gpu}").read_text().splitlines()
        return dict(line.split("=", 1) for line in lines)

    def _write(self, gpu: int, values: dict[str, object]) -> None:
        beside = self.folder / f".gpu-{gpu}"
        beside.write_text("".join(f"{name}={value}\n" for name, value in values.items()))
        beside.replace(self.folder / f"gpu-{gpu}")
