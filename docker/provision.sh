#!/usr/bin/env bash
# Provisioning: the one place that knows which packages Igor needs, how PHP is built, and where
# slow results are kept. A bare Debian 12 machine, CI and the Docker image all call it.
#
#   provision.sh build            packages for building, Go, and a release PHP
#   provision.sh server           packages for building the server alone, Go, and a release PHP
#   provision.sh test             the same, with what the tests need (a PHP under AddressSanitizer, browser, load generator)
#   provision.sh bench            packages of test without its PHP, and what the benchmark needs (perf)
#   provision.sh rivals           what the benchmark compares with and Debian has (Redis and Symfony Messenger)
#   provision.sh full             and what only the long tests need (clang with libFuzzer)
#   provision.sh lint             formatters and linters
#   provision.sh php [release|debug|asan|package]  make sure that PHP build exists; print its php-config
#   provision.sh php-source       fetch PHP's source; print the path of its archive
#   provision.sh php-check PATH   say whether this php-config can host Igor
#   provision.sh php-library PATH print the embed library of this php-config
#   provision.sh wordpress        fetch WordPress and MariaDB for tests/e2e/wordpress_test.go; print WordPress's folder
#   provision.sh php-parser       print the folder of PHP-Parser, for php-api/generate
#   provision.sh env              print the paths found, as shell assignments
#
# Environment:
#   PHP_CONFIG   use this PHP (must be ZTS with the embed library) instead of building one
#   IGOR_PHP_FLAGS  further configure flags of a PHP that is built: "--with-gmp --enable-ftp"
#   IGOR_CACHE   where built PHPs and toolchains are kept (default: $XDG_CACHE_HOME/igor or ~/.cache/igor)
#   IGOR_JOBS    parallel compile jobs (default: the number of CPUs)
set -euo pipefail

export HOME="${HOME:-$(getent passwd "$(id -u)" | cut -d: -f6)}"
IGOR_CACHE="${IGOR_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/igor}"
IGOR_JOBS="${IGOR_JOBS:-$(nproc)}"
PHP_SERIES=8.4          # the Debian source package is php$PHP_SERIES, from the suite below
PHP_SUITE=trixie        # bookworm's archive keyring covers it
# What is built where Debian's mirror lists a newer version but does not have it: the one that Igor was last tested
# with. The checksum is its .dsc's, which has those of all else.
PHP_TESTED=8.4.24-1~deb13u1
PHP_TESTED_SHA256=fd84ce153abc1af23514100a25d04acd3c728f5c4b5c30c3e1a0788ef9c780eb
PHP_API_WANTED=20240924 # ZEND_MODULE_API_NO of PHP 8.4
GO_MINIMUM=1.26         # what caddy-plugin/go.mod asks for (Caddy sets it)
GO_WANTED=1.26.8

BUILD_PACKAGES=(
  build-essential cmake ninja-build pkg-config autoconf automake bison re2c dpkg-dev ca-certificates git ccache
  libxml2-dev libsqlite3-dev libcurl4-openssl-dev libssl-dev zlib1g-dev libsodium-dev libonig-dev
  libpng-dev libjpeg-dev libwebp-dev libicu-dev libgtest-dev libgmock-dev
)
SERVER_PACKAGES=(build-essential cmake ninja-build pkg-config ca-certificates libcap2-bin)
TEST_PACKAGES=(
  debootstrap # the base of the images in tests/container
  wrk chromium procps psmisc curl valgrind strace libbenchmark-dev
  # Real code for tests/e2e/frameworks_test.go, and for the examples of docs/recipes and docs/guide.
  php-amphp-amp php-symfony-http-kernel php-symfony-routing
  php-symfony-framework-bundle php-symfony-messenger php-laravel-framework
)
BENCH_PACKAGES=(linux-perf)
RIVAL_PACKAGES=(redis-server php-cli php-redis php-symfony-messenger php-symfony-redis-messenger)
LINT_PACKAGES=(clang-format-19 clang-tidy-19 shellcheck)
FUZZ_PACKAGES=(clang-19 libclang-rt-19-dev llvm-19 util-linux)

# Flags of every PHP build. Zend signals stay off: the web server owns the process's signals.
# Execution timers are per-thread (SIGEV_THREAD_ID), the only kind that is right in a threaded host.
PHP_FLAGS=(
  --enable-zts --disable-zend-signals --enable-zend-max-execution-timers
  --enable-embed=shared --enable-cli --disable-cgi --disable-phpdbg --without-pear
  --enable-opcache --enable-mbstring --enable-pcntl --enable-sockets --enable-intl --enable-gd
  --with-jpeg --with-webp --with-curl --with-openssl --with-zlib --with-sodium --with-pdo-sqlite
  --with-sqlite3 --with-mysqli --with-pdo-mysql --enable-exif --enable-bcmath --enable-calendar --enable-sysvsem --enable-sysvshm
  --with-libxml --enable-soap
)

