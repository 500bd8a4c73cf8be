#!/usr/bin/env bash
# Train on several machines, or several devices of one, with torchrun. Run it on every machine, with
# the same arguments but NODE_RANK (0, 1, ...):
#   NUM_NODES=2 NODE_RANK=0 MASTER=first-machine:29500 DEVICES=4 scripts/torchrun.sh dataset=qm9 accelerator=gpu
# Alone it is one machine: DEVICES=2 scripts/torchrun.sh accelerator=cpu
set -euo pipefail
devices=${DEVICES:-1} nodes=${NUM_NODES:-1}
python=${PYTHON:-.venv/bin/python}
exec "$python" -m torch.distributed.run \
  --nnodes="$nodes" --node_rank="${NODE_RANK:-0}" --nproc_per_node="$devices" \
  --rdzv_backend=c10d --rdzv_endpoint="${MASTER:-localhost:0}" \
  train.py accelerator.devices="$devices" accelerator.num_nodes="$nodes" "$@"
