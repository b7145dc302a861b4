# Shared by the scripts of this directory: messages, packages, Go, the build. Source it; do not run it.
# shellcheck shell=bash

root_dir=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

say() { printf '%s\n' "== $*" >&2; }
die() { printf '%s\n' "error: $*" >&2; exit 1; }

# need PKG... installs the Debian packages that are missing, without starting the services they bring.
need() {
	local missing=() pkg
	for pkg in "$@"; do
		[ "$(dpkg-query -W -f '${db:Status-Status}' "$pkg" 2>/dev/null)" = installed ] || missing+=("$pkg")
	done
	[ ${#missing[@]} -gt 0 ] || return 0
	[ "$(id -u)" = 0 ] || die "packages are missing (${missing[*]}): run this as root, or install them: apt-get install ${missing[*]}"
	say "installing ${missing[*]}"
	apt_get install --no-install-recommends "${missing[@]}" ||
		{ apt_get update && apt_get install --no-install-recommends "${missing[@]}"; } ||
		die "apt-get cannot install ${missing[*]}: is a Debian mirror configured and reachable?"
}

# apt_get runs quietly, shows its output only when it fails, and forbids packages to start services meanwhile.
apt_get() {
	local log policy=/usr/sbin/policy-rc.d ours='' status=0
	log=$(mktemp)
	if [ ! -e "$policy" ]; then
		printf '#!/bin/sh\nexit 101\n' >"$policy"
		chmod +x "$policy"
		ours=yes
	fi
	DEBIAN_FRONTEND=noninteractive apt-get -y -q -o DPkg::Lock::Timeout=300 "$@" >"$log" 2>&1 </dev/null || status=$?
	[ -z "$ours" ] || rm -f "$policy"
	[ "$status" = 0 ] || tail -n 5 "$log" >&2
	rm -f "$log"
	return "$status"
}

# go_at_least VERSION tells whether the go found first is that new.
go_at_least() {
	local have
	have=$(GOTOOLCHAIN=local go env GOVERSION 2>/dev/null) || return 1
	[ "$(printf '%s\n%s\n' "$1" "${have#go}" | sort -V | head -n 1)" = "$1" ]
}

# need_go puts a Go on the PATH that can build this module: the one that is there, or Debian's with the toolchain of go.mod.
# A Go of 1.21 or newer fetches that toolchain by itself; an older one can still download it as a module.
need_go() {
	local want toolchain dir
	[ ! -d /usr/local/go/bin ] || PATH=$PATH:/usr/local/go/bin
	want=$(sed -n 's/^go //p' "$root_dir/go.mod")
	go_at_least "$want" && return
	command -v go >/dev/null || need golang-go ca-certificates
	if go_at_least 1.21; then
		export GOTOOLCHAIN=auto
		(cd "$root_dir" && go version >/dev/null) || die "go cannot fetch the toolchain that go.mod names: is the Go module proxy reachable?"
		return
	fi
	toolchain=$(sed -n 's/^toolchain //p' "$root_dir/go.mod")
	toolchain=${toolchain:-go$want}
	dir=$(go env GOMODCACHE)/golang.org/toolchain@v0.0.1-$toolchain.linux-$(go env GOARCH)
	if [ ! -x "$dir/bin/go" ]; then
		say "fetching $toolchain"
		(cd / && GOFLAGS=-modcacherw GONOSUMDB=golang.org/toolchain go mod download "golang.org/toolchain@v0.0.1-$toolchain.linux-$(go env GOARCH)") ||
			die "cannot fetch $toolchain: is the Go module proxy reachable?"
		# A module's files carry no execute bits.
		chmod -R u+w "$dir" && find "$dir/bin" "$dir/pkg/tool" -type f -exec chmod +x {} +
	fi
	PATH=$dir/bin:$PATH
	export GOTOOLCHAIN=local
	go_at_least "$want" || die "$(go version) cannot build a module of go $want"
}

# build leaves bin/weir and its other names.
build() {
	local version
	version=$(git -C "$root_dir" describe --tags --always --dirty 2>/dev/null) || version=development
	(cd "$root_dir" && CGO_ENABLED=0 go build -trimpath -ldflags "-s -w -X main.version=$version" -o bin/weir ./cmd/weir) || die "the build failed"
	ln -sf weir "$root_dir/bin/rtpengine"
	ln -sf weir "$root_dir/bin/rtpengine-ctl"
}