say() { printf '%s\n' "provision: $*" >&2; }
die() { say "$*"; exit 1; }

as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi
}

# Installs what is missing of the named Debian packages; silent and offline when nothing is.
need_packages() {
  local missing=() package
  for package in "$@"; do
    dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
  done
  [ ${#missing[@]} = 0 ] && return 0
  command -v apt-get >/dev/null || die "not a Debian system; install the equivalents of: ${missing[*]}"
  [ "$(id -u)" = 0 ] || command -v sudo >/dev/null \
    || die "installing packages needs root or sudo, and there is neither; have them installed: apt-get install ${missing[*]}"
  say "installing ${missing[*]}; a minute or two"
  local log; log=$(mktemp)
  if ! { as_root apt-get update -q && as_root env DEBIAN_FRONTEND=noninteractive \
      apt-get install -y -q --no-install-recommends "${missing[@]}"; } >"$log" 2>&1; then
    grep -E '^(Err|[EW]):' "$log" | head -n 10 >&2 || true
    die "apt-get could not install ${missing[*]}; is there a network, and does /etc/apt name Debian's packages? The whole log is $log"
  fi
  rm -f "$log"
}

# --- Go ---------------------------------------------------------------------------------------

go_is_new_enough() {
  local have
  have=$(GOTOOLCHAIN=local "$1" env GOVERSION 2>/dev/null | sed 's/^go//') || return 1
  [ -n "$have" ] && [ "$(printf '%s\n%s\n' "$GO_MINIMUM" "$have" | sort -V | head -n 1)" = "$GO_MINIMUM" ]
}

# Prints the path of a Go of at least GO_MINIMUM: the machine's own, or a toolchain fetched as a
# Go module (verified by Go's checksum database) by Debian's old Go.
find_go() {
  local candidate
  for candidate in "$(command -v go || true)" /usr/local/go/bin/go "$IGOR_CACHE/go-$GO_WANTED/bin/go"; do
    if [ -x "$candidate" ] && go_is_new_enough "$candidate"; then echo "$candidate"; return 0; fi
  done
  return 1
}

need_go() {
  find_go >/dev/null && return 0
  need_packages golang-go ca-certificates
  find_go >/dev/null && return 0
  local arch work module
  arch=$(dpkg --print-architecture)
  module="golang.org/toolchain@v0.0.1-go$GO_WANTED.linux-$arch"
  say "fetching Go $GO_WANTED (this machine has none of at least $GO_MINIMUM)"
  work=$(mktemp -d)
  (cd "$work" && GOFLAGS=-modcacherw GOPATH="$work/gopath" go mod download "$module") \
    || die "could not fetch $module through the Go module proxy; is there a network? Or put a Go of at least $GO_MINIMUM into PATH"
  mkdir -p "$IGOR_CACHE"
  rm -rf "$IGOR_CACHE/go-$GO_WANTED"
  cp -r "$work/gopath/pkg/mod/$module" "$IGOR_CACHE/go-$GO_WANTED"
  # Module zips carry no execute bits.
  chmod +x "$IGOR_CACHE/go-$GO_WANTED"/bin/* "$IGOR_CACHE/go-$GO_WANTED"/pkg/tool/*/*
  rm -rf "$work"
  find_go >/dev/null || die "the fetched Go $GO_WANTED does not run"
}

# --- PHP --------------------------------------------------------------------------------------

# Says whether a php-config can host Igor; a sentence with the remedy when it cannot.
php_check() {
  local config=$1 version api prefix includes libname
  local remedy="name the php-config of a thread-safe PHP $PHP_SERIES, or unset PHP_CONFIG to have one built"
  [ -x "$config" ] || die "PHP_CONFIG=$config is no program that there is; $remedy"
  { version=$("$config" --version) && includes=$("$config" --include-dir) && prefix=$("$config" --prefix); } 2>/dev/null ||
    die "PHP_CONFIG=$config does not answer as a php-config does; $remedy"
  [ -f "$includes/main/php_config.h" ] || die "PHP $version at $prefix has no headers in $includes; install its development package"
  api=$(sed -n 's/^#define ZEND_MODULE_API_NO \([0-9]*\).*/\1/p' "$includes/Zend/zend_modules.h")
  [ "$api" = "$PHP_API_WANTED" ] || die "PHP $version at $prefix has module API $api; Igor is built for $PHP_API_WANTED (PHP $PHP_SERIES). Use a PHP $PHP_SERIES, or unset PHP_CONFIG to have one built"
  grep -q '^#define ZTS 1' "$includes/main/php_config.h" || die "PHP $version at $prefix is not thread-safe (NTS). Igor runs PHP in threads: use a PHP configured with --enable-zts, or unset PHP_CONFIG to have one built"
  libname=$(php_library "$config") || die "PHP $version at $prefix has no embed library (libphp.so or libphp.a). Configure it with --enable-embed, or unset PHP_CONFIG to have one built"
  say "PHP $version (ZTS, embed: $libname) fits"
}

# Prints the embed library that belongs to a php-config.
php_library() {
  local prefix dir; prefix=$("$1" --prefix)
  for dir in "$("$1" --lib-dir 2>/dev/null || true)" "$prefix/lib" "$prefix/lib64" "/usr/lib/$(gcc -print-multiarch 2>/dev/null)"; do
    for lib in "$dir/libphp.so" "$dir/libphp.a"; do
      [ -f "$lib" ] && { echo "$lib"; return 0; }
    done
  done
  return 1
}

php_variant_flags() {
  case "$1" in
    release | package) ;;
    debug) printf '%s\n' --enable-debug ;;
    # The engine itself instrumented: without that the sanitizer takes what a bailout leaves behind on a
    # Fiber's stack for errors, and sees no error inside the engine. The large extensions stay out: half
    # the build's time, and the tests that run on it are of hosting.
    asan) printf '%s\n' --enable-debug --enable-address-sanitizer --disable-intl --disable-gd --without-jpeg \
      --without-webp --without-curl --disable-soap --disable-exif --disable-bcmath --disable-calendar --disable-dom \
      --disable-simplexml --disable-xml --disable-xmlreader --disable-xmlwriter --without-libxml --disable-phar \
      --disable-fileinfo --without-mysqli --without-pdo-mysql --disable-mysqlnd ;;
    *) die "unknown PHP variant '$1' (release, debug, asan, package)" ;;
  esac
  # shellcheck disable=SC2086  # several flags
  if [ -n "${IGOR_PHP_FLAGS:-}" ]; then printf '%s\n' $IGOR_PHP_FLAGS; fi
}

