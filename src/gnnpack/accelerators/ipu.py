"""Whole steps on Graphcore IPUs, through PopTorch or its emulator."""

from __future__ import annotations

import logging
import time
from typing import Any, Mapping

import pytorch_lightning as pl
import torch
from pytorch_lightning.accelerators import CPUAccelerator
from pytorch_lightning.plugins.precision import Precision
from pytorch_lightning.trainer.states import TrainerFn
from torch import Tensor
from torch.optim import Optimizer

from gnnpack.accelerators.ipu_graph import PackGraph, use_half_precision
from gnnpack.accelerators.ipu_loader import IPULoader
from gnnpack.accelerators.ipu_optimizer import KEPT_UNDER, ipu_optimizer, refuse_other_state
from gnnpack.accelerators.ipu_programs import IPUPrograms
from gnnpack.accelerators.ipu_refusals import (
    gradient_norm,
    refuse_offline,
    refuse_unmade_updates,
)
from gnnpack.accelerators.ipu_settings import IPUSettings
from gnnpack.accelerators.whole_step import WholeStepStrategy
from gnnpack.batching import HostStep, PackBatch, PackLoader

log = logging.getLogger(__name__)


class CompiledOffline(Exception):
    """The programs are compiled and kept; there is no IPU to run them (connection=never)."""


class IPUAccelerator(CPUAccelerator):
    """The host of the IPUs: what Lightning itself places stays on the CPU."""

    @staticmethod
    def name() -> str:
        return "ipu"


class IPUPrecision(Precision):
    """Nothing on the host: updates, their scaling and their clipping are made on the IPU."""

    def backward(self, tensor: Tensor, *arguments: Any, **options: Any) -> None:
        pass

    def clip_gradients(self, optimizer: Optimizer, *arguments: Any, **options: Any) -> None:
        pass


