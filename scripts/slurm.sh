#!/usr/bin/env bash
# Train under SLURM, one task a device; Lightning reads the rest from SLURM's variables:
#   sbatch --nodes=4 --ntasks-per-node=8 --gpus-per-node=8 scripts/slurm.sh dataset=qm9 accelerator=gpu
# Build the store before, on one machine: `gnnpack plan` or a run of one step does.
#SBATCH --job-name=gnnpack
#SBATCH --cpus-per-task=4
#SBATCH --time=04:00:00
set -euo pipefail
python=${PYTHON:-.venv/bin/python}
exec srun "$python" train.py \
  accelerator.devices="$SLURM_NTASKS_PER_NODE" accelerator.num_nodes="$SLURM_NNODES" "$@"
