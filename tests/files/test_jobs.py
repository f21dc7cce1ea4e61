"""Jobs read from files: what a file may say, and how its errors are told."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from scheduler.files import BadFile, read_jobs
from scheduler.specs.job import Priority

HEADER = "name,work_hours,pool,gpus,kw,release_at,deadline_at"
WINDOW = "2021-07-05T00:00Z,2021-07-06T00:00Z"


def _file(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def _problems(path: Path) -> tuple[str, ...]:
    with pytest.raises(BadFile) as caught:
        read_jobs(path)
    return caught.value.problems


def test_csv_lines_become_jobs_with_pausing_data_and_command(tmp_path: Path) -> None:
    """Flat columns reach the nested fields; empty cells are fields left out."""
    extra = (
        "priority,sites,pausable,min_run_minutes,max_pauses,data_site,data_size_gb,after,command,"
        "data_command"
    )
    path = _file(
        tmp_path,
        "jobs.csv",
        f"{HEADER},{extra}\n"
        f"a,2.5,a100,4,3.2,{WINDOW},high,DE NY,true,30,,DE,120,,"
        '"python train.py --name ""x y""",rsync -a\n'
        f"b,1,a100,1,0.4,{WINDOW},,,,,,,,a,,\n",
    )
    first, second = read_jobs(path)
    assert first.priority is Priority.HIGH
    assert first.sites == ("DE", "NY")
    assert first.pausing is not None
    assert (first.pausing.min_run_minutes, first.pausing.max_pauses) == (30, None)
    assert first.data is not None
    assert (first.data.size_gb, first.data.command) == (120, ("rsync", "-a"))
    assert first.command == ("python", "train.py", "--name", "x y")
    assert second.pausing is None
    assert second.after == ("a",)
    assert second.sites is None


def test_every_error_of_a_csv_is_listed_with_line_column_value_and_limit(tmp_path: Path) -> None:
    """A user corrects a file once, not error by error."""
    path = _file(
        tmp_path,
        "jobs.csv",
        f"{HEADER},pausable,restart_kwh\n"
        f"a,-1,a100,two,3,{WINDOW},,\n"
        f"b,1,a100,1,1,2021-07-05T00:00,2021-07-06T00:00Z,maybe,\n"
        f"c,1,,1,1,{WINDOW},,5\n"
        f"d,1,a100,1,1,2021-07-06T00:00Z,2021-07-05T00:00Z,,\n",
    )
    problems = "\n".join(_problems(path))
    assert "line 2: work_hours = '-1': input should be greater than 0" in problems
    assert "line 2: gpus = 'two': input should be a valid integer" in problems
    assert "line 3: release_at = '2021-07-05T00:00': input should have timezone info" in problems
    assert "line 3: pausable = 'maybe': must be true or false" in problems
    assert "line 4: pool is missing" in problems
    assert "line 4: restart_kwh = '5': only a job with pausable = true has one" in problems
    assert "line 5: job d: deadline_at = 2021-07-05T00:00:00+00:00, must be after" in problems


def test_unknown_columns_are_refused_not_ignored(tmp_path: Path) -> None:
    """A misspelt column would silently change a job."""
    path = _file(tmp_path, "jobs.csv", f"{HEADER},gpu,gpus\na,1,p,1,1,{WINDOW},1,1\n")
    assert len(_problems(path)) == 2
    assert "line 1: column 'gpu' is unknown; known are name," in _problems(path)[0]
    assert "line 1: column 'gpus' occurs twice" in _problems(path)[1]


def test_a_line_with_too_many_cells_is_refused(tmp_path: Path) -> None:
    """A stray comma shifts everything after it."""
    path = _file(tmp_path, "jobs.csv", f"{HEADER}\na,1,p,1,1,{WINDOW},oops\n")
    assert _problems(path) == ("line 2: more cells than the 7 columns",)