class IPUStrategy(WholeStepStrategy):
    """`WholeStepStrategy` whose calls are one program on ``settings.replicas`` IPUs.

    The updates of a call share one rate: that of the first. An update without molecules, as they
    complete an epoch's last call, still lets an optimizer with momentum move the weights; such
    updates are not counted.

    Args:
        poptorch: the module of that name, or the emulator.
        emulated: whether it is the emulator; told wherever figures are.

    Attributes:
        micro_batches: losses that are averaged to one update's.
        micro_batch: packs of one, where they are asked for; None = as batch_size asks.
    """

    strategy_name = "ipu"

    def __init__(self, settings: IPUSettings, poptorch: Any, *, emulated: bool = False) -> None:
        super().__init__(
            "cpu",
            settings.device_iterations,
            accelerator=IPUAccelerator(),
            precision_plugin=IPUPrecision(),
        )
        self.settings, self.emulated = settings, emulated
        self.micro_batches, self.micro_batch = settings.micro_batches, settings.micro_batch
        self._poptorch = poptorch
        self._programs: IPUPrograms | None = None
        self._optimizer: Any = None
        self._loaders: list[IPULoader] = []
        self._shown_loss = torch.zeros(())
        self._packs_at_once: int | None = None

    @property
    def run_summary(self) -> dict[str, Any]:
        """What summary.json tells of the execution."""
        return {"emulated": self.emulated}

    # --- Lightning's hooks ---

    def setup(self, trainer: pl.Trainer) -> None:
        """Refuse what an IPU cannot do right; nothing is compiled before the first call."""
        norm = gradient_norm(trainer, self.settings)
        refuse_offline(trainer, self.settings)
        if self.settings.precision == "float16":
            use_half_precision(self._module.model)
        graph = PackGraph(
            self._module.model,
            self._module.objective,
            self.micro_batches,
            self._poptorch,
            overlap=bool(self.settings.num_io_tiles),
        )
        # Before Lightning asks for loaders, in its own set-up.
        self._programs = IPUPrograms(graph, self._poptorch, self.settings)
        self.blocked_seconds = 0.0
        self._tell_form()
        super().setup(trainer)
        if trainer.state.fn == TrainerFn.FITTING:
            # Without gradients it changes nothing; schedules warn of an optimizer that never steps.
            self.optimizers[0].step()
            self._optimizer = ipu_optimizer(
                self._poptorch,
                self.optimizers[0],
                max_grad_norm=norm,
                loss_scaling=self.settings.loss_scaling,
            )

    def process_dataloader(self, dataloader: object) -> object:
        """Loaders that give whole combined batches."""
        assert isinstance(dataloader, PackLoader), "IPUs are fed by our loader"
        settings = self.settings
        micro_batch = max(1, dataloader.packs_per_update // self.micro_batches)
        if dataloader.device_iterations is None:
            # As in training, so that one program serves validation and test.
            micro_batch = self._packs_at_once or micro_batch
            packs = micro_batch * settings.replicas * settings.device_iterations
            return dataloader.with_packs_per_update(packs)
        self._packs_at_once = micro_batch
        log.info("IPU%s: %s", self._mark, settings.combined(micro_batch))
        made = IPULoader(dataloader, settings, self._poptorch)
        if made.empty_updates:
            log.warning(
                "An epoch has %d updates, and its last call is completed with empty ones (%d), in "
                "which optimizers with momentum still move the weights. An accelerator."
                "device_iterations that divides %d avoids them.",
                made.updates_per_epoch,
                made.empty_updates,
                made.updates_per_epoch,
            )
        self._loaders.append(made)
        return made

    def on_train_start(self) -> None:
        """Refuse a run that would end, or keep weights, inside a call."""
        super().on_train_start()
        refuse_unmade_updates(self._trainer, self._loader)

    def on_validation_start(self) -> None:
        """Give the IPUs to the other program."""
        super().on_validation_start()
        self._programs_now.pause_training()

    def on_validation_end(self) -> None:
        """Give them back."""
        self._programs_now.pause_prediction()

    def validation_step(self, batch: PackBatch, batch_idx: int) -> None:
        self._module.add_validation(self._predict(batch), batch)

    def test_step(self, batch: PackBatch, batch_idx: int) -> None:
        self._module.add_test(self._predict(batch), batch)

    def predict_step(self, batch: PackBatch, batch_idx: int) -> Tensor:
        predicted: Tensor = self._module.real_predictions(self._predict(batch), batch)
        return predicted

    def teardown(self) -> None:
        """Weights to the host, and the module as it was."""
        loaders, self._loaders = self._loaders, []
        programs, self._programs = self._programs, None
        try:
            for loader in loaders:
                loader.close()
        finally:
            try:
                if programs is not None:
                    programs.close()
            finally:
                # The optimizer stays: a checkpoint may be written after the training.
                super().teardown()

    # --- the updates ---

    def _run(self, step: HostStep) -> tuple[Tensor, list[float]]:
        assert step.packs is not None, "an IPU is fed from the host"
        held = [float(group["lr"]) for group in self.optimizers[0].param_groups]
        self._set_rates(held)
        programs = self._programs_now
        if self.settings.connection == "never":
            programs.compile(step.packs, self._optimizer)
            raise CompiledOffline
        asked = time.perf_counter()
        losses = programs.train(step.packs, self._optimizer)
        self.blocked_seconds = (self.blocked_seconds or 0.0) + time.perf_counter() - asked
        # Schedules that count updates move on; their rates come into force with the next call.
        num_updates = sum(1 for _ in self._rates())
        return self._losses_of_updates(losses, step.packs, num_updates), [held[0]] * num_updates

    def _set_rates(self, rates: list[float]) -> None:
        groups = self._optimizer.param_groups
        if [group["lr"] for group in groups] == rates:
            return
        for group, rate in zip(groups, rates):
            group["lr"] = rate
        self._programs_now.set_optimizer(self._optimizer)

    def _losses_of_updates(self, losses: Tensor, packs: PackBatch, num_updates: int) -> Tensor:
        """Losses (num_updates,), as near to each update's own as the output mode allows."""
        iterations = self.settings.device_iterations
        losses = losses.reshape(-1).float()
        if self.settings.output_mode == "all":
            # [device iterations][accumulation][replicas]
            return losses.view(iterations, -1).mean(1)[:num_updates]
        if self.settings.output_mode == "sum":
            self._shown_loss = losses.sum() / (num_updates * self.micro_batches)
        else:
            # Of the last micro-batch of each replica; where all are empty the latest loss stands.
            each = iterations * self.settings.gradient_accumulation
            real = packs.molecule_mask.view(each, self.settings.replicas, -1)[-1].any(1)
            if real.any():
                self._shown_loss = losses[real].mean()
        return self._shown_loss.expand(num_updates)

    def _predict(self, batch: PackBatch) -> Tensor:
        return self._programs_now.predict(batch).float()

    # --- telling ---

    def _tell(self) -> float:
        if not self.settings.synthetic_data:
            return super()._tell()
        # With synthetic data PopTorch hands back memory that nobody has written.
        self._untold.popleft()
        return 0.0

    def _tell_form(self) -> None:
        model = self._module.model
        own = getattr(model, "neighbours", "dense"), getattr(model, "grid", None)
        if own[0] == "cutoff" or own[1] is not None:
            log.info(
                "IPU%s: static shapes, so model.neighbours=%s and exact filters; the weights mean "
                "the same anywhere",
                self._mark,
                "dense" if own[0] == "cutoff" else own[0],
            )

    @property
    def _mark(self) -> str:
        return " (emulated)" if self.emulated else ""

    # --- checkpoints ---

    def lightning_module_state_dict(self) -> dict[str, Any]:
        """Plain tensors, read back from the IPU where they have moved on there."""
        if self._programs is not None:
            self._programs.weights_to_host()
        state: dict[str, Any] = super().lightning_module_state_dict()
        return {name: _plain(value) for name, value in state.items()}

    def optimizer_state(self, optimizer: Optimizer) -> dict[str, Any]:
        """The schedule's groups in torch's form, and PopTorch's own state beside them."""
        groups = optimizer.state_dict()["param_groups"]
        return {"state": {}, "param_groups": groups, KEPT_UNDER: self._optimizer.state_dict()}

    def load_optimizer_state_dict(self, checkpoint: Mapping[str, Any]) -> None:
        """Go on with an IPU's state.

        Raises:
            ValueError: the state was made on another device.
        """
        (state,) = checkpoint["optimizer_states"]
        refuse_other_state(state)
        groups = self.optimizers[0].state_dict()["param_groups"]
        kept = [
            {**new, **old, "params": new["params"]}
            for new, old in zip(groups, state["param_groups"])
        ]
        self.optimizers[0].load_state_dict({"state": {}, "param_groups": kept})
        # The rates come from the groups: those of the state would be sent over them later.
        self._optimizer.load_state_dict({**state[KEPT_UNDER], "ipu_param": {}})

    @property
    def _programs_now(self) -> IPUPrograms:
        assert self._programs is not None, "Lightning sets a strategy up before it uses it"
        return self._programs


def _plain(value: Any) -> Any:
    if not isinstance(value, Tensor):
        return value
    # Not .as_subclass alone: a checkpoint must not hold what PopTorch overwrites.
    with torch.no_grad():
        return value.detach().clone().as_subclass(torch.Tensor)
