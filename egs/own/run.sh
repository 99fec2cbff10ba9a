#!/usr/bin/env bash
# Your own recordings, videos and images: who is who, which labels are wrong, and how good the decisions are.
#   bash egs/own/run.sh --media FOLDER --voice SOURCE --face SOURCE
# FOLDER has a folder for each person (or nobody is known: --unlabelled true; or a table says who is who: --table FILE).
# Nothing is trained but the calibration. Read it from top to bottom; run a part of it with --stage N --stop-stage M.
# Results are in exp/results.
set -euo pipefail
caller=$PWD
cd "$(dirname "${BASH_SOURCE[0]}")"

media=                # folder of recordings, videos and images, see avsv prepare --help
table=                # csv or tsv that says who is in which file
unlabelled=false      # folders do not name people
voice=                # speaker encoder: speechbrain/spkrec-ecapa-voxceleb (downloaded once), a folder, or FILE.onnx; see docs/models.md
face=                 # face encoder: buffalo_l (downloaded once), or a folder
calibration=          # OUT.json of avsv fuse for these encoders, used where too few people are known to train one
min_people=           # known people, of two recordings or more, that are enough to train one; empty: 10, or 30 with --calibration
people=               # number of people, about, known or not, for adaptation; empty: the known ones, and a tenth of the other recordings
adapt=auto            # centre the embeddings on the mean of the recordings: true, false, or auto: with 16 people, without --calibration
across_sessions=false # no trials within a session, in the results
sample=               # at most so many pairs of each kind; empty: all
p_target=0.01         # prior of the same person, for "probably the same person"
p_wrong=0.01          # prior of a wrong label, for "probably wrong"
false_acceptance=0.01 # highest rate at which strangers may be accepted, for the threshold in exp/operating_point.json
frames_per_clip=5     # faces embedded and averaged
max_skipped=0.9       # share of the clips that may have no face, or unusable audio
trust_model=false     # run the program of --voice FILE.py:CLASS, or of a voice model that is not recognised
device=cpu            # of embeddings: cpu or cuda
cmd=run.py            # how jobs are run, see egs/voxceleb/cmd.sh
nj=1                  # parallel jobs
stage=0
stop_stage=11
. ../../utils/parse_options.sh
. ../voxceleb/path.sh
. ../voxceleb/cmd.sh
need media
media=$(from_user "$media") table=$(from_user "$table") calibration=$(from_user "$calibration")
if [ -z "$voice$face" ]; then
  echo "run.sh: --voice and --face must be given, or one of them; docs/models.md names published encoders" >&2
  exit 2
fi
case $adapt in auto | true | false) ;; *) echo "run.sh: --adapt $adapt: expected auto, true or false" >&2; exit 2 ;; esac
if [ -z "$min_people" ]; then min_people=$([ -n "$calibration" ] && echo 30 || echo 10); fi
trust=()
if $trust_model; then trust=(--trust-model); fi

# known_people N: the number of known people with N recordings or more
known_people() {
  local tables=(data/own/utt2spk)
  if [ -e data/own/utt2labelled ]; then tables=(data/own/utt2labelled data/own/utt2spk); fi
  awk -v n="$1" 'FILENAME ~ /utt2labelled$/ { if ($2 == "no") unknown[$1]; next }
    !($1 in unknown) && ++count[$2] == n { people++ } END { print people + 0 }' "${tables[@]}"
}
# number_of_people: for adaptation, see --people
number_of_people() {
  if [ -n "$people" ]; then echo "$people"; return; fi
  local unknown=0
  if [ -e data/own/utt2labelled ]; then unknown=$(awk '$2 == "no"' data/own/utt2labelled | wc -l); fi
  echo $(($(known_people 1) + (unknown + 9) / 10))
}
# The systems that the encoders and the media allow: voice, face, or both; adapted if that is worthwhile.
modalities() {
  if [ -n "$voice" ] && [ -e data/own/wav.scp ]; then echo voice; fi
  if [ -n "$face" ] && [ -e data/own/video.scp ]; then echo face; fi
}
adapts() {
  case $adapt in
    auto) [ -z "$calibration" ] && [ "$(number_of_people)" -ge 16 ] ;;
    *) $adapt ;;
  esac
}
systems() { local one; for one in $(modalities); do echo "$one$(if adapts; then echo _adapted; fi)"; done; }
# Labels of enough people train the calibration; otherwise it must be given.
trains() { [ -e data/own/trials/all ] && [ "$(known_people 2)" -ge "$min_people" ]; }

