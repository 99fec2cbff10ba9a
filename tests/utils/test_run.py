"""utils/run.py: Kaldi's job grammar, logs, failures and signals."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import jobs
import pytest

RUN = Path(__file__).parents[2] / "utils" / "run.py"


def command(*words):
    return [sys.executable, str(RUN), *map(str, words)]


def run(*words, **settings):
    return subprocess.run(command(*words), capture_output=True, text=True, timeout=30, **settings)


def wait_for(condition, seconds=10):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)


def alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


# The grammar


def test_options_are_read_before_and_after_the_range():
    parsed = jobs.parse("--mem 4G JOB=1:2 --num-threads 3 log.JOB true".split())
    assert parsed.options == {"mem": "4G", "num-threads": "3"}


def test_sge_switches_have_their_own_number_of_values():
    parsed = jobs.parse("-V -pe smp 4 -tc 2 log true".split())
    assert (parsed.options, parsed.command) == ({"max-jobs-run": "2"}, "true")
    assert parsed.native == ("-V", "-pe", "smp", "4")


def test_any_identifier_may_stand_for_the_number():
    parsed = jobs.parse("x_1=2:3 log/x_1.log echo x_1/3".split())
    assert [parsed.log_of(n) for n in parsed.numbers] == ["log/2.log", "log/3.log"]
    assert parsed.command_of(3) == "echo 3/3"


def test_a_single_number_is_a_range():
    assert list(jobs.parse("JOB=3 log true".split()).numbers) == [3]


def test_words_with_equals_signs_in_the_command_are_unchanged():
    assert jobs.parse("log A=1:2 env".split()).command == "A=1:2 env"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("JOB=1:2 log true", "cannot share one log"),
        ("JOB=0:2 log.JOB true", "1 <= N"),
        ("JOB=3:2 log.JOB true", "1 <= N"),
        ("JOB=1:a log.JOB true", "not a range"),
        ("log", "expected"),
        ("--mem", "needs a value"),
        ("--max-jobs-run 0 log true", "positive number"),
        ("--gpu x log true", "takes a number"),
        ("--num-threads 99999999999999999999 log true", "positive number"),
        ("--num-threads ² log true", "positive number"),
        ("JOB=1:99999999999 log.JOB true", "not a range"),
        ("JOB=1:" + "9" * 5000 + " log.JOB true", "not a range"),
        ("log/ true", "name of a log"),
    ],
)
def test_an_invalid_command_line_exits_2_with_the_reason(words, message, tmp_path):
    done = run(*words.split(), cwd=tmp_path)
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr


# Running


def test_every_job_has_its_log_with_command_times_and_code(tmp_path):
    done = run("JOB=1:3", "new/log/a.JOB.log", "echo", "this is JOB", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert re.fullmatch(
        r"# echo 'this is 2'\n# Started at .+\n#\nthis is 2\n"
        r"# Accounting: time=\d+ threads=\d+\n# Ended \(code 0\) at .+, elapsed time \d+ seconds\n",
        (tmp_path / "new/log/a.2.log").read_text(),
    )


def test_pipes_and_redirections_belong_to_the_job(tmp_path):
    done = run("JOB=1:2", "JOB.log", "echo", "b a JOB", "|", "tr", "a", "c", ">", "JOB.out", cwd=tmp_path)
    assert done.returncode == 0
    assert (tmp_path / "2.out").read_text() == "b c 2\n"


def test_an_argument_with_spaces_stays_one_argument(tmp_path):
    run("log", "printf", "%s\\n", "it's $HOME  *", "", cwd=tmp_path)
    assert "\nit's $HOME  *\n\n# Accounting" in (tmp_path / "log").read_text()


ODD = [
    "with space", "R&D", "ecapa(v2)", "it's", "a;touch${IFS}PWNED", "$(touch PWNED)", "`touch PWNED`", "#1", "x #y",
    "*", "~/m", "$HOME", "a\\b", 'a"b', "a<b", "a>PWNED", ">PWNED", "a|b", "!x", "{a,b}", "[ab]", "?", "", "a\tb",
    "a\nb", "\n", "'", '"', "\\", "$", "&", "(", ")", "<<<", "=", "-n", "--", "é", "a\u00a0b", "\udcff", "%s", "\r",
    "\x7f", "JOBS", "!!",
]  # fmt: skip


def bytes_of(words):
    return [os.fsencode(word) for word in words]


def test_arguments_reach_the_program_unchanged(tmp_path):
    show = "import os, sys; os.write(3, b'\\0'.join(map(os.fsencode, sys.argv[1:])))"
    (tmp_path / "show.sh").write_text(f'exec "{sys.executable}" -c "{show}" "$@" 3>arguments\n')
    assert run("JOB=1:1", "log", "bash", "show.sh", *ODD, cwd=tmp_path).returncode == 0
    assert (tmp_path / "arguments").read_bytes().split(b"\0") == bytes_of(ODD)
    assert not (tmp_path / "PWNED").exists()


@pytest.mark.parametrize("folder", ["a b", "it's", "$HOME", "a;b&c", "[x](y)", "new\nline", "-x", "JOB_77", "\udcff"])
def test_logs_and_recipes_may_be_in_odd_folders(folder, tmp_path):
    (tmp_path / folder).mkdir()
    done = run("JOB=1:2", "--", f"{folder}/log/a.JOB.log", "pwd", cwd=tmp_path / folder)
    assert done.returncode == 0
    assert os.fsencode(folder) in (tmp_path / folder / folder / "log/a.2.log").read_bytes()


def test_the_number_replaces_only_a_separate_word(tmp_path):
    words = ["/scratch/JOB_77/m", "JOB", "JOB/4", "a.JOB.ark:JOB", "JOBS", "myJOB", "2JOB", "éJOB", "x-JOB-y", "(JOB)"]
    assert run("JOB=1:2", "log/JOB_77.JOB.log", "printf", "%s\\n", *words, cwd=tmp_path).returncode == 0
    assert (tmp_path / "log/JOB_77.2.log").read_text().splitlines()[3:-2] == [
        "/scratch/JOB_77/m", "2", "2/4", "a.2.ark:2", "JOBS", "myJOB", "2JOB", "éJOB", "x-2-y", "(2)"]  # fmt: skip


def test_a_log_name_with_the_identifier_inside_a_word_is_refused(tmp_path):
    assert run("JOB=1:2", "log/JOB_77.log", "true", cwd=tmp_path).returncode == 2


def test_the_displayed_command_is_safe_to_paste(tmp_path):
    """The path would run code if a shell expanded it."""
    odd = "$(touch PWNED) `touch PWNED`;touch PWNED"
    done = run("JOB=1:1", "log", "bash", "-c", 'echo "$1"; exit 7', "x", odd, cwd=tmp_path)
    alone = re.search(r"^To run it alone: (.*)", done.stderr, re.MULTILINE)[1]
    again = subprocess.run(["bash", "-c", alone], capture_output=True, text=True, check=False)
    assert (again.returncode, again.stdout) == (7, odd + "\n")
    assert not (tmp_path / "PWNED").exists()


@pytest.mark.parametrize("value", ["4,2", "x", "", "-1"])
def test_any_number_of_threads_in_the_environment_is_accepted(value, tmp_path):
    assert run("log", "true", cwd=tmp_path, env=os.environ | {"OMP_NUM_THREADS": value}).returncode == 0


@pytest.mark.parametrize("closed", ["2>&-", "<&- >&- 2>&-", "2>/dev/full"])
def test_a_closed_stderr_neither_fails_nor_hides_a_failure(closed, tmp_path):
    for job, code in (("true", 0), ("false", 1)):
        words = " ".join(f"'{word}'" for word in command("log", job))
        assert subprocess.run(["bash", "-c", f"{words} {closed}"], cwd=tmp_path, timeout=30).returncode == code
        assert f"(code {code})" in (tmp_path / "log").read_text()


def test_a_fifo_as_log_or_configuration_is_refused(tmp_path):
    os.mkfifo(tmp_path / "fifo")
    done = run("fifo", "true", cwd=tmp_path)
    assert done.returncode == 1 and "fifo" in done.stderr
    slurm = [sys.executable, RUN.with_name("slurm.py"), "--config", "fifo", "log", "true"]
    done = subprocess.run(slurm, cwd=tmp_path, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 1 and "fifo" in done.stderr and "Traceback" not in done.stderr


@pytest.mark.skipif(os.geteuid() != 0 or not sys.platform.startswith("linux"), reason="only root may become nobody")
def test_a_user_without_a_name_and_home_runs_jobs(tmp_path):
    tmp_path.chmod(0o777)
    environment = {name: value for name, value in os.environ.items() if name not in ("HOME", "USER", "LOGNAME")}
    unshare = ["unshare", "--user", "--map-user=12345"]
    if subprocess.run([*unshare, "true"], capture_output=True).returncode:
        pytest.skip("no user namespaces here")
    words = [*unshare, *command("log", "true")]
    done = subprocess.run(words, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_failed_job_is_named_with_the_end_of_its_log(tmp_path):
    done = run("a.log", "bash", "-c", "echo no such speaker >&2; exit 3", cwd=tmp_path)
    assert done.returncode == 1
    assert "run.py: job failed, log is in a.log" in done.stderr
    assert "no such speaker" in done.stderr
    assert "# Ended (code 3) at" in (tmp_path / "a.log").read_text()


def test_failed_jobs_are_counted_and_the_other_jobs_run(tmp_path):
    done = run("--max-jobs-run", 1, "JOB=1:4", "a.JOB.log", "test", "JOB", "-eq", "2", cwd=tmp_path)
    assert done.returncode == 1
    assert "3 / 4 failed, log is in a.*.log" in done.stderr
    assert "(code 0)" in (tmp_path / "a.2.log").read_text()


def test_the_first_command_of_a_pipe_can_fail_the_job(tmp_path):
    assert run("log", "false", "|", "cat", cwd=tmp_path).returncode == 1


def test_a_command_that_is_not_found_fails_with_its_code(tmp_path):
    assert run("log", "no-such-command", cwd=tmp_path).returncode == 1
    assert "(code 127)" in (tmp_path / "log").read_text()


def test_unknown_options_are_ignored(tmp_path):
    assert run("--mem", "4G", "--time", "1:00:00", "log", "true", cwd=tmp_path).returncode == 0


def test_a_log_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "log").write_text("a file")
    done = run("log/a.log", "true", cwd=tmp_path)
    assert done.returncode == 1
    assert "run.py: log" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(("limit", "most"), [(1, 1), (3, 3)])
def test_at_most_max_jobs_run_run_at_a_time(limit, most, tmp_path):
    job = "touch on.JOB; ls on.* | wc -l >count.JOB; sleep 0.3; rm on.JOB"
    run("--max-jobs-run", limit, "JOB=1:4", "JOB.log", "bash", "-c", job, cwd=tmp_path)
    counts = [int((tmp_path / f"count.{n}").read_text()) for n in range(1, 5)]
    assert max(counts) <= most


def threads_seen(tmp_path, *options, **environment):
    unset = {k: v for k, v in os.environ.items() if k != "OMP_NUM_THREADS"}
    run(*options, "JOB=1:2", "JOB.log", "printenv", "OMP_NUM_THREADS", cwd=tmp_path, env=unset | environment)
    return int((tmp_path / "1.log").read_text().splitlines()[3])


def test_jobs_share_the_cores(tmp_path):
    cores = len(os.sched_getaffinity(0))
    assert threads_seen(tmp_path, "--max-jobs-run", "1") == cores
    assert threads_seen(tmp_path, "--max-jobs-run", "2") == max(1, cores // 2)


def test_the_users_number_of_threads_is_kept_unless_the_option_is_given(tmp_path):
    assert threads_seen(tmp_path, OMP_NUM_THREADS="7") == 7
    assert threads_seen(tmp_path, "--num-threads", "3", OMP_NUM_THREADS="7") == 3


def test_each_job_sees_its_own_gpu(tmp_path):
    visible = os.environ | {"CUDA_VISIBLE_DEVICES": "4,5"}
    job = "echo $CUDA_VISIBLE_DEVICES; sleep 0.2"
    run("--gpu", 1, "JOB=1:2", "JOB.log", "bash", "-c", job, cwd=tmp_path, env=visible)
    assert sorted((tmp_path / f"{n}.log").read_text().splitlines()[3] for n in (1, 2)) == ["4", "5"]


def test_retry_runs_a_failed_job_again_and_appends_to_its_log(tmp_path):
    job = "echo run >>count.JOB; test JOB = 3 || test $(wc -l <count.JOB) = 2"  # all but 3 fail at first
    done = run("--retry", 2, "JOB=1:3", "JOB.log", "bash", "-c", job, cwd=tmp_path)
    assert done.returncode == 0
    assert [len((tmp_path / f"count.{n}").read_text().split()) for n in (1, 2, 3)] == [2, 2, 1]
    assert "run.py: job 2 failed (code 1), run again (1 of 2)\n" in done.stderr
    assert re.findall(r"code \d", (tmp_path / "2.log").read_text()) == ["code 1", "code 0"]


def test_retries_are_limited(tmp_path):
    assert run("--retry", 2, "log", "bash", "-c", "echo run >>count; false", cwd=tmp_path).returncode == 1
    assert (tmp_path / "count").read_text() == "run\n" * 3


def test_the_displayed_command_reruns_a_failed_job_alone(tmp_path):
    (tmp_path / "path.sh").write_text("export FROM_PATH_SH=there\n")
    done = run("JOB=1:3", "JOB.log", "bash", "-c", "echo it is JOB $FROM_PATH_SH; exit 7", cwd=tmp_path)
    alone = re.search(r"^To run it alone: (.*)", done.stderr, re.MULTILINE)[1]
    again = subprocess.run(["bash", "-c", alone], capture_output=True, text=True, check=False)
    assert (again.returncode, again.stdout) == (7, "it is 1 there\n")


def test_nodes_starts_torchrun_with_one_process_per_gpu(tmp_path):
    for name in ("torchrun", "nvidia-smi"):
        (tmp_path / name).write_text('#!/bin/sh\necho "$0 $*"\n')
        (tmp_path / name).chmod(0o755)
    visible = os.environ | {"PATH": f"{tmp_path}:{os.environ['PATH']}", "CUDA_VISIBLE_DEVICES": "0,1"}
    assert run("--nodes", 1, "--gpu", 2, "log", "avsv", "train", "x", cwd=tmp_path, env=visible).returncode == 0
    assert "torchrun --standalone --nproc-per-node 2 --no-python bash -o pipefail -c avsv train x\n" in (
        tmp_path / "log").read_text()  # fmt: skip
    assert "this machine is one node" in run("--nodes", 2, "log", "true", cwd=tmp_path).stderr


# Ending


def start(tmp_path, job="sleep 60 & echo $! >pid.JOB; wait"):
    process = subprocess.Popen(
        command("--max-jobs-run", 2, "JOB=1:2", "JOB.log", "bash", "-c", job),
        cwd=tmp_path, stderr=subprocess.PIPE, text=True,
        # tests that run in the background (CI) have INT ignored, and run.py leaves an ignored signal ignored
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )  # fmt: skip
    pids = [tmp_path / f"pid.{n}" for n in (1, 2)]
    wait_for(lambda: all(p.exists() and p.read_text().strip() for p in pids))
    return process, [int(p.read_text()) for p in pids]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_jobs_and_their_processes(number, tmp_path):
    process, pids = start(tmp_path)
    process.send_signal(number)
    _, stderr = process.communicate(timeout=10)
    assert process.returncode == 2
    assert signal.Signals(number).name in stderr
    assert not any(alive(pid) for pid in pids)
    assert "# Ended (code" in (tmp_path / "1.log").read_text()


def test_the_end_of_the_calling_script_ends_the_jobs(tmp_path):
    text = f"'{sys.executable}' '{RUN}' log bash -c 'echo $$ >pid; exec sleep 60'\ntrue\n"
    (tmp_path / "script.sh").write_text(text)
    script = subprocess.Popen(["bash", "script.sh"], cwd=tmp_path, stderr=subprocess.DEVNULL)
    pid = tmp_path / "pid"
    wait_for(lambda: pid.exists() and pid.read_text().strip())
    script.kill()
    script.wait()
    wait_for(lambda: not alive(int(pid.read_text())))


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux notifies a process of its parent's end")
def test_a_job_ends_even_when_run_py_is_killed(tmp_path):
    process = subprocess.Popen(command("log", "sleep", "60"), cwd=tmp_path)
    wait_for(lambda: (tmp_path / "log").exists())
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    wait_for(lambda: [Path(f"/proc/{pid}/comm").read_text() for pid in children.read_text().split()] == ["sleep\n"])
    child = int(children.read_text().split()[0])
    process.kill()
    process.wait()
    wait_for(lambda: not alive(child))


@pytest.mark.parametrize("make", [os.symlink, os.link])
def test_a_log_that_is_a_link_is_replaced_and_its_target_untouched(tmp_path, make):
    (tmp_path / "precious").write_text("precious")
    (tmp_path / "log").mkdir()
    make(tmp_path / "precious", tmp_path / "log" / "a.1.log")
    assert run("JOB=1:2", tmp_path / "log/a.JOB.log", "echo", "done").returncode == 0
    assert (tmp_path / "precious").read_text() == "precious"
    assert "done" in (tmp_path / "log/a.1.log").read_text() and not (tmp_path / "log/a.1.log").is_symlink()


def test_a_device_as_log_is_written_to_and_not_replaced():
    assert run("/dev/null", "echo", "done").returncode == 0 and Path("/dev/null").is_char_device()
