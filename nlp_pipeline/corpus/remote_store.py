"""The stores that a corpus lies in, opened by fsspec, and where what is fetched of them lies."""

from __future__ import annotations

import shutil
import tempfile
import weakref
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from nlp_pipeline.corpus.remote_copy import RemoteCopy, patiently
from nlp_pipeline.corpus.remote_hosts import (
    guarded_client,
    open_client,
    refuse_private,
    refuse_secrets,
)
from nlp_pipeline.errors.stores import ChainedUrl, StoreNotInstalled, UnknownStore

_WRAPPERS = (
    *("async_wrapper", "asyncwrapper", "asynclocal", "blockcache", "cached", "filecache"),
    *("simplecache", "dask", "data", "dir", "generic", "reference", "pyscript", "hf"),
)
"""File systems that lead into others, or are data sets."""
_WEB = ("http", "https")


class RemoteFile(NamedTuple):
    """A file of a store.

    Attributes:
        path: In its file system.
        facts: What the store says of it.
    """

    path: str
    facts: Mapping[str, Any]


class RemoteStore:
    """Opens URLs: lists each once, and fetches no file twice.

    Args:
        folder: Where what is fetched lies; a temporary one by default, which goes with the store.
        allow_private: Whether a URL may lead into the own network, or be redirected elsewhere.
    """

    def __init__(self, folder: Path | None = None, *, allow_private: bool = False) -> None:
        self._folder = folder
        self._allow_private = allow_private
        self._listings: dict[str, Any] = {}
        self._copies: dict[str, RemoteCopy] = {}

    def listing(self, url: str, make: Callable[[Any, str], Any]) -> Any:
        """What `make` makes of the file system and the path of a URL, the first time it is asked.

        Raises:
            CorpusError: The store cannot be opened or asked.
        """
        if url not in self._listings:
            refuse_secrets(url)
            if not self._allow_private:
                patiently(url, lambda: refuse_private(url))
            filesystem, path = self._opened(url)
            self._listings[url] = patiently(url, lambda: make(filesystem, path))
        return self._listings[url]

    def copy(self, filesystem: Any, file: RemoteFile, url: str, suffixes: str) -> RemoteCopy:
        """What is read in place of a file of a store.

        Args:
            filesystem: Of fsspec.
            file: The file.
            url: The whole, for messages.
            suffixes: Of the copy: they say its format.
        """
        if url not in self._copies:
            folder = self._cache_folder()
            self._copies[url] = RemoteCopy(
                filesystem, file.path, url, facts=file.facts, folder=folder, suffixes=suffixes
            )
        return self._copies[url]

    def close(self) -> None:
        """Lets go of what is open."""
        for copy in self._copies.values():
            copy.close()

    def _cache_folder(self) -> Path:
        if self._folder is None:
            self._folder = Path(tempfile.mkdtemp(prefix="nlp-pipeline-"))
            weakref.finalize(self, shutil.rmtree, self._folder, ignore_errors=True)
        return self._folder

    def _opened(self, url: str) -> tuple[Any, str]:
        """The file system of a URL, and the path there.

        Raises:
            ChainedUrl: It is a file system in a file system.
            UnknownStore: There is no such store.
            StoreNotInstalled: A package is missing.
        """
        from fsspec.core import url_to_fs
        from fsspec.registry import available_protocols, get_filesystem_class

        protocol = url.partition("://")[0].lower()
        if "::" in url or protocol in _WRAPPERS:
            raise ChainedUrl(url)
        if protocol not in available_protocols():
            raise UnknownStore(url, sorted({*available_protocols()} - {*_WRAPPERS}))
        try:
            get_filesystem_class(protocol)
        except ImportError as error:
            raise StoreNotInstalled(url, protocol, str(error)) from None
        options: dict[str, Any] = {}
        if protocol in _WEB:
            client = open_client if self._allow_private else guarded_client(url)
            options = {"get_client": client, "skip_instance_cache": True}
        filesystem, path = patiently(url, lambda: url_to_fs(url, **options))
        filesystem.invalidate_cache()
        return filesystem, str(path)