# splits TABLE: whether a table has few enough values to show the results by them
splits() {
  case ${1##*/} in
    utt2dur) [ -e "$1" ] ;;
    utt2spk | utt2vid | utt2file | utt2labelled | utt2fold) false ;;
    *) [ -e "$1" ] && [ "$(awk '!($2 in seen) { seen[$2]; n++ } END { print n + 0 }' "$1")" -le 8 ] ;;
  esac
}

if stage 0 "data directory and pairs"; then
  options=(${table:+--table "$table"})
  if $unlabelled; then options+=(--unlabelled); fi
  avsv prepare "${options[@]}" "$media" data/own
  sampled=(${sample:+--sample "$sample"})
  avsv trials --blind "${sampled[@]}" data/own
  # labelled trials need two people, and one with two recordings
  if [ "$(known_people 2)" -ge 1 ] && [ "$(known_people 1)" -ge 2 ]; then
    if $across_sessions; then sampled+=(--across-sessions); fi
    avsv trials "${sampled[@]}" data/own
  else
    rm -f data/own/trials/all
    echo "too few people are known for error rates: two are needed, one with two recordings"
  fi
  avsv check data/own   # with the lists, which an earlier run may have made of other media
  if ! trains && [ -z "$calibration" ]; then
    echo "run.sh: $(known_people 2) people are known by two recordings or more, and $min_people are needed to train a calibration: give" \
      "one for these encoders, --calibration OUT.json of avsv fuse (or --min-people N, for a rough one)" >&2
    exit 1
  fi
fi

if stage 3 "voice embeddings"; then
  if modalities | grep -q voice; then
    $embed_cmd "JOB=1:$nj" exp/voice/own/log/embed.JOB.log \
      avsv embed-voice "${trust[@]}" --model "$(from_user "$voice")" --device "$device" --max-skipped "$max_skipped" \
        --shard "JOB/$nj" data/own exp/voice/own
  fi
fi

if stage 4 "face embeddings"; then
  if modalities | grep -q face; then
    $embed_cmd "JOB=1:$nj" exp/face/own/log/embed.JOB.log \
      avsv embed-face --model "$(from_user "$face")" --device "$device" --max-skipped "$max_skipped" \
        --frames-per-clip "$frames_per_clip" --shard "JOB/$nj" data/own exp/face/own
  fi
fi

if stage 5 "adaptation"; then
  # without labels: every recording is centred on the mean of the recordings of others
  if adapts; then
    for modality in $(modalities); do
      avsv adapt --embeddings "exp/$modality/own/embedding.scp" --people "$(number_of_people)" --folds data/own/utt2spk \
        --apply "exp/$modality/own/embedding.scp" "exp/${modality}_adapted/own" "exp/${modality}_adapted/target"
    done
  fi
fi

if stage 7 "scores"; then
  for system in $({ modalities; systems; } | sort -u); do
    avsv score --missing 0 --trials data/own/pairs/all --enroll "exp/$system/own/embedding.scp" "exp/$system/own/pairs.cosine"
    if [ -e data/own/trials/all ]; then
      avsv score --missing 0 --trials data/own/trials/all --enroll "exp/$system/own/embedding.scp" "exp/$system/scores/all.cosine"
    fi
  done
fi

