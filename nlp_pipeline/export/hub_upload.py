"""A run as a data set on the Hugging Face hub, where its user says so and has a token."""

from __future__ import annotations

from pathlib import Path

from nlp_pipeline.errors.export import HubRefused, HubTokenMissing, UploadTooEarly
from nlp_pipeline.run_folder.data_set_card import CARD
from nlp_pipeline.run_folder.folder import FINISHED
from nlp_pipeline.run_folder.read import finished_parts, run_manifest
from nlp_pipeline.tables.schemas import TABLES


def push_run(run: str | Path, name: str, *, private: bool = True) -> str:
    """Uploads the tables of a finished run and its card, and nothing else of its folder.

    The texts of the documents leave the machine by it.

    Args:
        run: The run's folder.
        name: Of the data set, `owner/name`; made where there is none.
        private: Whether nobody else sees a data set that is made.

    Returns:
        Where it is.

    Raises:
        RunNotFound: There is no run.
        UploadTooEarly: It has not come to its end.
        HubTokenMissing: There is no token, neither in `HF_TOKEN` nor of `hf auth login`.
        HubRefused: The hub cannot be reached or does not take it.
    """
    import huggingface_hub

    folder = Path(run)
    manifest = run_manifest(folder)
    if manifest.get("state") != FINISHED:
        raise UploadTooEarly(str(folder))
    finished_parts(folder)
    token = huggingface_hub.get_token()
    if not token:
        raise HubTokenMissing
    api = huggingface_hub.HfApi(token=token)
    try:
        api.create_repo(name, repo_type="dataset", private=private, exist_ok=True)
        api.upload_folder(
            repo_id=name,
            repo_type="dataset",
            folder_path=folder,
            allow_patterns=[CARD, *(f"{table}/part-*" for table in TABLES)],
            commit_message="Tables of a run of nlp-pipeline",
        )
    except Exception as error:  # the hub's own, and whatever the network raises
        raise HubRefused(name, " ".join(str(error).split()) or type(error).__name__) from error
    return f"https://huggingface.co/datasets/{name}"
