"""The parts of a report in their order; a new one is a line here."""

from __future__ import annotations

from gnnpack.experiments.filter_question import filter_question
from gnnpack.experiments.finetune_gain import finetune_gain
from gnnpack.experiments.packer_question import packer_question
from gnnpack.experiments.paper_ablation import paper_ablation
from gnnpack.experiments.paper_model_size import paper_model_size
from gnnpack.experiments.paper_scaling import paper_scaling
from gnnpack.experiments.report_accuracy import accuracy
from gnnpack.experiments.report_cost import memory_and_energy, provenance
from gnnpack.experiments.report_curves import (
    curves_by_seconds,
    curves_by_updates,
    training_loss,
)
from gnnpack.experiments.report_overview import what_ran
from gnnpack.experiments.report_own_figures import own_figures
from gnnpack.experiments.report_section import Maker
from gnnpack.experiments.report_settings import common, differences
from gnnpack.experiments.report_speed import throughput
from gnnpack.experiments.report_time import where_time_goes
from gnnpack.experiments.report_trade_off import accuracy_against_speed
from gnnpack.experiments.seeds_question import seeds_question
from gnnpack.experiments.study_section import (
    search_history,
    search_importance,
    search_parameters,
)

# What sweeps ask stands before what is told of any runs.
MAKERS: tuple[Maker, ...] = (
    packer_question,
    filter_question,
    seeds_question,
    finetune_gain,
    paper_ablation,
    paper_scaling,
    paper_model_size,
    search_history,
    search_parameters,
    search_importance,
    accuracy,
    training_loss,
    curves_by_updates,
    curves_by_seconds,
    throughput,
    accuracy_against_speed,
    where_time_goes,
    memory_and_energy,
    differences,
    common,
    own_figures,
    what_ran,
    provenance,
)
