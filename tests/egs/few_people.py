"""few_people.py MINIVOX OUT N1 N2: link a corpus of the first N1 people of vox1 and N2 of vox2."""

import sys
from pathlib import Path


def main(corpus: Path, out: Path, n_test: int, n_train: int) -> None:
    for name in ("musan", "RIRS_NOISES"):
        link(corpus / name, out / name)
    ids = sorted(path.name for path in (corpus / "vox1/wav").iterdir())[:n_test]
    meta = (corpus / "vox1/vox1_meta.csv").read_text().splitlines()
    names = {line.split("\t")[0]: line.split("\t")[1] for line in meta}
    for spk in ids:
        link(corpus / "vox1/wav" / spk, out / "vox1/wav" / spk)
        link(corpus / "vox1/unzippedFaces" / names[spk], out / "vox1/unzippedFaces" / names[spk])
    link(corpus / "vox1/vox1_meta.csv", out / "vox1/vox1_meta.csv")
    lines = (corpus / "vox1/list_test_all2.txt").read_text().splitlines()
    kept = [line for line in lines if all(path.split("/")[0] in ids for path in line.split()[1:])]
    (out / "vox1/veri_test2.txt").write_text("\n".join(kept) + "\n")
    by_gender = {}
    for line in (corpus / "vox2/vox2_meta.csv").read_text().splitlines()[1:]:
        spk, _, gender, *_ = [field.strip() for field in line.split(",")]
        by_gender.setdefault(gender, []).append(spk)
    for spk in sorted(by_gender["m"])[: n_train // 2] + sorted(by_gender["f"])[: n_train - n_train // 2]:
        for part in ("aac", "mp4"):
            link(corpus / "vox2/dev" / part / spk, out / "vox2/dev" / part / spk)
    link(corpus / "vox2/vox2_meta.csv", out / "vox2/vox2_meta.csv")


def link(target: Path, name: Path) -> None:
    name.parent.mkdir(parents=True, exist_ok=True)
    name.symlink_to(target.resolve())


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]))
