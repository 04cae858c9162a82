#!/usr/bin/env bash
# ./dev fresh bookworm|trixie [quickstart]: the README's two commands, `./dev quickstart` and
# `./dev test`, in a clean Debian with nothing but git, on a clone of what is committed here, in a
# folder with a space in its name. Tells the seconds of each stage. With `quickstart` it ends after
# the first command.
#
# Needs root, debootstrap and some 20 GB in LLMCTL_FRESH_DIR (default build-fresh). Everything there
# is made anew, unless LLMCTL_FRESH_REUSE says what stays from the last run: `downloads` (packages
# and wheels) or `all` (the whole system too: what is installed and built). After a failure the
# system stays to be looked at.
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/../.."
release=${1:-}
if [[ $release != bookworm && $release != trixie ]]; then
  echo "name a Debian: bookworm or trixie" >&2
  exit 2
fi
if ((EUID != 0)); then
  echo "a clean Debian is made with chroot and mounts, which take root" >&2
  exit 1
fi

# Namespaces of our own: mounts and daemons end with this script, however it ends.
if [[ -z ${LLMCTL_FRESH_INSIDE:-} ]]; then
  LLMCTL_FRESH_INSIDE=1 unshare --mount --pid --fork --kill-child "$0" "$@" &
  trap 'kill -9 $!' INT TERM HUP
  wait $!
  exit
fi

base=$(realpath -m "${LLMCTL_FRESH_DIR:-build-fresh}")
root=$base/$release reuse=${LLMCTL_FRESH_REUSE:-}
log=$base/$release.log times=$base/$release.times
SECONDS=0

stage() { # stage NAME: a line of the summary begins here
  echo "$SECONDS $*" >>"$times"
  echo "== $*"
}

# inside COMMAND: as root of the clean system, in the clone, with nothing of our environment.
inside() {
  chroot "$root" env -i HOME=/root USER=root TERM=dumb LANG=C.UTF-8 \
    PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin DEBIAN_FRONTEND=noninteractive \
    bash -c "cd '/root/my llmctl' 2>/dev/null; $1"
}

install_git() {
  inside "apt-get update -qq && apt-get install -qq -y --no-install-recommends git >/dev/null"
}

forget() {
  [[ $reuse == all ]] || rm -rf --one-file-system "$root"
  [[ $reuse == all || $reuse == downloads ]] || rm -rf --one-file-system "$base/downloads/$release"
  mkdir -p "$root" "$base/downloads/$release"/{debs,pip}
  : >"$times"
  : >"$log"
}

# This machine's way to the registries: mirror, name server, CA bundle, settings of apt and pip.
make_root() {
  local mirror
  mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Origin: Debian' |
    head -1)
  [[ -e $root/etc/llmctl-fresh ]] ||
    debootstrap --variant=minbase --cache-dir="$base/downloads/$release/debs" \
      "$release" "$root" "$mirror"
  cp -L /etc/resolv.conf /etc/hosts "$root/etc/"
  cp -L /etc/ssl/certs/ca-certificates.crt "$root/etc/llmctl-fresh-ca.crt"
  apt-config dump | grep -E '^Acquire::(Check|http)' >"$root/etc/apt/apt.conf.d/99fresh" || true
  {
    echo "[global]"
    echo "cert = /etc/llmctl-fresh-ca.crt"
    echo "timeout = 180"
    python3 -m pip config get global.index-url 2>/dev/null | sed 's/^/index-url = /' || true
  } >"$root/etc/pip.conf"
  touch "$root/etc/llmctl-fresh"
}

mount_root() {
  mount --rbind /dev "$root/dev"
  mount --rbind /sys "$root/sys"
  mount -t proc proc "$root/proc"
  mkdir -p "$root/root/.cache/pip"
  mount --bind "$base/downloads/$release/debs" "$root/var/cache/apt/archives"
  mount --bind "$base/downloads/$release/pip" "$root/root/.cache/pip"
}

unmount_root() {
  local folder
  for folder in dev sys proc var/cache/apt/archives root/.cache/pip; do
    umount --recursive --lazy "$root/$folder"
  done
}

clone() {
  inside "command -v git >/dev/null" || install_git
  if [[ -d "$root/root/my llmctl" ]]; then
    git bundle create -q "$root/root/head.bundle" HEAD
    inside "git fetch -q /root/head.bundle HEAD && git reset -q --hard FETCH_HEAD"
  else
    git clone -q --no-local . "$root/root/my llmctl"
  fi
  [[ ! -d ../shared ]] || { rm -rf "$root/root/shared" && cp -r ../shared "$root/root/shared"; }
}

# Runs a command inside and notes when what is printed says that a stage begins.
watched() {
  inside "$1 2>&1" | while IFS= read -r line; do
    printf '%5d %s\n' "$SECONDS" "$line"
    case $line in
      '['[1-4]'/4] '*': '*) stage "quickstart $line" ;;
      [0-9]*/[0-9]*'%  loss '*)
        [[ -n ${learns:-} ]] || stage "quickstart, from the first step that it tells"
        learns=1
        ;;
    esac
  done | tee -a "$log"
}

summary() {
  echo "$SECONDS end" >>"$times"
  echo "== $release, seconds on $(nproc) cores:"
  awk 'NR > 1 { printf "%6d  %s\n", $1 - began, name }
    { began = $1; sub(/^[0-9]+ /, ""); name = $0 }' "$times"
}

forget
stage "a clean $release"
make_root
mount_root
stage "git and a clone"
clone
stage "quickstart"
watched "./dev quickstart"
inside "build/bin/llmctl ls" | grep -q SUCCEEDED
if [[ ${2:-} != quickstart ]]; then
  stage "test"
  watched "./dev test"
fi
summary
unmount_root
[[ $reuse == all ]] || rm -rf --one-file-system "$root"
