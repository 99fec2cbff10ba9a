#!/usr/bin/env bash
# Who is it, and is it anybody in the gallery? Open-set identification by voice, by face, and by both. It uses the data
# directories of stage 0 of run.sh and any encoders; an encoder should have seen none of these people.
# Read it from top to bottom; run a part of it with --stage N --stop-stage M. Results are in exp/identification/results.

# This recipe serves every corpus; see the head of run.sh. Here the corpus' file is conf/recipe_identification.conf.
# Everybody is a stranger in turn, in the gallery without that person. Fusions are trained on people other than that of the
# probe: the people are divided into two halves, and the probes of each half are scored by fusions trained on the other half.
set -euo pipefail
caller=$PWD
reference=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cd "$(dirname "$0")"     # the corpus' folder

sets=test             # data/ directories whose people are in the gallery, such as "train dev test"
voice=speechbrain/spkrec-ecapa-voxceleb   # voice encoder: a SpeechBrain source, a folder such as exp/voice, FILE.onnx, or FILE.py:CLASS
face=buffalo_l        # face encoder: an InsightFace pack or a folder, such as exp/face
enroll=2              # enrolment recordings of each person, of one session where possible
probes=10             # recordings of other sessions to identify, at most, for each person
seed=0                # of the draw of recordings and halves
conditions="noisy-0.6 half-missing"   # noisy versions of all recordings, enrolment too; noisy-0.6, on which fusions are trained, is one
noises=data/musan_test    # noises for them, without "noisy" none are needed
far="0.1 0.01 0.001"  # false alarm rates
frames_per_clip=5     # faces embedded and averaged
max_skipped=0.05      # share of the clips that may be unreadable, or without a face, before a stage fails
trust_model=false     # run the program of a voice model that is not recognised, see avsv embed-voice --help
device=cpu            # of embeddings: cpu or cuda
cmd=run.py            # how jobs are run: on this machine, or through a cluster by slurm.py or sge.py, see cmd.sh
nj=4                  # parallel jobs
stage=0
stop_stage=5
RECIPE_CONF=conf/recipe_identification.conf
. "$reference/../../utils/parse_options.sh"
. "$reference/path.sh"
# shellcheck source=cmd.sh
. "$(own_or_reference cmd.sh)"

# Derived from the options, for every stage.
voice=$(from_user "$voice") face=$(from_user "$face")
trust=()
if $trust_model; then trust=(--trust-model); fi
if [[ " $conditions " != *" noisy-0.6 "* ]]; then
  echo "run_identification.sh: --conditions $conditions: expected noisy-0.6 among them; fusions are trained on it" >&2
  exit 2
fi
read -ra rates <<<"$far"
data=data/identification exp=exp/identification
all_conditions=(clean)
for name in $conditions; do all_conditions+=("$name"); done
# set_of CONDITION: its data directory below data/, and its embeddings below exp/identification/{voice,face}
set_of() { if [ "$1" = clean ]; then echo identification; else echo "identification_$1"; fi; }
# of_people TABLE: TABLE with a line for each person in the gallery, the mean of the enrolment recordings, as TABLE.people
of_people() {
  awk 'NR == FNR { value[$1] = $2; print; next }
    { sum = n = 0; for (i = 2; i <= NF; i++) if ($i in value) { sum += value[$i]; n++ } if (n) print $1, sum / n }' \
    "$1" "$data/gallery" | LC_ALL=C sort >"$1.people"
}
# read_people_quality SET: the quality tables of run.sh, with people, in the array quality
read_people_quality() {
  quality=(voice="$exp/voice/$1/utt2magnitude.people" voice="$exp/voice/$1/utt2snr.people"
    voice="log:$exp/voice/$1/utt2dur.people" face="$exp/face/$1/utt2magnitude.people"
    face="log:$exp/face/$1/utt2sharpness.people")
}

if stage 0 "gallery, probes and their noisy versions"; then
  from=()
  for set in $sets; do from+=("data/$set"); done
  "$reference/local/draw_gallery.py" --enroll "$enroll" --probes "$probes" --seed "$seed" "$data" "${from[@]}"
  avsv check "$data"
  for name in $conditions; do avsv damage --condition "$name" --noises "$noises" "$data" "data/$(set_of "$name")"; done
fi

