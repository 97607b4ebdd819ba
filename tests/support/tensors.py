"""Tensors of PyTorch for the tests of its adapter, their bits, and ways to transform functions."""

import numpy as np
import torch
from bits import assert_same
from torch.autograd import forward_ad

func = torch.func

FORMATS = [torch.contiguous_format, torch.channels_last]


def numbers(shape, dtype=torch.float32, memory_format=torch.contiguous_format, seed=0):
    """Few different ones: many ties, signed zeros and infinities among them."""
    rng = np.random.default_rng(seed)
    values = rng.choice(np.array([0.0, -0.0, 1.0, 2.0, -1.5, np.inf, -np.inf]), shape)
    return torch.tensor(values).to(dtype).contiguous(memory_format=memory_format)


def normal(shape, dtype=torch.float32, seed=0):
    return torch.tensor(np.random.default_rng(seed).standard_normal(shape)).to(dtype)


def bits(tensor):
    tensor = tensor.detach()
    return (tensor.view(torch.int16) if tensor.dtype is torch.bfloat16 else tensor).numpy()


def same(actual, expected):
    """The same bits, in the same memory format."""
    assert actual.dtype == expected.dtype
    assert_same(bits(actual), bits(expected))
    assert actual.stride() == expected.stride()


def forward_and_gradient(pool, x, weights):
    x = x.detach().requires_grad_()
    output = pool(x)
    output.backward(weights)
    return output, x.grad


def cubed(pool):
    return lambda x: (pool(x) ** 3).sum()


def tangent(pool, x, direction):
    with forward_ad.dual_level():
        result = pool(forward_ad.make_dual(x, direction))
        return forward_ad.unpack_dual(result).tangent


# From a pooling, a function of a tensor (4, 2, 8, 9) to compare.
TRANSFORMED = {
    "vmap": lambda pool: func.vmap(pool),
    "vmap of another axis": lambda pool: func.vmap(pool, in_dims=1, out_dims=2),
    "vmap twice": lambda pool: lambda x: func.vmap(func.vmap(pool, in_dims=-3))(x[:, :, None]),
    "grad": lambda pool: func.grad(cubed(pool)),
    "vmap of grad": lambda pool: func.vmap(func.grad(cubed(pool))),
    "grad of vmap": lambda pool: func.grad(cubed(func.vmap(pool))),
    "jacrev": lambda pool: lambda x: func.jacrev(pool)(x[0]),
    "jacfwd": lambda pool: lambda x: func.jacfwd(pool)(x[0]),
    "hessian": lambda pool: lambda x: func.hessian(cubed(pool))(x[0, :, :4, :5]),
    "reverse twice": lambda pool: lambda x: func.jacrev(func.jacrev(cubed(pool)))(x[0, :, :4, :5]),
    "jvp": lambda pool: lambda x: func.jvp(pool, (x,), (x.cos(),))[1],
    "product with the hessian": lambda pool: (
        lambda x: func.jvp(func.grad(cubed(pool)), (x,), (x.cos(),))[1]
    ),
    "linearize": lambda pool: lambda x: func.linearize(pool, x)[1](x.cos()),
    "forward mode": lambda pool: lambda x: tangent(pool, x, x.cos()),
    "forward mode without gradients": lambda pool: torch.no_grad()(
        lambda x: tangent(pool, x, x.cos())
    ),
    "checkpoint": lambda pool: (
        lambda x: torch.autograd.grad(
            torch.utils.checkpoint.checkpoint(cubed(pool), x.requires_grad_(), use_reentrant=False),
            x,
        )[0]
    ),
    "vmap of channels last": lambda pool: (
        lambda x: func.vmap(func.grad(cubed(pool)))(
            torch.stack([x, 2 * x]).permute(0, 1, 3, 4, 2).contiguous().permute(0, 1, 4, 2, 3)
        )
    ),
}