# Addresses to be relocated as a bitmap and not a list, a megabyte less, where the C library reads that.
php_link_flags() {
  if [ "$(printf '%s\n' 2.36 "$(getconf GNU_LIBC_VERSION | sed 's/.* //')" | sort -V | head -n 1)" = 2.36 ]; then
    echo -Wl,-z,pack-relative-relocs
  fi
}

# One directory per variant and set of flags; `current` inside names the build of the newest
# version that was fetched, so that a second run needs no network.
php_slot() {
  local hash
  hash=$(printf '%s\n' "$PHP_SERIES" "${PHP_FLAGS[@]}" "$(php_variant_flags "$1")" "$(php_link_flags)" | sha256sum | cut -c1-12)
  echo "$IGOR_CACHE/php-$PHP_SERIES-$1-$hash"
}

apt_sources() { # apt-get against the suite that has PHP, without touching the system's lists
  local state="$IGOR_CACHE/apt"
  mkdir -p "$state/lists/partial" "$state/cache/archives/partial"
  local signed='deb-src [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] http://deb.debian.org'
  printf '%s\n' "$signed/debian $PHP_SUITE main" "$signed/debian-security $PHP_SUITE-security main" >"$state/sources.list"
  "$1" -q -o Dir::Etc::sourcelist="$state/sources.list" -o Dir::Etc::sourceparts=/dev/null \
    -o Dir::State::lists="$state/lists" -o Dir::Cache="$state/cache" -o APT::Sandbox::User=root "${@:2}"
}

# fetch_php_source FOLDER LOG: Debian's source package, packed and unpacked: the newest version that the suite and its
# security updates list and have. A mirror that is being updated, or that holds back what is new, lists more than it has.
fetch_php_source() {
  local folder=$1 log=$2 version
  local -a listed
  say "fetching the PHP $PHP_SERIES source of Debian $PHP_SUITE"
  apt_sources apt-get update >"$log" 2>&1 || { tail -n 20 "$log" >&2; die "apt could not read the $PHP_SUITE sources; is there a network?"; }
  mapfile -t listed < <(apt_sources apt-cache showsrc "php$PHP_SERIES" 2>>"$log" | sed -n 's/^Version: //p' | sort -rVu)
  for version in "${listed[@]}"; do
    if (cd "$folder" && apt_sources apt-get source "php$PHP_SERIES=$version") >>"$log" 2>&1; then return 0; fi
    say "Debian's mirror lists PHP $version and does not have it"
  done
  say "fetching PHP $PHP_TESTED, which Igor was last tested with"
  fetch_tested_php_source "$folder" >>"$log" 2>&1 ||
    { tail -n 20 "$log" >&2; die "apt could not fetch the source of php$PHP_SERIES; is there a network?"; }
}

