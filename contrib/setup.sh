# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# What contrib/check and contrib/quickstart share: packages, a copy of the source, and the build.

# shellcheck disable=SC2034 # used where this is sourced
BUILD_PACKAGES=(
	autoconf automake make gcc libc6-dev pkg-config xz-utils
	libfuse3-dev libssl-dev libinih-dev libjansson-dev fuse3
)

die() {
	echo "${0##*/}: $*" >&2
	exit 2
}

# Debian's packages, only those that are missing, without a question.
install_packages() {
	local missing=() package
	for package in "$@"; do
		[[ $(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null) = installed ]] ||
			missing+=("$package")
	done
	((${#missing[@]})) || return 0
	echo "installing ${missing[*]}"
	export DEBIAN_FRONTEND=noninteractive
	# The tests make clusters of their own; the package must not start one.
	if [[ " ${missing[*]} " = *" postgresql"* && ! -e /etc/postgresql-common/createcluster.conf ]]; then
		mkdir -p /etc/postgresql-common
		echo "create_main_cluster = false" >/etc/postgresql-common/createcluster.conf
	fi
	local log
	log=$(mktemp)
	if ! { apt-get -q update && apt-get -q -y --no-install-recommends \
		-o Dpkg::Options::=--force-confold install "${missing[@]}"; } >"$log" 2>&1; then
		cat "$log" >&2
		rm -f "$log"
		die "apt-get failed"
	fi
	rm -f "$log"
}

# copy_source FROM TO: a git checkout or an unpacked release, without what was built in it.
copy_source() {
	mkdir -p "$2"
	tar -C "$1" --exclude=./.git --exclude=./autom4te.cache --exclude=__pycache__ \
		--exclude=.pytest_cache --exclude=.deps --exclude=.dirstamp --exclude='*.o' --exclude='*.a' \
		--exclude='*.log' --exclude='*.trs' --exclude=./config.status --exclude=./config.h \
		--exclude=./stamp-h1 --exclude=./Makefile --exclude=./coffer -cf - . | tar -C "$2" -xf -
	# A release brings configure along.
	if [[ ! -e $2/configure || $2/configure.ac -nt $2/configure ]]; then
		(cd "$2" && autoreconf -i) >"$2.autoreconf.log" 2>&1 || {
			cat "$2.autoreconf.log" >&2
			return 1
		}
	fi
}

# build SOURCE DIRECTORY [CONFIGURE ARGUMENT...]: out of the tree; the log is DIRECTORY.log.
build() {
	local source=$1 directory=$2
	shift 2
	mkdir -p "$directory"
	(cd "$directory" && { [[ -e Makefile ]] || "$source/configure" "$@"; } &&
		make -j"$(nproc)") >"$directory.log" 2>&1
}
