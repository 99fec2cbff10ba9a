"""utils/slurm.py and utils/sge.py on a real Slurm and a real Grid Engine: both behave the same."""

import re
import signal
import subprocess
import time

import pytest

from tests.schedulers.cluster import command, listed, on, run, started, wait_for

BOTH = on("slurm.py", "sge.py")


@BOTH
def test_an_array_of_jobs_runs_with_a_log_for_each_job(program, tmp_path):
    (tmp_path / "path.sh").write_text("export FROM_PATH_SH='read by every job'\n")
    done = run(program, "JOB=1:3", "exp/log/a.JOB.log", "echo", "JOB: $FROM_PATH_SH", "it's 5 *", "|", "tr", "r", "R",
               cwd=tmp_path)  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert re.fullmatch(
        r"# Running on \S+\n# Started at .+\n# echo '2: \$FROM_PATH_SH' 'it'\"'\"'s 5 \*' \| tr r R\n#\n"
        r"2: \$FROM_PATH_SH it's 5 \*\n# Accounting: time=\d+ threads=1\n# Finished at .+ with status 0\n",
        (tmp_path / "exp/log/a.2.log").read_text(),
    )
    assert (tmp_path / "exp/q/a.sh").exists()


@BOTH
@pytest.mark.parametrize("folder", ["it's $HOME & 100%a", "[a];b", "JOB_77"])
def test_odd_folders_and_arguments_reach_the_job_unchanged(program, folder, tmp_path):
    (tmp_path / folder).mkdir()
    words = ["$(touch PWNED)", "a;b", "it's", "100%", "JOB_77", "JOB"]
    done = run(program, "JOB=1:2", f"{folder}/log/a b.JOB.log", "printf", "%s\\n", *words, cwd=tmp_path / folder)
    assert (done.returncode, done.stderr) == (0, "")
    log = (tmp_path / folder / folder / "log/a b.2.log").read_text()
    assert "\n#\n" + "\n".join([*words[:-1], "2"]) + "\n# Accounting" in log
    assert not list(tmp_path.rglob("PWNED"))


@BOTH
def test_path_sh_is_sourced_in_the_folder_of_the_recipe(program, tmp_path):
    (tmp_path / "path.sh").write_text("export FROM_PATH_SH='read in '$PWD\n")
    run(program, "a.log", "printenv", "FROM_PATH_SH", cwd=tmp_path)
    assert f"\nread in {tmp_path}\n" in (tmp_path / "a.log").read_text()


@BOTH
def test_a_failed_job_is_reported_with_its_log_and_a_command_to_rerun_it(program, tmp_path):
    job = "echo speaker JOB; test JOB != 2 || exit 7"
    done = run(program, "JOB=1:4", "log/a.JOB.log", "bash", "-c", job, cwd=tmp_path)
    assert done.returncode == 1
    assert done.stderr.startswith(f"{program}: 1 / 4 failed, log is in log/a.*.log\nThese failed: 2\n")
    assert "job 2 failed with status 7\n" in done.stderr
    assert "The end of log/a.2.log:\n  speaker 2\n" in done.stderr
    assert "with status 7\n" in (tmp_path / "log/a.2.log").read_text()
    alone = re.search(r"^To run it alone: (.*)", done.stderr, re.MULTILINE)[1]
    again = subprocess.run(["bash", "-c", alone], capture_output=True, text=True, check=False)
    assert (again.returncode, again.stdout) == (7, "speaker 2\n")


@BOTH
def test_retry_resubmits_only_failed_jobs(program, tmp_path):
    job = "echo run >>count.JOB; test JOB = 3 || test $(wc -l <count.JOB) = 2"  # all but 3 fail at first
    done = run(program, "--retry", 1, "JOB=1:4", "log/a.JOB.log", "bash", "-c", job, cwd=tmp_path)
    assert done.returncode == 0
    assert [len((tmp_path / f"count.{n}").read_text().split()) for n in (1, 2, 3, 4)] == [2, 2, 1, 2]
    assert "job 4 failed with status 1; submitted again (1 of 1)" in done.stderr
    assert re.findall("with status .", (tmp_path / "log/a.4.log").read_text()) == ["with status 1", "with status 0"]


@BOTH
def test_retries_are_limited(program, tmp_path):
    done = run(program, "--retry", 1, "log/a.log", "bash", "-c", "echo run >>count; false", cwd=tmp_path)
    assert done.returncode == 1
    assert "job 1 failed with status 1 (2 times)" in done.stderr
    assert (tmp_path / "count").read_text() == "run\nrun\n"


@BOTH
def test_at_most_max_jobs_run_run_at_a_time(program, tmp_path):
    two = "until [ -e two ] || [ $(ls on.* | wc -l) -ge 2 ]; do sleep 0.1; done; touch two"  # more than one runs
    job = f"touch on.JOB; {two}; ls on.* | wc -l >count.JOB; sleep 1; rm on.JOB"
    assert (
        run(program, "--max-jobs-run", 2, "JOB=1:4", "log/a.JOB.log", "bash", "-c", job, cwd=tmp_path).returncode == 0
    )
    assert max(int((tmp_path / f"count.{n}").read_text()) for n in (1, 2, 3, 4)) == 2


