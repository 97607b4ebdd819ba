"""A convolutional network in plain NumPy learns to read digits with fastpool.

Once with each backend, whose weights are then compared bit for bit, and once with each of two
backward passes of max pooling that are widespread and wrong.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from importlib import import_module
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy import ndarray
from numpy.lib.stride_tricks import sliding_window_view

import fastpool
from fastpool import PoolResult

KERNEL, STRIDE, PADDING = 3, 2, 1  # overlapping: a cell can be the maximum of several windows
NETWORK = "conv 3x3x16, pool, ReLU, conv 3x3x32, pool, ReLU, dense 10; pool: max 3x3, stride 2"
LAYERS = ((9, 16), (9 * 16, 32), (2 * 2 * 32, 10))  # fan-in, fan-out
BORDER = ((0, 0), (1, 1), (1, 1), (0, 0))  # of convolution and pooling alike

SEED, EPOCHS, BATCH, TEST, GOAL = 0, 20, 24, 450, 0.95
# Adam, whose steps do not grow with the gradient: with SGD (rate 0.02, momentum 0.9) the whole
# window's larger gradient alone led to chance: 8 to 9% right with each of 3 seeds.
LEARNING_RATE, DECAY, SQUARE_DECAY = 0.005, 0.9, 0.999

Digits: TypeAlias = tuple[ndarray, ndarray]  # images (N, 8, 8, 1) in [0, 1], and labels
Pool: TypeAlias = Callable[[ndarray], PoolResult]
Backward: TypeAlias = Callable[[ndarray, PoolResult, ndarray], ndarray]
Stage: TypeAlias = tuple[ndarray, ndarray, PoolResult]  # patches, convolved, pooled


class History(NamedTuple):
    """What one training leaves behind; losses and accuracies after each epoch."""

    parameters: ndarray
    losses: list[float]
    accuracies: list[float]
    seconds: float
    pooling_seconds: float


def pool(x: ndarray) -> PoolResult:
    """The pooling of both stages."""
    return fastpool.maxpool2d(x, KERNEL, STRIDE, PADDING, return_indices=True, layout="NHWC")


def exact(x: ndarray, pooled: PoolResult, grad_output: ndarray) -> ndarray:
    """Right: a window's gradient goes to the one cell that its maximum came from."""
    return fastpool.maxpool2d_backward(
        grad_output, pooled.indices, x.shape, KERNEL, STRIDE, PADDING, layout="NHWC"
    )


def whole_window(x: ndarray, pooled: PoolResult, grad_output: ndarray) -> ndarray:
    """Wrong: a window's gradient goes to all of its cells."""
    padded_grad = np.zeros_like(np.pad(x, BORDER))
    for grad in taps(padded_grad, grad_output):
        grad += grad_output
    return padded_grad[:, 1:-1, 1:-1]


def tied_cells(x: ndarray, pooled: PoolResult, grad_output: ndarray) -> ndarray:
    """Wrong: a window's gradient goes, undivided, to every cell that equals the maximum."""
    padded = np.pad(x, BORDER, constant_values=-np.inf)
    padded_grad = np.zeros_like(padded)
    for grad, value in zip(taps(padded_grad, grad_output), taps(padded, grad_output), strict=True):
        grad += grad_output * (value == pooled.output)
    return padded_grad[:, 1:-1, 1:-1]


PASSES = {"exact": exact, "whole window": whole_window, "tied cells": tied_cells}


def taps(padded: ndarray, output: ndarray) -> list[ndarray]:
    """For each position in the window, a view of the cells that stand there."""
    rows, columns = (STRIDE * size for size in output.shape[1:3])
    positions = np.ndindex(KERNEL, KERNEL)
    return [padded[:, i : i + rows : STRIDE, j : j + columns : STRIDE] for i, j in positions]


