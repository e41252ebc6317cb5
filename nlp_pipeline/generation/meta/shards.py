"""The weight files of a Meta checkpoint, found and opened; no code in them is ever run."""

from __future__ import annotations

import pickle
import re
from pathlib import Path

import torch
from torch import Tensor

from nlp_pipeline.errors.escapes import escaped
from nlp_pipeline.errors.meta import NoShards, ShardMissing, ShardUnreadable, UnsafeShard

_FILE = re.compile(r"consolidated\.(\d+)\.pth")


def shard_files(folder: Path) -> list[Path]:
    """The `consolidated.NN.pth` of a folder, in order.

    Raises:
        NoShards: There is none.
        ShardMissing: A number in between is missing.
    """
    by_number = {int(m[1]): f for f in sorted(folder.iterdir()) if (m := _FILE.fullmatch(f.name))}
    if not by_number:
        raise NoShards(str(folder))
    missing = sorted(set(range(max(by_number))) - set(by_number))
    if missing:
        names = [f"consolidated.{number:02}.pth" for number in missing]
        raise ShardMissing(str(folder), names, [by_number[i].name for i in sorted(by_number)])
    return [by_number[number] for number in sorted(by_number)]


def read_shard(file: Path) -> dict[str, Tensor]:
    """The tensors of one shard, mapped into memory and not read yet; no code is ever run.

    Raises:
        UnsafeShard: The file asks for code to be run.
        ShardUnreadable: It is damaged or no file of torch.
    """
    try:
        try:
            content = torch.load(file, map_location="cpu", weights_only=True, mmap=True)
        except RuntimeError as error:
            if "mmap can only be used" not in str(error):
                raise
            content = torch.load(file, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        if asked_for := re.search(r"(?:GLOBAL|class|function) (\w+\.[\w.]+)", str(error)):
            raise UnsafeShard(str(file), escaped(asked_for[1], 80)) from error
        raise ShardUnreadable(str(file), _reason(error)) from error
    except Exception as error:  # what a damaged file makes torch raise is nowhere declared
        raise ShardUnreadable(str(file), _reason(error)) from error
    if not isinstance(content, dict) or not all(map(torch.is_tensor, content.values())):
        raise ShardUnreadable(str(file), "it holds something else")
    return content


def _reason(error: Exception) -> str:
    """The first sentence of what torch said, which may go on for a page."""
    return escaped(str(error).split(". ")[0].split("\n")[0], 120).rstrip(".")
