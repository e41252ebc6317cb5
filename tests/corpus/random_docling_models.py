"""Models of the shape of docling's, small or with random weights, that see nothing on a page."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from nlp_pipeline.corpus.documents.docling_models import MODELS

_LABELS = (
    "caption footnote formula list_item page_footer page_header picture section_header table text "
    "title document_index code checkbox_selected checkbox_unselected form key_value_region"
)
_TAGS = "<pad> <unk> <start> <end> ecel fcel lcel ucel xcel nl ched rhed srow"


def write_models(folder: Path) -> None:
    """Writes both into a folder, as `docling-tools models download` lays it out."""
    _write_layout_model(folder / MODELS["layout"])
    _write_table_model(folder / MODELS["tableformer"])


def _write_layout_model(folder: Path) -> None:
    import torch
    from transformers import (
        RTDetrImageProcessor,
        RTDetrResNetConfig,
        RTDetrV2Config,
        RTDetrV2ForObjectDetection,
    )

    labels: Any = dict(enumerate(_LABELS.split()))
    # The two versions of transformers type what a config takes in two ways.
    backbone_class: Any = RTDetrResNetConfig
    config_class: Any = RTDetrV2Config
    backbone = backbone_class(
        embedding_size=8,
        hidden_sizes=[8, 8, 8, 8],
        depths=[1, 1, 1, 1],
        layer_type="basic",
        out_features=["stage2", "stage3", "stage4"],
    )
    config = config_class(
        backbone_config=backbone,
        use_timm_backbone=False,
        encoder_in_channels=[8, 8, 8],
        encoder_hidden_dim=16,
        d_model=16,
        encoder_ffn_dim=16,
        decoder_ffn_dim=16,
        encoder_attention_heads=2,
        decoder_attention_heads=2,
        decoder_layers=1,
        num_queries=20,
        decoder_in_channels=[16, 16, 16],
        num_denoising=0,
        id2label=labels,
        label2id={label: number for number, label in labels.items()},
    )
    model: Any = RTDetrV2ForObjectDetection(config)
    with torch.no_grad():
        for head in model.model.decoder.class_embed:
            head.weight.zero_()
            head.bias.fill_(-10.0)
    model.save_pretrained(folder)
    RTDetrImageProcessor(size={"height": 64, "width": 64}).save_pretrained(folder)


def _write_table_model(folder: Path) -> None:
    from docling_ibm_models.tableformer.models.table04_rs.tablemodel04_rs import TableModel04_rs
    from safetensors.torch import save_model

    words = {"word_map_tag": {tag: n for n, tag in enumerate(_TAGS.split())}, "word_map_cell": {}}
    config = {
        "dataset": {
            "image_normalization": {"state": True, "mean": [0.9] * 3, "std": [0.2] * 3},
            "resized_image": 448,
        },
        "dataset_wordmap": words,
        "model": {
            "type": "TableModel04_rs",
            "name": "random",
            "save_dir": "",
            "enc_image_size": 28,
            "hidden_dim": 512,
            "tag_attention_dim": 256,
            "tag_embed_dim": 16,
            "tag_decoder_dim": 512,
            "dropout": 0.1,
            "bbox_attention_dim": 512,
            "bbox_embed_dim": 256,
            "bbox_classes": 2,
            "enc_layers": 1,
            "dec_layers": 1,
            "nheads": 8,
        },
        "train": {"bbox": True, "epochs": 1},
        "predict": {"max_steps": 64, "beam_size": 1, "bbox": True, "pdf_cell_iou_thres": 0.05},
        "preparation": {"max_tag_len": 100},
    }
    folder.mkdir(parents=True)
    (folder / "tm_config.json").write_text(json.dumps(config), encoding="utf-8")
    model = TableModel04_rs(config, {"word_map": words}, "cpu")
    save_model(model, str(folder / "tableformer_accurate.safetensors"))
