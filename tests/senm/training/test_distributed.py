"""Two processes train what one process trains: same losses, same weights, one set of files."""

import json
import os
from pathlib import Path

import pytest
import torch

from senm.config import PAIRED_SMOKE, SMOKE, NoiseModelSettings, PairedModelSettings
from senm.data.domains import Batch
from senm.losses import Critic, Draws, relativistic
from senm.support.errors import MachineError, SettingsError, UsageError
from senm.training.distributed import Ranks, WholeBatchNorm, launch, piece, whole_relativistic
from senm.training.train import LOG, STATE, Training
from tests.senm.training.test_train import domains, log_of, weights

TRAIN = {"iterations": 4, "batch": 5, "crop": 24, "milestones": (3,), "checkpoint_every": 2, "log_every": 1}
ODD = {"iterations": 2, "batch": 2, "crop": 24, "log_every": 1, "domain_weights": (1.0, 3.0, 1.0)}
SUMS = {"reduction": "sum", "average_over": "domains", "p1": 0.5, "p2": 0.5, "gan_weight": 0.1}
CASES: dict[str, NoiseModelSettings | PairedModelSettings] = {
    "semi": SMOKE.but(train=TRAIN, loss={"gan_weight": 0.1}),
    "paired": PAIRED_SMOKE.but(train=TRAIN),
    "few-rows": SMOKE.but(train=ODD | {"iterations": 5}, loss=SUMS),
}
def follows_rounding(key: str) -> bool:
    """Biases of the critic shift all logits (nearly) alike, which a relativistic loss does not see: their gradients
    are rounding errors, whose signs Adam follows."""
    return key.startswith("critic") and key.endswith("bias")


def two_processes(fabric, folder: Path) -> None:
    """What each of the two processes runs."""
    torch.set_num_threads(1)
    for name, settings in CASES.items():
        training = Training(settings, domains(), seed=3, fabric=fabric)
        if name == "semi":  # stopped after two steps and taken up again, by processes that know nothing of it
            training.settings = settings.but(train={"iterations": 2})
            training.run(folder / name / str(fabric.global_rank))
            training = Training(settings, domains(), seed=3, fabric=fabric)
        training.run(folder / name / str(fabric.global_rank))
        torch.save(weights(training), folder / f"{name}-{fabric.global_rank}.pt")


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from lightning_fabric import Fabric

    folder = tmp_path_factory.mktemp("ranks")
    fabric = Fabric(accelerator="cpu", devices=2, strategy="ddp_spawn")
    fabric.launch(two_processes, folder)
    return folder


