"""A page of drawn faces as the paper lays it out: a row a person, a column a length of clip, the last a real face."""

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

GAP, HEAD, TEXT = 6, 22, 15  # pixels between faces, above the first row, of letters
LEFT = 110  # pixels for the people's names


def face_page(rows: Sequence[np.ndarray], names: Sequence[str], titles: Sequence[str], scale: int = 2) -> np.ndarray:
    """Faces in rows and columns, with names and titles.

    Parameters
    ----------
    rows : one a person: (columns, side, side, 3) uint8 RGB
    names : of the people
    titles : of the columns
    scale : whole factor by which faces are enlarged

    Returns
    -------
    (h, w, 3) uint8 RGB

    Examples
    --------
    >>> face_page([np.zeros((2, 10, 10, 3), np.uint8)], ["id1"], ["1 s", "real"], scale=1).shape
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
