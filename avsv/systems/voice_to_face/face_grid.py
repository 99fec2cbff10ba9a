"""Grid of faces as in the paper: one row per person, one column per length of speech, the last a real face."""

from collections.abc import Mapping, Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

GAP, HEAD, TEXT = 6, 22, 15  # pixels: between faces, above the first row, font size
LEFT = 110  # pixels for the people's names


def face_grid(rows: Sequence[np.ndarray], names: Sequence[str], titles: Sequence[str], scale: int = 2) -> np.ndarray:
    """Draw faces in rows and columns, with names and titles.

    Parameters
    ----------
    rows : one array per person, (columns, side, side, 3) uint8 RGB
    names : the people's names
    titles : the columns' titles
    scale : integer factor that enlarges the faces

    Returns
    -------
    (h, w, 3) uint8 RGB

    Examples
    --------
    >>> face_grid([np.zeros((2, 10, 10, 3), np.uint8)], ["id1"], ["1 s", "real"], scale=1).shape
    (48, 152, 3)
    """
    side = rows[0].shape[1] * scale
    columns = len(titles)
    page = Image.new("RGB", (LEFT + columns * (side + GAP) + 10, HEAD + len(rows) * (side + GAP) + 10), "white")
    pen, font = ImageDraw.Draw(page), ImageFont.load_default(TEXT)
    places = [LEFT + column * (side + GAP) + (GAP if column == columns - 1 else 0) for column in range(columns)]
    for left, title in zip(places, titles, strict=True):
        pen.text((left + side / 2, HEAD / 2), title, "black", font, anchor="mm")
    for number, (faces, name) in enumerate(zip(rows, names, strict=True)):
        top = HEAD + number * (side + GAP)
        pen.text((4, top + side / 2), name, "black", font, anchor="lm")
        for left, face in zip(places, faces, strict=True):
            page.paste(Image.fromarray(face).resize((side, side), Image.Resampling.NEAREST), (left, top))
    return np.asarray(page)


def choose_people(people: Sequence[str], gender: Mapping[str, str], n: int) -> list[str]:
    """Choose `n` people, evenly spaced in the list, half of them women, women first.

    Parameters
    ----------
    people : candidates, in order
    gender : person -> m or f

    Examples
    --------
    >>> choose_people(["a", "b", "c", "d"], {"a": "m", "b": "f", "c": "m", "d": "m"}, 3)
    ['b', 'a']
    """
    genders = [sorted(person for person in set(people) if gender[person] == kind) for kind in ("f", "m")]
    return [names[i] for count, names in zip((-(-n // 2), n // 2), genders, strict=True) if names
            for i in np.unique(np.linspace(0, len(names) - 1, count).astype(int))]  # fmt: skip
