"""Plots of training curves: in the tests, matplotlib takes as long as the training."""

import pytest


@pytest.fixture(autouse=True, scope="session")
def curves_are_drawn_once():
    """Trainings with the same figures and epochs get the plot of the first one; test_curves.py tests the drawing."""
    from avsv.training import trainer  # imports torch

    draw_curves, plots = trainer.draw_curves, {}

    def draw(exp_dir, history):
        figures = tuple(map(tuple, history))
        if figures in plots:
            (exp_dir / "curves.svg").write_bytes(plots[figures])
        else:
            draw_curves(exp_dir, history)
            plots[figures] = (exp_dir / "curves.svg").read_bytes()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(trainer, "draw_curves", draw)
        yield
