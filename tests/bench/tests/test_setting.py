"""Where it is measured."""

from tests.bench.setting import NO_BYTECODE, ROOT, Setting


def test_candidates_find_their_modules_compiled(monkeypatch):
    monkeypatch.setenv(NO_BYTECODE, "1")
    monkeypatch.setenv("LANG", "C.UTF-8")
    environment = Setting().environment()
    assert NO_BYTECODE not in environment
    assert environment["LANG"] == "C.UTF-8"
    assert environment["PYTHONPATH"] == str(ROOT)


def test_what_a_candidate_needs_is_looked_for_where_it_would_be():
    setting = Setting(peers_python="/bin/false")
    assert setting.has("")
    assert not setting.has("json")
    assert setting.has("our json")
    assert not setting.has("our unheard_of")
    assert setting.has("program sh")
    assert not setting.has("program unheard-of")
