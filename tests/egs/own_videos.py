"""own_videos.py CORPUS OUT [PEOPLE CLIPS]: a user's videos in folders by person, two of them in the wrong folder.

CORPUS has mp4/ID/VIDEO/CLIP.mp4, and aac/ID/VIDEO/CLIP.m4a where the videos have no audio, as VoxCeleb2 and the mini
corpus do. The first clip of the first person goes to the second person's folder, that of the third to the fourth's:
their names begin with "wrong". OUT.stranger.mp4 is a video of somebody else, OUT.known.mp4 another one of the last
person.
"""

import shutil
import sys
from pathlib import Path

from avsv.media.images import read_frames
from avsv.media.waveforms import read_waveform


def main(corpus: Path, out: Path, n_people: int = 10, n_clips: int = 3) -> None:
    people = sorted(path for path in (corpus / "mp4").iterdir() if len(list(path.glob("*/*.mp4"))) > n_clips)
    if len(people) <= n_people:
        sys.exit(f"{corpus}: has {len(people)} people with more than {n_clips} clips, expected more than {n_people}")
    for number, person in enumerate(people[:n_people]):
        for place, clip in enumerate(sorted(person.glob("*/*.mp4"))[:n_clips]):
            moved = place == 0 and number in (0, 2)
            name = f"{'wrong-' * moved}{clip.parent.name}-{clip.stem}.mp4"
            copy(clip, out / people[number + moved].name / name)
    copy(sorted(people[n_people - 1].glob("*/*.mp4"))[n_clips], out.with_suffix(".known.mp4"))
    copy(min(people[n_people].glob("*/*.mp4")), out.with_suffix(".stranger.mp4"))


def copy(clip: Path, target: Path) -> None:
    """Copy a video; if it has no audio, with that of its aac file."""
    target.parent.mkdir(parents=True, exist_ok=True)
    audio = Path(str(clip).replace("/mp4/", "/aac/")).with_suffix(".m4a")
    if not audio.exists():
        shutil.copy(clip, target)
        return
    sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "egs/mini/local"))
    from media import write_mp4

    waveform = read_waveform(str(audio), 16000)
    frames = read_frames(clip, int(25 * len(waveform) / 16000))
    write_mp4(target, frames, 25, waveform, 16000, 23, 64000)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), *map(int, sys.argv[3:]))
