# Sourced by up.sh and down.sh. A daemon is known by its pid and by when it started, both in $DIR/run/NAME:
# a process that only has the same number is never taken for it.

born() { # PID: when it started, in ticks since boot; fails for one that is gone, or dead and not yet reaped
  local fields
  fields=$(cat "/proc/$1/stat" 2>/dev/null) || return 1
  read -r -a fields <<<"${fields##*) }" # behind the name, which may hold blanks
  [ "${fields[0]}" != Z ] && echo "${fields[19]}"
}

pid_of() { # NAME: its pid; fails where it does not run
  local pid started
  read -r pid started 2>/dev/null <"$DIR/run/$1" || return 1
  [ "$(born "$pid")" = "$started" ] && echo "$pid"
}

start() { # NAME COMMAND...: in a session of its own, unless it runs already
  local name=$1 pid started
  shift
  pid_of "$name" >/dev/null && return
  setsid nohup "$@" </dev/null >>"$DIR/log/$name.out" 2>&1 &
  pid=$!
  disown "$pid"
  started=$(born "$pid") && echo "$pid $started" >"$DIR/run/$name"
}

stop() { # NAME SECONDS: SIGTERM, and SIGKILL if it is still there after that time
  local pid
  for ((tenth = 0; tenth < 10 * $2; tenth++)); do
    pid=$(pid_of "$1") || break
    [ "$tenth" -gt 0 ] || kill -TERM "$pid"
    sleep 0.1
  done
  if pid=$(pid_of "$1"); then kill -KILL "$pid"; fi
  rm -f "$DIR/run/$1"
}

until_true() { # SECONDS COMMAND...: asks ten times a second; where that was in vain, shows the ends of the logs
  local tenths=$((10 * $1))
  shift
  until "$@" >/dev/null 2>&1; do
    ((tenths-- > 0)) || { tail -n 12 "$DIR"/log/* >&2; echo "waited in vain: $*" >&2; exit 1; }
    sleep 0.1
  done
}
