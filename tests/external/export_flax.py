"""A Flax model for `ferrite export`."""

import flax.linen as nn
import jax
import jax.numpy as jnp


class Net(nn.Module):
    @nn.compact
    def __call__(self, x):
        hidden = nn.LayerNorm()(nn.Dense(64)(x))
        return {"logits": nn.Dense(10)(nn.gelu(hidden)), "hidden": hidden}


net = Net()
variables = net.init(jax.random.key(0), jnp.zeros((1, 32)))

model = (net.apply, variables)


def example_inputs():
    return (jax.random.normal(jax.random.key(1), (4, 32)),)
