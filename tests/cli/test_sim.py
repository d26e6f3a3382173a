import json
from pathlib import Path

import pytest

from minimr.observe.log import read_log
from minimr.simulator import seeds as seeds_module
from minimr.simulator.run import Outcome, simulate
from minimr.simulator.seeds import Sweep
from tests.cli.conftest import Minimr


def test_one_seed_tells_its_world_its_faults_and_its_end(minimr: Minimr) -> None:
    result = minimr("sim", "--seed", "7")
    assert (result.exit_code, result.stderr) == (0, "")
    first, *faults = result.stdout.splitlines()
    assert first.startswith("seed 7, safety: ")
    assert len(faults) == len(simulate(7).faults) + 2


def test_the_same_seed_prints_the_same(minimr: Minimr) -> None:
    assert minimr("sim", "--seed", "11").stdout == minimr("sim", "--seed", "11").stdout


def test_json_has_all_that_a_run_is_made_of(minimr: Minimr) -> None:
    found = json.loads(minimr("sim", "--seed", "7", "--json").stdout)
    outcome = simulate(7)
    assert found["log_hash"] == outcome.log_hash
    assert found["violations"] == []
    assert found["world"]["workers"] == outcome.plan.workers
    assert len(found["faults"]) == len(outcome.faults)
    assert found["replay"] == "minimr sim --seed 7"


def test_a_range_of_seeds_says_how_fast_it_was_and_what_occurred(minimr: Minimr) -> None:
    result = minimr("sim", "--seeds", "0..59")
    assert result.exit_code == 0
    assert result.stdout.startswith("60 seeds, ")
    assert "seeds/s" in result.stdout
    assert "events/s" in result.stdout
    found = json.loads(minimr("sim", "--seeds", "0..59", "--json").stdout)
    assert (found["seeds"], found["failures"], found["never_occurred"]) == (60, [], [])
    assert found["occurred"]["backup started"] > 0


def test_faults_and_workers_can_be_chosen(minimr: Minimr) -> None:
    arguments = ("sim", "--seed", "3", "--workers", "9", "--json", "--faults")
    found = json.loads(minimr(*arguments, "crash,delay").stdout)
    assert found["world"]["workers"] == 9
    assert {fault["kind"] for fault in found["faults"]} <= {"crash", "delay"}
    assert json.loads(minimr(*arguments, "none").stdout)["faults"] == []


def test_liveness_mode_ends_with_a_heal(minimr: Minimr) -> None:
    found = json.loads(minimr("sim", "--seed", "3", "--mode", "liveness", "--json").stdout)
    assert "heal" in [fault["kind"] for fault in found["faults"]]
    assert found["ok"]


def test_a_named_job_runs_with_its_options_and_inputs(
    minimr: Minimr, job_file: str, text: str
) -> None:
    assert minimr("sim", "wordcount", "--seed", "2").exit_code == 0
    assert minimr("sim", "grep", "--seed", "2", "--", "a.t").exit_code == 0
    found = minimr("sim", job_file, text, "--seed", "2", "--json", "--", "--ignore-case")
    assert found.exit_code == 0
    replay = json.loads(found.stdout)["replay"]
    assert replay == f"minimr sim {job_file} {text} --seed 2 -- --ignore-case=True"


def test_a_gang_runs_in_the_place_of_a_job(minimr: Minimr) -> None:
    told = minimr("sim", "gang", "--seed", "9", "--workers", "5", "--faults", "none")
    assert (told.exit_code, told.stderr) == (0, "")
    assert "5 workers of 1 slot, a gang of 5 over 6 partitions, restart=all" in told.stdout
    story = minimr("sim", "gang", "--seed", "9", "--workers", "5", "--story", "gang-0")
    assert any("gang-0 goes to worker-" in line for line in story.stdout.splitlines())
    found = json.loads(minimr("sim", "gang", "--seed", "9", "--json").stdout)
    assert found["world"]["gang"]["members"] > 0
    assert found["replay"] == "minimr sim gang --seed 9"


def test_many_gangs_run_to_the_end_of_their_faults_or_until_one_worker_is_left(
    minimr: Minimr,
) -> None:
    for mode in ("safety", "liveness"):
        found = json.loads(
            minimr("sim", "gang", "--seeds", "0..39", "--mode", mode, "--json").stdout
        )
        assert (found["seeds"], found["failures"]) == (40, [])
        assert found["occurred"]["gang_formed"] > 20


def test_a_story_tells_of_one_task_and_the_faults_meanwhile(minimr: Minimr) -> None:
    result = minimr("sim", "--seed", "7", "--story", "map-0")
    assert result.exit_code == 0
    assert any("map-0 goes to worker-" in line for line in result.stdout.splitlines())
    missing = minimr("sim", "--seed", "7", "--story", "map-99")
    assert missing.exit_code == 2
    assert "map-99" in missing.stderr


def test_a_log_is_written_that_others_can_read(minimr: Minimr, tmp_path: Path) -> None:
    paths = [tmp_path / "one.log", tmp_path / "two.log"]
    for path in paths:
        assert minimr("sim", "--seed", "7", "--log", path).exit_code == 0
    assert paths[0].read_bytes() == paths[1].read_bytes()
    events = list(read_log(paths[0]))
    assert events == json.loads(json.dumps(simulate(7).log))


