"""The traced graph against forward itself: values and gradients, on other data."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from tiny_models import options, regression, same_weights

from gnnpack.accelerators import ipu_emulator as poptorch
from gnnpack.accelerators.ipu_emulator.capture import capture
from gnnpack.accelerators.ipu_emulator.weights import host_weights

ATOMS, SLOTS, WIDTH, NEAREST = 9, 4, 8, 3


class PackNetwork(torch.nn.Module):
    """What a network on packs is made of: embedding, dense distances, nearest, messages, sums."""

    def __init__(self):
        super().__init__()
        self.embedding = torch.nn.Embedding(10, WIDTH)
        self.filter = torch.nn.Linear(6, WIDTH)
        self.dense = torch.nn.Linear(WIDTH, WIDTH)
        self.out = torch.nn.Linear(WIDTH, 1)
        self.register_buffer("centers", torch.linspace(0, 3, 6))

    def forward(self, z, pos, molecule_slot, atom_mask, molecule_mask, target):
        h = self.embedding(z)
        apart = molecule_slot[:, :, None] != molecule_slot[:, None, :]
        distance = torch.cdist(pos, pos, compute_mode="donot_use_mm_for_euclid_dist")
        distance = torch.where(apart, torch.full_like(distance, 1e3), distance)
        nearest, source = torch.topk(distance, NEAREST, dim=-1, largest=False)
        rbf = torch.exp(-(nearest[..., None] - self.centers).square())
        index = source.flatten(1)[..., None].expand(-1, -1, WIDTH)
        messages = torch.gather(h, 1, index).reshape(*source.shape, WIDTH) * self.filter(rbf)
        x = self.dense(messages.sum(2))
        x = torch.log1p(torch.exp(-x.abs())) + x.clamp_min(0) - 0.6931
        energy = torch.where(atom_mask, self.out(x)[..., 0], 0.0)
        zeros = torch.zeros(len(z), SLOTS, dtype=energy.dtype, device=energy.device)
        prediction = zeros.scatter_add(1, molecule_slot, energy)
        error = torch.where(molecule_mask, prediction - target, 0.0)
        count = molecule_mask.sum().clamp_min(1)
        return poptorch.identity_loss(error.square().sum() / count, "none"), prediction


def packs(num, seed=0):
    """Positional arguments of `PackNetwork`; a pack in three has filler only."""
    g = torch.Generator().manual_seed(seed)
    real = torch.arange(num)[:, None] % 3 < 2
    return (
        torch.randint(1, 10, (num, ATOMS), generator=g) * real,
        torch.randn(num, ATOMS, 3, generator=g),
        torch.randint(0, SLOTS, (num, ATOMS), generator=g),
        (torch.rand(num, ATOMS, generator=g) < 0.8) & real,
        (torch.rand(num, SLOTS, generator=g) < 0.7) & real,
        torch.randn(num, SLOTS, generator=g),
    )


def network():
    torch.manual_seed(0)
    return PackNetwork()


def replay(module, captured, batch):
    weights = [
        weight.detach().clone().requires_grad_(weight.requires_grad)
        for weight in host_weights(module).values()
    ]
    loss, outputs = captured.graph_module(*weights, *batch)
    trained = [weight for weight in weights if weight.requires_grad]
    return loss, outputs, torch.autograd.grad(loss, trained)


def test_a_replay_is_forward_bit_for_bit():
    module = network()
    captured = capture(module, packs(2, seed=1))
    batch = packs(2, seed=2)
    loss, outputs, gradients = replay(module, captured, batch)
    expected, prediction = module(*batch)
    assert loss.item() == expected.item()
    assert torch.equal(outputs[1], prediction)
    for one, other in zip(gradients, torch.autograd.grad(expected, list(module.parameters()))):
        assert torch.equal(one, other)


def test_the_graph_says_its_shapes_and_its_loss():
    captured = capture(network(), packs(2))
    nodes = list(captured.graph_module.graph.nodes)
    assert captured.weights[0] == "embedding.weight"
    assert captured.weights[-1] == "centers"
    assert captured.loss in nodes
    shapes = {
        node.name: tuple(node.meta["val"].shape) for node in nodes if node.op == "placeholder"
    }
    assert shapes["weight_embedding_weight"] == (10, WIDTH)
    assert shapes["input_1"] == (2, ATOMS, 3)
    calls = [node for node in nodes if node.op == "call_function"]
    assert all("val" in node.meta for node in calls)
    values = [node.meta["val"] for node in calls if isinstance(node.meta["val"], torch.Tensor)]
    assert {value.device.type for value in values} == {"meta"}


def test_what_no_grad_covers_stays_covered():
    class Half(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = torch.nn.Parameter(torch.tensor([3.0]))

        def forward(self, x):
            with torch.no_grad():
                kept = self.weight * x
            return poptorch.identity_loss(kept * self.weight, "none")

    module = Half()
    _, _, (gradient,) = replay(module, capture(module, (torch.ones(1),)), (torch.full((1,), 2.0),))
    assert gradient.item() == 6.0
    assert torch.is_grad_enabled()


def test_constants_of_forward_are_made_anew():
    class Constant(torch.nn.Module):
        def forward(self, x):
            total = torch.tensor([1.0, 2.0])
            total += x
            return total

    executor = poptorch.inferenceModel(Constant(), options(3))
    assert executor(torch.ones(6)).tolist() == [2.0, 3.0] * 3


def test_tensors_of_the_module_that_are_no_buffers_are_constants():
    class Table(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.table = torch.tensor([1.0, 2.0])

        def forward(self, x):
            return x + self.table

    module = Table()
    executor = poptorch.inferenceModel(module, options(2))
    executor.compile(torch.zeros(4))
    module.table.fill_(9.0)
    assert executor(torch.zeros(4)).tolist() == [1.0, 2.0, 1.0, 2.0]


def test_a_constant_is_not_taken_for_a_value_that_was_freed_before_it():
    array = np.full(2, 10.0, dtype=np.float32)

    class Frees(torch.nn.Module):
        def forward(self, x):
            total = x
            for _ in range(20):
                # Freed at once: its memory, and Python's id, are free for the next tensor.
                x * 3.0
                total = total + torch.from_numpy(array)
            return total

    assert poptorch.inferenceModel(Frees())(torch.zeros(2)).tolist() == [200.0, 200.0]


def test_tied_weights_are_trained_as_one():
    class Tied(torch.nn.Module):
        def __init__(self):
            super().__init__()
            torch.manual_seed(0)
            self.first = torch.nn.Linear(3, 3)
            self.second = torch.nn.Linear(3, 3)
            self.second.weight = self.first.weight

        def forward(self, x):
            return poptorch.identity_loss(self.second(self.first(x)).square(), "mean")

    module, reference = Tied(), Tied()
    x = torch.randn(4, 3)
    executor = poptorch.trainingModel(module, options(), torch.optim.SGD(module.parameters(), 0.1))
    executor(x)
    step = torch.optim.SGD(reference.parameters(), 0.1)
    reference(x).backward()
    step.step()
    same_weights(module, reference)
    assert module.second.weight is module.first.weight


def test_dropout_is_off_only_in_evaluation():
    class Drops(torch.nn.Module):
        def forward(self, x):
            return F.dropout(x, 0.5, self.training)

    ones = torch.ones(64)
    assert not torch.equal(poptorch.inferenceModel(Drops())(ones), ones)
    assert torch.equal(poptorch.inferenceModel(Drops().eval())(ones), ones)


@pytest.mark.parametrize("iterations, accumulation, replicas", [(1, 1, 1), (2, 3, 2), (3, 1, 2)])
def test_packs_train_like_torch_whatever_the_layout(iterations, accumulation, replicas):
    per_update = accumulation * replicas
    num = 3 * iterations * per_update
    module = network()
    reference = copy.deepcopy(module)
    optimizer = torch.optim.Adam(reference.parameters(), lr=1e-2)
    own = poptorch.optim.Adam(module.parameters(), lr=1e-2)
    chosen = options(iterations, accumulation, replicas, mode=poptorch.OutputMode.All)
    executor = poptorch.trainingModel(module, chosen, own)
    for call in range(3):
        batch = packs(num, seed=call)
        losses, predictions = executor(*batch)
        expected = []
        parts = list(zip(*(field.split(3) for field in batch)))
        for start in range(0, len(parts), per_update):
            made = [reference(*part) for part in parts[start : start + per_update]]
            optimizer.zero_grad()
            torch.stack([loss for loss, _ in made]).mean().backward()
            optimizer.step()
            expected += made
        torch.testing.assert_close(
            losses.reshape(-1),
            torch.stack([loss.detach() for loss, _ in expected]),
            rtol=1e-5,
            atol=0,
        )
        torch.testing.assert_close(
            predictions, torch.cat([p.detach() for _, p in expected]), rtol=1e-4, atol=1e-5
        )
    same_weights(module, reference, rtol=1e-4, atol=1e-6)


def test_a_pack_of_filler_alone_changes_nothing():
    module = network()
    start = copy.deepcopy(module.state_dict())
    empty = [field[2:3] for field in packs(3)]
    assert not empty[3].any()
    executor = poptorch.trainingModel(module, options(), torch.optim.SGD(module.parameters(), 1.0))
    loss, _ = executor(*empty)
    assert loss.item() == 0.0
    for name, weight in module.state_dict().items():
        assert torch.equal(weight, start[name]), name


def test_dicts_and_keywords_reach_forward():
    class Keywords(torch.nn.Module):
        def forward(self, batch, *, scale):
            return {"z": batch["z"] * scale, "name": "kept"}

    executor = poptorch.inferenceModel(Keywords(), options(2))
    given = executor({"z": torch.arange(4)}, scale=3)
    assert given == {"z": given["z"], "name": "kept"}
    assert given["z"].tolist() == [0, 3, 6, 9]


def test_a_traced_model_keeps_no_activation_alive():
    captured = capture(regression(), (torch.ones(4, 3), torch.ones(4, 1)))
    held = [v for v in vars(captured.graph_module).values() if isinstance(v, torch.Tensor)]
    assert held == []
    assert all(value.grad_fn is None for value in captured.output)


def test_the_memory_of_an_executor_is_estimated():
    module = network()
    executor = poptorch.trainingModel(module, options(1, 2), torch.optim.Adam(module.parameters()))
    with pytest.raises(poptorch.Error, match="not been compiled"):
        poptorch.memory_estimate(executor)
    executor.compile(*packs(4))
    trained = sum(parameter.numel() for parameter in module.parameters())
    made = poptorch.memory_estimate(executor)
    assert made.optimizer_state == 2 * made.gradients == 2 * 4 * trained
    assert made.likely_fits
    assert "an estimate" in made.lines()[0]
    executor.destroy()
    inference = poptorch.inferenceModel(module)
    inference.compile(*packs(2))
    assert poptorch.memory_estimate(inference).gradients == 0
