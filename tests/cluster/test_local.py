"""A cluster of one process that is interrupted before it is there."""

import pytest

from minimr.cluster import local
from minimr.cluster.local import LocalCluster


def test_ctrl_c_before_there_is_a_process_leaves_no_directory(tmp_path, monkeypatch):
    def interrupted(_address_file, base, *_):
        assert [*tmp_path.iterdir()] == [base]
        raise KeyboardInterrupt

    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr(local, "LocalWorkers", interrupted)
    with pytest.raises(KeyboardInterrupt):
        LocalCluster(1)
    assert [*tmp_path.iterdir()] == []
