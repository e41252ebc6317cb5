"""The folder of a training and the parts of its report: what is kept, refused and told."""

from __future__ import annotations

import errno
import xml.dom.minidom
from pathlib import Path
from typing import Any

import pytest
import torch

from nlp_pipeline.errors.run_folder import RunLocked
from nlp_pipeline.errors.training import CheckpointDamaged, DifferentTraining, TrainingDiskFull
from nlp_pipeline.evaluation.bootstrap import Bootstrap
from nlp_pipeline.training.loss_curve import loss_line, loss_svg, smoothed
from nlp_pipeline.training.proof import compared, verdict
from nlp_pipeline.training.training_folder import open_training
from nlp_pipeline.training.training_status import training_status


def logged(losses: list[float], looks: dict[int, float]) -> list[dict[str, Any]]:
    return [
        {"step": step, "loss": loss, "stopping_loss": looks.get(step)}
        for step, loss in enumerate(losses, 1)
    ]


class TestFolder:
    def test_a_checkpoint_comes_back(self, tmp_path: Path) -> None:
        with open_training(tmp_path / "mine") as folder:
            assert folder.load() is None
            folder.save({"step": 3, "weights": {"w": torch.tensor([1.5])}})
            state = folder.load()
        assert state is not None
        assert state["weights"]["w"].tolist() == [1.5]

    def test_a_damaged_checkpoint_is_named(self, tmp_path: Path) -> None:
        with open_training(tmp_path / "mine") as folder:
            file = folder.inner / "checkpoint.pt"
            file.write_bytes(b"PK broken")
            with pytest.raises(CheckpointDamaged) as error:
                folder.load()
        assert str(error.value) == (
            f"The checkpoint '{file}' cannot be read (its bytes are damaged). Begin anew with "
            "--fresh."
        )

    def test_a_full_disk_leaves_the_checkpoint_before(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def full(*_: object) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

        with open_training(tmp_path / "mine") as folder:
            folder.save({"step": 3})
            monkeypatch.setattr("nlp_pipeline.training.training_folder.write_atomically", full)
            with pytest.raises(TrainingDiskFull) as error:
                folder.save({"step": 6})
            state = folder.load()
        assert state == {"step": 3}
        assert error.value.exit_code == 28
        assert str(error.value) == (
            f"The disk that holds '{tmp_path / 'mine'}' is full. The last checkpoint is safe. Make "
            "room and type the same command again: it goes on from there."
        )

    def test_one_process_at_a_time(self, tmp_path: Path) -> None:
        with open_training(tmp_path / "mine") as folder:
            folder.write_manifest({"state": "running", "steps": 5})
            state = training_status(tmp_path / "mine")
            assert state is not None
            assert (state.state, state.n_done, state.loss) == ("running", 0, None)
            with pytest.raises(RunLocked), open_training(tmp_path / "mine"):
                pass
        state = training_status(tmp_path / "mine")
        assert state is not None
        assert state.state == "interrupted"

    def test_other_weights_are_refused(self, tmp_path: Path) -> None:
        with open_training(tmp_path / "mine") as folder:
            base = {"model": "tiny", "digest": "a" * 64}
            folder.check_base(base)
            folder.write_manifest({"base": base})
            folder.check_base(base)
            with pytest.raises(DifferentTraining, match=r"base model's digest: aaa.* → bbb"):
                folder.check_base({"model": "tiny", "digest": "b" * 64})

    def test_fresh_leaves_what_is_not_a_training_s(self, tmp_path: Path) -> None:
        with open_training(tmp_path / "mine") as folder:
            folder.write_manifest({"state": "running"})
            folder.save({"step": 1})
        (tmp_path / "mine" / "config.json").touch()
        (tmp_path / "mine" / "notes.odt").touch()
        with open_training(tmp_path / "mine", fresh=True) as folder:
            assert folder.manifest() is None
            assert folder.load() is None
        assert sorted(p.name for p in (tmp_path / "mine").iterdir()) == ["notes.odt", "training"]


class TestProof:
    def test_the_gain_is_of_pairs(self) -> None:
        keys = [(f"d{n}", f"q{m}") for n in range(6) for m in range(2)]
        base = {"f1": dict.fromkeys(keys, 0.25)}
        trained = {"f1": dict.fromkeys(keys[:10], 0.75)}
        (means,) = compared(base, trained, Bootstrap()).values()
        assert means["before"]["value"] == 0.25
        assert means["after"]["value"] == 0.75
        # Every pair gains the same, so that no draw of documents gains anything else.
        assert means["gain"] == {"value": 0.5, "low": 0.5, "high": 0.5, "n": 10}

    @pytest.mark.parametrize(
        ("low", "high", "words"),
        [
            (0.01, 0.2, "better"),
            (-0.2, -0.01, "worse"),
            (-0.1, 0.2, "no gain is shown"),
            (0.0, 0.2, "no gain is shown"),
        ],
    )
    def test_what_an_interval_shows(self, low: float, high: float, words: str) -> None:
        assert verdict({"low": low, "high": high}) == words


class TestLossCurve:
    def test_the_plot_is_an_svg_with_both_losses(self) -> None:
        text = loss_svg(logged([3.0, 2.0, 1.0, 0.5], {2: 2.5, 4: 1.5}), best_step=4)
        svg = xml.dom.minidom.parseString(text)
        curves = svg.getElementsByTagName("polyline")
        assert [len(c.getAttribute("points").split()) for c in curves] == [4, 4, 2]
        assert "kept" in text
        assert len(
            xml.dom.minidom.parseString(loss_svg(logged([1.0], {}), None).strip()).childNodes
        )

    def test_the_line_falls_with_the_loss(self) -> None:
        assert loss_line(logged([4.0] * 10 + [1.0] * 90, {}), width=5) == "4.00 █▁▁▁▁ 1.00"
        assert loss_line(logged([2.0], {})) == "2.00 ▁ 2.00"

    def test_a_smoothed_loss_is_a_mean_of_those_before(self) -> None:
        assert smoothed([(1, 4.0), (2, 2.0), (3, 0.0)], width=2) == [(1, 4.0), (2, 3.0), (3, 1.0)]