# From Debian's pools, which keep old versions for a while.
fetch_tested_php_source() {
  local name="php${PHP_SERIES}_$PHP_TESTED" pool file sum
  for pool in debian/pool/main debian-security/pool/updates/main; do
    pool="http://deb.debian.org/$pool/p/php$PHP_SERIES"
    /usr/lib/apt/apt-helper download-file "$pool/$name.dsc" "$1/$name.dsc" "SHA256:$PHP_TESTED_SHA256" || continue
    while read -r sum file; do
      /usr/lib/apt/apt-helper download-file "$pool/$file" "$1/$file" "SHA256:$sum" || continue 2
    done < <(sed -n '/^Checksums-Sha256:/,/^[A-Z]/s/^ \([0-9a-f]\{64\}\) [0-9]* /\1 /p' "$1/$name.dsc")
    (cd "$1" && dpkg-source --extract "$name.dsc")
    return
  done
  return 1
}

# Prints the path of PHP's own source archive, as its authors have released it.
need_php_source() {
  local folder="$IGOR_CACHE/php-$PHP_SERIES-source"
  if ! compgen -G "$folder/*.orig.tar.xz" >/dev/null; then
    need_packages dpkg-dev ca-certificates
    mkdir -p "$folder"
    fetch_php_source "$folder" "$folder/log"
    find "$folder" -mindepth 1 -maxdepth 1 -type d -exec rm -rf {} +
  fi
  compgen -G "$folder/*.orig.tar.xz"
}

build_php() {
  local variant=$1 slot version work prefix
  local -a variant_flags
  mapfile -t variant_flags < <(php_variant_flags "$variant")
  slot=$(php_slot "$variant")
  mkdir -p "$slot"
  exec 9>"$slot/.lock"
  flock 9
  [ -x "$slot/current/bin/php-config" ] && return 0
  need_packages "${BUILD_PACKAGES[@]}"
  local log="$slot/build.log"
  work=$(mktemp -d "${TMPDIR:-/tmp}/igor-php.XXXXXX")
  fetch_php_source "$work" "$log"
  # A package's PHP is built for a place where it is not, and kept in a folder that stands for the root.
  local place root='' settings
  version=$(find "$work" -maxdepth 1 -name '*.dsc' -printf '%f\n' | sed 's/^[^_]*_\(.*\)\.dsc$/\1/' | head -n 1)
  prefix="$slot/$version"
  place=$prefix settings="$prefix/etc"
  if [ "$variant" = package ]; then place=/usr/lib/igor/php root=$prefix settings=/etc/igor/php; fi
  say "building PHP $version ($variant); about five minutes on two CPUs, log in $log"
  rm -rf "$prefix"
  if ! (
    # The folder has another name each time; the compiler's cache need not know.
    export CCACHE_BASEDIR="$work" CCACHE_NOHASHDIR=1
    local linking; linking=$(php_link_flags)
    export LDFLAGS="${LDFLAGS:+$LDFLAGS }$linking"
    cd "$work"/php*/ && ./buildconf --force &&
    CC='ccache gcc' CXX='ccache g++' CFLAGS="-O2 -g1 -fno-omit-frame-pointer" CXXFLAGS="-O2 -g1 -fno-omit-frame-pointer" \
      ./configure --prefix="$place" --with-config-file-path="$settings" \
      --with-config-file-scan-dir="$settings/conf.d" "${PHP_FLAGS[@]}" "${variant_flags[@]}" &&
    make -j"$IGOR_JOBS" && make install INSTALL_ROOT="$root" &&
    mkdir -p "$root$place/lib/php/build" && cp run-tests.php build/gen_stub.php "$root$place/lib/php/build/"
  ) >>"$log" 2>&1; then
    tail -n 30 "$log" >&2
    rm -rf "$work"
    die "building PHP $version failed; the whole log is $log"
  fi
  mkdir -p "$root$settings/conf.d"
  echo 'zend_extension=opcache' >"$root$settings/conf.d/10-opcache.ini"
  if [ -n "$root" ]; then
    mkdir -p "$root/bin"
    sed "s#\"$place\"#\"$root$place\"#" "$root$place/bin/php-config" >"$root/bin/php-config"
    chmod +x "$root/bin/php-config"
  fi
  rm -rf "$work"
  ln -sfn "$version" "$slot/current"
  say "PHP $version ($variant) is in $prefix"
}

