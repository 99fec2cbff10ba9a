# shellcheck shell=bash disable=SC2154
# Stage 0 of run_synchrony.sh: the corpus of run.sh, and test clips with shifted audio, replaced audio and two faces.
bash run.sh --people "$people" --clips "$clips" --seed "$seed" --held-out "$held_out" --nj "$nj" --stop-stage 0
local/make_synchrony_sets.py --pairs "$pairs" data/test data/synchrony