@BOTH
def test_a_gpu_and_cores_are_requested_from_the_cluster(program, tmp_path):
    job = "scontrol show job $SLURM_JOB_ID" if program == "slurm.py" else "qstat -j $JOB_ID"
    job = f"echo $OMP_NUM_THREADS $CUDA_VISIBLE_DEVICES; {job}"
    done = run(program, "--gpu", 1, "--num-threads", 2, "log/a.log", "bash", "-c", job, cwd=tmp_path)
    assert done.returncode == 0
    text = (tmp_path / "log/a.log").read_text()
    if program == "slurm.py":
        assert re.search(r"^2 [01]$", text, re.MULTILINE) and "NumCPUs=2" in text and "gres:gpu:1" in text
    else:
        assert re.search(r"^2", text, re.MULTILINE) and "smp range: 2" in text and "gpu=1" in text


@BOTH
def test_an_undescribed_option_is_refused_and_nothing_is_submitted(program, tmp_path):
    done = run(program, "--licences", 3, "log/a.log", "true", cwd=tmp_path)
    assert done.returncode == 2
    assert f"option --licences 3 is not described in {command(program)[1].split('/utils')[0]}/conf/" in done.stderr
    assert not (tmp_path / "q").exists()


@BOTH
def test_a_rejection_shows_the_clusters_message(program, tmp_path):
    switch, message = ("-p", "invalid partition") if program == "slurm.py" else ("-q", "unknown queue")
    done = run(program, switch, "no-such", "log/a.log", "true", cwd=tmp_path)
    assert done.returncode == 1
    assert message in done.stderr and "Traceback" not in done.stderr


@BOTH
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_cancels_the_submitted_jobs(program, number, tmp_path):
    words = command(
        program, "JOB=1:3", "log/a.JOB.log", "bash", "-c", "trap 'touch ended.JOB; exit' TERM; sleep 60 & wait"
    )
    process = subprocess.Popen(
        words, cwd=tmp_path, stderr=subprocess.PIPE, text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # it is ignored in the background (CI)
    )  # fmt: skip
    job = started(tmp_path, "a")
    process.send_signal(number)
    _, stderr = process.communicate(timeout=120)
    assert process.returncode == 2
    assert f"{number.name} came; job {job} was cancelled" in stderr
    wait_for(lambda: not listed(program, job))


@BOTH
def test_the_end_of_the_calling_script_cancels_them_too(program, tmp_path):
    line = " ".join(f"'{word}'" for word in command(program, "log/a.1.log", "sleep", 60))
    (tmp_path / "script.sh").write_text(f"{line}\ntrue\n")
    script = subprocess.Popen(["bash", "script.sh"], cwd=tmp_path, stderr=subprocess.DEVNULL)
    job = started(tmp_path, "a.1")
    script.kill()
    script.wait()
    wait_for(lambda: not listed(program, job))


@BOTH
def test_jobs_left_by_a_killed_run_are_cancelled_by_the_next_run(program, tmp_path):
    words = ["JOB=1:2", "log/a.JOB.log", "bash", "-c", "test -e second || sleep 60"]
    first = subprocess.Popen(command(program, *words), cwd=tmp_path)
    job = started(tmp_path, "a")
    first.kill()
    first.wait()
    assert listed(program, job)
    (tmp_path / "second").touch()
    done = run(program, *words, cwd=tmp_path)
    assert done.returncode == 0
    assert f"cancelling job {job} of an earlier run" in done.stderr
    assert not listed(program, job)


@BOTH
def test_a_job_cancelled_by_a_user_is_not_resubmitted(program, tmp_path):
    process = subprocess.Popen(
        command(program, "JOB=1:2", "log/a.JOB.log", "bash", "-c", "test JOB = 2 || sleep 60"),
        cwd=tmp_path, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    job = started(tmp_path, "a")
    subprocess.run(["scancel" if program == "slurm.py" else "qdel", job], capture_output=True, check=True)
    _, stderr = process.communicate(timeout=120)
    assert process.returncode == 1
    assert "job 1 was cancelled: " in stderr and "submitted again" not in stderr


@BOTH
def test_a_job_over_its_time_limit_is_resubmitted(program, tmp_path):
    """Slurm counts in minutes and checks twice a minute; setting EndTime ends the job at once."""
    job = "echo run >>count; test $(wc -l <count) = 2 || sleep 120"
    limit = 1 if program == "slurm.py" else 12
    process = subprocess.Popen(command(program, "--time", limit, "log/a.1.log", "bash", "-c", job), cwd=tmp_path,
                               stderr=subprocess.PIPE, text=True)  # fmt: skip
    number = started(tmp_path, "a.1")
    if program == "slurm.py":
        time.sleep(1.1)  # Slurm refuses an end in the second of the start
        subprocess.run(["scontrol", "update", f"JobId={number}", "EndTime=now"], check=True)
    _, stderr = process.communicate(timeout=150)
    assert process.returncode == 0, stderr
    why = "killed by Slurm: time limit" if program == "slurm.py" else "killed by Grid Engine: limit of -l h_rt=12"
    assert f"job 1 was {why}; submitted again (1 of 3)" in stderr
    assert (tmp_path / "count").read_text() == "run\nrun\n"


@BOTH
def test_torchrun_joins_the_processes_of_several_nodes(program, tmp_path):
    job = "echo process $RANK of $WORLD_SIZE, node $GROUP_RANK"
    done = run(program, "--nodes", 2, "log/a.log", "bash", "-c", job, cwd=tmp_path)
    assert done.returncode == 0, (tmp_path / "log/a.log").read_text()
    text = (tmp_path / "log/a.log").read_text()
    assert sorted(re.findall("^process.*", text, re.MULTILINE)) == [
        "process 0 of 2, node 0", "process 1 of 2, node 1"]  # fmt: skip
