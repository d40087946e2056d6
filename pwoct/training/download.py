"""Downloads CIFAR-10's binary archive, checked by SHA-256."""

from pathlib import Path

import pooch

from pwoct.training.data import ARCHIVE, DataError

URL = f"https://www.cs.toronto.edu/~kriz/{ARCHIVE}"
SHA256 = "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd"


def default_folder() -> Path:
    """Return the default download folder: the user's cache."""
    return Path(pooch.os_cache("pwoct-cost"))


def fetch(folder: Path, *, url: str = URL, progress: object = False) -> Path:
    """Download the archive into `folder`, unless a valid copy is there, and return its path.

    `progress` is pooch's: False, or an object with `total`, `update`, `reset` and `close`.

    Raises:
        DataError: if the download fails or has a different SHA-256.
    """
    try:
        found = pooch.retrieve(
            url,
            known_hash=f"sha256:{SHA256}",
            fname=ARCHIVE,
            path=folder,
            downloader=pooch.HTTPDownloader(progressbar=progress),
        )
    except (OSError, ValueError) as error:  # requests' errors are OSErrors; a wrong hash is a ValueError
        raise DataError(f"{url} could not be fetched into {folder}: {error}") from error
    return Path(found)
