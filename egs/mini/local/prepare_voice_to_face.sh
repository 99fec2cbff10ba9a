# shellcheck shell=bash disable=SC2154
# Stage 0 of run_voice_to_face.sh: generates the corpus and its data directories.
local/make_corpus.py --people "$people" --clips "$clips" --seed "$seed" --show-traits "$show_traits" --jobs "$nj" "$data/corpus"
prepare=$reference/local/prepare_voxceleb2.py
"$prepare" --landmarks --held-out "$held_out" --held-out-dir "$data/dev" "$data/corpus" "$data/train"
"$prepare" --part test "$data/corpus" "$data/test"
