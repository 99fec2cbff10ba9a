"""conf/slurm.conf and conf/sge.conf: Kaldi's grammar, and errors about unreadable lines."""

from pathlib import Path

import cluster_conf
import jobs
import pytest
from cluster_conf import Conf
from job_frame import Refused
from jobs import UsageError

KALDI = """
# Default configuration
command sbatch --export=PATH  --ntasks-per-node=1
option time=* --time $0
option mem=* --mem-per-cpu $0
option mem=0          # Do not add anything
option num_threads=* --cpus-per-task $0
option num_threads=1 --cpus-per-task 1  # Do not add anything
option max_jobs_run=* # Do nothing
default gpu=0
option gpu=0 -p shared
option gpu=* -p gpu --gres=gpu:$0 --time 4:0:0
"""


@pytest.fixture
def conf(tmp_path):
    (tmp_path / "slurm.conf").write_text(KALDI)
    return Conf(tmp_path / "slurm.conf")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, "-p shared"),
        ({"mem": "4G", "num-threads": "2"}, "-p shared --mem-per-cpu 4G --cpus-per-task 2"),
        ({"mem": "0", "max-jobs-run": "3"}, "-p shared"),
        ({"gpu": "2"}, "-p gpu --gres=gpu:2 --time 4:0:0"),
    ],
)
def test_kaldis_file_is_read_with_kaldis_meaning(conf, options, words):
    assert conf.words(options) == f"sbatch --export=PATH --ntasks-per-node=1 {words}".split()


def test_an_undescribed_option_is_refused_with_the_files_name(conf):
    with pytest.raises(UsageError, match=r"option --licences 3 is not described in .*slurm.conf; add a line"):
        conf.words({"licences": "3"})


def test_an_undescribed_value_is_refused(tmp_path):
    (tmp_path / "a.conf").write_text("command qsub\noption gpu=1 -l gpu=1\n")
    with pytest.raises(UsageError, match="--gpu 2 is not described"):
        Conf(tmp_path / "a.conf").words({"gpu": "2"})


@pytest.mark.parametrize("line", ["option mem", "options mem=* x", "default gpu=0 -p x", "command", "option mem=* 'x"])
def test_an_unreadable_line_is_named(line, tmp_path):
    (tmp_path / "a.conf").write_text(f"command sbatch\n\n{line}  # why\n")
    with pytest.raises(Refused, match=r"a.conf, line 3: expected .*, found: " + line.replace("*", r"\*")):
        Conf(tmp_path / "a.conf")


def test_an_absent_file_or_one_without_a_command_is_refused(tmp_path):
    (tmp_path / "a.conf").write_text("option mem=* x\n")
    with pytest.raises(Refused, match=r"a.conf: expected a line"):
        Conf(tmp_path / "a.conf")
    with pytest.raises(Refused, match=r"b.conf: cannot be read: .*No such file"):
        Conf(tmp_path / "b.conf")


@pytest.mark.parametrize(
    ("name", "line", "words"),
    [
        ("slurm.conf", "--mem 4G --num-threads 2 --time 1:00:00 --gpu 1 log true",
         "sbatch --export=PATH --ntasks-per-node=1 --mem-per-cpu=4G --cpus-per-task=2 --time=1:00:00 --gres=gpu:1"),
        ("slurm.conf", "--nodes 2 -p long log true", "sbatch --export=PATH --ntasks-per-node=1 --nodes=2 -p long"),
        ("sge.conf", "--mem 4G --num-threads 2 --time 600 -tc 3 -q long.q log true",
         "qsub -v PATH -S /bin/bash -l mem_free=4G -pe smp 2 -l h_rt=600 -tc 3 -q long.q"),
        ("sge.conf", "--num-threads 1 --gpu 0 --retry 3 log true", "qsub -v PATH -S /bin/bash"),
    ],
)  # fmt: skip
def test_the_repositorys_files_describe_every_option(name, line, words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert cluster_conf.submit_words(jobs.parse(line.split()), name) == words.split()


def test_the_recipes_file_takes_precedence_and_config_over_both(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("conf").mkdir()
    Path("conf/slurm.conf").write_text("command own\n")
    Path("other.conf").write_text("command other\n")
    assert cluster_conf.submit_words(jobs.parse("log true".split()), "slurm.conf") == ["own"]
    assert cluster_conf.submit_words(jobs.parse("--config other.conf log true".split()), "slurm.conf") == ["other"]


@pytest.mark.parametrize(
    "line", ["--retry x log true", "--nodes 0 log true", "--gpu one log true", "--num-threads 0 log true"]
)
def test_invalid_counts_are_refused(line):
    with pytest.raises(UsageError, match="takes a"):
        cluster_conf.submit_words(jobs.parse(line.split()), "slurm.conf")
