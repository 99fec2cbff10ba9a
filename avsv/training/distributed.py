"""Training one model in several processes, one per GPU or per share of the cores, started by `torchrun`.

    torchrun --standalone --nproc-per-node 4 --no-python avsv train conf/voice.yaml

`batch_size` stays the size of the whole batch, and the result equals that of a single process, except for rounding:

- encoders work on shares of the batch; gradients are averaged, batch norm covers the whole batch, and each process
  draws the random numbers (dropout, masks) of the whole batch and uses its share;
- modules that form pairs, or draw random numbers in other ways, work on the whole batch in every process: AVN-E's
  network and the heads of AVN-J (`whole_batch`), which are small beside the encoders, on embeddings that `from_all`
  has gathered.

Rounding errors grow: ECAPA's float32 losses differ by one per cent within ten steps, as they do in one process if its
batches are in another order; in double precision, one and two processes still agree to 1e-12 after ten steps.
"""

import logging
from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from avsv.errors import InputError
from avsv.jobs.environment import number_in
from avsv.models.device import pick_device


def n_processes() -> int:
    """The number of processes that train together; 1 without torchrun."""
    return number_in("WORLD_SIZE", 1)


def rank() -> int:
    """This process's number, from 0; only the first one writes files and logs."""
    return number_in("RANK") if n_processes() > 1 else 0


def join_processes(device: str) -> None:
    """Join the other processes that torchrun started, if any; all but the first stop logging."""
    if n_processes() == 1 or dist.is_initialized():
        return
    if rank():
        logging.getLogger("avsv").setLevel(logging.ERROR)
    if pick_device(device).type == "cuda":
        own = torch.device("cuda", number_in("LOCAL_RANK"))
        torch.cuda.set_device(own)
        dist.init_process_group("nccl", device_id=own)
    else:
        dist.init_process_group("gloo")


def wait_for_all() -> None:
    if dist.is_initialized():
        dist.barrier()


def leave_processes() -> None:
    """End joint training: the first process continues alone, the others exit."""
    if dist.is_initialized():
        dist.barrier()
        dist.destroy_process_group()
        if rank():
            raise SystemExit(0)


def share(batch: Sequence) -> Sequence:
    """This process's part of a whole batch: every n-th example.

    Raises
    ------
    InputError : the batch cannot be shared out equally

    Examples
    --------
    >>> share([5, 6, 7])
    [5, 6, 7]
    """
    n = n_processes()
    if len(batch) % n:
        raise InputError(f"a batch of {len(batch)} cannot be shared equally by {n} processes; change batch_size or "
                        "the number of processes")  # fmt: skip
    return batch if n == 1 else batch[rank() :: n]


def draw_share(draw: Callable[[int], Tensor], n: int) -> Tensor:
    """Random numbers for this process's n examples, equal to the draws of a single process.

    Parameters
    ----------
    draw : number of examples -> (that number, ...)

    Examples
    --------
    >>> draw_share(torch.zeros, 3)
    tensor([0., 0., 0.])
    """
    return share(draw(n * n_processes()))


class FromAllProcesses(torch.autograd.Function):
    """The shares of all processes as one batch. All processes compute the same from it, so each keeps its own gradient.

    Gradients are averaged over the processes afterwards, but only one process has each part; the factor corrects this.
    """

    @staticmethod
    def forward(_context: Any, x: Tensor) -> Tensor:
        parts = [torch.empty_like(x) for _ in range(n_processes())]
        dist.all_gather(parts, x)
        return torch.stack(parts, 1).flatten(0, 1)  # examples were dealt out in turn

    @staticmethod
    def backward(_context: Any, gradient: Tensor) -> Tensor:
        return share(gradient) * n_processes()


def from_all(x: Tensor) -> Tensor:
    """Join the shares of all processes into the whole batch, (batch, ...); a single process returns `x` itself.

    Examples
    --------
    >>> from_all(torch.ones(2))
    tensor([1., 1.])
    """
    if not dist.is_initialized():
        return x
    return FromAllProcesses.apply(x.byte()).bool() if x.dtype == torch.bool else FromAllProcesses.apply(x.contiguous())