# Makes sure of a PHP and prints its php-config.
need_php() {
  local variant=${1:-release}
  if [ -n "${PHP_CONFIG:-}" ] && [ "$variant" = release ]; then
    php_check "$PHP_CONFIG"
    echo "$PHP_CONFIG"
    return 0
  fi
  build_php "$variant" >&2
  readlink -f "$(php_slot "$variant")/current/bin/php-config"
}

# Prints the folder of PHP-Parser 5, which gen_stub.php needs (see php-api/generate).
need_php_parser() {
  local parser="$IGOR_CACHE/php-parser" work found
  if [ ! -f "$parser/lib/PhpParser/ParserFactory.php" ]; then
    need_packages dpkg-dev ca-certificates
    say "fetching PHP-Parser, the source package php-parser of Debian $PHP_SUITE"
    work=$(mktemp -d "${TMPDIR:-/tmp}/igor-php-parser.XXXXXX")
    (cd "$work" && apt_sources apt-get update && apt_sources apt-get source php-parser) >"$work/log" 2>&1 \
      || { tail -n 20 "$work/log" >&2; die "apt could not fetch the source of php-parser"; }
    found=$(find "$work" -path '*/lib/PhpParser/ParserFactory.php' | head -n 1)
    [ -n "$found" ] || die "the source package php-parser has no lib/PhpParser"
    rm -rf "$parser"
    cp -r "${found%/lib/PhpParser/ParserFactory.php}" "$parser"
    rm -rf "$work"
  fi
  echo "$parser"
}

# Prints a folder with Debian's WordPress in it. Only unpacked: installed, it would bring along a web server.
need_wordpress() {
  local folder="$IGOR_CACHE/wordpress" work
  need_packages mariadb-server-core mariadb-client-core # the second has my_print_defaults, which the first needs to begin
  if [ ! -f "$folder/wp-content/themes/twentytwentythree/style.css" ]; then
    say "fetching WordPress"
    work=$(mktemp -d "${TMPDIR:-/tmp}/igor-wordpress.XXXXXX")
    # Its scripts link to JavaScript libraries of other packages, which no page of the test needs.
    (cd "$work" && apt-get download -q wordpress wordpress-theme-twentytwentythree && for package in *.deb; do dpkg-deb -x "$package" .; done) \
      >"$work/log" 2>&1 || { tail -n 20 "$work/log" >&2; die "apt could not fetch wordpress"; }
    rm -rf "$folder"
    cp -r "$work/usr/share/wordpress" "$folder"
    rm -rf "$work"
  fi
  echo "$folder"
}

print_env() {
  local config
  config=$(need_php release)
  printf 'PHP_CONFIG=%q\n' "$config"
  printf 'IGOR_GO=%q\n' "$(find_go)"
  printf 'IGOR_CACHE=%q\n' "$IGOR_CACHE"
}

case "${1:-}" in
  build) need_packages "${BUILD_PACKAGES[@]}"; need_go; need_php release >/dev/null ;;
  server) need_packages "${SERVER_PACKAGES[@]}"; need_go; need_php release >/dev/null ;;
  test) need_packages "${BUILD_PACKAGES[@]}" "${TEST_PACKAGES[@]}"; need_go; need_php release >/dev/null; need_php asan >/dev/null ;;
  bench) need_packages "${BUILD_PACKAGES[@]}" "${TEST_PACKAGES[@]}" "${BENCH_PACKAGES[@]}"; need_go; need_php release >/dev/null ;;
  rivals) need_packages "${RIVAL_PACKAGES[@]}" ;;
  full) need_packages "${BUILD_PACKAGES[@]}" "${TEST_PACKAGES[@]}" "${FUZZ_PACKAGES[@]}"; need_go; need_php release >/dev/null; need_php asan >/dev/null ;;
  lint) need_packages "${BUILD_PACKAGES[@]}" "${LINT_PACKAGES[@]}"; need_go ;;
  php) need_php "${2:-release}" ;;
  php-source) need_php_source ;;
  php-check) php_check "${2:?php-check needs the path of a php-config}" ;;
  php-library) php_library "${2:?php-library needs the path of a php-config}" ;;
  php-parser) need_php_parser ;;
  wordpress) need_wordpress ;;
  php-slot) php_slot "${2:-release}" ;;
  go) need_go; find_go ;;
  env) print_env ;;
  *) sed -n '2,26s/^# \{0,1\}//p' "$0"; exit 2 ;;
esac
