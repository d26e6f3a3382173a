import json
from pathlib import Path

import pytest

from minimr.errors import UsageError
from minimr.simulator.faults import Fault
from minimr.simulator.scenario import Scenario, parse_scenario, read_scenario
from minimr.simulator.world import WorldPlan

PLAN = WorldPlan(3, 1, 4, 2, inline=(1, 2), skip_max=1, backups=False)
SCENARIO = Scenario(7, "liveness", PLAN, (Fault("crash", 2.5, (0,), 4.0), Fault("cancel", 9.0)))


def test_a_scenario_is_read_as_it_was_written(tmp_path: Path) -> None:
    path = tmp_path / "scenario.json"
    path.write_text(SCENARIO.to_json(), "utf-8")
    assert read_scenario(path) == SCENARIO


def test_what_a_file_leaves_out_is_drawn_from_its_seed() -> None:
    found = parse_scenario({"minimr_scenario": 1, "seed": 3, "world": {"workers": 9}})
    assert found.plan.workers == 9
    assert found.plan.maps == parse_scenario({"minimr_scenario": 1, "seed": 3}).plan.maps
    assert (found.mode, found.faults) == ("safety", ())


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"minimr_scenario": 2}, "version 2"),
        ({"seed": -1}, "seed is a whole number"),
        ({"seed": 2**63}, "seed is a whole number"),
        ({"seed": "7"}, "seed is a whole number"),
        ({"seed": True}, "seed is a whole number"),
        ({"mode": "panic"}, "mode is one of"),
        ({"weather": "bad"}, "a scenario has no 'weather'"),
        ({"world": []}, "world is an object"),
        ({"world": {"workers": 0}}, "workers is a whole number"),
        ({"world": {"maps": 10**9}}, "maps is a whole number"),
        ({"world": {"maps": 2.5}}, "maps is a whole number"),
        ({"world": {"backups": "yes"}}, "backups is true or false"),
        ({"world": {"inline": 3}}, "inline is a list"),
        ({"world": {"moons": 2}}, "a world has no 'moons'"),
        ({"faults": {}}, "faults is a list"),
        ({"faults": ["crash"]}, "a fault is an object"),
        ({"faults": [{"kind": "flood", "at": 1}]}, "no fault is called 'flood'"),
        ({"faults": [{"kind": "crash", "at": -1, "target": [0]}]}, "`at` must be"),
        ({"faults": [{"kind": "crash", "at": 1, "target": [99]}]}, "there is no 99"),
    ],
)
def test_an_impossible_scenario_is_refused(change: dict[str, object], complaint: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_scenario({**json.loads(SCENARIO.to_json()), **change})
    assert complaint in str(caught.value)


@pytest.mark.parametrize(
    "text", ["", "no JSON", "[]", "7", '{"seed": 1}', "[" * 100_000, '{"minimr_scenario": NaN}']
)
def test_a_file_that_is_no_scenario_is_refused_by_name(tmp_path: Path, text: str) -> None:
    path = tmp_path / "scenario.json"
    path.write_text(text, "utf-8")
    with pytest.raises(UsageError) as caught:
        read_scenario(path)
    assert str(path) in str(caught.value)


def test_a_file_that_cannot_be_read_is_refused_by_name(tmp_path: Path) -> None:
    for path in (tmp_path / "missing.json", tmp_path):
        with pytest.raises(UsageError) as caught:
            read_scenario(path)
        assert str(path) in str(caught.value)
