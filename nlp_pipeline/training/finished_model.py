"""What a training leaves: a model like any other, and the adapter beside it."""

from __future__ import annotations

import os
import shutil
from typing import Any

from nlp_pipeline.generation.loading.load import LoadedModel
from nlp_pipeline.models.trained_settings import SUITS
from nlp_pipeline.run_folder.files import sync_folder
from nlp_pipeline.training.trained_weights import TrainedWeights
from nlp_pipeline.training.training_folder import TrainingFolder

_LAST = "config.json"
"""With it a folder is a model: it gets its name when everything else is there."""


def write_model(folder: TrainingFolder, weights: TrainedWeights, loaded: LoadedModel) -> None:
    """Writes the adapter, adds it to the weights, and writes these as a Hugging Face folder.

    Args:
        folder: The training's.
        weights: As they were trained; LoRA's layers are gone afterwards.
        loaded: The model that they stand in, with its tokenizer.
    """
    with folder.disk_errors():
        if weights.settings.method == "lora":
            suits = (folder.manifest() or {}).get(SUITS)
            weights.write_adapter(folder.adapter, base_of(loaded), suits)
        staging = folder.inner / "model"
        shutil.rmtree(staging, ignore_errors=True)
        model: Any = weights.merge()
        model.config.name_or_path = str(folder.path)
        model.save_pretrained(staging)
        loaded.tokenizer.save_pretrained(staging)
        names = sorted((file.name for file in staging.iterdir()), key=lambda n: (n == _LAST, n))
        for name in names:
            os.replace(staging / name, folder.path / name)
        staging.rmdir()
        sync_folder(folder.path)


def base_of(loaded: LoadedModel) -> dict[str, Any]:
    """Name and digest of the model that was trained."""
    return {"model": loaded.name, "digest": loaded.details["digest"]}
