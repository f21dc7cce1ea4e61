"""A job that keeps one GPU busy with matrix products, and can be paused. Needs PyTorch and CUDA.

SIGTERM: it saves its matrix and how often that was multiplied, and leaves. Started again it goes on
from there.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from types import FrameType

import torch

SIZE = 8192
PRODUCTS_A_STEP = 200


def main() -> None:
    """Multiply until told to leave."""
    is_told = False

    def leave(_number: int, _frame: FrameType | None) -> None:
        nonlocal is_told
        is_told = True

    signal.signal(signal.SIGTERM, leave)
    checkpoint = Path(os.environ["GRIDTIDE_CHECKPOINT_DIR"]) / "matrix.pt"
    step, matrix = _begin(checkpoint)
    print(f"step {step}", flush=True)
    turn = torch.linalg.qr(torch.randn(SIZE, SIZE, device="cuda"))[0].to(torch.bfloat16)
    while not is_told:
        for _ in range(PRODUCTS_A_STEP):
            matrix = matrix @ turn
        torch.cuda.synchronize()
        step += 1
        print(f"step {step}", flush=True)
    unfinished = checkpoint.with_suffix(".new")
    torch.save({"step": step, "matrix": matrix}, unfinished)
    unfinished.replace(checkpoint)
    print(f"saved {step}", flush=True)
    sys.exit(128 + signal.SIGTERM)


def _begin(checkpoint: Path) -> tuple[int, torch.Tensor]:
    if os.environ["GRIDTIDE_IS_CONTINUATION"] == "1":
        saved = torch.load(checkpoint, map_location="cuda")
        return saved["step"], saved["matrix"]
    return 0, torch.randn(SIZE, SIZE, device="cuda", dtype=torch.bfloat16)


if __name__ == "__main__":
    main()
