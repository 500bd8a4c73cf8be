from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from made_runs import make_run, make_runs

from gnnpack.experiments.choose_runs import filter_runs, sort_runs
from gnnpack.experiments.differences import differences, job_label
from gnnpack.experiments.find_runs import find_runs
from gnnpack.experiments.run_folder import RunFacts, read_run


def run_of(name: str = "run", config: dict | None = None, **facts: object) -> RunFacts:
    run = RunFacts(Path(name), "done", **facts)
    run.__dict__["config"] = config or {}
    return run


def test_an_option_stands_for_its_group(tmp_path):
    make_run(tmp_path / "a", packer="lpfhp")
    make_run(tmp_path / "b", packer="optimal", seed=1)
    runs = find_runs([tmp_path])
    assert differences(runs) == {"packer": ["lpfhp", "optimal"], "seed": ["0", "1"]}


def test_places_and_watchers_are_no_differences(tmp_path):
    for name, data in (("a", "data"), ("b", "/scratch")):
        folder = make_run(tmp_path / name)
        text = (folder / "config.yaml").read_text().replace("data_dir: data", f"data_dir: {data}")
        (folder / "config.yaml").write_text(text.replace("csv_only", f"csv_only_{name}"))
    runs = find_runs([tmp_path])
    assert differences(runs) == {}


def test_jobs_are_called_by_what_was_swept(tmp_path):
    make_runs(tmp_path, 4, seeds=2)
    assert sorted(job_label(run) for run in find_runs([tmp_path])) == [
        "packer=lpfhp hidden_channels=32 seed=0",
        "packer=lpfhp hidden_channels=32 seed=1",
        "packer=optimal hidden_channels=32 seed=0",
        "packer=optimal hidden_channels=32 seed=1",
    ]


def test_a_variant_comes_first_and_a_failed_job_has_its_label():
    runs = [
        run_of(sweep="s", variant="padding", swept={"optimizer.lr": "0.1"}),
        run_of(sweep="s", variant="packing", swept={"optimizer.lr": "0.1"}),
    ]
    assert [job_label(run) for run in runs] == ["padding lr=0.1", "packing lr=0.1"]
    assert differences(runs) == {"variant": ["padding", "packing"]}


def test_a_run_without_a_config_makes_no_differences(tmp_path):
    make_runs(tmp_path, 3, states={1: "failed"})
    assert differences(find_runs([tmp_path])) == {"seed": ["0", "1", "2"]}


VALUES = st.sampled_from(["0", "1", "2"])
CONFIGS = st.fixed_dictionaries(
    {"seed": VALUES, "optimizer": st.fixed_dictionaries({"lr": VALUES})}
)


@given(st.lists(CONFIGS, min_size=1, max_size=6))
def test_what_is_told_of_differences_differs(configs):
    runs = [run_of(f"run{number}", config) for number, config in enumerate(configs)]
    for name, column in differences(runs).items():
        assert len(column) == len(runs)
        assert len(set(column)) > 1, name
    if any(config != configs[0] for config in configs):
        assert differences(runs)


def test_runs_are_filtered_by_options_settings_and_results(tmp_path):
    make_runs(tmp_path, 6, seeds=2, updates=300)
    runs = find_runs([tmp_path])
    assert {run.options["packer"] for run in filter_runs(runs, ["packer=LPFHP"])} == {"lpfhp"}
    assert len(filter_runs(runs, ["packer=lpfhp,optimal", "seed=1"])) == 2
    assert len(filter_runs(runs, ["optimizer.lr=1e-3", "updates=300.0"])) == 6
    assert filter_runs(runs, ["optimizer.lr=0.002"]) == []
    assert len(filter_runs(runs, ["capture_seconds=null"])) == 6


def test_a_single_run_is_filtered_by_what_its_config_stands_for(tmp_path):
    run = read_run(make_run(tmp_path / "run"))
    assert filter_runs([run], ["packer=lpfhp", "dataset=qm9"]) == [run]


@given(st.lists(st.one_of(st.none(), st.floats(-9, 9)), max_size=8), st.booleans())
def test_sorting_keeps_all_runs_and_puts_the_unknown_last(errors, falling):
    runs = [run_of(str(i), summary={"test_mae": error}) for i, error in enumerate(errors)]
    made = [
        run.summary["test_mae"] for run in sort_runs(runs, "-test_mae" if falling else "test_mae")
    ]
    known = sorted((error for error in errors if error is not None), reverse=falling)
    assert made == known + [None] * (len(errors) - len(known))
