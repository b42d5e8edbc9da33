"""Models on the Hugging Face Hub: downloaded file by file, uploaded as one commit."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lightxml.exceptions import BundleError, HubError
from lightxml.files.bundle import RECORD
from lightxml.files.load import read_record
from lightxml.files.record import BLOB_FILE, MAX_RECORD_BYTES

_PREFIX = "hf://"
_NAME = re.compile(r"[\w-][\w.-]*/[\w-][\w.-]*", re.ASCII)
_SECONDS = 10  # to wait for an answer about a file
CARD = "README.md"


def folder_of(
    path: str | os.PathLike[str], revision: str | None = None, *, whole: bool = True
) -> Path:
    """Return the folder of a model; what begins with ``hf://`` is downloaded first.

    Of a repository only the record and the files that it lists are fetched, into the cache of
    huggingface_hub, all of one commit. Those that are there already are not fetched again, and
    without a network they are enough. Their digests are checked by who loads them.

    Parameters
    ----------
    path : str or path-like
        A folder, or ``"hf://user/name"``.
    revision : str or None
        A branch, a tag or a commit of the repository; None: its main branch.
    whole : bool
        Whether to download more than the record.

    Raises
    ------
    ValueError
        If the name is malformed, or a folder has a revision.
    HubError
        If the hub cannot be reached, or does not give the repository.
    BundleError
        If the repository holds no model, or not all of it.
    """
    text = os.fspath(path)
    if not text.startswith(_PREFIX):
        if revision is not None:
            raise ValueError(
                f"revision is {revision!r}, but {text} is a folder, which has none. "
                "Leave revision out, or pass 'hf://user/name'."
            )
        return Path(path)
    repo = text.removeprefix(_PREFIX)
    if _NAME.fullmatch(repo) is None:
        raise ValueError(f"path is {text!r:.200}; expected 'hf://user/name', or a folder.")
    with _errors_of(repo, revision):
        folder = Path(_fetch(repo, RECORD, revision, at_most=MAX_RECORD_BYTES)).parent
        for entry in read_record(folder)["blobs"].values() if whole else ():
            # By the commit, which is the folder's name: a branch may move meanwhile.
            _fetch(repo, entry["file"], folder.name, at_most=entry["size"])
    return folder


def _fetch(repo: str, file: str, revision: str | None, *, at_most: int) -> str:
    """Return where a file of a repository is, downloaded if need be."""
    from huggingface_hub import (
        get_hf_file_metadata,
        hf_hub_download,
        hf_hub_url,
        try_to_load_from_cache,
    )
    from huggingface_hub.errors import EntryNotFoundError, HfHubHTTPError

    kept = try_to_load_from_cache(repo, file, revision=revision)
    is_commit = revision is not None and re.fullmatch(r"[0-9a-f]{40}", revision) is not None
    if isinstance(kept, str) and is_commit:
        return kept
    try:
        # Asked first: hf_hub_download repeats the question for half a minute without a network,
        # and would fetch any size.
        url = hf_hub_url(repo, file, revision=revision)
        size = get_hf_file_metadata(url, timeout=_SECONDS).size
    except EntryNotFoundError as error:
        raise BundleError(
            f"{_PREFIX}{repo}/{file}: is not there. Give a repository with a whole model, that "
            "push_to_hub has made."
        ) from error
    except _not_reached() as error:
        refused = isinstance(error, HfHubHTTPError) and error.response.status_code < 500
        if isinstance(kept, str) and not refused:
            return kept
        raise
    if size is not None and size > at_most:
        raise BundleError(
            f"{_PREFIX}{repo}/{file}: holds {size} bytes; expected at most {at_most}. "
            "It is damaged, or no model."
        )
    return hf_hub_download(repo, file, revision=revision)


def check_repo(repo: str) -> None:
    """Check the name of a repository to push to.

    Raises
    ------
    ValueError
    """
    if not isinstance(repo, str) or _NAME.fullmatch(repo) is None:
        raise ValueError(f"repo is {repo!r:.200}; expected 'user/name'.")


def push_folder(
    folder: Path,
    repo: str,
    *,
    revision: str | None,
    private: bool | None,
    token: str | None,
    message: str,
) -> str:
    """Upload a saved model and its card as one commit, and return the commit.

    The repository and the branch are made if need be. In the same commit, what an earlier model
    has left goes: files that are named by a digest. Killed anywhere, the repository has the
    earlier commit.

    Parameters
    ----------
    folder : Path
        All its files are uploaded.
    repo : str
        ``"user/name"``.
    revision : str or None
        The branch; None: the main one.
    private : bool or None
        Whether only some may see it; None: as it is, or as the hub makes new ones.
    token : str or None
        None: that of the login, or of the environment.
    message : str
        Of the commit.

    Raises
    ------
    HubError
        If the hub cannot be reached or refuses.
    ValueError
        If the repository is there, and not as private as it is to be.
    """
    from huggingface_hub import (
        CommitOperationAdd,
        CommitOperationCopy,
        CommitOperationDelete,
        HfApi,
    )
    from huggingface_hub.errors import RevisionNotFoundError

    api = HfApi(token=token)
    with _errors_of(repo, revision):
        api.create_repo(repo, private=private, exist_ok=True)
        try:
            info = api.model_info(repo, revision=revision)
        except RevisionNotFoundError:
            assert revision is not None  # there is always a main branch
            api.create_branch(repo, branch=revision)
            info = api.model_info(repo, revision=revision)
        if private is not None and info.private != private:
            found = "private" if info.private else "public"
            raise ValueError(
                f"private={private}, but {repo} is there and is {found}. Change that on the hub, "
                "or leave private out. Nothing was uploaded."
            )
        names = sorted(file.name for file in folder.iterdir())
        there = {sibling.rfilename for sibling in info.siblings or ()}
        left = sorted(name for name in there - set(names) if BLOB_FILE.fullmatch(name))
        operations: list[CommitOperationAdd | CommitOperationCopy | CommitOperationDelete] = [
            *(CommitOperationAdd(name, folder / name) for name in names),
            *(CommitOperationDelete(name, is_folder=False) for name in left),
        ]
        try:
            # On this very commit, so that of two who push at once one is refused.
            commit = api.create_commit(
                repo, operations, commit_message=message, revision=revision, parent_commit=info.sha
            )
        except RuntimeError as error:  # what it makes of any error with a large file
            cause = error.__cause__ or error
            raise HubError(f"{_PREFIX}{repo}: a file could not be uploaded ({cause}).") from error
    oid: str = commit.oid
    return oid


@contextmanager
def _errors_of(repo: str, revision: str | None) -> Iterator[None]:
    """Say of any error of huggingface_hub's what it means for this repository.

    Raises
    ------
    HubError
    """
    from huggingface_hub.errors import (
        GatedRepoError,
        HfHubHTTPError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    name = f"{_PREFIX}{repo}"
    try:
        yield
    except GatedRepoError as error:
        message = f"{name}: is open only to those who have asked. Ask on its page, and log in"
        raise HubError(f"{message} (hf auth login, or HF_TOKEN).") from error
    except RepositoryNotFoundError as error:
        raise HubError(
            f"{name}: is not there, or is private and you are not logged in. Check the name, or "
            "log in (hf auth login, or HF_TOKEN)."
        ) from error
    except RevisionNotFoundError as error:
        message = f"{name}: has no revision {revision!r:.100}. Give a branch, a tag or a commit."
        raise HubError(message) from error
    except HfHubHTTPError as error:
        status = error.response.status_code
        if status in (401, 403):
            raise HubError(
                f"{name}: the hub refuses ({status}). Log in with a token that may do this "
                "(hf auth login, or HF_TOKEN)."
            ) from error
        said = error.server_message or error.response.reason_phrase
        raise HubError(f"{name}: the hub answers {status} ({said:.200}).") from error
    except _not_reached() as error:
        raise HubError(
            f"{name}: the hub cannot be reached ({error}). Check the network and HF_ENDPOINT."
        ) from error


def _not_reached() -> tuple[type[Exception], ...]:
    """Return what huggingface_hub raises where nobody answers, or nobody may be asked."""
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError, OfflineModeIsEnabled

    # Of its HTTP library, which changes: httpx, then httpx2.
    of_library = [base for base in HfHubHTTPError.__bases__ if base is not OSError]
    return (*of_library, LocalEntryNotFoundError, OfflineModeIsEnabled)
