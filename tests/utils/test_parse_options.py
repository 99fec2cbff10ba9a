"""utils/parse_options.sh: Kaldi's options for shell scripts."""

import os
import subprocess
from pathlib import Path

import pytest

UTILS = Path(__file__).parents[2] / "utils"
RECIPE = """#!/usr/bin/env bash
# Verifies people.
# Read it from top to bottom.
set -euo pipefail

corpus=             # folder with wav/
nj=4                # parallel jobs
words="two words"   # shown to the user;
                    # twice
augment=true
here=$PWD; all=("$@")
. parse_options.sh
other=1             # not an option
echo "$corpus|$nj|$words|$augment|$#|$*"
"""


@pytest.fixture
def recipe(tmp_path):
    """Runs a script that has options with the given arguments."""

    def run(*arguments, text=RECIPE, **settings):
        (tmp_path / "run.sh").write_text(text)
        path = f"{UTILS}:{os.environ['PATH']}"
        settings = {"cwd": tmp_path, "env": os.environ | {"PATH": path}} | settings
        return subprocess.run(
            ["bash", tmp_path / "run.sh", *arguments], capture_output=True, text=True, timeout=20, **settings
        )

    return run


def failure(done):
    assert (done.returncode, done.stdout) == (2, "")
    return done.stderr


def test_without_options_the_defaults_apply(recipe):
    assert recipe().stdout == "|4|two words|true|0|\n"


def test_options_set_variables_with_dashes_for_underscores(recipe):
    text = RECIPE.replace("nj=", "n_jobs=").replace("$nj", "$n_jobs")
    done = recipe("--n-jobs", "8", "--corpus", "a b", "--augment", "false", text=text)
    assert done.stdout == "a b|8|two words|false|0|\n"


def test_a_value_may_be_empty_or_begin_with_a_dash(recipe):
    assert recipe("--words", "", "--corpus", "--mem 4G").stdout == "--mem 4G|4||true|0|\n"


@pytest.mark.parametrize("option", ["--x", "--other", "--Nj", "-x", "--n.j", "--x;y"])
def test_an_option_without_its_variable_is_an_error(recipe, option):
    assert f"run.sh: invalid option {option}" in failure(recipe(option, "1"))


def test_an_option_without_value_is_an_error(recipe):
    assert "run.sh: option --nj needs a value" in failure(recipe("--nj"))


def test_an_option_is_not_read_as_the_value_of_another(recipe):
    assert "run.sh: option --corpus needs a value, found option --nj" in failure(recipe("--corpus", "--nj", "3"))


def test_an_equals_sign_is_an_error(recipe):
    assert "write --name value, not --nj=3" in failure(recipe("--nj=3"))


def test_a_boolean_option_accepts_only_true_and_false(recipe):
    assert "--augment takes true or false, not 'yes'" in failure(recipe("--augment", "yes"))


@pytest.mark.parametrize("value", ["x", "", "0", "-1", "2.5", "4 5", "1e3", "four", "4;date", "99999999999999999999"])
def test_a_number_of_jobs_is_an_integer_of_1_or_more(recipe, value):
    stderr = failure(recipe("--nj", value))
    assert "--nj" in stderr and len(stderr.splitlines()) == 1


def test_a_numeric_option_accepts_a_number_or_a_list(recipe):
    text = RECIPE.replace("nj=4", "rate=0.05").replace("$nj", "$rate")
    for value in ("1", ".5", "2.", "1e-3", "-1", "0 1 2"):
        assert recipe("--rate", value, text=text).stdout.split("|")[1] == value
    for value in ("", "x", "0.5x", "1,2", "1 x", "0x10", "--help"):
        assert "--rate" in failure(recipe("--rate", value, text=text))


def test_values_in_a_config_file_are_checked_in_the_same_way(recipe, tmp_path):
    for line, option in (("nj=many", "--nj"), ("augment=yes", "--augment"), ("nj=0", "--nj")):
        (tmp_path / "my.conf").write_text(line + "\n")
        assert option in failure(recipe("--config", "my.conf"))


STAGES = (
    RECIPE.replace("augment=true", "stage=0\nstop_stage=7\naugment=true")
    + """
if stage 0 "first"; then :; fi
  if stage 4 "second"; then :; fi
if stage 7 "third"; then :; fi
"""
)


@pytest.mark.parametrize("options", [
    "--stage five", "--stage=5", "--stage 12", "--stage 5 --stop-stage 3", "--stage 1 --stop-stage 3", "--stage 0.5",
    "--stage -1", "--stop-stage x", "--stage 8 --stop-stage 99",
])  # fmt: skip
def test_stages_that_do_not_exist_are_an_error(recipe, options):
    stderr = failure(recipe(*options.split(), text=STAGES))
    assert "stage" in stderr and len(stderr.splitlines()) == 1


def test_an_empty_stage_is_an_error(recipe):
    assert "--stage" in failure(recipe("--stage", "", text=STAGES))


@pytest.mark.parametrize(
    "options", ["", "--stage 7", "--stage 4 --stop-stage 4", "--stage 1", "--stop-stage 99", "--stage 04"]
)
def test_existing_stages_are_accepted(recipe, options):
    done = recipe(*options.split(), text="stage() { :; }\n" + STAGES)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_recipe_accepts_no_other_arguments(recipe):
    assert "unexpected argument 'stage'" in failure(recipe("--nj", "2", "stage", "3"))


