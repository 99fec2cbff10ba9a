# shellcheck shell=bash disable=SC2154
# Stage 0 of run.sh: generates the corpus and creates data directories of training, held-out and test people and of noises.
local/make_corpus.py --people "$people" --clips "$clips" --seed "$seed" --jobs "$nj" corpus
prepare=$reference/local
"$prepare/prepare_voxceleb2.py" --landmarks --held-out "$held_out" --held-out-dir data/dev corpus data/train
"$prepare/prepare_voxceleb2.py" --landmarks --part test --trials corpus/test/veri_test2.txt corpus data/test
"$prepare/prepare_musan.py" corpus/musan corpus/RIRS_NOISES data/musan
