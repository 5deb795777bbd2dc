#!/usr/bin/env bash
# Daemons without a service manager: start, look after, stop. Sourced.
#
# A process is known by its pid, its start time and the machine's boot: a pid
# alone may by now belong to somebody else, who must not be signalled.

identity() { # PID -> "PID START BOOT", or nothing when it is gone
  local stat
  stat=$(cat "/proc/$1/stat" 2>/dev/null) || return 1
  # The second field may hold spaces and parentheses; count from its end.
  read -ra stat <<<"${stat##*) }"
  [[ ${stat[0]} != Z ]] || return 1
  echo "$1 ${stat[19]} $(</proc/sys/kernel/random/boot_id)"
}

pid_of() { # NAME -> its pid, or failure when it does not run
  local pid
  [[ -s $PIDS/$1.pid ]] || return 1
  read -r pid _ <"$PIDS/$1.pid"
  [[ $(identity "$pid") == "$(<"$PIDS/$1.pid")" ]] || return 1
  echo "$pid"
}

alive() { pid_of "$1" >/dev/null; }

# start NAME COMMAND...: detached, in a session of its own, with its own log.
start() {
  local name=$1 log=$LOGS/$1.log
  shift
  alive "$name" && return
  mkdir -p "$LOGS" "$PIDS"
  [[ ! -s $log ]] || mv -f "$log" "$log.1"
  # In a script a background job leads no process group, so setsid does not
  # fork and $! is the daemon itself.
  # 9 is the lock of up.sh: a daemon must not hold it for as long as it lives.
  setsid "$@" </dev/null >"$log" 2>&1 9>&- &
  # Until the exec has happened the start time is already right.
  identity $! >"$PIDS/$name.pid" || true
  disown $!
}

# stop NAME [SECONDS]: politely, then not.
stop() {
  local name=$1 patience=${2:-10} pid
  if pid=$(pid_of "$name"); then
    kill -TERM "$pid" 2>/dev/null || true
    for ((i = 0; i < patience * 10; i++)); do
      alive "$name" || break
      sleep 0.1
    done
    if alive "$name"; then
      kill -KILL "$pid" 2>/dev/null || true
    fi
    echo "stopped $name"
  fi
  rm -f "$PIDS/$name.pid"
}

progress() { printf '%4ds  %s\n' "$SECONDS" "$*"; }

# until_true SECONDS WHAT NAME COMMAND...: waits for COMMAND to succeed. When
# the daemon NAME dies meanwhile, its last words say more than a timeout.
until_true() {
  local deadline=$((SECONDS + $1)) what=$2 name=$3
  shift 3
  until "$@" >/dev/null 2>&1; do
    if ! alive "$name"; then
      echo "$name ended while waiting for $what; the end of $LOGS/$name.log:" >&2
      tail -n 20 "$LOGS/$name.log" >&2
      return 1
    fi
    if ((SECONDS >= deadline)); then
      echo "$what: not within time; see $LOGS/$name.log" >&2
      tail -n 20 "$LOGS/$name.log" >&2
      return 1
    fi
    sleep 0.2
  done
  progress "$what"
}
