#!/usr/bin/env bash
# A run on several machines of a Slurm cluster: `sbatch slurm.sh CORPUS OUT [more options of run]`.
# Ray's own launcher starts a Ray head on the first machine and workers on the others, and ends them
# with the command (`ray symmetric-run`, which Ray 2.60 has and 2.40 has not). CORPUS, OUT, the environment and the models lie on a file system that all share.
#SBATCH --job-name=nlp-pipeline
#SBATCH --nodes=2
#SBATCH --exclusive
#SBATCH --tasks-per-node=1
#SBATCH --gpus-per-node=4
#SBATCH --time=24:00:00
set -euo pipefail

corpus="$1" out="$2"
shift 2
source "${NLP_PIPELINE_VENV:?the virtual environment, on the shared file system}/bin/activate"
export RAY_USAGE_STATS_ENABLED=0

# Where the time is over before the run is, what is done is safe: submit the same job again to go on.
exec srun --nodes="$SLURM_JOB_NUM_NODES" ray symmetric-run \
    --address "$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1):6379" \
    --min-nodes "$SLURM_JOB_NUM_NODES" \
    -- nlp-pipeline run "$corpus" --out "$out" --executor ray --address auto "$@"
