"""A checkpoint alone is enough to evaluate and to predict."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest
import torch

from gnnpack.datasets import Synthetic
from gnnpack.run import load_checkpoint
from gnnpack.run.evaluate import evaluate_checkpoint


def test_evaluate_prints_the_metrics_of_the_run(trained, gnnpack, capsys):
    summary = json.loads((trained / "summary.json").read_text())
    errors = evaluate_checkpoint(trained / "checkpoints" / "best.ckpt", "test")
    assert errors["mae"] == pytest.approx(summary["test_mae"], rel=1e-6)
    assert errors["baseline_mae"] == pytest.approx(summary["baseline_mae"], rel=1e-6)
    val = evaluate_checkpoint(trained / "checkpoints" / "best.ckpt", "val")
    assert val["mae"] == pytest.approx(summary["val_mae"], rel=1e-6)
    gnnpack("evaluate", f"checkpoint={trained}/checkpoints/best.ckpt", "split=test")
    assert f"{1000 * errors['mae']:,.4g}" in capsys.readouterr().out


def test_evaluate_needs_no_run_folder(trained, folder, gnnpack):
    alone = folder / "somewhere.ckpt"
    alone.write_bytes((trained / "checkpoints" / "best.ckpt").read_bytes())
    before = evaluate_checkpoint(trained / "checkpoints" / "best.ckpt")
    assert evaluate_checkpoint(alone) == before


def molecules_of(trained) -> tuple[Synthetic, list]:
    """The data set's molecules as ASE's, in the order of their ids."""
    from ase import Atoms

    dataset = Synthetic(num_molecules=80)
    (chunk,) = dataset.read()
    frames = [
        Atoms(chunk.z[a:b], chunk.pos[a:b]) for a, b in zip(chunk.offsets[:-1], chunk.offsets[1:])
    ]
    return chunk, frames


@pytest.mark.parametrize("ending", ["extxyz", "traj"])
def test_predict_writes_totals_a_molecule_a_row(trained, folder, gnnpack, ending):
    from ase.io import write

    chunk, frames = molecules_of(trained)
    write(folder / f"molecules.{ending}", frames)
    checkpoint = trained / "checkpoints" / "best.ckpt"
    gnnpack("predict", f"checkpoint={checkpoint}", f"input=molecules.{ending}", "output=out.csv")
    with open(folder / "out.csv", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [int(row["frame"]) for row in rows] == list(range(80))
    assert [int(row["num_atoms"]) for row in rows] == chunk.num_atoms.tolist()
    predicted = np.array([float(row["energy (eV)"]) for row in rows])
    split = load_checkpoint(checkpoint)["gnnpack"]["split"]
    test = np.searchsorted(chunk.ids, split["test"].numpy())
    mae = np.abs(predicted - chunk.targets["energy"])[test].mean()
    assert mae == pytest.approx(evaluate_checkpoint(checkpoint)["mae"], rel=1e-4)


def test_predict_takes_molecules_larger_than_the_packs_and_warns_of_elements(
    trained, folder, gnnpack, caplog
):
    from ase import Atoms
    from ase.io import write

    chain = np.arange(60)[:, None] * [1.2, 0.0, 0.0]
    write(folder / "big.xyz", [Atoms("C60", chain), Atoms("Cl2", [[0, 0, 0], [2.0, 0, 0]])])
    gnnpack(
        "predict", f"checkpoint={trained}/checkpoints/best.ckpt", "input=big.xyz", "output=o.csv"
    )
    assert "Frame 1: the model was not trained on Cl" in caplog.text
    with open(folder / "o.csv", encoding="utf-8") as file:
        carbon, chlorine = csv.DictReader(file)
    assert (carbon["formula"], carbon["note"]) == ("C60", "")
    assert float(carbon["energy (eV)"]) < 0
    # No number that looks like an answer.
    assert (chlorine["energy (eV)"], chlorine["note"]) == ("", "not trained on Cl")


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["evaluate"], "give a value for checkpoint"),
        (["evaluate", "checkpoint=none.ckpt"], "no checkpoint none.ckpt"),
        (["evaluate", "checkpoint={}", "split=all"], "split is 'all'; choose one of train, val"),
        (["evaluate", "chekpoint=x"], "'chekpoint=x'"),
        (["predict", "checkpoint={}", "input=none.xyz", "output=o.csv"], "none.xyz is not a file"),
        (["predict", "checkpoint={}", "input=bad.xyz", "output=o.csv"], "bad.xyz cannot be read"),
    ],
)
def test_bad_arguments_are_told(trained, folder, gnnpack, arguments, message):
    (folder / "bad.xyz").write_text("three\n")
    checkpoint = trained / "checkpoints" / "best.ckpt"
    with pytest.raises(SystemExit, match=message):
        gnnpack(*(argument.format(checkpoint) for argument in arguments))


def test_other_checkpoints_are_refused(trained, folder):
    path = trained / "checkpoints" / "best.ckpt"
    torch.save({"state_dict": {}}, folder / "foreign.ckpt")
    with pytest.raises(ValueError, match="another program"):
        evaluate_checkpoint(folder / "foreign.ckpt")
    (folder / "cut.ckpt").write_bytes(path.read_bytes()[:1000])
    with pytest.raises(ValueError, match="no checkpoint, or a damaged one"):
        evaluate_checkpoint(folder / "cut.ckpt")
    other = load_checkpoint(path)
    other["gnnpack"]["config"]["model"]["hidden_channels"] = 10
    torch.save(other, folder / "other.ckpt")
    with pytest.raises(ValueError, match="weights of another model"):
        evaluate_checkpoint(folder / "other.ckpt")


def test_a_checkpoint_refuses_other_data(trained, folder):
    path = trained / "checkpoints" / "best.ckpt"
    other = load_checkpoint(path)
    other["gnnpack"]["config"]["dataset"]["seed"] = 5
    torch.save(other, folder / "other.ckpt")
    with pytest.raises(ValueError, match="was trained on data with checksum"):
        evaluate_checkpoint(folder / "other.ckpt")


def test_unknown_commands_list_the_known(gnnpack, capsys):
    with pytest.raises(SystemExit):
        gnnpack("trian")
    assert "gnnpack train" in capsys.readouterr().err
    gnnpack("--help")
    assert "gnnpack predict" in capsys.readouterr().out
