"""Where it is measured."""

from tests.bench.setting import NO_BYTECODE, ROOT, Setting


def test_candidates_find_their_modules_compiled(monkeypatch):
    monkeypatch.setenv(NO_BYTECODE, "1")
    monkeypatch.setenv("LANG", "C.UTF-8")
    environment = Setting().environment()
    assert NO_BYTECODE not in environment
    assert environment["LANG"] == "C.UTF-8"
    assert environment["PYTHONPATH"] == str(ROOT)
