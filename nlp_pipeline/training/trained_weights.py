"""The weights that are trained: all of a model, or LoRA's matrices that peft puts beside them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from nlp_pipeline.errors.training import NotTrainable, PeftMissing
from nlp_pipeline.generation.loading.adapter import add_product
from nlp_pipeline.generation.loading.adapter_files import CONFIG, MANIFEST, WEIGHTS, AdapterFiles
from nlp_pipeline.models.trained_settings import SUITS
from nlp_pipeline.run_folder.files import write_atomically, write_json
from nlp_pipeline.training.training_settings import TrainingSettings

_ADAPTER = "default"
"""What peft calls an adapter that has no name."""


class TrainedWeights:
    """A loaded model made ready to be trained; made in place.

    Args:
        model: A causal language model whose weights nobody else uses.
        name: Its name, for messages.
        settings: The method, and of LoRA the rest.
        adapter: LoRA's matrices begin with the values of this one, and go on from there.

    Attributes:
        model: To compute with; LoRA's layers stand in it.
        settings: How.
        parameters: What is trained, by name.

    Raises:
        PeftMissing: LoRA is wanted and peft is not installed.
        NotTrainable: No layer has one of the names in `targets`, or the adapter has more than
            is trained.
    """

    def __init__(
        self,
        model: Any,
        name: str,
        settings: TrainingSettings,
        adapter: AdapterFiles | None = None,
    ) -> None:
        self.model = model
        self.settings = settings
        torch.manual_seed(settings.seed)  # of the matrices' first values
        self._config = None if settings.method == "full" else self._put_beside(name)
        if self._config is None:
            model.requires_grad_(True)
            for parameter in model.parameters():  # which may lie in a file mapped to memory
                parameter.data = parameter.data.clone()
        named = model.named_parameters()
        self.parameters: dict[str, Tensor] = {n: p for n, p in named if p.requires_grad}
        if adapter is not None:
            self._begin_with(adapter, name)
        if settings.gradient_checkpointing:
            model.gradient_checkpointing_enable({"use_reentrant": False})
        model.train()

    def _put_beside(self, name: str) -> Any:
        """Puts LoRA's matrices into the model's layers; the model stays what it is."""
        try:
            from peft import LoraConfig, inject_adapter_in_model
        except ImportError as error:
            raise PeftMissing from error
        settings = self.settings
        linear = {
            n.rpartition(".")[2] for n, m in self.model.named_modules() if type(m) is nn.Linear
        }
        if unknown := sorted(set(settings.targets) - linear):
            names = ", ".join(sorted(linear))
            reason = f"it has no linear layer named {unknown[0]}"
            raise NotTrainable(name, reason, f"Name others with --target; there are: {names}.")
        config = LoraConfig(
            r=settings.rank,
            lora_alpha=settings.scale * settings.rank,
            target_modules=list(settings.targets),
            lora_dropout=settings.dropout,
            bias="none",
            task_type="CAUSAL_LM",
        )
        inject_adapter_in_model(config, self.model)
        for parameter_name, parameter in self.model.named_parameters():
            parameter.requires_grad_("lora_" in parameter_name)
            if parameter.requires_grad:  # steps are too small for numbers of 16 bits
                parameter.data = parameter.data.to(
                    torch.promote_types(self.model.dtype, torch.float32)
                )
        return config

    def _begin_with(self, adapter: AdapterFiles, name: str) -> None:
        """Gives LoRA's matrices the products of an adapter.

        Rows of A that it has not keep their first values, and columns of B are 0: the sums are
        those of the adapter.
        """
        with torch.no_grad():
            for layer, product in adapter.products.items():
                down = self.parameters.get(f"{layer}.lora_A.{_ADAPTER}.weight")
                up = self.parameters.get(f"{layer}.lora_B.{_ADAPTER}.weight")
                rank = len(product.down)
                if down is None or up is None:
                    reason = f"its adapter '{adapter.path.name}' has matrices for {layer}"
                    own = layer.rpartition(".")[2]
                    advice = (
                        f"Add --target {own}, or begin without it: --set generator.adapter=null."
                    )
                    raise NotTrainable(name, reason, advice)
                if rank > self.settings.rank:
                    reason = f"its adapter '{adapter.path.name}' is of rank {rank}"
                    advice = (
                        f"Take --rank {rank}, or begin without it: --set generator.adapter=null."
                    )
                    raise NotTrainable(name, reason, advice)
                down[:rank] = product.down.to(down)
                up[:, :rank] = product.up.to(up) * (product.scale / self.settings.scale)

    def state(self) -> dict[str, Tensor]:
        """Copies of what is trained, by name, in main memory."""
        return {n: p.detach().to("cpu", copy=True) for n, p in self.parameters.items()}

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Takes back what `state` gave."""
        with torch.no_grad():
            for name, parameter in self.parameters.items():
                parameter.copy_(state[name])

    def write_adapter(
        self, folder: Path, base: Mapping[str, Any], suits: Mapping[str, Any] | None = None
    ) -> None:
        """Writes LoRA's matrices as peft reads them, with a manifest of their base.

        What stays in the model is rounded as they are.

        Args:
            folder: Is made.
            base: Name and digest of the model that they belong to.
            suits: Components' settings that suit it, for its manifest.
        """
        from safetensors.torch import save_file

        folder.mkdir(parents=True, exist_ok=True)
        kind: torch.dtype = getattr(torch, self.settings.adapter_dtype)
        with torch.no_grad():
            for parameter in self.parameters.values():
                parameter.copy_(parameter.to(kind))
        tensors = {
            f"base_model.model.{name.replace(f'.{_ADAPTER}.', '.')}": value.to(kind).contiguous()
            for name, value in self.state().items()
        }
        write_atomically(folder / WEIGHTS, lambda file: save_file(tensors, file))
        config = {
            "peft_type": "LORA",
            "task_type": "CAUSAL_LM",
            "base_model_name_or_path": str(base["model"]),
            "r": self.settings.rank,
            "lora_alpha": self.settings.scale * self.settings.rank,
            "lora_dropout": self.settings.dropout,
            "target_modules": sorted(self.settings.targets),
            "bias": "none",
            "inference_mode": True,
        }
        write_json(folder / MANIFEST, {"base": dict(base), **({SUITS: suits} if suits else {})})
        write_json(folder / CONFIG, config)  # last: with it the folder is an adapter

    def merge(self) -> Any:
        """The model with LoRA's products added to its weights, and plain layers again."""
        if self._config is None:
            return self.model
        from peft.tuners.lora import Linear

        layers = [(n, m) for n, m in self.model.named_modules() if isinstance(m, Linear)]
        for name, layer in layers:
            plain = layer.get_base_layer()
            down, up = layer.lora_A[_ADAPTER].weight, layer.lora_B[_ADAPTER].weight
            add_product(plain.weight, down, up, layer.scaling[_ADAPTER])
            parent, _, own = name.rpartition(".")
            setattr(self.model.get_submodule(parent), own, plain)
        return self.model.requires_grad_(False)
