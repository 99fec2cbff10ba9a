"""Events that only a real Slurm produces: preemption and lost nodes."""

import subprocess

from tests.schedulers.cluster import command, on, started

SLURM = on("slurm.py")
ONCE = "echo run >>count; test $(wc -l <count) = 2 || sleep 120"  # the second run ends at once


def start(tmp_path, *options, job=ONCE):
    return subprocess.Popen(command("slurm.py", *options, "log/a.1.log", "bash", "-c", job), cwd=tmp_path,
                            stderr=subprocess.PIPE, text=True)  # fmt: skip


@SLURM
def test_a_preempted_job_is_submitted_again(program, tmp_path):
    process = start(tmp_path, "-p", "patient", "--num-threads", 4)
    started(tmp_path, "a.1")
    subprocess.run(["srun", "-p", "urgent", "-n", "1", "-c", "4", "true"], check=True, timeout=120, capture_output=True)
    _, stderr = process.communicate(timeout=120)
    assert process.returncode == 0, stderr
    assert "job 1 was killed by Slurm: preempted; submitted again (1 of 3)" in stderr


@SLURM
def test_a_job_on_a_lost_node_is_submitted_again(program, tmp_path):
    (tmp_path / "my.conf").write_text("command sbatch --export=PATH --no-requeue -p frail\n")
    process = start(tmp_path, "--config", "my.conf")
    started(tmp_path, "a.1")
    update = ["scontrol", "update", "NodeName=frail", "Reason=test"]
    subprocess.run([*update, "State=DOWN"], check=True)
    subprocess.run([*update, "State=RESUME"], check=False)  # refused if it is back already: its daemon runs
    _, stderr = process.communicate(timeout=120)
    assert process.returncode == 0, stderr
    assert "job 1 was killed by Slurm: its node was lost; submitted again (1 of 3)" in stderr
