"""What Dask workers are told of keys, and what they forget."""

from __future__ import annotations

import pickle
from typing import Any, cast

import pytest
from distributed import Worker

from tasks.errors import ClusterLostError
from tasks.statistics.access import ShareAccess
from tasks.storage import Place, access_options, forget_access, place

SECRET = "planted-secret-93ab"


def test_keys_travel_packed_and_are_forgotten() -> None:
    source = place("s3://maps", {"key": "AKIA", "secret": SECRET, "client_kwargs": {"verify": True}})
    options = dict(access_options(source))
    sent = pickle.dumps(ShareAccess(source))
    assert SECRET.encode() not in sent, "a worker that cannot read it logs it"
    assert source.access in ShareAccess(source).name

    worker = cast(Worker, None)
    forget_access({source.access})
    with pytest.raises(ClusterLostError, match="s3://maps: this worker has not been told how to open it"):
        access_options(source)
    told: ShareAccess = pickle.loads(sent)
    told.setup(worker)
    assert access_options(source) == options
    told.teardown(worker)
    with pytest.raises(ClusterLostError):
        access_options(source)


@pytest.mark.parametrize("where", [Place("/data/maps"), Place("s3://open-to-all")])
def test_a_place_without_options_needs_none(where: Place) -> None:
    assert access_options(where) == {}
    sent: Any = pickle.loads(pickle.dumps(ShareAccess(where)))
    sent.setup(cast(Worker, None))
    assert access_options(where) == {}