def test_a_script_with_a_help_message_accepts_arguments_after_its_options(recipe):
    text = RECIPE.replace(". parse", 'help_message="Usage: run.sh DIR\\nMore."\n. parse')
    assert recipe("--nj", "2", "a b", "--nj", "9", text=text).stdout == "|2|two words|true|3|a b --nj 9\n"
    assert recipe("--", "--nj", text=text).stdout == "|4|two words|true|1|--nj\n"


def test_help_prints_the_help_message(recipe):
    text = RECIPE.replace(". parse", 'help_message="Usage: run.sh DIR\\nMore."\n. parse')
    done = recipe("--nj", "2", "--help", text=text)
    assert (done.returncode, done.stdout) == (0, "Usage: run.sh DIR\nMore.\n")


def test_without_a_help_message_help_is_made_from_the_header_and_the_variables(recipe):
    done = recipe("--help")
    assert done.returncode == 0
    assert done.stdout.splitlines() == [
        "Verifies people.",
        "Read it from top to bottom.",
        "",
        "Usage: run.sh [--option value] ...",
        "",
        "  --corpus             folder with wav/",
        "  --nj                 parallel jobs (default: 4)",
        '  --words              shown to the user; (default: "two words")',
        "                       twice",
        "  --augment            (default: true)",
        "  --config FILE        a file of lines name=value, read before the other options",
    ]


def test_help_works_after_the_script_has_changed_to_its_folder(recipe, tmp_path):
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep/run.sh").write_text(RECIPE.replace("corpus=", 'cd "$(dirname "$0")"\ncorpus=', 1))
    environment = os.environ | {"PATH": f"{UTILS}:{os.environ['PATH']}"}
    command = ["bash", "deep/run.sh", "--help"]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert "--nj " in done.stdout


def test_the_config_file_is_read_first_at_any_position(recipe, tmp_path):
    (tmp_path / "my.conf").write_text("# mine\nnj=16\ncorpus=/c\n")
    assert recipe("--nj", "2", "--config", "my.conf").stdout == "/c|2|two words|true|0|\n"


def test_the_path_of_the_config_file_is_relative_to_the_callers_folder(recipe, tmp_path):
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep/my.conf").write_text("nj=16\n")
    text = RECIPE.replace("corpus=", "cd /\ncorpus=", 1)
    assert recipe("--config", "my.conf", text=text, cwd=tmp_path / "deep").stdout == "|16|two words|true|0|\n"


def test_a_missing_config_file_or_an_unknown_option_in_it_is_an_error(recipe, tmp_path):
    assert "cannot read the file my.conf" in failure(recipe("--config", "my.conf"))
    (tmp_path / "my.conf").write_text("njobs=16\n")
    assert "my.conf sets njobs" in failure(recipe("--config", "my.conf"))


SYSTEMS = """#!/usr/bin/env bash
# Verifies people.
voice=(conf/voice.yaml)   # [NAME=]SOURCE, repeatable
face=()
nj=4   # parallel jobs
RECIPE_CONF=conf/recipe.conf
. parse_options.sh
printf '%s;' "${voice[@]}"; printf '|'; printf '%s;' "${face[@]}"; printf '|%s|%s\\n' "$nj" "${people:-}"
"""


@pytest.fixture
def corpus(tmp_path):
    """A script with a corpus file that adds the option --people."""
    for folder in ("conf", "local"):
        (tmp_path / folder).mkdir()
    (tmp_path / "conf/recipe.conf").write_text("people=84   # of the corpus\nnj=2\nvoice=(a=x b=y)\n")
    (tmp_path / "local/prepare.sh").write_text('make_corpus "$people"\n')
    return tmp_path


def test_an_array_is_an_option_that_may_be_repeated(recipe):
    assert recipe(text=SYSTEMS).stdout == "conf/voice.yaml;|;|4|\n"
    done = recipe("--voice", "one=a b", "--face", "x", "--voice", "two=c", text=SYSTEMS)
    assert done.stdout == "one=a b;two=c;|x;|4|\n"


def test_a_corpus_file_changes_defaults_and_adds_options(recipe, corpus):
    assert recipe(text=SYSTEMS).stdout == "a=x;b=y;|;|2|84\n"
    assert recipe("--people", "6", "--voice", "z", "--nj", "3", text=SYSTEMS).stdout == "z;|;|3|6\n"
    assert "--people takes a number" in failure(recipe("--people", "many", text=SYSTEMS))
    (corpus / "my.conf").write_text("people=7\nvoice=q\n")
    assert recipe("--config", "my.conf", text=SYSTEMS).stdout == "q;|;|2|7\n"


def test_options_of_a_corpus_come_first_in_the_help(recipe, corpus):
    assert recipe("--help", text=SYSTEMS).stdout.splitlines()[4:] == [
        "  --people             of the corpus (default: 84)",
        "  --voice              [NAME=]SOURCE, repeatable (default: a=x b=y)",
        "  --face               ",
        "  --nj                 parallel jobs (default: 2)",
        "  --config FILE        a file of lines name=value, read before the other options",
    ]


@pytest.mark.parametrize("line", ["frame_per_clip=3", "peopl=3", "People=3", "nj=many"])
def test_an_unused_line_in_a_corpus_file_is_an_error(recipe, corpus, line):
    (corpus / "conf/recipe.conf").write_text(line + "\n")
    stderr = failure(recipe(text=SYSTEMS))
    assert line.partition("=")[0] in stderr and len(stderr.splitlines()) == 1


def test_it_leaves_no_variables_or_functions_behind(recipe):
    text = RECIPE.replace("other=1", "compgen -v _po || compgen -A function _po || other=1")
    assert recipe(text=text).stdout == "|4|two words|true|0|\n"
