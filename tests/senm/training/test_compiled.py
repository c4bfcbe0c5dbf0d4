"""Compiled and low-precision training: the same numbers as far as they should be, others where they should not."""

import warnings

import pytest
import torch

from senm.blocks import ResidualDenseBlock
from senm.config import PAIRED_SMOKE, SMOKE
from senm.gaussians import Gaussian, kl
from senm.model import SeNMVAE
from senm.paired import PairedVAE
from senm.training import compiled
from senm.training.compiled import arithmetic, compiler_error, training_pass
from senm.training.graphs import GraphedPass
from senm.training.train import Training
from tests.senm.test_model import SMALL
from tests.senm.training.test_train import TINY, domains, same

PAIRED_TINY = PAIRED_SMOKE.but(train=TINY.train)


@pytest.mark.parametrize("settings", [TINY, PAIRED_TINY], ids=["semi", "paired"])
def test_bf16_rounds_the_pass_but_not_the_weights(settings) -> None:
    exact, rounded = (Training(settings.but(train={"precision": p}), domains(), seed=0) for p in ("float32", "bf16"))
    one, two = exact.run_step(), rounded.run_step()
    assert one["paired/rec_y"] != two["paired/rec_y"]
    assert two["paired/rec_y"] == pytest.approx(one["paired/rec_y"], rel=0.05)
    assert two["grad_norm"] == pytest.approx(one["grad_norm"], rel=0.1)
    assert all(p.dtype == torch.float32 for p in rounded.model.parameters()) and not same(exact, rounded)


def test_convolutions_run_in_bfloat16_under_bf16_and_in_float32_without() -> None:
    for precision, dtype in (("float32", torch.float32), ("bf16", torch.bfloat16)):
        training = Training(TINY.but(train={"precision": precision}), domains(), seed=0)
        found = []
        training.model.encode_y.stem.register_forward_hook(lambda *call, found=found: found.append(call[2].dtype))
        for _ in range(2):
            training.run_step()
        assert found and set(found) == {dtype}


def test_small_kl_survives_bfloat16() -> None:
    mean, log_std = torch.full((1, 1, 1, 1), 0.01), torch.full((1, 1, 1, 1), -0.004)
    q = Gaussian(mean.bfloat16(), log_std.bfloat16())
    p = Gaussian(torch.zeros_like(q.mean), torch.zeros_like(q.log_std))
    expected = kl(Gaussian(q.mean.double(), q.log_std.double()), Gaussian(p.mean.double(), p.log_std.double()))
    found = kl(q, p)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found.double(), expected, rtol=1e-2, atol=0)


@pytest.mark.parametrize(("precision", "allowed"), [("float32", False), ("tf32", True), ("bf16", True)])
def test_tf32_is_allowed_on_a_gpu_only_where_asked_for(precision: str, allowed: bool) -> None:
    cudnn, matmul = torch.backends.cudnn, torch.backends.cuda.matmul
    before = cudnn.allow_tf32, matmul.allow_tf32
    with arithmetic(torch.device("cuda"), precision):
        assert (cudnn.allow_tf32, matmul.allow_tf32) == (allowed, allowed)
    with arithmetic(torch.device("cpu"), precision):
        assert (cudnn.allow_tf32, matmul.allow_tf32) == before
    assert (cudnn.allow_tf32, matmul.allow_tf32) == before


def test_without_a_compiler_training_says_why_and_computes_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(self, *arguments, **options) -> None:
        raise RuntimeError("no working C++ compiler\nmore")

    plain = Training(TINY, domains(), seed=0)
    monkeypatch.setattr(ResidualDenseBlock, "compile", broken)
    with pytest.warns(UserWarning, match=r"without torch.compile.*: no working C\+\+ compiler$"):
        eager = Training(TINY.but(train={"compile": True}), domains(), seed=0)
    for training in (plain, eager):
        training.run_step()
    assert same(plain, eager)


@pytest.mark.parametrize("model", [SeNMVAE(SMALL), PairedVAE(PAIRED_SMOKE.network)], ids=["semi", "paired"])
def test_every_head_and_dense_block_is_compiled_and_no_name_changes(model, monkeypatch: pytest.MonkeyPatch) -> None:
    names, called = list(model.state_dict()), []
    monkeypatch.setattr(compiled, "compiler_error", lambda block: "")
    monkeypatch.setattr(torch.nn.Module, "compile", lambda self, **options: called.append((self, options)))
    assert training_pass(model) is model
    covered = {id(p) for part, options in called for p in part.parameters() if options == {"dynamic": True}}
    left = [name for name, p in model.named_parameters() if id(p) not in covered]
    dense = [name for name in left if ".convs." in name]
    assert called and not dense and list(model.state_dict()) == names
    assert len(covered) == sum(sum(1 for _ in part.parameters()) for part, _ in called)


def test_a_model_on_a_gpu_gets_graphs(monkeypatch: pytest.MonkeyPatch) -> None:
    class OnGpu(SeNMVAE):
        def parameters(self, recurse: bool = True):
            yield type("Parameter", (), {"device": torch.device("cuda")})()

    assert isinstance(training_pass(OnGpu(SMOKE.network)), GraphedPass)


def test_a_batch_in_parts_runs_without_graphs_whose_gradients_a_second_part_would_overwrite() -> None:
    training = Training(TINY, domains(), seed=0)
    training.forward = GraphedPass(training.model)
    state = training.state()
    training.load(state)
    assert training.forward is not training.model
    state["health"]["micro_batches"] = 2
    training.load(state)
    assert training.forward is training.model


def test_compiler_error_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(self, *arguments, **options) -> None:
        raise RuntimeError("first\nsecond")

    monkeypatch.setattr(ResidualDenseBlock, "compile", broken)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert compiler_error(ResidualDenseBlock(4, 4)) == "first"
