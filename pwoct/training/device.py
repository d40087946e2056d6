"""The device, its precision and its memory."""

import contextlib
import ctypes
import sys

import torch

from pwoct.training.config import Config, ConfigError

_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_THRESHOLD = -1, -2, -3  # glibc's malloc.h


def settle(config: Config, ranks: int = 1) -> Config:
    """Return `config` with every "auto" of its machine section replaced by this machine's value.

    Raises:
        ConfigError: if the device or an option is not available.
    """
    machine = config.machine
    device = _find_device() if machine.device == "auto" else machine.device
    available = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if not available[device]:
        raise ConfigError(f"machine.device: {device} is not available here")
    if machine.sync_bn and device != "cuda":
        raise ConfigError(f"machine.sync_bn needs device cuda, got {device}")
    if machine.ranks not in (0, ranks):
        raise ConfigError(f"machine.ranks is {machine.ranks}, but {ranks} were started")
    precision = machine.precision
    if precision == "auto":
        # In bfloat16 on CPUs, torch 2.13 takes some weight gradients of strided convolutions from memory that
        # was never initialised: those on maps of 1x1 or 2x2, which built-in networks do not have by default.
        is_safe = device != "cpu" or not config.model.is_own
        precision = "bf16" if is_safe and _has_bf16(device) else "fp32"
    found = {
        "device": device,
        "precision": precision,
        "threads": machine.threads or torch.get_num_threads(),
        "ranks": ranks,
    }
    return config.model_copy(update={"machine": machine.model_copy(update=found)})


def dtype_of(config: Config) -> torch.dtype:
    """Return the type in which a forward pass computes."""
    return torch.bfloat16 if config.machine.precision == "bf16" else torch.float32


def autocast(config: Config) -> contextlib.AbstractContextManager[object]:
    """Return the context in which a forward pass runs."""
    return torch.autocast(
        config.machine.device, dtype=torch.bfloat16, enabled=config.machine.precision == "bf16"
    )


def keep_freed_memory() -> bool:
    """Let malloc keep freed memory for the next step; return whether this libc supports that.

    Otherwise glibc returns the pages of large tensors to the system and faults them in again at every layer.
    """
    if not sys.platform.startswith("linux") or not hasattr(libc := ctypes.CDLL(None), "mallopt"):
        return False
    settings = {_M_MMAP_THRESHOLD: 32 << 20, _M_TRIM_THRESHOLD: 2**31 - 1, _M_TOP_PAD: 64 << 20}
    return bool(min(libc.mallopt(name, value) for name, value in settings.items()))


def _find_device() -> str:
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def _has_bf16(device: str) -> bool:
    if device == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device == "cpu" and hasattr(torch.cpu, "get_capabilities"):
        found = torch.cpu.get_capabilities()
        return bool(found.get("amx_bf16") or found.get("avx512_bf16"))
    return False