def test_a_command_with_an_open_quote_is_refused(tmp_path: Path) -> None:
    """It would run something else than was meant."""
    path = _file(tmp_path, "jobs.csv", f"{HEADER},command\na,1,p,1,1,{WINDOW},echo 'x\n")
    assert _problems(path) == ('line 2: command = "echo \'x": no closing quotation',)


def test_names_used_twice_and_unknown_predecessors_are_named_with_their_line(
    tmp_path: Path,
) -> None:
    """Contradictions between jobs are found before anything is planned."""
    path = _file(
        tmp_path,
        "jobs.csv",
        f"{HEADER},after\na,1,p,1,1,{WINDOW},\na,1,p,1,1,{WINDOW},\nb,1,p,1,1,{WINDOW},z\n",
    )
    assert _problems(path) == (
        "line 3: name = 'a': occurs twice, first in line 2",
        "line 4: after = 'z': there is no such job in the file",
    )


def _spec(**changes: object) -> dict[str, object]:
    return {
        "name": "a",
        "work_hours": 1,
        "operating_points": [{"pool": "p", "gpus": 1, "kw": 1}],
        "release_at": "2021-07-05T00:00Z",
        "deadline_at": "2021-07-06T00:00Z",
    } | changes


def test_json_lines_and_toml_hold_the_full_spec(tmp_path: Path) -> None:
    """The same jobs in three formats are equal."""
    jobs = [_spec(), _spec(name="b", is_elastic=True)]
    array = _file(tmp_path, "jobs.json", json.dumps(jobs, indent=2))
    lines = _file(tmp_path, "jobs.jsonl", "\n\n".join(json.dumps(job) for job in jobs))
    toml = "".join(
        f'[[jobs]]\nname = "{job["name"]}"\nwork_hours = 1\n'
        'operating_points = [{ pool = "p", gpus = 1, kw = 1 }]\n'
        "release_at = 2021-07-05T00:00:00Z\ndeadline_at = 2021-07-06T00:00:00Z\n"
        f"is_elastic = {str(job.get('is_elastic', False)).lower()}\n"
        for job in jobs
    )
    expected = read_jobs(array)
    assert [job.is_elastic for job in expected] == [False, True]
    assert read_jobs(lines) == expected
    assert read_jobs(_file(tmp_path, "jobs.toml", toml)) == expected


def test_errors_in_json_and_toml_have_the_line_they_are_at(tmp_path: Path) -> None:
    """JSON errors point at the job, TOML errors at the key."""
    jobs = [_spec(), _spec(name="b", work_hours=0, colour="red")]
    array = _file(tmp_path, "jobs.json", json.dumps(jobs, indent=2))
    line = array.read_text().splitlines().index("  {", 2) + 1
    assert _problems(array) == (
        f"line {line}: work_hours = 0: input should be greater than 0",
        f"line {line}: colour is not a known field",
    )
    toml = _file(tmp_path, "jobs.toml", '[[jobs]]\nname = "a"\n\n[[jobs]]\nname = "b c"\n')
    assert any(
        problem.startswith("line 5: name = 'b c': string should match")
        for problem in _problems(toml)
    )
    assert "line 1: work_hours is missing" in _problems(toml)


@pytest.mark.parametrize(
    ("name", "text", "problem"),
    [
        ("jobs.json", '[{"name": "a"},\n  nonsense]', "line 2: not a JSON array: Expecting value"),
        ("jobs.json", '{"name": "a"}', "line 1: not a JSON array: expected '['"),
        ("jobs.json", "[] []", "line 1: not a JSON array: expected the end of the file"),
        ("jobs.jsonl", "{}\n{", "line 2: not JSON: Expecting property name"),
        ("jobs.toml", "a = ", "not TOML: Invalid value"),
        ("jobs.toml", "[[job]]\n", "must hold [[jobs]] tables and nothing else, found job"),
        ("jobs.csv", "", "line 1: there is no header line"),
        ("jobs.txt", "", "its name must end in one of .csv, .json, .jsonl, .toml"),
    ],
)
def test_files_that_are_not_what_they_are_called(
    tmp_path: Path, name: str, text: str, problem: str
) -> None:
    """The reader says what it expected and where it stopped."""
    assert any(found.startswith(problem) for found in _problems(_file(tmp_path, name, text)))


