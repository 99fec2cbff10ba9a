# shellcheck shell=bash
# Turns `--name value` into the variable `name` of the script that sources this file, as in Kaldi:
#
#   nj=4                # parallel jobs
#   speed_perturb=true  # train on speech at 0.9 and 1.1 times its speed as well
#   . parse_options.sh
#
# Then `run.sh --nj 8 --speed-perturb false` works; an option whose variable does not exist is an error; a variable that
# holds true or false takes nothing else, and one that holds a number takes numbers. `--config FILE` sources FILE first,
# wherever it stands on the line. What follows the options stays in "$@". `--help` prints $help_message or, where the script
# sets none, the comment at the script's head and a list of the variables above with their comments. A script without
# help_message takes options only. Where a script has the variables stage, stop_stage or nj, these are checked: at least
# one of its blocks `if stage N "title"` must be asked for. A user's mistake is one line, and the exit code is 2.

_po_name=${0##*/}
_po_script=${BASH_SOURCE[1]:-$0}
# The script may have changed to its own folder before it came here.
[ -r "$_po_script" ] || _po_script=${_po_script##*/}

_po_fail() {
  echo "$_po_name: $*; $_po_name --help lists the options" >&2
  exit 2
}

# The variable that option $1 means, in _po_variable; fails where the script has none.
_po_find() {
  _po_variable=${1#--}
  _po_variable=${_po_variable//-/_}
  [[ $_po_variable =~ ^[a-z][a-z0-9_]*$ ]] && [ -n "${!_po_variable+set}" ]
}

# Fails where the value $2 of the variable $1 is of another kind than its default.
_po_check() {
  case " $_po_switches " in
    *" $1 "*) [ "$2" = true ] || [ "$2" = false ] || _po_fail "option --${1//_/-} takes true or false, not '$2'" ;;
  esac
  case " $_po_numbers " in
    *" $1 "*)
      # several where the script takes a list of them: --seeds "0 1 2"
      [[ $2 =~ ^-?$_po_number([[:space:]]+-?$_po_number)*$ ]] || _po_fail "option --${1//_/-} takes a number, not '$2'" ;;
  esac
}

# Fails where the variable $1 is there and is no whole number of at least $2.
_po_check_count() {
  [ -n "${!1+set}" ] || return 0
  [[ ${!1} =~ ^[0-9]{1,9}$ ]] && [ "${!1}" -ge "$2" ] ||
    _po_fail "option --${1//_/-} takes a whole number of at least $2, not '${!1}'"
}

# Fails where none of the script's stages is asked for.
_po_check_stages() {
  local stages number
  stages=$(sed -n 's/^ *if stage \([0-9][0-9]*\) .*/\1/p' "$_po_script" | sort -nu | tr '\n' ' ')
  for number in $stages; do
    if [ "$number" -ge "$stage" ] && [ "$number" -le "$stop_stage" ]; then return; fi
  done
  [ -z "$stages" ] || _po_fail "--stage $stage --stop-stage $stop_stage asks for none of the stages: ${stages% }"
}

_po_help() {
  if [ -n "${help_message:-}" ]; then
    printf '%b\n' "$help_message"
    return
  fi
  awk -v name="$_po_name" '
    NR == 1 && /^#!/ { next }
    !body && /^#/ { sub(/^# ?/, ""); print; next }
    !body { body = 1; print "\nUsage: " name " [--option value] ...\n" }
    /parse_options\.sh/ { exit }
    /^[a-z][a-z0-9_]*=/ {
      option = value = $0
      sub(/=.*/, "", option)
      sub(/^[^=]*=/, "", value)
      if (match(value, /^"[^"]*"/) || match(value, /^\047[^\047]*\047/) || match(value, /^[^ \t#]*/)) {
        comment = substr(value, RLENGTH + 1)
        value = substr(value, 1, RLENGTH)
      }
      if (!sub(/^[ \t]*#[ \t]*/, "", comment)) comment = ""
      if (comment == "" && value ~ /[$(]/) next  # the script computes it: here=$PWD
      gsub(/_/, "-", option)
      if (value != "" && value != "\"\"" && value != "\047\047")
        comment = comment (comment == "" ? "" : " ") "(default: " value ")"
      printf "  --%-18s %s\n", option, comment
      next
    }
    /^[ \t]+#/ { sub(/^[ \t]*#[ \t]*/, ""); printf "    %-18s %s\n", "", $0 }  # a comment that goes on below its variable
    END { printf "  --%-18s %s\n", "config FILE", "a file of lines name=value, read before the other options" }
  ' "$_po_script"
}

_po_number='([0-9]+\.?[0-9]*|\.[0-9]+)([eE][-+]?[0-9]+)?'
_po_switches="" _po_numbers=""
for _po_variable in $(compgen -v); do
  [[ $_po_variable =~ ^[a-z][a-z0-9_]*$ ]] || continue
  case ${!_po_variable-} in true|false) _po_switches+=" $_po_variable" ;; esac
  if [[ ${!_po_variable-} =~ ^-?$_po_number$ ]]; then _po_numbers+=" $_po_variable"; fi
done

for ((_po_i = 1; _po_i <= $#; _po_i++)); do
  case ${!_po_i} in
    --help|-h)
      _po_help
      exit 0
      ;;
    --config)
      ((_po_i++ < $#)) || _po_fail "option --config needs a file"
      config=${!_po_i}
      # A relative name counts from where the user stood, if the script has changed its folder since.
      [ -r "$config" ] || [ ! -r "${OLDPWD:-}/$config" ] || config=$OLDPWD/$config
      if [ ! -f "$config" ] || [ ! -r "$config" ]; then _po_fail "cannot read the file $config of --config"; fi
      while IFS= read -r _po_line || [ -n "$_po_line" ]; do
        if [[ $_po_line =~ ^[[:space:]]*([A-Za-z_][A-Za-z0-9_]*)= ]]; then
          _po_option=${BASH_REMATCH[1]}
          _po_find "$_po_option" || _po_fail "$config sets $_po_option, which is no option"
        fi
      done <"$config"
      # shellcheck disable=SC1090
      case $config in */*) . "$config" ;; *) . "./$config" ;; esac
      for _po_option in $_po_switches $_po_numbers; do _po_check "$_po_option" "${!_po_option}"; done
      ;;
    --*=*) ;;
    --*) ((_po_i++)) || true ;;  # an option's value is not looked at here
    *) break ;;
  esac
done

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
  printf -v "$_po_option" %s "$2"
  shift 2
done

if [ $# -gt 0 ] && [ -z "${help_message:-}" ]; then
  _po_fail "unexpected argument '$1'"
fi

_po_check_count nj 1
_po_check_count stage 0
_po_check_count stop_stage 0
if [ -n "${stage+set}" ] && [ -n "${stop_stage+set}" ]; then _po_check_stages; fi

unset _po_name _po_script _po_i _po_line _po_option _po_variable _po_number _po_switches _po_numbers
unset -f _po_fail _po_find _po_check _po_check_count _po_check_stages _po_help
true