def gather(value: Any) -> list[Any]:
    """Gather the values of all processes, in order, in every process.

    Examples
    --------
    >>> gather({"loss": 0.5})
    [{'loss': 0.5}]
    """
    if not dist.is_initialized():
        return [value]
    values = [None] * n_processes()
    dist.all_gather_object(values, value)
    return values


class SharedStep(nn.Module):
    """A task's step as the `forward` of a module, because DistributedDataParallel wraps a forward."""

    def __init__(self, model: nn.Module, step: Callable):
        super().__init__()
        self.model, self.step = model, step

    def forward(self, batch: Any) -> tuple[Tensor, dict]:
        return self.step(batch)


class AveragedStep:
    """A step with gradients averaged over the processes; parameters may be frozen in some epochs."""

    def __init__(self, model: nn.Module, step: Callable):
        self.model, self.step = model, step
        self.trainable: list[bool] = []
        self.shared: nn.Module | None = None

    def __call__(self, batch: Any) -> tuple[Tensor, dict]:
        trainable = [p.requires_grad for p in self.model.parameters()]
        if trainable != self.trainable:
            self.shared = None  # the old wrapper first removes its hooks from the parameters
            self.trainable = trainable
            self.shared = DistributedDataParallel(SharedStep(self.model, self.step), forward_sync_buffers=False)
        return self.shared(batch)


def average_gradients(model: nn.Module, step: Callable) -> Callable:
    """`step`, with the gradients of `model` averaged over the processes; `step` itself in a single process."""
    return AveragedStep(model, step) if dist.is_initialized() else step


class SumOverProcesses(torch.autograd.Function):
    """The sum of a tensor over the processes; gradients are summed too, as every process's loss depends on all."""

    @staticmethod
    def forward(_context: Any, x: Tensor) -> Tensor:
        total = x.clone()
        dist.all_reduce(total)
        return total

    backward = forward


class WholeBatchNorm(nn.modules.batchnorm._BatchNorm):
    """Batch norm over the batches of all processes, of any sizes, on any device; torch's own is for GPUs only."""

    def _check_input_dim(self, x: Tensor) -> None:
        """Accepts any shape (batch, channels, ...)."""

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return super().forward(x)
        dims = [d for d in range(x.ndim) if d != 1]
        shape = [1, -1, *[1] * (x.ndim - 2)]
        wide = x.to(self.running_mean.dtype)
        n = wide.new_tensor(x.numel() // x.shape[1], dtype=torch.float64)
        dist.all_reduce(n)
        n = n.item()
        mean = SumOverProcesses.apply(wide.sum(dims)) / n
        centred = wide - mean.view(shape)
        variance = SumOverProcesses.apply(centred.square().sum(dims)) / n
        with torch.no_grad():
            self.num_batches_tracked += 1
            self.running_mean.lerp_(mean, self.momentum)
            self.running_var.lerp_(variance * n / (n - 1), self.momentum)
        scale = (variance + self.eps).rsqrt() * self.weight
        return (centred * scale.view(shape) + self.bias.view(shape)).to(x.dtype)


class WholeBatchDropout(nn.Dropout):
    """Dropout with the random numbers that one process would draw for the whole batch."""

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or not self.p:
            return x
        whole = torch.ones_like(torch.cat([x.detach()] * n_processes()))  # the draws follow x's memory layout
        return x * share(F.dropout(whole, self.p))


def share_layers(model: nn.Module, device: torch.device) -> None:
    """Replace batch norm and dropout by layers that work on the whole batch; parameter names stay the same.

    Modules with a true attribute `whole_batch` already receive the whole batch, and keep their layers.
    """
    if not dist.is_initialized() or getattr(model, "whole_batch", False):
        return
    for name, old in list(model.named_children()):
        if isinstance(old, nn.modules.batchnorm._BatchNorm):
            kind = nn.SyncBatchNorm if device.type == "cuda" else WholeBatchNorm
            new = kind(old.num_features, old.eps, old.momentum, old.affine, old.track_running_stats)
            new.weight, new.bias = old.weight, old.bias
            for buffer, value in old.named_buffers():
                setattr(new, buffer, value)
            setattr(model, name, new.train(old.training))
        elif type(old) is nn.Dropout:
            setattr(model, name, WholeBatchDropout(old.p).train(old.training))
        else:
            share_layers(old, device)