if stage 8 "calibration and fusion"; then
  pairs=() labelled=() trusted=()
  for system in $(systems); do
    pairs+=("exp/$system/own/pairs.cosine") labelled+=("exp/$system/scores/all.cosine") trusted+=("exp/$system/own/trusted.cosine")
  done
  if trains; then
    # Nobody is scored by a calibration that has seen them, and recordings whose label is suspected train none.
    # exp/logistic/own/pairs.cosine.json has seen everybody else; it is for new files.
    tenths_of_people own
    # shellcheck disable=SC2046  # names of systems
    local/trust_labels.py --p-wrong "$p_wrong" data/own exp $(systems) exp/labels/trusted
    for system in $(systems); do
      avsv score --missing 0 --trials exp/labels/trusted --enroll "exp/$system/own/embedding.scp" "exp/$system/own/trusted.cosine"
    done
    trained=(--folds data/own/utt2fold --train-trials exp/labels/trusted --train-scores "${trusted[@]}")
  else
    trained=(--model "$calibration")
  fi
  avsv fuse --missing rest --trials data/own/pairs/all --scores "${pairs[@]}" "${trained[@]}" exp/logistic/own/pairs.cosine
  if [ -e data/own/trials/all ]; then
    avsv fuse --missing rest --trials data/own/trials/all --scores "${labelled[@]}" "${trained[@]}" exp/logistic/scores/all.cosine
  fi
  if trains; then
    avsv fuse --missing rest --trials exp/labels/trusted --scores "${trusted[@]}" "${trained[@]}" exp/logistic/own/trusted.cosine
  fi
fi

if stage 9 "threshold"; then
  # One wrong label among the impostors would raise it, so it is chosen without those that are suspected.
  if trains; then
    mkdir -p exp/results
    avsv operating-point --trials exp/labels/trusted --scores exp/logistic/own/trusted.cosine --utt2spk data/own/utt2spk \
      --false-acceptance "$false_acceptance" --plot exp/results/decisions.png exp/operating_point.json
  else
    rm -f exp/operating_point.json exp/results/decisions.png   # of an earlier run with more known people
    echo "too few people are known to choose a threshold: decisions rest on the given calibration and are not verified on your data"
  fi
fi

if stage 10 "results"; then
  if [ -e data/own/trials/all ]; then
    shown=(--system logistic)
    for system in $({ modalities; systems; } | sort -u); do shown+=(--system "$system" --rival "$system"); done
    for table in data/own/spk2gender data/own/utt2*; do
      if splits "$table"; then shown+=(--by "$table"); fi
    done
    avsv report --trials-dir data/own/trials --utt2spk data/own/utt2spk --condition clean "${shown[@]}" \
      --reference logistic.cosine exp exp/results
  else
    rm -f exp/results/index.html   # of an earlier run with known people
  fi
  for modality in $(modalities); do
    if [ -s "exp/$modality/own/skipped" ]; then
      echo "$(wc -l <"exp/$modality/own/skipped") of $(wc -l <data/own/utt2spk) clips have no usable $modality: exp/$modality/own/skipped"
    fi
  done
  local/report_people.py --p-target "$p_target" --p-wrong "$p_wrong" data/own exp/logistic/own/pairs.cosine exp/results
fi

if stage 11 "gallery of the known people"; then
  if [ -e exp/people.gallery ]; then
    echo "exp/people.gallery is there already and stays as it is; delete it to make it again"
  elif [ "$(known_people 1)" -gt 0 ]; then
    with=(--calibration exp/logistic/own/pairs.cosine.json)
    for modality in $(modalities); do
      with+=("--$modality" "$(from_user "${!modality}")")
      if adapts; then with+=(--adaptation "exp/${modality}_adapted/target"); fi
    done
    local/make_gallery.py "${with[@]}" "${trust[@]}" --frames-per-clip "$frames_per_clip" --device "$device" \
      --suspects exp/results/suspects.tsv data/own exp/people.gallery
    echo "who is this?   avsv identify $PWD/exp/people.gallery FILE"
    if trains; then echo "               or by the threshold above: avsv identify --operating-point $PWD/exp/operating_point.json ..."; fi
  fi
fi
