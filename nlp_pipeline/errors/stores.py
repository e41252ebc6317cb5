"""Errors of corpora that lie elsewhere: buckets, web servers and other file systems by URL."""

from __future__ import annotations

from collections.abc import Iterable

from nlp_pipeline.errors.base import listing
from nlp_pipeline.errors.corpus import CorpusError
from nlp_pipeline.errors.escapes import escaped
from nlp_pipeline.errors.packages import REQUIREMENTS, pip_install
from nlp_pipeline.errors.run_folder import OutputError

_EXTRAS = {"http": "https", "s3a": "s3", "gcs": "gs"}
_CREDENTIALS = {
    "s3": "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (or AWS_PROFILE), or "
    "FSSPEC_S3='{\"anon\": true}' for what is public",
    "gs": 'GOOGLE_APPLICATION_CREDENTIALS, or FSSPEC_GS=\'{"token": "anon"}\' for what is public',
    "https": 'FSSPEC_HTTPS=\'{"headers": {"Authorization": "Bearer …"}}\'',
}


def _url(url: str) -> str:
    return escaped(url, 300)


class StoreNotInstalled(CorpusError):
    """A store whose package is not there."""

    def __init__(self, url: str, protocol: str, reason: str) -> None:
        extra = _EXTRAS.get(protocol, protocol)
        advice = (
            f"Type `{pip_install(extra)}`."
            if extra in REQUIREMENTS
            else f"{escaped(reason, 200).rstrip('.')}."
        )
        super().__init__(f"Reading '{_url(url)}' needs a package that is not installed. {advice}")


class UnknownStore(CorpusError):
    """A URL whose beginning names no store."""

    def __init__(self, url: str, protocols: Iterable[str]) -> None:
        super().__init__(
            f"The corpus '{_url(url)}' begins with the name of no store; there are: "
            f"{listing((f'{name}://' for name in protocols), 40)}."
        )


class ChainedUrl(CorpusError):
    """A URL that leads through another, or through a file system that wraps others."""

    def __init__(self, url: str) -> None:
        super().__init__(
            f"The corpus '{_url(url)}' leads through one file system into another, which is not "
            "read. Give the URL of the file, folder or pattern itself."
        )


class CredentialsInUrl(CorpusError):
    """A URL that holds a password or a signature. The message does not repeat it."""

    def __init__(self, host: str) -> None:
        super().__init__(
            f"The URL of the corpus on '{escaped(host, 100)}' holds a password, key or signature, "
            "which would stand in the run's folder. Give credentials in the environment, or send "
            "the file to standard input, such as with `curl URL | nlp-pipeline run -`."
        )


class PrivateAddress(CorpusError):
    """A host that is this machine or one of its own network."""

    def __init__(self, url: str, host: str, address: str) -> None:
        super().__init__(
            f"The corpus '{_url(url)}' lies on '{escaped(host, 100)}', which is the private "
            f"address {escaped(address, 60)}. Give --allow-private if it is meant."
        )


class RedirectRefused(CorpusError):
    """A server that sends the reader to another one."""

    def __init__(self, url: str, target: str) -> None:
        super().__init__(
            f"The corpus '{_url(url)}' is redirected to '{escaped(target, 100)}'. Give the URL "
            "there as the corpus, or --allow-private to follow it wherever it leads."
        )


class StoreRefused(CorpusError):
    """A store that does not let us list or read."""

    def __init__(self, url: str, protocol: str, reason: str) -> None:
        extra = _EXTRAS.get(protocol, protocol)
        names = _CREDENTIALS.get(extra, "what the store's own documentation names")
        super().__init__(
            f"The store refuses to list or read '{_url(url)}': "
            f"{escaped(reason, 200).rstrip('.')}. Set credentials that may in the environment: "
            f"{names}."
        )


class UrlNotTaken(CorpusError):
    """A URL that can name nothing in its store."""

    def __init__(self, url: str, reason: str) -> None:
        super().__init__(
            f"The store takes no '{_url(url)}': {escaped(reason, 200).rstrip('.')}. Check the name "
            "of the bucket and what stands behind it."
        )


class StoreFailed(CorpusError):
    """A store that does not answer, however often it is asked."""

    retryable = True

    def __init__(self, url: str, reason: str) -> None:
        super().__init__(
            f"'{_url(url)}' cannot be read: {escaped(reason, 200).rstrip('.')}. It was tried "
            "several times. Type the same command again later: what was read is not read again."
        )


class StoreChanged(StoreFailed):
    """A file of a store that became another while it was read."""

    retryable = False

    def __init__(self, url: str) -> None:
        CorpusError.__init__(
            self,
            f"'{_url(url)}' has changed while it was read. Type the same command again: it is "
            "read from its beginning.",
        )


class CopyNotWritable(OutputError):
    """A folder to which nothing that was fetched can be written."""

    def __init__(self, folder: str, reason: str) -> None:
        super().__init__(
            f"What was fetched cannot be written to '{escaped(folder, 300)}' "
            f"({escaped(reason, 120)}). Make room there and type the same command again: what was "
            "fetched is not fetched again."
        )


class CopyDiskFull(CopyNotWritable):
    """The disk has no room for what is fetched."""

    exit_code = 28
    retryable = True


class SourceStandsAlone(CorpusError):
    """A source that cannot be read together with others."""

    def __init__(self, source: str) -> None:
        super().__init__(
            f"'{_url(source)}' is read alone, not together with other sources. Run it by itself, "
            "or give files, folders, patterns and URLs."
        )
