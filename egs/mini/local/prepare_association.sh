# shellcheck shell=bash disable=SC2154
# Stage 0 of run_association.sh: generates the corpus and splits its people.
local/make_corpus.py --people "$people" --clips "$clips" --seed "$seed" --show-traits "$show_traits" --jobs "$nj" \
  corpus_association
prepare=$reference/local
"$prepare/prepare_voxceleb2.py" --landmarks corpus_association "$data/corpus_dev"
"$prepare/prepare_voxceleb2.py" --landmarks --part test corpus_association "$data/corpus_test"
local/describe_people.py corpus_association "$data/corpus_dev" "$data/corpus_test"
read -ra split <<<"$split"
"$prepare/prepare_association.py" --counts "${split[@]}" "$data/corpus_dev" "$data/corpus_test" "$data"
"$prepare/prepare_musan.py" corpus_association/musan corpus_association/RIRS_NOISES "$data/musan"
avsv check "$data/musan_train"