if stage 1 "voice embeddings"; then
  for name in "${all_conditions[@]}"; do
    set=$(set_of "$name") reuse=()
    if [ "$name" != clean ]; then reuse=(--reuse "$exp/voice/identification"); fi
    $embed_cmd "JOB=1:$nj" "$exp/voice/$set/log/embed.JOB.log" \
      avsv embed-voice "${trust[@]}" --model "$voice" --device "$device" --max-skipped "$max_skipped" "${reuse[@]}" \
        --shard "JOB/$nj" "data/$set" "$exp/voice/$set"
  done
fi

if stage 2 "face embeddings"; then
  for name in "${all_conditions[@]}"; do
    set=$(set_of "$name") reuse=()
    if [ "$name" != clean ]; then reuse=(--reuse "$exp/face/identification"); fi
    $embed_cmd "JOB=1:$nj" "$exp/face/$set/log/embed.JOB.log" \
      avsv embed-face --model "$face" --device "$device" --max-skipped "$max_skipped" --frames-per-clip "$frames_per_clip" \
        "${reuse[@]}" --shard "JOB/$nj" "data/$set" "$exp/face/$set"
  done
fi

if stage 3 "scores of everybody for every probe"; then
  for name in "${all_conditions[@]}"; do
    set=$(set_of "$name")
    for system in voice face; do
      for list in {test,train}.{1,2}; do
        avsv score --missing 0 --trials "$data/models/$list" --enroll-spk2utt "$data/gallery" \
          --enroll "$exp/$system/$set/embedding.scp" "$exp/$system/scores/$list@$name"
      done
    done
  done
fi

if stage 4 "fusions, trained on the people of the other half"; then
  for name in "${all_conditions[@]}"; do
    for table in voice/$(set_of "$name")/utt2{magnitude,snr,dur} face/$(set_of "$name")/utt2{magnitude,sharpness}; do
      of_people "$exp/$table"
    done
  done
  for name in "${all_conditions[@]}"; do
    for half in 1 2; do
      trained=train.$((3 - half)) given=("$exp/voice/scores/test.$half@$name" "$exp/face/scores/test.$half@$name")
      fuse=(avsv fuse --missing rest --trials "$data/models/test.$half")
      "${fuse[@]}" --method mean --scores "${given[@]}" "$exp/mean/scores/test.$half@$name"
      "${fuse[@]}" --method logistic --scores "${given[@]}" --train-trials "$data/models/$trained" \
        --train-scores "$exp/voice/scores/$trained@noisy-0.6" "$exp/face/scores/$trained@noisy-0.6" \
        "$exp/logistic/scores/test.$half@$name"
      # each score counts as much as the quality of its recordings warrants
      training=(--p-target 0.5)
      for other in clean noisy-0.6; do
        read_people_quality "$(set_of "$other")"
        training+=(--train-trials "$data/models/$trained" --train-quality "${quality[@]}"
          --train-scores "voice=$exp/voice/scores/$trained@$other" "face=$exp/face/scores/$trained@$other")
      done
      read_people_quality "$(set_of "$name")"
      "${fuse[@]}" --method quality --scores "voice=${given[0]}" "face=${given[1]}" --quality "${quality[@]}" \
        "${training[@]}" "$exp/quality/scores/test.$half@$name"
    done
    for system in mean logistic quality; do
      cat "$exp/$system/scores/test."{1,2}"@$name" >"$exp/$system/scores/all@$name"
    done
  done
fi

if stage 5 "results"; then
  mkdir -p "$exp/results"
  for name in "${all_conditions[@]}"; do
    set=$(set_of "$name")
    # --missing rest: a probe without voice has no voice score, and is not identified by voice
    avsv evaluate-identification --gallery "$data/gallery" --probes "$data/probes" --leave-out --missing rest \
      --by "$data/utt2dur" --by "data/$set/utt2modality" --far "${rates[@]}" --json "$exp/results/$name.json" \
      --markdown "$exp/results/$name.md" --plot "$exp/results/$name.svg" voice="$exp/voice/$set/embedding.scp" \
      face="$exp/face/$set/embedding.scp" mean="$exp/mean/scores/all@$name" logistic="$exp/logistic/scores/all@$name" \
      quality="$exp/quality/scores/all@$name"
  done
  for name in "${all_conditions[@]}"; do printf '## %s\n\n' "$name"; cat "$exp/results/$name.md"; echo; done >"$exp/results/results.md"
fi
