# shellcheck shell=bash
# Turns `--name value` into the variable `name` of the script that sources this file, as in Kaldi:
#
#   nj=4                # parallel jobs
#   speed_perturb=true  # train on speech at 0.9 and 1.1 times its speed as well
#   voice=(conf/voice.yaml)   # [NAME=]SOURCE, repeatable
#   . parse_options.sh
#
# Then `run.sh --nj 8 --speed-perturb false` works. An option without a variable is an error; a variable that holds true or
# false takes only these, and one that holds a number takes numbers. An array is an option that may be repeated: the first
# `--voice` replaces its default, every further one adds to it. `--config FILE` sources FILE first, wherever it stands on the
# line. What follows the options stays in "$@". `--help` prints $help_message or, if the script sets none, the comment at the
# script's head and a list of the variables above with their comments. A script without help_message takes options only. The
# variables stage, stop_stage and nj are checked: the range must contain one of the script's blocks `if stage N "title"`.
# A user's mistake gives one line and exit code 2.
#
# RECIPE_CONF=conf/recipe.conf, set before sourcing, names the file of a corpus: its lines `name=value  # comment` change the
# defaults above and add the options that the corpus' own local/*.sh read. A comment there replaces the one above in --help.

# Resolves a file name relative to the folder where the user called the script, even after the script changed folders.
_po_where() {
  for _po_file in "$1" "${OLDPWD:-.}/$1" "${1##*/}"; do
    if [ -r "$_po_file" ]; then echo "$_po_file"; return; fi
  done
}

