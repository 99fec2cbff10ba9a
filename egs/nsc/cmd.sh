# shellcheck shell=bash
# How jobs are run. utils/run.py runs them on this machine, as many at a time as there are cores:
#   $cpu_cmd JOB=1:4 exp/log/embed.JOB.log avsv embed-voice --shard JOB/4 ...
export cpu_cmd="run.py"            # work in many shards: features, embeddings
export train_cmd="run.py --gpu 1"  # training: one job with every core, and a GPU where there is one
