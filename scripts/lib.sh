# Shared by the scripts of this directory: messages, packages, Go, the build. Source it; do not run it.
# shellcheck shell=bash

root_dir=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

# The checkout may belong to somebody else than root, as in a container; git then refuses to say anything about it.
_n=${GIT_CONFIG_COUNT:-0}
export "GIT_CONFIG_KEY_$_n=safe.directory" "GIT_CONFIG_VALUE_$_n=$root_dir" GIT_CONFIG_COUNT=$((_n + 1))
unset _n

say() { printf '== %s\n' "$*" >&2; }
die() { printf 'error: %s\n' "$*" >&2; exit 1; }

# need PKG... installs the Debian packages that are missing, without starting the services they bring.
need() {
	local missing=() installed pkg
	# dpkg-query fails when it does not know one of them, and still tells about the others.
	installed=" $(dpkg-query -W -f '${Package}=${db:Status-Status} ' "$@" 2>/dev/null || true)"
	for pkg; do
		[[ $installed == *" $pkg=installed "* ]] || missing+=("$pkg")
	done
	[ ${#missing[@]} -gt 0 ] || return 0
	[ "$(id -u)" = 0 ] || die "packages are missing: run this as root, or install them: apt-get install ${missing[*]}"
	say "installing ${missing[*]}"
	apt_get "${missing[@]}" || die "apt-get cannot install ${missing[*]}: is a Debian mirror configured and reachable?"
}

# apt_get PKG... installs quietly, and shows the end of what apt-get said only when it fails.
apt_get() (
	install() {
		DEBIAN_FRONTEND=noninteractive apt-get -y -q -o DPkg::Lock::Timeout=300 "$@" </dev/null >>"$log" 2>&1
	}
	# One script at a time, so that the first to finish does not take the policy from under the others.
	exec {lock}</var/lib/dpkg
	flock "$lock"
	log=$(mktemp) policy=/usr/sbin/policy-rc.d ours='' self=$BASHPID
	trap 'rm -f "$log" ${ours:+"$policy"}' EXIT
	trap 'exit 130' INT
	trap 'exit 143' TERM HUP
	# Debian asks this file before it starts a service. Should it outlive this shell, by kill -9, it allows everything and
	# removes itself. A policy that somebody else has set is left as it is.
	if [ ! -e "$policy" ] || grep -qF "$root_dir" "$policy"; then
		ours=yes
		cat >"$policy" <<-END
			#!/bin/sh
			# No service starts while $root_dir/scripts install packages.
			kill -0 $self 2>/dev/null && exit 101
			rm -f "\$0"
		END
		chmod +x "$policy"
	fi
	# The lists of packages may be missing or old: fetch them when the first try fails.
	install install --no-install-recommends "$@" && exit
	: >"$log"
	# A mirror of no concern here may be down; what counts is whether the packages can be had.
	install update || true
	install install --no-install-recommends "$@" && exit
	tail -n 8 "$log" >&2
	exit 1
)

# local_go runs the go found first as it is: it neither reads our go.mod nor fetches a newer one by itself.
local_go() (cd / && GOTOOLCHAIN=local go "$@")

# go_at_least VERSION tells whether the go found first is that new.
go_at_least() {
	local have
	have=$(local_go env GOVERSION 2>/dev/null) || return 1
	[ "$(printf '%s\n' "$1" "${have#go}" | sort -V | head -n 1)" = "$1" ]
}

# need_go puts a Go on the PATH that can build this module: the one that is there, or the toolchain that go.mod names,
# which any Go can download as a module, Debian's old one too.
need_go() {
	local want toolchain module dir
	# A bare environment has no HOME, and Go then no place for its caches.
	export HOME="${HOME:-$(getent passwd "$(id -u)" | cut -d: -f6)}"
	want=$(sed -n 's/^go //p' "$root_dir/go.mod")
	go_at_least "$want" && return
	if [ -x /usr/local/go/bin/go ]; then
		PATH=/usr/local/go/bin:$PATH
		go_at_least "$want" && return
	fi
	command -v go >/dev/null || need golang-go ca-certificates
	toolchain=$(sed -n 's/^toolchain //p' "$root_dir/go.mod")
	module=golang.org/toolchain@v0.0.1-${toolchain:-go$want}.linux-$(local_go env GOARCH)
	dir=$(local_go env GOMODCACHE)/$module
	if [ ! -x "$dir/bin/go" ]; then
		say "fetching ${toolchain:-go$want} as a module"
		GOFLAGS=-modcacherw local_go mod download "$module" ||
			die "cannot fetch $module: is the Go module proxy ($(local_go env GOPROXY)) reachable?"
		# A module's files carry no execute bits. The go command comes last, as it tells that all is done.
		find "$dir/pkg/tool" -type f -exec chmod +x {} +
		chmod +x "$dir"/bin/*
	fi
	PATH=$dir/bin:$PATH
	export GOTOOLCHAIN=local
	go_at_least "$want" || die "$(local_go version) cannot build a module of go $want: install Go $want or newer"
}

# build leaves bin/weir and its other names.
build() {
	local version
	version=$(git -C "$root_dir" describe --tags --always --dirty 2>/dev/null) || version=development
	(cd "$root_dir" && CGO_ENABLED=0 go build -trimpath -ldflags "-s -w -X main.version=$version" -o bin/weir ./cmd/weir) ||
		die "the build failed"
	ln -sf weir "$root_dir/bin/rtpengine"
	ln -sf weir "$root_dir/bin/rtpengine-ctl"
}
