"""``python -m fastpool demo``: a photograph pooled, and a network that learns to read digits."""

from __future__ import annotations

import sys
from importlib import import_module

from . import digits, photograph

EPOCHS = digits.EPOCHS


def run(output: str = "fastpool-demo.png", epochs: int = EPOCHS) -> int:
    """Pool, train, compare and draw; the exit status.

    0: the backends agree to the bit, and the exact gradient reaches 95%, which fewer epochs than
    the default need not. 1: they do not. 2: the demo cannot run.
    """
    try:
        figures = import_module("matplotlib.figure")
        datasets = import_module("sklearn.datasets")
        figures.Figure().savefig(output)  # so that a bad path is known before the training
    except ImportError as error:
        print(f'The demo needs more ({error}): pip install "fastpool[demo]"', file=sys.stderr)
        return 2
    except (OSError, ValueError) as error:
        print(f"The picture cannot be written: {error}", file=sys.stderr)
        return 2
    picture = datasets.load_sample_image("china.jpg")
    times, same_levels = photograph.measure(photograph.tiled(picture))
    photograph.show(times, same_levels)
    histories, digit, same_weights, learned = digits.learn(epochs)
    figure = figures.Figure((13, 12), layout="constrained")
    above, below = figure.subfigures(2, 1, height_ratios=(5.5, 6.5), hspace=0.05)
    photograph.draw(above, picture, times)
    digits.draw(below, histories, digit)
    figure.savefig(output, dpi=120)
    print(f"\n  picture: {output}")
    return 0 if learned and same_levels and same_weights else 1