def patches(x: ndarray) -> ndarray:
    """The 3x3 patch around every cell as a row, zeros beyond the border (im2col)."""
    windows = sliding_window_view(np.pad(x, BORDER), (3, 3), axis=(1, 2))
    return windows.reshape(x.size // x.shape[-1], -1)


def initialize(seed: int) -> ndarray:
    """All weights and biases in one vector, uniform within 1 / sqrt(fan-in)."""
    rng = np.random.default_rng(seed)
    layers = [rng.uniform(-1, 1, (i + 1) * o) / np.sqrt(i) for i, o in LAYERS]
    return np.concatenate(layers).astype(np.float32)


def unpack(parameters: ndarray) -> list[tuple[ndarray, ndarray]]:
    """View the vector as the weight and the bias of each layer."""
    layers = np.split(parameters, np.cumsum([(i + 1) * o for i, o in LAYERS])[:-1])
    matrices = [layer.reshape(-1, o) for layer, (_, o) in zip(layers, LAYERS, strict=True)]
    return [(matrix[:-1], matrix[-1]) for matrix in matrices]


def forward(parameters: ndarray, x: ndarray, pool: Pool) -> tuple[list[Stage], ndarray, ndarray]:
    """Both stages, the input of the dense layer, and the logits."""
    *convolutions, (dense, dense_bias) = unpack(parameters)
    stages = []
    for weight, bias in convolutions:
        rows = patches(x)
        convolved = (rows @ weight + bias).reshape(*x.shape[:3], -1)
        pooled = pool(convolved)
        stages.append((rows, convolved, pooled))
        x = np.maximum(pooled.output, 0)
    features = x.reshape(len(x), -1)
    return stages, features, features @ dense + dense_bias


def loss_and_gradient(
    parameters: ndarray, digits: Digits, pool: Pool = pool, backward: Backward = exact
) -> tuple[float, ndarray]:
    """Mean softmax cross entropy, and its gradient in the order of `parameters`."""

    def before_pooling(stage: Stage, grad: ndarray) -> ndarray:
        _, convolved, pooled = stage
        active = pooled.output > 0
        return backward(convolved, pooled, grad.reshape(active.shape) * active)

    (images, labels), (_, (weight, _), (dense, _)) = digits, unpack(parameters)
    (first, second), features, logits = forward(parameters, images, pool)
    logits -= logits.max(axis=1, keepdims=True)
    log_softmax = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    one_hot = np.eye(10, dtype=logits.dtype)[labels]
    grad_logits = (np.exp(log_softmax) - one_hot) / len(labels)
    grad_second = before_pooling(second, grad_logits @ dense.T)
    # The transposed convolution: kernels turned by 180 degrees, channels in and out swapped.
    kernels = weight.reshape(16, 3, 3, 32)[:, ::-1, ::-1].transpose(3, 1, 2, 0).reshape(-1, 16)
    grads = before_pooling(first, patches(grad_second) @ kernels), grad_second, grad_logits
    pieces = []
    for x, grad in zip((first[0], second[0], features), grads, strict=True):
        rows = grad.reshape(len(x), -1)
        pieces += [(x.T @ rows).ravel(), rows.sum(axis=0)]
    return -float((log_softmax * one_hot).sum() / len(labels)), np.concatenate(pieces)


def timed(function: Callable[..., Any], seconds: list[float]) -> Callable[..., Any]:
    """The function, noting how long each call takes."""

    def wrapper(*args: Any) -> Any:
        start = time.perf_counter()
        result = function(*args)
        seconds.append(time.perf_counter() - start)
        return result

    return wrapper


def train(name: str, training: Digits, test: Digits, epochs: int, backward: Backward) -> History:
    """Train from the seed with the current default backend, and show how it goes."""
    rng, parameters, step = np.random.default_rng(SEED), initialize(SEED), 0
    mean, square = np.zeros_like(parameters), np.zeros_like(parameters)
    losses, accuracies, pooling = list[float](), list[float](), list[float]()
    timed_pool, timed_backward = timed(pool, pooling), timed(backward, pooling)
    start = time.perf_counter()
    for epoch in range(1, epochs + 1):
        order, batch_losses = rng.permutation(len(training[1])), []
        rate = LEARNING_RATE * (1 - (epoch - 1) / epochs)
        for batch in np.array_split(order, len(order) // BATCH):
            digits = training[0][batch], training[1][batch]
            loss, grad = loss_and_gradient(parameters, digits, timed_pool, timed_backward)
            batch_losses.append(loss)
            step += 1
            mean += (1 - DECAY) * (grad - mean)
            square += (1 - SQUARE_DECAY) * (grad * grad - square)
            correction = (1 - SQUARE_DECAY**step) ** 0.5 / (1 - DECAY**step)
            parameters -= rate * correction * mean / (np.sqrt(square) + 1e-8)
        logits = forward(parameters, test[0], timed_pool)[-1]
        losses.append(float(np.mean(batch_losses)))
        accuracies.append(float((logits.argmax(axis=1) == test[1]).mean()))
        line = f"  {name:<12}  epoch {epoch:>2}/{epochs}  loss {losses[-1]:.4f}  "
        line += f"test accuracy {accuracies[-1]:6.1%}"
        if sys.stdout.isatty():
            print(f"\r{line}", end="" if epoch < epochs else "\n", flush=True)
        elif epoch % 5 == 0 or epoch == epochs:
            print(line, flush=True)
    return History(parameters, losses, accuracies, time.perf_counter() - start, sum(pooling))


def compare_backends(training: Digits, test: Digits, epochs: int) -> dict[str, History]:
    """Train with each backend that can be used here, and say how long it took."""
    histories = {}
    for name in ("numpy", "numba"):
        print(f"  {name:<12}  warming up ... ", end="", flush=True)
        start = time.perf_counter()
        with fastpool.use_backend(name):
            try:
                for size in (BATCH, TEST):  # Numba compiles another kernel for large calls
                    loss_and_gradient(initialize(SEED), (test[0][:size], test[1][:size]))
            except fastpool.BackendUnavailable as error:
                print(f"left out: {error}")
                continue
            print(f"{time.perf_counter() - start:.1f} s, not counted below")
            histories[name] = train(name, training, test, epochs, exact)
        *_, seconds, pooling_seconds = histories[name]
        print(f"  {name:<12}  {seconds:.1f} s, {pooling_seconds / seconds:.0%} of it in pooling")
    return histories


def compare_passes(histories: dict[str, History], digits: Digits) -> None:
    """Say what each backward pass came to, and how far off its gradient is."""
    digits, parameters = (digits[0].astype(float), digits[1]), initialize(SEED).astype(float)
    steps = 1e-5 * np.eye((LAYERS[0][0] + 1) * LAYERS[0][1], len(parameters))
    moved = [(parameters + step, parameters - step) for step in steps]
    losses = np.array([[loss_and_gradient(p, digits)[0] for p in pair] for pair in moved])
    numerical = (losses[:, 0] - losses[:, 1]) / 2e-5
    print("\n  backward pass  gradient error*  training loss  test accuracy  95% reached")
    for name, history in histories.items():
        grad = loss_and_gradient(parameters, digits, backward=PASSES[name])[1][: len(steps)]
        error = np.linalg.norm(grad - numerical) / np.linalg.norm(numerical)
        reached = [f"epoch {n}" for n, a in enumerate(history.accuracies, 1) if a >= GOAL]
        results = f"{error:>15.2g}  {history.losses[-1]:>13.4f}  {history.accuracies[-1]:>13.1%}"
        print(f"  {name:<13}  {results}  {(*reached, 'never')[0]:>12}")
    print("  * relative, of the first layer before training, against central differences")


def draw(figure: Any, histories: dict[str, History], image: ndarray) -> None:
    """Learning curves, and how many windows' gradients reach each cell of a feature map."""
    with fastpool.use_backend("numpy"):
        (_, convolved, pooled), _ = forward(histories["exact"].parameters, image, pool)[0]
        ones = np.ones_like(pooled.output)
        grads = {name: backward(convolved, pooled, ones) for name, backward in PASSES.items()}
    channel = grads["tied cells"].sum(axis=(0, 1, 2)).argmax()
    maps = {"test digit": image, "feature map": convolved, "max pooled": pooled.output}
    figure.suptitle("A network learns digits, with the exact gradient and two wrong ones", size=14)
    mosaic = [["loss", *maps], ["accuracy", *PASSES]]
    axes = figure.subplot_mosaic(mosaic, width_ratios=(2, 1, 1, 1))
    for name, style, width in zip(PASSES, (".-C0", ".-C1", ".--C2"), (6, 2, 2), strict=True):
        epochs = np.arange(len(histories[name].losses)) + 1
        axes["loss"].semilogy(epochs, histories[name].losses, style, linewidth=width, label=name)
        axes["accuracy"].plot(epochs, histories[name].accuracies, style, linewidth=width)
    axes["loss"].set(ylabel="training loss")
    axes["loss"].sharex(axes["accuracy"])
    axes["loss"].legend()
    axes["accuracy"].set(ylabel="test accuracy", xlabel="epoch")
    axes["accuracy"].xaxis.get_major_locator().set_params(integer=True)
    axes["accuracy"].yaxis.set_major_formatter("{x:.0%}")
    for name, cells in (maps | grads).items():
        plane = cells[0, ..., channel % cells.shape[-1]]
        axes[name].imshow(plane, cmap="Blues" if name in grads else "gray")
        axes[name].set(title=name, xticks=(), yticks=())
    for name, cells in grads.items():
        counts = cells[0, ..., channel]
        totals = f"{ones[..., 0].size} gradients sent, {counts.sum():.0f} received"
        axes[name].set(title=f"gradient: {name}", xlabel=totals)
        for (row, column), count in np.ndenumerate(counts):
            color, text = "white" if count > 2 else "black", f"{count:.0f}" if count else ""
            axes[name].text(column, row, text, ha="center", va="center", color=color)


def learn(epochs: int) -> tuple[dict[str, History], ndarray, bool, bool]:
    """Train and compare.

    Returns
    -------
    histories : dict of History
        By the name of the backward pass.
    image : ndarray
        A test digit.
    agree : bool
        Whether the backends' weights are the same to the bit.
    learned : bool
        Whether the exact gradient reached 95%, which fewer epochs than the default need not.
    """
    images, labels = import_module("sklearn.datasets").load_digits(return_X_y=True)
    images = (images / 16).astype(np.float32).reshape(-1, 8, 8, 1)
    order = np.random.default_rng(SEED).permutation(len(labels))
    test, training = ((images[part], labels[part]) for part in np.split(order, [TEST]))
    print(f"{len(training[1])} digits to train, {TEST} to test ({1 / TEST:.1%} each)\n{NETWORK}\n")
    # On a busy machine, two BLAS threads took 8 times as long as one for these small matrices.
    limits = import_module("threadpoolctl").threadpool_limits  # a dependency of scikit-learn
    with limits(1, "blas"), fastpool.use_backend("numpy"):
        runs = compare_backends(training, test, epochs)
        agree = len({history.parameters.tobytes() for history in runs.values()}) == 1
        verdict = "bit-identical in both runs" if agree else "NOT bit-identical"
        print(f"  weights: {verdict if len(runs) > 1 else 'not compared, one backend alone'}\n")
        print("The same with two wrong backward passes: to the whole window, to all tied cells")
        histories = {"exact": runs["numpy"]}
        for name in ("whole window", "tied cells"):
            histories[name] = train(name, training, test, epochs, PASSES[name])
        compare_passes(histories, (training[0][:BATCH], training[1][:BATCH]))
    learned = epochs < EPOCHS or runs["numpy"].accuracies[-1] >= GOAL
    if not learned:
        print(f"  FAILED: less than {GOAL:.0%} of the test digits right")
    return histories, test[0][:1], agree, learned