@pytest.fixture
def one_thread():
    """One thread, as the two processes have: sums over threads round otherwise, and Adam follows tiny gradients."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("one_thread")
@pytest.mark.parametrize("name", list(CASES))
def test_two_processes_log_and_learn_what_one_does(ran: Path, tmp_path: Path, name: str) -> None:
    alone = Training(CASES[name], domains(), seed=3).run(tmp_path)
    lines = zip(log_of(tmp_path), log_of(ran / name / "0"), strict=True)
    for one, two in lines:
        assert one.keys() == two.keys()
        assert two == pytest.approx(one, rel=1e-5, abs=1e-9)
    first, second = (torch.load(ran / f"{name}-{rank}.pt", weights_only=True) for rank in (0, 1))
    for key, value in weights(alone).items():
        assert torch.equal(first[key], second[key]), key
        if follows_rounding(key):
            assert float((first[key] - value).abs().max()) <= 2 * CASES[name].train.lr * CASES[name].train.iterations
        else:
            torch.testing.assert_close({key: first[key]}, {key: value}, rtol=1e-4, atol=1e-5)


def test_only_the_first_process_writes(ran: Path) -> None:
    assert {p.name for p in (ran / "semi" / "0").iterdir()} == {LOG, STATE, "lock"}
    assert not (ran / "semi" / "1").exists()
    assert [json.loads(line)["step"] for line in (ran / "semi" / "0" / LOG).read_text().splitlines()] == [0, 1, 2, 3]


class Shares(Ranks):
    """A process of several that never communicates."""

    def __init__(self, rank: int, size: int) -> None:
        self.fabric, self.rank, self.size = None, rank, size


@pytest.mark.parametrize("size", [2, 3, 7])
def test_shares_are_all_rows_once_and_equally_many(size: int) -> None:
    batch = Batch(torch.arange(5.0).view(5, 1, 1, 1), torch.arange(4.0).view(4, 1, 1, 1) + 10, 2, 3, 2)
    draws = Draws((torch.tensor([True, False]), torch.tensor([False, True])), {"z": [batch.x]}, {"z": [batch.y]})
    shares = [Shares(rank, size).share(batch, draws) for rank in range(size)]
    for side in ("x", "y"):
        rows = sorted(float(v) for part, _ in shares for v in getattr(part, side).flatten())
        assert rows == sorted(getattr(batch, side).flatten().tolist())
    assert max(len(part) for part, _ in shares) - min(len(part) for part, _ in shares) <= 1
    for part, own in shares:
        assert torch.equal(part.x, own.noise_x["z"][0]) and torch.equal(part.y, own.noise_y["z"][0])
        assert torch.equal(part.x[:part.paired], part.y[:part.paired] - 10)
        assert own.coins[0].tolist() == [i == 0 for i in part.x[:part.paired].flatten().tolist()]


def test_a_piece_without_rows_is_empty() -> None:
    batch = Batch(torch.rand(2, 3, 4, 4), torch.rand(2, 3, 4, 4), 2, 0, 0)
    nothing = torch.zeros(2, dtype=torch.bool)
    part, own = piece(batch, Draws((nothing, nothing), {"z": [batch.x]}, {}), [], [], [])
    assert len(part) == 0 and part.x.shape == (0, 3, 4, 4) and own.noise_x["z"][0].shape == (0, 3, 4, 4)


@pytest.fixture
def one_of_one(tmp_path: Path):
    """A process group of this process alone, in which collectives give back what they got."""
    torch.distributed.init_process_group("gloo", init_method=f"file://{tmp_path / 'store'}", rank=0, world_size=1)
    yield
    torch.distributed.destroy_process_group()


def test_whole_batch_critic_is_the_plain_one_with_the_same_state(one_of_one: None) -> None:
    torch.manual_seed(0)
    plain = Critic(8).double()
    whole = Critic(8, WholeBatchNorm).double()
    whole.load_state_dict(plain.state_dict())
    assert list(plain.state_dict()) == list(whole.state_dict())
    image, fake = torch.rand(2, 3, 3, 32, 32, dtype=torch.float64)
    images = [image.clone().requires_grad_() for _ in range(2)]
    losses = (relativistic(plain(images[0]), plain(fake)), whole_relativistic(whole(images[1]), whole(fake), 3))
    for loss in losses:
        loss.backward()
    torch.testing.assert_close(*losses)
    torch.testing.assert_close(images[0].grad, images[1].grad)
    for (name, a), b in zip(plain.named_parameters(), whole.parameters(), strict=True):
        torch.testing.assert_close(a.grad, b.grad, msg=name)
    torch.testing.assert_close(plain.state_dict(), whole.state_dict())


def test_wrong_numbers_of_processes_are_refused() -> None:
    assert launch(1, 1) is None
    with pytest.raises(UsageError, match="0 devices"):
        launch(0)
    with pytest.raises(UsageError, match="without a number"):
        launch(2, 1, "cuda:1")
    with pytest.raises(MachineError, match="CUDA GPUs"):
        launch(torch.cuda.device_count() + 1 + os.cpu_count(), 1, "cuda")
    with pytest.raises(SettingsError, match="3 processes share batches of 2"):
        Shares(0, 3).check(2)
