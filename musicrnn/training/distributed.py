"""Training in several processes, each with its share of every batch.

Processes find each other through the environment variables of ``torchrun``. Any launcher may set these:
``torchrun``, Slurm, Kubernetes, or ``launch``, which starts the processes of one machine.
"""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from musicrnn.errors import MusicRNNError, UsageError
from musicrnn.processes import child

if TYPE_CHECKING:
    from torch import Tensor

_Value = TypeVar("_Value")


@dataclass(frozen=True)
class World:
    """The processes of a training: ``size`` of them, this one has the number ``rank``."""

    rank: int = 0
    size: int = 1

    @property
    def is_main(self) -> bool:
        """Whether this process writes the run."""
        return self.rank == 0

    def all_reduce(self, tensor: Tensor) -> Tensor:
        """Replace a tensor by its sum over all processes, and return it."""
        if self.size > 1:
            from torch import distributed

            distributed.all_reduce(tensor)
        return tensor

    def first_of(self, value: _Value | None) -> _Value | None:
        """Return the first value that isn't None among all processes, in every process."""
        if self.size == 1:
            return value
        from torch import distributed

        found: list[_Value | None] = [None] * self.size
        distributed.all_gather_object(found, value)
        return next((each for each in found if each is not None), None)

    def broadcast(self, make: Callable[[], _Value]) -> _Value:
        """Return the value made by the main process, in every process."""
        if self.size == 1:
            return make()
        from torch import distributed

        box = [make() if self.is_main else None]
        distributed.broadcast_object_list(box)
        return box[0]  # type: ignore[return-value]


ALONE = World()
"""A training in one process."""


def started_by_launcher() -> bool:
    """Return whether this process is one of several in a distributed training."""
    return int(os.environ.get("WORLD_SIZE", "1")) > 1


def is_main_process() -> bool:
    """Return whether this process is the only one, or the first of several."""
    return not started_by_launcher() or os.environ.get("RANK", "0") == "0"


@contextlib.contextmanager
def joined(device: str) -> Iterator[tuple[World, str]]:
    """Join the other processes, if there are any.

    Args:
        device: A torch device; ``cuda`` becomes the GPU of this process's number on its machine.

    Yields:
        The processes, and the device of this one.

    Raises:
        MusicRNNError: The others can't be found.
    """
    if not started_by_launcher():
        yield World(), device
        return
    import torch
    from torch import distributed

    backend = "gloo"
    if device.startswith("cuda"):
        device, backend = f"cuda:{int(os.environ.get('LOCAL_RANK', '0'))}", "cpu:gloo,cuda:nccl"
        torch.cuda.set_device(device)
    try:
        distributed.init_process_group(backend)
    except (RuntimeError, ValueError) as error:
        where = f"{os.environ.get('MASTER_ADDR')}:{os.environ.get('MASTER_PORT')}"
        reason = str(error).splitlines()[0]
        raise MusicRNNError(f"{where}: expected to find the other processes there: {reason}") from error
    world = World(distributed.get_rank(), distributed.get_world_size())
    try:
        yield world, device
    except RuntimeError as error:  # another process ended
        reason = str(error).splitlines()[0]
        raise MusicRNNError(f"process {world.rank} of {world.size}: lost the others: {reason}") from error
    finally:
        distributed.destroy_process_group()


def launch(arguments: Sequence[str], devices: int, nodes: int) -> int:
    """Run ``musicrnn`` in several processes that train together; return the exit code.

    On several machines the same command runs on each; ``MASTER_ADDR`` names the first of them, and
    ``NODE_RANK`` or Slurm's ``SLURM_NODEID`` numbers this one.

    Args:
        arguments: The command line, without the program's name.
        devices: Processes on this machine.
        nodes: Machines.

    Raises:
        UsageError: With several machines, ``MASTER_ADDR`` or this one's number is missing.
    """
    node = int(os.environ.get("NODE_RANK", os.environ.get("SLURM_NODEID", "0")))
    threads = os.environ.get("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // devices)))
    shared = {"WORLD_SIZE": str(devices * nodes), "OMP_NUM_THREADS": threads}
    if nodes == 1:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            shared |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free.getsockname()[1])}
    elif "MASTER_ADDR" not in os.environ or not {"NODE_RANK", "SLURM_NODEID"} & set(os.environ):
        raise UsageError(
            f"--nodes {nodes}: expected the variables MASTER_ADDR (the first machine) and NODE_RANK (the "
            "number of this one), found none"
        )
    else:
        shared["MASTER_PORT"] = os.environ.get("MASTER_PORT", "29500")
    ranks = [{"RANK": str(node * devices + local), "LOCAL_RANK": str(local)} for local in range(devices)]
    return child.wait_for_all(
        [child.start("musicrnn.cli.app:main", arguments, {**shared, **rank}) for rank in ranks]
    )