def test_a_scenario_file_is_run(minimr: Minimr, tmp_path: Path) -> None:
    path = tmp_path / "scenario.json"
    path.write_text(
        '{"minimr_scenario": 1, "seed": 5, "world": {"workers": 3, "maps": 4},'
        ' "faults": [{"kind": "crash", "at": 1.0, "target": [0], "until": 2.0}]}'
    )
    found = json.loads(minimr("sim", "--scenario", path, "--json").stdout)
    assert found["world"]["maps"] == 4
    assert found["faults"] == [{"kind": "crash", "at": 1.0, "target": [0], "until": 2.0}]
    path.write_text('{"minimr_scenario": 1, "faults": [{"kind": "flood", "at": 1}]}')
    refused = minimr("sim", "--scenario", path)
    assert refused.exit_code == 2
    assert "no fault is called 'flood'" in refused.stderr


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("--seed", "-1"), "a seed is a whole number"),
        (("--seed", "9223372036854775808"), "a seed is a whole number"),
        (("--seed", "seven"), "a seed is a whole number"),
        (("--seed", "²"), "a seed is a whole number"),
        (("--seeds", "7"), "a range such as 0..999"),
        (("--seeds", "7..3"), "a range holds"),
        (("--seeds", "0..99999999999"), "a range holds"),
        (("--seeds", "0..9", "--seed", "1"), "either --seed or --seeds"),
        (("--seeds", "0..9", "--log", "x"), "give --seed"),
        (("--faults", "crash,flood"), "no fault is called 'flood'"),
        (("--faults", "heal"), "no fault is called 'heal'"),
        (("--scenario", "missing.json"), "missing.json"),
        (("--scenario", "osdi04-sorting"), "no experiment is called"),
        (("--scenario", "osdi04"), "no experiment is called 'osdi04'; there are: osdi04-grep"),
        (("--figure", "x.svg"), "--figure goes with an experiment"),
        (("--seed", "1", "--shrink"), "nothing to shrink"),
        (("nosuchjob",), "no job is called 'nosuchjob'"),
        (("gang", "--faults", "crash,coordinator_crash"), "'coordinator_crash'; faults of a gang"),
        (("gang", "data.txt"), "brings its own data"),
        (("gang", "--", "--members", "3"), "has no options"),
        (("gang", "--story", "map-0"), "tasks are called load-0, gang-0"),
        (("wordcount", "missing.txt"), "missing.txt"),
    ],
)
def test_an_impossible_request_is_refused(
    minimr: Minimr, arguments: tuple[str, ...], complaint: str
) -> None:
    result = minimr("sim", *arguments)
    assert result.exit_code == 2
    assert complaint in result.stderr
    assert "Traceback" not in result.stderr


@pytest.fixture
def broken(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pretends that a run with a crash breaks a promise."""

    def pretend(outcome: Outcome) -> Outcome:
        if any(fault.kind == "crash" for fault in outcome.faults):
            outcome.violations.append("something broke")
        return outcome

    def run(*arguments: object, **settings: object) -> Outcome:
        return pretend(simulate(*arguments, **settings))  # type: ignore[arg-type]

    for module in ("seeds", "shrink"):
        monkeypatch.setattr(f"minimr.simulator.{module}.simulate", run)


def test_a_failure_prints_one_replay_line_and_exits_with_one(minimr: Minimr, broken: None) -> None:
    seed = _first_with_a_crash()
    result = minimr("sim", "--seed", seed, "--faults", "crash,delay")
    assert result.exit_code == 1
    assert "BROKEN  something broke" in result.stdout
    assert result.stderr == f"replay: minimr sim --seed {seed} --faults crash,delay\n"


def test_a_range_names_each_seed_that_failed(minimr: Minimr, broken: None) -> None:
    result = minimr("sim", "--seeds", "0..29", "--faults", "crash,delay")
    assert result.exit_code == 1
    assert f"BROKEN  seed {_first_with_a_crash()}: something broke" in result.stdout
    assert "replay: minimr sim --seed" in result.stdout


def test_a_failure_shrinks_to_a_test(minimr: Minimr, broken: None) -> None:
    seed = _first_with_a_crash()
    result = minimr("sim", "--seed", seed, "--faults", "crash,delay", "--shrink")
    assert result.exit_code == 1
    assert f"def test_seed_{seed}() -> None:" in result.stdout
    assert result.stdout.count('Fault("crash"') == 1
    assert "delay" not in result.stdout.partition("def test")[2]


def test_a_failed_gang_says_how_to_repeat_it_and_shrinks(minimr: Minimr, broken: None) -> None:
    seed = _first_with_a_crash(gang=True)
    result = minimr("sim", "gang", "--seed", seed, "--faults", "crash,delay", "--shrink")
    assert result.exit_code == 1
    assert f"replay: minimr sim gang --seed {seed} --faults crash,delay\n" in result.stderr
    assert "gang=GangPlan(" in result.stdout
    assert "computation=Dataset(plan.maps)" in result.stdout


def _first_with_a_crash(gang: bool = False) -> int:
    wanted = Sweep(0, 29, kinds=("crash", "delay"), gang=gang)
    for seed in range(30):
        outcome = seeds_module.run_seed(wanted, seed)
        if any(fault.kind == "crash" for fault in outcome.faults):
            return seed
    raise AssertionError("no seed crashes anything")
