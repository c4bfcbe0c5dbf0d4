"""The plain implementation computes what the fast one computes: images, KL terms and gradients."""

import torch

from benchmarks.profiling.plain import PlainSeNMVAE
from senm.checkpoint import SEMI_NAMES, rename
from senm.config import NetworkSettings
from senm.model import SeNMVAE

PAIRED, SOURCE, TARGET = 2, 1, 2


def network() -> SeNMVAE:
    torch.manual_seed(0)
    model = SeNMVAE(NetworkSettings(nf=8, zn_dim=3, nls=(1, 1), growth=4)).double()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    return model


def rows(noise, chosen):
    return {name: [eps[chosen] for eps in draws] for name, draws in noise.items()}


def test_translate_is_the_same() -> None:
    model = network()
    x, level = torch.rand(2, 3, 12, 16).double(), torch.tensor([0.05, 0.2]).double()
    noise = model.draw_noise(2, 12, 16)
    torch.testing.assert_close(PlainSeNMVAE(model).translate(x, level, noise), model.translate(x, level, noise=noise))


def test_training_pass_and_gradients_are_the_same() -> None:
    model = network()
    plain = PlainSeNMVAE(model)
    count = PAIRED + SOURCE + TARGET
    x, y, level = torch.rand(count, 3, 8, 8).double(), torch.rand(count, 3, 8, 8).double(), torch.rand(count).double()
    coins = torch.rand(2, count) < 0.5
    noise_x, noise_y = model.draw_noise(count, 8, 8), model.draw_noise(count, 8, 8)
    with_x = list(range(PAIRED + SOURCE))
    with_y = list(range(PAIRED)) + list(range(PAIRED + SOURCE, count))

    dense = plain(x, y, level, PAIRED, SOURCE, (coins[0], coins[1]), noise_x, noise_y)
    clean, noisy = model(x[with_x], y[with_y], level[with_y], PAIRED, (coins[0, :PAIRED], coins[1, :PAIRED]),
                         rows(noise_x, with_x), rows(noise_y, with_y))
    torch.testing.assert_close(dense["x"][with_x], clean.image)
    torch.testing.assert_close(dense["y"][with_y], noisy.image)
    torch.testing.assert_close(dense["kl_z_x"][:PAIRED], clean.kl_z.sum(0))
    torch.testing.assert_close(dense["kl_z_y"][:PAIRED], noisy.kl_z.sum(0))
    torch.testing.assert_close(dense["kl_zn"][with_y], noisy.kl_zn.sum(0))

    sum(value.square().sum() for value in dense.values()).backward()
    total = clean.image.square().sum() + noisy.image.square().sum()
    (total + sum(kl.sum(0).square().sum() for kl in (clean.kl_z, noisy.kl_z, noisy.kl_zn))).backward()
    gradients = {rename(name, SEMI_NAMES): p.grad for name, p in plain.named_parameters()}
    for name, parameter in model.named_parameters():
        torch.testing.assert_close(gradients[rename(name, SEMI_NAMES)], parameter.grad)