_po_name=${0##*/}
_po_script=$(_po_where "${BASH_SOURCE[1]:-$0}")

_po_fail() {
  echo "$_po_name: $*; $_po_name --help lists the options" >&2
  exit 2
}

# Sets _po_variable to the variable of option $1; fails if the script has none.
_po_find() {
  _po_variable=${1#--}
  _po_variable=${_po_variable//-/_}
  [[ $_po_variable =~ ^[a-z][a-z0-9_]*$ ]] && declare -p "$_po_variable" &>/dev/null
}

_po_is_list() { [[ $(declare -p "$1") == "declare -a"* ]]; }

# Records which variables hold true or false, and which a number.
_po_kinds() {
  _po_switches="" _po_numbers=""
  for _po_variable in $(compgen -v); do
    [[ $_po_variable =~ ^[a-z][a-z0-9_]*$ ]] || continue
    case ${!_po_variable-} in true|false) _po_switches+=" $_po_variable" ;; esac
    if [[ ${!_po_variable-} =~ ^-?$_po_number$ ]] && ! _po_is_list "$_po_variable"; then _po_numbers+=" $_po_variable"; fi
  done
}

# Sources the file $1 of lines name=value. If $2 is "corpus", a new name becomes an option, provided that a script of the
# corpus (local/*.sh) reads it.
_po_read_config() {
  while IFS= read -r _po_line || [ -n "$_po_line" ]; do
    [[ $_po_line =~ ^[[:space:]]*([A-Za-z_][A-Za-z0-9_]*)= ]] || continue
    _po_option=${BASH_REMATCH[1]}
    if _po_find "$_po_option"; then
      if _po_is_list "$_po_option"; then declare -ga "$_po_option=()"; fi   # drops its default
    elif [ "${2:-}" != corpus ]; then
      _po_fail "$1 sets $_po_option, which is not an option"
    elif [[ ! $_po_option =~ ^[a-z][a-z0-9_]*$ ]] || ! _po_is_read "$_po_option"; then
      _po_fail "$1 sets $_po_option, which is not an option, and no local/*.sh reads it"
    fi
  done <"$1"
  # shellcheck disable=SC1090
  case $1 in */*) . "$1" ;; *) . "./$1" ;; esac
  for _po_option in $_po_switches $_po_numbers; do _po_check "$_po_option" "${!_po_option}"; done
}

# Whether a script of the corpus has $NAME or ${NAME...}.
_po_is_read() {
  for _po_file in local/*.sh; do
    if [ -r "$_po_file" ] && [[ $(<"$_po_file") =~ \$\{?$1([^a-z0-9_]|$) ]]; then return; fi
  done
  return 1
}

# Fails if the value $2 of the variable $1 has a different type from its default.
_po_check() {
  case " $_po_switches " in
    *" $1 "*) [ "$2" = true ] || [ "$2" = false ] || _po_fail "option --${1//_/-} takes true or false, not '$2'" ;;
  esac
  case " $_po_numbers " in
    *" $1 "*)
      # one number, or several: --seeds "0 1 2"
      [[ $2 =~ ^-?$_po_number([[:space:]]+-?$_po_number)*$ ]] || _po_fail "option --${1//_/-} takes a number, not '$2'" ;;
  esac
}

# Fails if the variable $1 is set and is not an integer >= $2.
_po_check_count() {
  [ -n "${!1+set}" ] || return 0
  [[ ${!1} =~ ^[0-9]{1,9}$ ]] && [ "${!1}" -ge "$2" ] ||
    _po_fail "option --${1//_/-} takes an integer >= $2, not '${!1}'"
}

# Fails if --stage and --stop-stage select none of the script's stages.
_po_check_stages() {
  local stages number
  stages=$(sed -n 's/^ *if stage \([0-9][0-9]*\) .*/\1/p' "$_po_script" | sort -nu | tr '\n' ' ')
  for number in $stages; do
    if [ "$number" -ge "$stage" ] && [ "$number" -le "$stop_stage" ]; then return; fi
  done
  [ -z "$stages" ] || _po_fail "--stage $stage --stop-stage $stop_stage selects none of the stages: ${stages% }"
}

# The help: the comment at the head of the script that the user called, then the options. Those of the corpus come first.
_po_help() {
  if [ -n "${help_message:-}" ]; then
    printf '%b\n' "$help_message"
    return
  fi
  _po_file=${RECIPE_CONF:-}
  [ -r "$_po_file" ] || _po_file=/dev/null
  awk -v name="$_po_name" '
    # Splits a line name=value  # comment into option, value, comment.
    function split_line(line) {
      option = value = line
      sub(/=.*/, "", option)
      sub(/^[^=]*=/, "", value)
      comment = ""
      if (match(value, /^"[^"]*"/) || match(value, /^\047[^\047]*\047/) || match(value, /^\([^)]*\)/) ||
          match(value, /^[^ \t#]*/)) {
        comment = substr(value, RLENGTH + 1)
        value = substr(value, 1, RLENGTH)
      }
      if (!sub(/^[ \t]*#[ \t]*/, "", comment)) comment = ""
    }
    function show(option, value, comment, more) {
      gsub(/_/, "-", option)
      gsub(/^\(|\)$/, "", value)
      if (value != "" && value != "\"\"" && value != "\047\047")
        comment = comment (comment == "" ? "" : " ") "(default: " value ")"
      printf "  --%-18s %s\n%s", option, comment, more
    }
    part == "head" {
      if (FNR > 1 && !/^#/) body = 1
      if (!body && !/^#!/) { sub(/^# ?/, ""); print }
      next
    }
    /^[a-z][a-z0-9_]*=/ {
      split_line($0)
      last = option
      if (part == "conf") { own[++n] = option; new_value[option] = value; new_comment[option] = comment }
      else if (comment != "" || value !~ /[$(]/ || value ~ /^\([^$]*\)$/) {   # a script computes the others: here=$PWD
        listed[++m] = option; values[option] = value; comments[option] = comment
      } else last = ""
      next
    }
    part == "script" && /parse_options\.sh/ { exit }
    /^[ \t]+#/ {   # a comment continued below its variable
      sub(/^[ \t]*#[ \t]*/, "")
      line = sprintf("    %-18s %s\n", "", $0)
      if (last == "") next
      if (part == "conf") new_more[last] = new_more[last] line; else more[last] = more[last] line
      next
    }
    END {
      print "\nUsage: " name " [--option value] ...\n"
      for (i = 1; i <= n; i++) if (!(own[i] in values)) show(own[i], new_value[own[i]], new_comment[own[i]], new_more[own[i]])
      for (i = 1; i <= m; i++) {
        option = listed[i]
        if (option in new_value) values[option] = new_value[option]
        if (new_comment[option] != "") { comments[option] = new_comment[option]; more[option] = new_more[option] }
        show(option, values[option], comments[option], more[option])
      }
      printf "  --%-18s %s\n", "config FILE", "a file of lines name=value, read before the other options"
    }
  ' part=head "$(_po_where "$0")" part=conf "$_po_file" part=script "$_po_script"
}

_po_number='([0-9]+\.?[0-9]*|\.[0-9]+)([eE][-+]?[0-9]+)?'
_po_kinds
if [ -n "${RECIPE_CONF:-}" ] && [ -e "$RECIPE_CONF" ]; then
  _po_read_config "$RECIPE_CONF" corpus
  _po_kinds
fi

for ((_po_i = 1; _po_i <= $#; _po_i++)); do
  case ${!_po_i} in
    --help|-h)
      _po_help
      exit 0
      ;;
    --config)
      ((_po_i++ < $#)) || _po_fail "option --config needs a file"
      config=${!_po_i}
      # A relative name counts from the folder where the user called the script.
      [ -r "$config" ] || [ ! -r "${OLDPWD:-}/$config" ] || config=$OLDPWD/$config
      if [ ! -f "$config" ] || [ ! -r "$config" ]; then _po_fail "cannot read the file $config of --config"; fi
      _po_read_config "$config"
      ;;
    --*=*) ;;
    --*) ((_po_i++)) || true ;;  # skips the value of an option
    *) break ;;
  esac
done

_po_given=" "
while [ $# -gt 0 ]; do
  case $1 in
    --) shift; break ;;
    --*=*) _po_fail "write --name value, not $1" ;;
    --*) _po_find "$1" || _po_fail "invalid option $1" ;;
    -?*) [ -n "${help_message:-}" ] || _po_fail "invalid option $1"; break ;;
    *) break ;;
  esac
  [ $# -gt 1 ] || _po_fail "option $1 needs a value"
  _po_option=$_po_variable
  if [[ $2 == --* ]] && _po_find "$2"; then
    _po_fail "option $1 needs a value, found option $2"
  fi
  _po_check "$_po_option" "$2"
  if _po_is_list "$_po_option"; then
    [[ $_po_given == *" $_po_option "* ]] || { declare -a "$_po_option=()"; }
    _po_given+="$_po_option "
    declare -n _po_list=$_po_option
    _po_list+=("$2")
    unset -n _po_list
  else
    printf -v "$_po_option" %s "$2"
  fi
  shift 2
done

if [ $# -gt 0 ] && [ -z "${help_message:-}" ]; then
  _po_fail "unexpected argument '$1'"
fi

_po_check_count nj 1
_po_check_count stage 0
_po_check_count stop_stage 0
if [ -n "${stage+set}" ] && [ -n "${stop_stage+set}" ]; then _po_check_stages; fi

unset _po_name _po_script _po_file _po_i _po_line _po_option _po_variable _po_number _po_switches _po_numbers _po_given
unset -f _po_where _po_fail _po_find _po_is_list _po_kinds _po_read_config _po_is_read _po_check _po_check_count \
  _po_check_stages _po_help
true
