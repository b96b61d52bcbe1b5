package container

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// mustBeLike: an image on another PHP has every extension that the one under test has, and serves the same.
func mustBeLike(t *testing.T, name string) {
	t.Helper()
	extensions := func(image string) []string {
		listed := strings.Split(command(t, "docker", "run", "--rm", image, "php-cli", "-r", `echo strtolower(implode("\n", get_loaded_extensions()));`), "\n")
		slices.Sort(listed)
		return listed
	}
	have := extensions(name)
	for _, extension := range extensions(imageName(t)) {
		if !slices.Contains(have, extension) {
			t.Errorf("it lacks %s, which the other PHP has", extension)
		}
	}
	mustKnowLanguages(t, name)
	mustServePhotos(t, name)
}

// The image on a PHP that lies where the official images have it, with few extensions and scripts to add others: it gets
// those of the other path.
func TestImageFromAnOfficialPHP(t *testing.T) {
	imageName(t) // makes the base; skips without docker
	name := os.Getenv("IGOR_OFFICIAL_IMAGE")
	if name == "" {
		official := command(t, "tests/container/base", "official")
		bases := strings.Fields(command(t, "tests/container/base"))
		name = "igor-test-official"
		if err := build(name, official, bases[0]); err != nil {
			t.Fatal(err)
		}
	}
	if out := command(t, "docker", "run", "--rm", name, "php-cli", "-r", "echo PHP_BINDIR, ' ', PHP_CONFIG_FILE_SCAN_DIR;"); out !=
		"/usr/local/bin /usr/local/etc/php/conf.d" {
		t.Errorf("its PHP is %q", out)
	}
	mustBeLike(t, name)
}

// From nothing but Debian: docker/php.Dockerfile, on which extensions can be built, and the image on its PHP.
func TestImageFromPHPOnPlainDebian(t *testing.T) {
	imageName(t) // makes the base; skips without docker
	name := os.Getenv("IGOR_PLAIN_IMAGE")
	if name == "" {
		bases := strings.Fields(command(t, "tests/container/base"))
		php := "igor-test-php-dockerfile"
		command(t, "docker", "build", "-q", "-f", "docker/php.Dockerfile", "-t", php,
			"--build-arg", "DEBIAN_IMAGE="+command(t, "tests/container/base", "trusting"), ".")
		example := filepath.Join(checkout(), "docker", "examples", "custom", "hello")
		if out := command(t, "docker", "run", "--rm", "-v", example+":/hello:ro", php, "sh", "-c",
			`cp -r /hello /tmp/hello && cd /tmp/hello && { phpize && ./configure && make; } >/tmp/log 2>&1 || { cat /tmp/log; exit 1; }
			php -d extension=/tmp/hello/modules/hello.so -r 'echo hello(), " ", PHP_ZTS, " ", extension_loaded("Zend OPcache");'`); out !=
			"hello from an extension 1 1" {
			t.Errorf("its PHP says %q", out)
		}
		name = "igor-test-plain-debian"
		if err := build(name, php, bases[0]); err != nil {
			t.Fatal(err)
		}
	}
	mustBeSmall(t, name)
	if out, err := tryCommand("docker", "run", "--rm", "--user", "root", "--entrypoint", "sh", name, "-c", "ls /root/.cache /usr/src/igor 2>/dev/null"); err == nil {
		t.Errorf("left over from building: %s", out)
	}
	mustBeLike(t, name)
}
