#!/usr/bin/env bash
# A face from a voice (Wen, Raj and Singh, NeurIPS 2019): train on VoxCeleb2 dev, test on VoxCeleb1's people.
# Read it from top to bottom; run a part of it with --stage N --stop-stage M. Results are in exp/voice_to_face/vox1.
set -euo pipefail
# from_user looks at it
# shellcheck disable=SC2034
caller=$PWD
cd "$(dirname "${BASH_SOURCE[0]}")"

voxceleb1=            # folder with wav/, unzippedFaces/, vox1_meta.csv and the trial lists
voxceleb2=            # folder with dev/aac/, dev/mp4/ and vox2_meta.csv
held_out=40           # people of VoxCeleb2 kept out of training, whose faces are drawn as it goes: exp/voice_to_face/gan/samples
face=buffalo_l        # InsightFace pack that finds faces and judges drawn ones; or a folder of that form
voice=conf/voice_embedder.yaml        # configuration of the voice embedder
generator=conf/voice_to_face.yaml     # configuration of generator and critic
seconds=1,2,3,5,10    # lengths of speech that faces are drawn from, beside all that there is
frames_per_clip=5     # faces of each clip to learn from
max_skipped=0.05      # share of the clips that may be unreadable, or without a face, before a stage fails
train_options=        # more key=value for every avsv train, such as "epochs=1"
device=cpu            # cpu or cuda
cmd=run.py            # how jobs are run: on this machine, or through a cluster by slurm.py or sge.py, see cmd.sh
nj=4                  # parallel jobs in stage 1
stage=0
stop_stage=4
. ../../utils/parse_options.sh
. ./path.sh
. ./cmd.sh

# What follows from the options, the same in every stage.
voxceleb1=$(from_user "$voxceleb1") voxceleb2=$(from_user "$voxceleb2")
face=$(from_user "$face") voice=$(from_user "$voice") generator=$(from_user "$generator")
data=data/voice_to_face exp=exp/voice_to_face
read_train_options
at_least 2 held_out "for the trainings are validated on people held out of them"

if stage 0 "data directories"; then
  need voxceleb1 voxceleb2
  local/prepare_voxceleb1.py "$voxceleb1" $data/vox1
  local/prepare_voxceleb2.py --held-out "$held_out" --held-out-dir $data/dev "$voxceleb2" $data/vox2
  for set in vox1 vox2 dev; do avsv check $data/$set; done
fi

if stage 1 "aligned faces"; then
  for set in vox1 vox2 dev; do
    $cpu_cmd "JOB=1:$nj" $exp/align/$set/log/align.JOB.log \
      avsv align-faces --model "$face" --frames-per-clip "$frames_per_clip" --max-skipped "$max_skipped" \
        --shard "JOB/$nj" $data/$set $exp/align/$set
  done
fi

if stage 2 "voice embedder, trained to tell speakers apart"; then
  $train_cmd $exp/voice/log/train.log avsv train --task voice_embedder "$voice" "${train_options[@]}" exp_dir=$exp/voice
fi

if stage 3 "generator and critic"; then
  $train_cmd $exp/gan/log/train.log avsv train --task voice_to_face "$generator" "${train_options[@]}" exp_dir=$exp/gan \
    voice=$exp/voice
fi

if stage 4 "faces of people who were not trained on, and how well they fit"; then
  avsv voice-to-face evaluate --model $exp/gan --face "$face" --train $data/vox2 --seconds "$seconds" \
    --device "$device" $data/vox1 $exp/vox1
fi
