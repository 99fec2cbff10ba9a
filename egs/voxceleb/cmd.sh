# shellcheck shell=bash disable=SC2154
# How jobs are run; sourced after the recipe's options. --cmd names the program; all of them take Kaldi's job grammar:
#
#   $cpu_cmd JOB=1:4 exp/log/embed.JOB.log avsv embed-voice --shard JOB/4 ...
#
#   --cmd run.py                                            on this machine (the default)
#   --cmd "slurm.py --mem 4G --time 12:00:00 -p long"       through Slurm; the options hold for all jobs
#   --cmd "sge.py --mem 4G --retry 1"                       through Grid Engine
#
# slurm.py --help lists the options. conf/slurm.conf and conf/sge.conf of the repository translate them for sbatch and qsub; a
# recipe's own conf/slurm.conf takes precedence, and so does a corpus' own cmd.sh over this one. Requests of one kind of job
# are added here, for example
#
#   train_cmd="$cmd --num-threads 8 --gpu 4 --nodes 2"
#
# trains on two nodes of four GPUs each, by torchrun; the eight share the batch of the configuration. Stages that take seconds
# or minutes run where the recipe runs: data directories, fused embeddings, scores, the report.
gpu=
case ${device:-cpu} in cuda*) gpu=" --gpu 1" ;; esac

export cpu_cmd="${cmd:-run.py}"          # many shards: features
export embed_cmd="$cpu_cmd$gpu"          # many shards: embeddings, with a GPU if --device says so
export train_cmd="$cpu_cmd$gpu"          # one job: training
# On this machine the shards share the GPUs.
case $embed_cmd in run.py*--gpu*) embed_cmd+=" --max-jobs-run ${nj:-1}" ;; esac
