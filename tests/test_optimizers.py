"""What moves each weight, how fast, and on which schedule."""

from __future__ import annotations

import pytest

from lightxml.encoders import build_encoder
from lightxml.network import LightXMLNetwork
from lightxml.optimizers import learning_rate_factor, make_optimizers
from tests.conftest import small_config


def test_the_encoder_and_the_rest_have_rates_of_their_own_and_vectors_do_not_decay() -> None:
    encoder = build_encoder(small_config(), ["some text to learn a vocabulary from"], 32)
    network = LightXMLNetwork(encoder, 7, se_block=True)
    name_of = {id(p): name for name, p in network.named_parameters()}
    (optimizer,) = make_optimizers(network, 1e-3, 1e-2, 0.01)
    seen = set()
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            name = name_of[id(parameter)]
            seen.add(name)
            assert group["lr"] == (1e-3 if name.startswith("encoder.") else 1e-2), name
            no_decay = name.endswith("bias") or "LayerNorm" in name
            assert group["weight_decay"] == (0.0 if no_decay else 0.01), name
    assert seen == set(name_of.values())


def test_the_linear_schedule_warms_up_for_a_twentieth_and_falls_to_zero() -> None:
    factor = learning_rate_factor("linear", 1_000)
    rates = [factor(step) for step in range(1_000)]
    assert rates[0] == pytest.approx(1 / 51)
    assert rates[50] == max(rates) == 1.0
    assert rates[525] == pytest.approx(0.5)
    assert 0 < rates[-1] < 0.002
    assert learning_rate_factor("constant", 1_000)(999) == 1.0


@pytest.mark.parametrize("n_steps", [1, 2, 3])
def test_even_the_shortest_schedule_moves(n_steps: int) -> None:
    factor = learning_rate_factor("linear", n_steps)
    assert all(factor(step) > 0 for step in range(n_steps))