def test_a_file_that_is_missing_or_not_text_is_told_as_such(tmp_path: Path) -> None:
    """No traceback for a wrong path or a spreadsheet."""
    assert _problems(tmp_path / "none.csv") == ("cannot be read: No such file or directory",)
    (tmp_path / "sheet.csv").write_bytes(b"\xff\xfe\x00")
    assert _problems(tmp_path / "sheet.csv")[0].startswith("not UTF-8:")


def test_a_byte_order_mark_does_no_harm(tmp_path: Path) -> None:
    """Spreadsheets write one in front of the first column's name."""
    path = tmp_path / "jobs.csv"
    path.write_text(f"{HEADER}\na,1,p,1,1,{WINDOW}\n", encoding="utf-8-sig")
    assert read_jobs(path)[0].name == "a"


ARRAYS = """
[[jobs]]
name = "prepare"
work_hours = 1
operating_points = [{ pool = "a100", gpus = 1, kw = 0.5 }]
release_at = 2021-07-05T00:00:00Z
deadline_at = 2021-07-06T00:00:00Z

[[jobs]]
name = "train"
array = "0-4:2"
after = ["prepare"]
work_hours = 1
operating_points = [{ pool = "a100", gpus = 1, kw = 0.5 }]
release_at = 2021-07-05T00:00:00Z
deadline_at = 2021-07-06T00:00:00Z

[[jobs]]
name = "evaluate"
after = ["train", "prepare"]
work_hours = 1
operating_points = [{ pool = "a100", gpus = 1, kw = 0.5 }]
release_at = 2021-07-05T00:00:00Z
deadline_at = 2021-07-06T00:00:00Z
"""


def test_an_array_becomes_its_tasks_and_others_come_after_all_of_them(tmp_path: Path) -> None:
    """In its place in the file; each task is after what the array is after."""
    jobs = read_jobs(_file(tmp_path, "jobs.toml", ARRAYS))
    assert [job.name for job in jobs] == ["prepare", "train-0", "train-2", "train-4", "evaluate"]
    assert {job.after for job in jobs[1:4]} == {("prepare",)}
    assert jobs[4].after == ("train-0", "train-2", "train-4", "prepare")


def test_a_csv_line_may_be_an_array(tmp_path: Path) -> None:
    """In a column of its own; a cell left empty is a single job."""
    line = f"1,a100,1,0.5,{WINDOW}"
    text = f"{HEADER},array\na,{line},0-1\nb,{line},\n"
    assert [job.name for job in read_jobs(_file(tmp_path, "jobs.csv", text))] == ["a-0", "a-1", "b"]


def test_what_is_wrong_with_an_array_is_told_with_its_line(tmp_path: Path) -> None:
    """Its limit on tasks, a task called like a job, and more predecessors than there may be."""
    line = f"1,a100,1,0.5,{WINDOW}"
    header = f"{HEADER},array,after"
    percent = _problems(_file(tmp_path, "a.csv", f"{header}\na,{line},0-9%2,\n"))
    assert len(percent) == 1
    assert percent[0].startswith("line 2: job a: array = '0-9%2': a limit of tasks at once")
    clash = f"{header}\na,{line},0-1,\na-1,{line},,\n"
    (twice,) = _problems(_file(tmp_path, "b.csv", clash))
    assert twice == "line 3: name = 'a-1': occurs twice, first in line 2"
    many = f"{header}\na,{line},0-599,\nb,{line},0-599,\nc,{line},,a b\n"
    (long,) = _problems(_file(tmp_path, "c.csv", many))
    assert long == "line 4: after: 1200 jobs, tasks of arrays each, must be <= 1000"
