# shellcheck shell=bash
# Turns `--name value` into the variable `name` of the script that sources this file, as in Kaldi:
#
#   nj=4                # parallel jobs
#   speed_perturb=true  # train on speech at 0.9 and 1.1 times its speed as well
#   . parse_options.sh
#
# Then `run.sh --nj 8 --speed-perturb false` works; an option whose variable does not exist is an error; a variable that
# holds true or false takes nothing else. `--config FILE` sources FILE first, wherever it stands on the line. What follows
# the options stays in "$@". `--help` prints $help_message or, where the script sets none, the comment at the script's head
# and a list of the variables above with their comments. A script without help_message takes options only.

_po_name=${0##*/}
_po_script=${BASH_SOURCE[1]:-$0}
# The script may have changed to its own folder before it came here.
[ -r "$_po_script" ] || _po_script=${_po_script##*/}

_po_fail() {
  echo "$_po_name: $*; $_po_name --help lists the options" >&2
  exit 1
}

# The variable that option $1 means, in _po_variable; fails where the script has none.
_po_find() {
  _po_variable=${1#--}
  _po_variable=${_po_variable//-/_}
  [[ $_po_variable =~ ^[a-z][a-z0-9_]*$ ]] && [ -n "${!_po_variable+set}" ]
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
  case ${!_po_option} in
    true|false)
      [ "$2" = true ] || [ "$2" = false ] || _po_fail "option $1 takes true or false, not '$2'" ;;
  esac
  printf -v "$_po_option" %s "$2"
  shift 2
done

if [ $# -gt 0 ] && [ -z "${help_message:-}" ]; then
  _po_fail "unexpected argument '$1'"
fi

unset _po_name _po_script _po_i _po_line _po_option _po_variable
unset -f _po_fail _po_find _po_help
true
